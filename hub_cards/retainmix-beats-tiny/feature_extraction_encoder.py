"""What the feature extractors of all encoder families share: the forms of input, checks, padding, devices."""

from typing import Any

import torch
from transformers import BatchFeature, SequenceFeatureExtractor
from transformers.utils import logging

from .fbank import FRAME_LENGTH, FRAME_SHIFT, SAMPLING_RATE
from .waveforms import collect_waveforms

logger = logging.get_logger(__name__)

# One column of patches: 16 frames.
SHORTEST_CLIP = FRAME_LENGTH + 15 * FRAME_SHIFT


class LogMelFeatureExtractor(SequenceFeatureExtractor):
    """Waveforms at 16 kHz to normalised log-mel features; a subclass says how.

    Args:
        mean: subtracted from the log-mel features.
        std: half of their divisor: (x - mean) / (2 * std).
        feature_size: mel bins.
        sampling_rate: in Hz; the filter bank knows 16000 only.
        padding_value: value of padded samples.
        kwargs: those of `SequenceFeatureExtractor`.

    Raises:
        ValueError: another sampling rate.
    """

    model_input_names = ["input_values", "attention_mask"]  # noqa: RUF012

    def __init__(
        self, mean: float, std: float, feature_size: int, sampling_rate: int, padding_value: float, **kwargs: Any
    ) -> None:
        if sampling_rate != SAMPLING_RATE:
            raise ValueError(f"sampling_rate is {sampling_rate} Hz, the filter bank needs {SAMPLING_RATE} Hz")
        super().__init__(feature_size, sampling_rate, padding_value, **kwargs)
        self.mean = mean
        self.std = std

    def extract_features(self, waveform: torch.Tensor, lengths: torch.Tensor | None = None) -> torch.Tensor:
        """[batch, samples] -> [batch, frames, mel bins], on the device of the tensor, without checks or gradients."""
        raise NotImplementedError

    def frame_mask(self, lengths: torch.Tensor, num_samples: int) -> torch.Tensor:
        """Which frames of a padded batch are real: lengths in samples [batch] -> [batch, frames] bool."""
        raise NotImplementedError

    def __call__(
        self,
        raw_speech: Any,
        sampling_rate: int | None = None,
        padding: bool | str = True,
        max_length: int | None = None,
        truncation: bool = False,
        return_attention_mask: bool | None = None,
        return_tensors: str = "pt",
        device: str | torch.device = "cpu",
        channel: int | str | None = None,
    ) -> BatchFeature:
        """Features of one clip or of several, of any lengths; shorter clips are zero-padded as waveforms.

        Args:
            raw_speech: one clip [samples], a batch [batch, samples], or a list of clips; numpy arrays, torch tensors
                or lists of numbers, float in [-1, 1] or int16. Several channels: [channels, samples] in a list, or
                [batch, channels, samples].
            sampling_rate: of the clips, in Hz.
            padding: True or "longest" pads to the longest clip, "max_length" to `max_length`.
            max_length: in samples.
            truncation: cut clips to `max_length`.
            return_attention_mask: whether to return it; None: yes.
            return_tensors: "pt" or "np".
            device: where to compute and where the tensors lie.
            channel: what to take of several channels: an index, or "mean".

        Returns:
            `input_values` [batch, frames, mel bins] float32, `attention_mask` [batch, frames] int64.

        Raises:
            ValueError: a wrong sampling rate, an empty, too short or non-finite clip, several channels without
                `channel`; the message names the clip.
        """
        if sampling_rate is None:
            logger.warning_once(f"sampling_rate was not given: the clips are taken to be at {self.sampling_rate} Hz")
        elif sampling_rate != self.sampling_rate:
            raise ValueError(
                f"the clips are at {sampling_rate} Hz, this feature extractor needs {self.sampling_rate} Hz: resample"
            )
        waveforms, lengths = collect_waveforms(raw_speech, channel, padding, max_length, truncation)
        self._check_lengths(lengths, waveforms.shape[1])
        waveforms, lengths = waveforms.to(device), lengths.to(device)
        data: dict[str, Any] = {"input_values": self.extract_features(waveforms, lengths)}
        if return_attention_mask or (return_attention_mask is None and self.return_attention_mask):
            data["attention_mask"] = self.frame_mask(lengths, waveforms.shape[1]).long()
        if return_tensors == "np":
            data = {name: values.cpu().numpy() for name, values in data.items()}
        return BatchFeature(data)

    def _check_lengths(self, lengths: torch.Tensor, num_samples: int) -> None:
        shortest = self._shortest_clips(lengths, num_samples)
        too_short = (lengths < shortest).nonzero().flatten().tolist()
        if too_short:
            index = too_short[0]
            raise ValueError(
                f"clip {index} has {lengths[index]} samples, fewer than the {shortest[index]} of the shortest input: "
                "leave it out or join it with others"
            )

    def _shortest_clips(self, lengths: torch.Tensor, num_samples: int) -> torch.Tensor:
        """The fewest samples that each clip may have, [batch]."""
        return torch.full_like(lengths, SHORTEST_CLIP)


__all__ = ["LogMelFeatureExtractor"]

"""Feature extractor of BEATs: waveforms to normalised log-mel features, batched, on any device."""

from typing import Any

import torch
from transformers import BatchFeature, SequenceFeatureExtractor
from transformers.utils import logging

from .fbank import FRAME_LENGTH, FRAME_SHIFT, SAMPLING_RATE, kaldi_fbank, num_frames
from .waveforms import collect_waveforms

logger = logging.get_logger(__name__)

# OpenBEATs repeats batches shorter than this (0.2 s), so that every clip has a token.
SHORTEST_UNREPEATED = 3200
# One column of patches: 16 frames.
SHORTEST_CLIP = FRAME_LENGTH + 15 * FRAME_SHIFT


class BeatsFeatureExtractor(SequenceFeatureExtractor):
    r"""
    Extracts Kaldi log-mel features (25 ms Povey windows every 10 ms, of the waveform in 16-bit range), normalised as
    (x - mean) / (2 * std). Chen et al., "BEATs", 2023.

    Args:
        feature_size: mel bins.
        sampling_rate: in Hz; the filter bank knows 16000 only.
        padding_value: value of padded samples.
        mean: subtracted from the log-mel features; the default is that of the official BEATs.
        std: half of their divisor.
        padding_rule: which frames of a padded clip are real: `"fold"` as the original BEATs decides (frames share the
            samples out evenly; a frame is real if one of its samples is), `"conv"` as OpenBEATs does (a frame is real
            if all the 400 samples that it sees are). With `"conv"` a batch shorter than 0.2 s is repeated, as there.
    """

    model_input_names = ["input_values", "attention_mask"]  # noqa: RUF012

    def __init__(
        self,
        feature_size: int = 128,
        sampling_rate: int = SAMPLING_RATE,
        padding_value: float = 0.0,
        mean: float = 15.41663,
        std: float = 6.55582,
        padding_rule: str = "fold",
        **kwargs: Any,
    ) -> None:
        if sampling_rate != SAMPLING_RATE:
            raise ValueError(f"sampling_rate is {sampling_rate} Hz, the filter bank needs {SAMPLING_RATE} Hz")
        if padding_rule not in ("fold", "conv"):
            raise ValueError(f"padding_rule is {padding_rule!r}, use 'fold' or 'conv'")
        super().__init__(feature_size, sampling_rate, padding_value, **kwargs)
        self.mean = mean
        self.std = std
        self.padding_rule = padding_rule

    def extract_features(self, waveform: torch.Tensor, lengths: torch.Tensor | None = None) -> torch.Tensor:
        """The batched path of training and scoring: no checks, on the device of the tensor, without gradients.

        Args:
            waveform: [batch, samples] float in [-1, 1] at 16 kHz, zero-padded.
            lengths: real samples of each clip [batch]; these features do not depend on it.

        Returns:
            [batch, frames, mel bins] float32.
        """
        waveform = waveform.repeat(1, self._repetitions(waveform.shape[1]))
        features = kaldi_fbank(waveform * 2**15, num_mel_bins=self.feature_size)
        return (features - self.mean) / (2 * self.std)

    def frame_mask(self, lengths: torch.Tensor, num_samples: int) -> torch.Tensor:
        """Which frames of a padded batch are real, by `padding_rule`.

        Args:
            lengths: real samples of each clip, [batch].
            num_samples: width of the batch.

        Returns:
            [batch, frames] bool.
        """
        repeated = num_samples * self._repetitions(num_samples)
        frame = torch.arange(num_frames(repeated), device=lengths.device)
        if self.padding_rule == "conv":
            # The copies of a padded clip hold its padding too: only its first one counts.
            lengths = torch.where(lengths == num_samples, repeated, lengths)
            return frame * FRAME_SHIFT + FRAME_LENGTH <= lengths[:, None]
        return frame * (num_samples // num_frames(num_samples)) < lengths[:, None]

    def _repetitions(self, num_samples: int) -> int:
        if self.padding_rule == "conv" and num_samples < SHORTEST_UNREPEATED:
            return SHORTEST_UNREPEATED // num_samples + 1
        return 1

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
        shortest = torch.full_like(lengths, SHORTEST_CLIP)
        if self._repetitions(num_samples) > 1:
            shortest[lengths == num_samples] = FRAME_LENGTH
        too_short = (lengths < shortest).nonzero().flatten().tolist()
        if too_short:
            index = too_short[0]
            raise ValueError(
                f"clip {index} has {lengths[index]} samples, fewer than the {shortest[index]} of the shortest input: "
                "leave it out or join it with others"
            )


__all__ = ["BeatsFeatureExtractor"]

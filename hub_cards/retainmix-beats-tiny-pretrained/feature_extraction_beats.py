"""Feature extractor of BEATs: waveforms to normalised log-mel features, batched, on any device."""

from typing import Any

import torch
from transformers.utils import logging

from .fbank import FRAME_LENGTH, FRAME_SHIFT, SAMPLING_RATE, kaldi_fbank, num_frames
from .feature_extraction_encoder import LogMelFeatureExtractor

logger = logging.get_logger(__name__)

# OpenBEATs repeats clips shorter than this (0.2 s), so that every clip has a token.
SHORTEST_UNREPEATED = 3200


class BeatsFeatureExtractor(LogMelFeatureExtractor):
    r"""
    Extracts Kaldi log-mel features (25 ms Povey windows every 10 ms, of the waveform in 16-bit range), normalised as
    (x - mean) / (2 * std). Chen et al., "BEATs", 2023.

    Args:
        feature_size: mel bins.
        sampling_rate: in Hz; the filter bank knows 16000 only.
        padding_value: value of padded samples.
        mean: subtracted from the log-mel features; the default is that of the official BEATs.
        std: half of their divisor.
        padding_rule: which frames of a padded clip are real: `"conv"` those all of whose 400 samples are, as OpenBEATs
            has it: a clip's result does not depend on the clips beside it. Clips under 0.2 s are repeated, as there.
            `"fold"` as the original BEATs decides, for its converted checkpoints: frames share the samples out evenly,
            and a frame is real if one of its samples is.
    """

    def __init__(
        self,
        feature_size: int = 128,
        sampling_rate: int = SAMPLING_RATE,
        padding_value: float = 0.0,
        mean: float = 15.41663,
        std: float = 6.55582,
        padding_rule: str = "conv",
        **kwargs: Any,
    ) -> None:
        if padding_rule not in ("fold", "conv"):
            raise ValueError(f"padding_rule is {padding_rule!r}, use 'fold' or 'conv'")
        super().__init__(mean, std, feature_size, sampling_rate, padding_value, **kwargs)
        self.padding_rule = padding_rule

    def log_mel(self, waveform: torch.Tensor, lengths: torch.Tensor | None = None) -> torch.Tensor:
        """Compute the features of clips as recorded; arguments and result as in `extract_features`. They do not
        depend on `lengths`.
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

    @property
    def shortest_clip(self) -> int:
        """The fewest samples that a clip may have."""
        return FRAME_LENGTH if self.padding_rule == "conv" else super().shortest_clip

    def _prepare(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Repeat each short clip by itself, whatever lies beside it; warn of padding under the rule "fold"."""
        num_samples = waveforms.shape[1]
        if self.padding_rule == "fold":
            if bool((lengths < num_samples).any()):
                logger.warning_once(
                    "clips are padded under padding_rule='fold', that of the original BEATs, by which the result of a "
                    "clip depends on the clips beside it: pass clips of one length, or use padding_rule='conv' in "
                    "the feature extractor and in the configuration of the model"
                )
            return waveforms, lengths
        repetitions = torch.where(lengths < SHORTEST_UNREPEATED, SHORTEST_UNREPEATED // lengths + 1, 1)
        repeated = lengths * repetitions
        waveforms = torch.nn.functional.pad(waveforms, (0, max(int(repeated.max()) - num_samples, 0)))
        for index in (repetitions > 1).nonzero().flatten().tolist():
            clip = waveforms[index, : lengths[index]]
            waveforms[index, : repeated[index]] = clip.repeat(int(repetitions[index]))
        return waveforms, repeated


__all__ = ["BeatsFeatureExtractor"]

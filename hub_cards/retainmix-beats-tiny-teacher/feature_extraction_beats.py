"""Feature extractor of BEATs: waveforms to normalised log-mel features, batched, on any device."""

from typing import Any

import torch

from .fbank import FRAME_LENGTH, FRAME_SHIFT, SAMPLING_RATE, kaldi_fbank, num_frames
from .feature_extraction_encoder import LogMelFeatureExtractor

# OpenBEATs repeats batches shorter than this (0.2 s), so that every clip has a token.
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
        padding_rule: which frames of a padded clip are real: `"fold"` as the original BEATs decides (frames share the
            samples out evenly; a frame is real if one of its samples is), `"conv"` as OpenBEATs does (a frame is real
            if all the 400 samples that it sees are). With `"conv"` a batch shorter than 0.2 s is repeated, as there.
    """

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
        if padding_rule not in ("fold", "conv"):
            raise ValueError(f"padding_rule is {padding_rule!r}, use 'fold' or 'conv'")
        super().__init__(mean, std, feature_size, sampling_rate, padding_value, **kwargs)
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

    def _shortest_clips(self, lengths: torch.Tensor, num_samples: int) -> torch.Tensor:
        shortest = super()._shortest_clips(lengths, num_samples)
        if self._repetitions(num_samples) > 1:
            shortest[lengths == num_samples] = FRAME_LENGTH
        return shortest


__all__ = ["BeatsFeatureExtractor"]

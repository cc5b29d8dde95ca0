"""Feature extractor of EAT and SSLAM: waveforms to normalised log-mel features of a fixed length."""

from typing import Any

import torch

from .fbank import FRAME_LENGTH, FRAME_SHIFT, SAMPLING_RATE, kaldi_fbank, num_frames
from .feature_extraction_encoder import LogMelFeatureExtractor


class EatFeatureExtractor(LogMelFeatureExtractor):
    r"""
    Extracts Kaldi log-mel features (25 ms Hann windows every 10 ms, of the waveform in [-1, 1] less the mean of the
    clip), pads them with zeros to a fixed number of frames and normalises: (x - mean) / (2 * std). Chen et al., 2024.

    The original attends to the padding too, so `attention_mask` is not returned unless asked for, or where the padding
    of a clip would depend on the clips beside it.

    Args:
        feature_size: mel bins.
        sampling_rate: in Hz; the filter bank knows 16000 only.
        padding_value: value of padded samples.
        mean: subtracted from the log-mel features; the default is AudioSet's.
        std: half of their divisor.
        target_length: frames of every clip, at least 16; the default is that of 10 s clips. The model reads whole
            patches of 16 frames, as the original does. None: as many as the longest clip has, rounded up to whole
            patches.
        return_attention_mask: None: only without a `target_length`.

    Raises:
        ValueError: a `target_length` shorter than a patch, or what [`LogMelFeatureExtractor`] refuses.
    """

    def __init__(
        self,
        feature_size: int = 128,
        sampling_rate: int = SAMPLING_RATE,
        padding_value: float = 0.0,
        mean: float = -4.268,
        std: float = 4.569,
        target_length: int | None = 1024,
        return_attention_mask: bool | None = None,
        **kwargs: Any,
    ) -> None:
        if target_length is not None and target_length < 16:
            raise ValueError(f"target_length is {target_length} frames: use at least 16, the length of a patch")
        if return_attention_mask is None:
            return_attention_mask = target_length is None
        super().__init__(
            mean,
            std,
            feature_size,
            sampling_rate,
            padding_value,
            return_attention_mask=return_attention_mask,
            **kwargs,
        )
        self.target_length = target_length

    def log_mel(self, waveform: torch.Tensor, lengths: torch.Tensor | None = None) -> torch.Tensor:
        """Compute the features of clips as recorded; arguments and result as in `extract_features`.

        Raises:
            ValueError: the clips are longer than `target_length`.
        """
        num_samples = waveform.shape[1]
        frames = self._frames(num_samples)
        if lengths is None:
            waveform = waveform - waveform.mean(dim=1, keepdim=True)
        else:
            real = torch.arange(num_samples, device=waveform.device) < lengths[:, None]
            waveform = waveform - (waveform * real).sum(dim=1, keepdim=True) / lengths[:, None]
        features = kaldi_fbank(waveform, num_mel_bins=self.feature_size, window="hanning")
        features = torch.nn.functional.pad(features, (0, 0, 0, frames - features.shape[1]))
        if lengths is not None:
            features = features * self.frame_mask(lengths, num_samples)[..., None]
        return (features - self.mean) / (2 * self.std)

    def frame_mask(self, lengths: torch.Tensor, num_samples: int) -> torch.Tensor:
        """Return which frames are real, [batch, frames] bool: those whose samples all are; arguments as above."""
        frame = torch.arange(self._frames(num_samples), device=lengths.device)
        return frame * FRAME_SHIFT + FRAME_LENGTH <= lengths[:, None]

    def _frames(self, num_samples: int) -> int:
        frames = num_frames(num_samples)
        if self.target_length is None:
            return frames + -frames % 16
        if frames > self.target_length:
            raise ValueError(
                f"clips of {num_samples} samples have {frames} frames, more than target_length={self.target_length}: "
                "cut them, or set a longer target_length"
            )
        return self.target_length


__all__ = ["EatFeatureExtractor"]

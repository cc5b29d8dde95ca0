"""What the feature extractors of all encoder families share: the forms of input, checks, padding, devices."""

import inspect
import os
from numbers import Real
from typing import Any

import torch
from transformers import BatchFeature
from transformers.utils import TensorType, logging

from .configuration_encoder import auto_map_entry
from .fbank import FRAME_LENGTH, FRAME_SHIFT, SAMPLING_RATE
from .feature_extraction_base import LIBRARY_KEYS, FeatureExtractorBase
from .known_keys import near_miss
from .waveforms import collect_waveforms

logger = logging.get_logger(__name__)

_FROM_FILE = "_from_file"
_MOST_MEL_BINS, _LARGEST_NUMBER, _SMALLEST_STD = 4096, 1e6, 1e-6

# One column of patches: 16 frames.
SHORTEST_CLIP = FRAME_LENGTH + 15 * FRAME_SHIFT


class LogMelFeatureExtractor(FeatureExtractorBase):
    """Waveforms at 16 kHz to normalised log-mel features; a subclass says how.

    Args:
        mean: subtracted from the log-mel features.
        std: half of their divisor: (x - mean) / (2 * std).
        feature_size: mel bins.
        sampling_rate: in Hz; the filter bank knows 16000 only.
        padding_value: value of padded samples.
        clip_level: mean of a clip's features over its real frames and all bins; each clip is moved there by one
            offset, as if its recording gain were another. None: clips stay as recorded.
        kwargs: those of `FeatureExtractorBase`, and others, which become attributes.

    Raises:
        ValueError: another sampling rate, a value out of its bounds, or an argument that looks like a typing error.
    """

    def __init__(
        self,
        mean: float,
        std: float,
        feature_size: int,
        sampling_rate: int,
        padding_value: float,
        clip_level: float | None = None,
        **kwargs: Any,
    ) -> None:
        if sampling_rate != SAMPLING_RATE:
            raise ValueError(f"sampling_rate is {sampling_rate} Hz, the filter bank needs {SAMPLING_RATE} Hz")
        if not kwargs.pop(_FROM_FILE, False):
            known = set(inspect.signature(type(self)).parameters) | LIBRARY_KEYS
            for key in kwargs.keys() - known:
                likely = near_miss(key, known)
                if likely is not None:
                    raise ValueError(f"unknown argument {key!r} of {type(self).__name__}: use {likely!r}")
        if clip_level is not None and not _is_finite(clip_level):
            raise ValueError(f"clip_level is {clip_level!r}, use a finite number, or None for clips as recorded")
        for name, value in (("mean", mean), ("std", std), ("padding_value", padding_value)):
            if not _is_finite(value) or (name == "std" and value < _SMALLEST_STD):
                bound = f" of at least {_SMALLEST_STD:g}" if name == "std" else ""
                raise ValueError(f"{name} is {value!r}, use a finite number{bound}")
        if not isinstance(feature_size, int) or not 1 <= feature_size <= _MOST_MEL_BINS:
            raise ValueError(f"feature_size is {feature_size!r}, use 1 to {_MOST_MEL_BINS} mel bins")
        super().__init__(feature_size, sampling_rate, padding_value, **kwargs)
        self.mean = mean
        self.std = std
        self.clip_level = clip_level

    @classmethod
    def from_dict(cls, feature_extractor_dict: dict[str, Any], **kwargs: Any) -> Any:
        """The feature extractor of a file's content; arguments and result as in `FeatureExtractionMixin.from_dict`.

        Raises:
            ValueError: the file is that of another kind of feature extractor, whose statistics would not fit.
        """
        kind = feature_extractor_dict.get("feature_extractor_type", cls.__name__)
        if kind not in {parent.__name__ for parent in cls.__mro__}:
            raise ValueError(
                f"the checkpoint's preprocessor_config.json is that of a {kind}, not of a {cls.__name__}: use "
                "AutoFeatureExtractor, or another checkpoint"
            )
        return super().from_dict({**feature_extractor_dict, _FROM_FILE: True}, **kwargs)

    def save_pretrained(
        self, save_directory: str | os.PathLike, push_to_hub: bool = False, **kwargs: Any
    ) -> list[str]:
        """Write `preprocessor_config.json` and beside it the code of the class, which `auto_map` names."""
        # The library then copies the file of the class, and those that it imports.
        self.register_for_auto_class()
        # Without the entries of where the class was loaded from; the library adds AutoFeatureExtractor. Without one of
        # its own, AutoProcessor tries tokenizers and image processors first, each with a question.
        self.auto_map = {"AutoProcessor": auto_map_entry(type(self))}
        return super().save_pretrained(save_directory, push_to_hub, **kwargs)

    def log_mel(self, waveform: torch.Tensor, lengths: torch.Tensor | None = None) -> torch.Tensor:
        """Compute the features of clips as recorded; arguments and result as in `extract_features`."""
        raise NotImplementedError

    def extract_features(self, waveform: torch.Tensor, lengths: torch.Tensor | None = None) -> torch.Tensor:
        """Compute features, at `clip_level`, on the device of the tensor, without checks of values or gradients.

        Args:
            waveform: [batch, samples] float in [-1, 1] at 16 kHz, zero-padded.
            lengths: real samples of each clip [batch]; None: all are.

        Returns:
            [batch, frames, mel bins] float32.
        """
        features = self.log_mel(waveform, lengths)
        if self.clip_level is None:
            return features
        if lengths is None:
            lengths = torch.full((waveform.shape[0],), waveform.shape[1], device=waveform.device)
        return set_clip_level(features, self.clip_level, self.frame_mask(lengths, waveform.shape[1]))

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
        return_tensors: str | TensorType | None = "pt",
        device: str | torch.device = "cpu",
        channel: int | str | None = None,
    ) -> BatchFeature:
        """Features of one clip or of several, of any lengths; shorter clips are zero-padded as waveforms.

        Args:
            raw_speech: one clip [samples], a batch [batch, samples], or a list of clips; numpy arrays, torch tensors
                or lists of numbers, float in [-1, 1] or int16. Several channels: [channels, samples] in a list, or
                [batch, channels, samples].
            sampling_rate: of the clips, in Hz.
            padding: True or "longest" pads to the longest clip, "max_length" to `max_length`, False or "do_not_pad"
                pads nothing.
            max_length: in samples.
            truncation: cut clips to `max_length`.
            return_attention_mask: whether to return it; None: yes.
            return_tensors: "pt" or "np"; None gives lists with one array for each clip.
            device: where to compute and where the tensors lie.
            channel: what to take of several channels: an index, or "mean".

        Returns:
            `input_values` [batch, frames, mel bins] float32, `attention_mask` [batch, frames] int64.

        Raises:
            ValueError: a wrong sampling rate, an empty, too short or non-finite clip, several channels without
                `channel`, an unknown kind of tensors; the message names the clip.
        """
        if sampling_rate is None:
            logger.warning_once(f"sampling_rate was not given: the clips are taken to be at {self.sampling_rate} Hz")
        elif sampling_rate != self.sampling_rate:
            raise ValueError(
                f"the clips are at {sampling_rate} Hz, this feature extractor needs {self.sampling_rate} Hz: resample"
            )
        kind = getattr(return_tensors, "value", return_tensors)
        if kind not in ("pt", "np", None):
            raise ValueError(f"return_tensors is {kind!r}, use 'pt', 'np' or None")
        ragged = kind is None and padding in (False, "do_not_pad")
        waveforms, lengths = collect_waveforms(
            raw_speech, channel, True if ragged else padding, max_length, truncation
        )
        self._check_lengths(lengths)
        with_mask = self.return_attention_mask if return_attention_mask is None else return_attention_mask
        waveforms, lengths = waveforms.to(device), lengths.to(device)
        if ragged:
            singles = zip(waveforms.split(1), lengths.split(1), strict=True)
            batches = [self._features(clip[:, : int(length)], length, with_mask) for clip, length in singles]
            return BatchFeature({name: [batch[name][0].cpu().numpy() for batch in batches] for name in batches[0]})
        data: dict[str, Any] = self._features(waveforms, lengths, with_mask)
        if kind != "pt":
            data = {name: values.cpu().numpy() for name, values in data.items()}
        return BatchFeature({name: list(values) for name, values in data.items()} if kind is None else data)

    def _features(self, waveforms: torch.Tensor, lengths: torch.Tensor, with_mask: bool) -> dict[str, torch.Tensor]:
        waveforms, lengths = self._prepare(waveforms, lengths)
        data = {"input_values": self.extract_features(waveforms, lengths)}
        if with_mask:
            data["attention_mask"] = self.frame_mask(lengths, waveforms.shape[1]).long()
        return data

    @property
    def shortest_clip(self) -> int:
        """The fewest samples that a clip may have."""
        return SHORTEST_CLIP

    def _prepare(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What a family does with padded clips [batch, samples] and their lengths [batch] before the features."""
        return waveforms, lengths

    def _check_lengths(self, lengths: torch.Tensor) -> None:
        too_short = (lengths < self.shortest_clip).nonzero().flatten().tolist()
        if too_short:
            index = too_short[0]
            raise ValueError(
                f"clip {index} has {lengths[index]} samples, fewer than the {self.shortest_clip} of the shortest "
                "input: leave it out or join it with others"
            )


def set_clip_level(
    features: torch.Tensor, level: torch.Tensor | float | None, frame_mask: torch.Tensor | None = None
) -> torch.Tensor:
    """Move the mean of each clip's normalized log-mel features to a level: a change of the recording's gain.

    The offset is one number per clip, so its spectrum stays as it is. Setting a level twice is setting it once.

    Args:
        features: normalized log-mel features, [batch, frames, mel bins].
        level: the new mean, one number or [batch]; None leaves the features as recorded.
        frame_mask: [batch, frames], nonzero at real frames, over which the mean is taken; None: all are real.

    Returns:
        Features of the same shape; padded frames are moved with their clip.
    """
    if level is None:
        return features
    return features + (level - mean_level(features, frame_mask))[:, None, None]


def mean_level(features: torch.Tensor, frame_mask: torch.Tensor | None = None) -> torch.Tensor:
    """Mean of each clip's features over its real frames and all bins, [batch]; arguments as in `set_clip_level`."""
    if frame_mask is None:
        return features.mean(dim=(1, 2))
    weights = frame_mask.to(features.dtype)
    return (features.mean(dim=2) * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)


def _is_finite(value: Any) -> bool:
    """Return whether a value is a number that float32 can reckon with."""
    return isinstance(value, Real) and abs(float(value)) <= _LARGEST_NUMBER


__all__ = ["LogMelFeatureExtractor", "mean_level", "set_clip_level"]

"""What the feature extractors take from transformers: the one file that names its base class.

transformers is going to replace feature extractors by audio processors (its pull requests 44394 and 48111 to 48115):
`SequenceFeatureExtractor` becomes a shim whose `pad` takes sound and no longer features. `pad` is therefore written
out here, for both. On the day of that change `tests/encoders/test_feature_extraction_base.py` fails and says what to
do; no other file knows the class.
"""

from collections.abc import Mapping
from typing import Any

import torch
from transformers import BatchFeature, SequenceFeatureExtractor

from .waveforms import collect_waveforms

# Arguments of the library's class and what the library writes into the file.
LIBRARY_KEYS = {"padding_side", "return_attention_mask", "feature_extractor_type", "processor_class", "auto_map"}


class FeatureExtractorBase(SequenceFeatureExtractor):
    """A feature extractor of transformers: saved, loaded and found by the Auto classes.

    Args:
        feature_size: mel bins.
        sampling_rate: in Hz.
        padding_value: value of padded samples.
        kwargs: `padding_side`, `return_attention_mask`, and others, which become attributes.
    """

    model_input_names = ["input_values", "attention_mask"]  # noqa: RUF012

    def __init__(self, feature_size: int, sampling_rate: int, padding_value: float, **kwargs: Any) -> None:
        super().__init__(feature_size, sampling_rate, padding_value, **kwargs)

    def pad(
        self,
        processed_features: Any,
        padding: bool | str = True,
        max_length: int | None = None,
        truncation: bool = False,
        pad_to_multiple_of: int | None = None,
        return_attention_mask: bool | None = None,
        return_tensors: Any = "pt",
    ) -> BatchFeature:
        """Pad clips with zeros behind their end: sound, or features that were extracted clip by clip.

        The default collator of `Trainer` calls it with features.

        Args:
            processed_features: sound in any form that `__call__` takes; or a list of dictionaries, one for each clip,
                or one dictionary of lists, with `input_values` ([frames, mel bins] or [samples] each) and further
                entries, such as labels.
            padding: True or "longest" pads to the longest clip, "max_length" to `max_length`, False or "do_not_pad"
                pads nothing.
            max_length: in samples, or frames of features.
            truncation: cut clips to `max_length`.
            pad_to_multiple_of: round the padded length up to a multiple of this.
            return_attention_mask: whether to return it; None: as the feature extractor does.
            return_tensors: "pt" or "np"; None: "pt".

        Returns:
            `input_values` [batch, samples] or [batch, frames, mel bins] float32, `attention_mask` [batch, samples] or
            [batch, frames] int64, and the further entries, each as one tensor.

        Raises:
            ValueError: no `input_values`, features longer than `max_length`, or what `__call__` refuses of sound.
        """
        columns = _columns(processed_features)
        if "input_values" not in columns:
            raise ValueError(f"the clips have {', '.join(columns)}, and no 'input_values' to pad")
        clips = columns.pop("input_values")
        if _num_axes(clips) < 2:
            padded, lengths = collect_waveforms(clips, None, padding, max_length, truncation)
        else:
            padded, lengths = _pad_features(clips, padding, max_length, truncation)
        if pad_to_multiple_of is not None:
            behind = [0, 0] * (padded.ndim - 2) + [0, -padded.shape[1] % pad_to_multiple_of]
            padded = torch.nn.functional.pad(padded, behind)
        real = torch.arange(padded.shape[1], device=padded.device) < lengths[:, None]
        for mask, row in zip(columns.pop("attention_mask", []), real, strict=False):
            row[: len(mask)] &= torch.as_tensor(mask, dtype=torch.bool, device=row.device)[: len(row)]
        data: dict[str, Any] = {"input_values": padded}
        if self.return_attention_mask if return_attention_mask is None else return_attention_mask:
            data["attention_mask"] = real.long()
        data |= {name: torch.stack([torch.as_tensor(value) for value in values]) for name, values in columns.items()}
        if getattr(return_tensors, "value", return_tensors) == "np":
            data = {name: values.cpu().numpy() for name, values in data.items()}
        return BatchFeature(data)


def _columns(processed_features: Any) -> dict[str, Any]:
    """Return what lies beside each other of all clips, by its name."""
    if isinstance(processed_features, Mapping):
        return dict(processed_features)
    is_listed = isinstance(processed_features, (list, tuple)) and len(processed_features) > 0
    if is_listed and isinstance(processed_features[0], Mapping):
        return {name: [clip[name] for clip in processed_features] for name in processed_features[0]}
    return {"input_values": processed_features}


def _num_axes(clips: Any) -> int:
    """Return the number of axes of the first clip."""
    if not isinstance(clips, (list, tuple)):
        return max(getattr(clips, "ndim", 2) - 1, 1)
    first = clips[0] if len(clips) else ()
    return int(torch.as_tensor(first).ndim)


def _pad_features(
    clips: Any, padding: bool | str, max_length: int | None, truncation: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Pad features [frames, mel bins] of each clip; return them as one batch, and how many frames are real."""
    cut = max_length if truncation else None
    features = [torch.as_tensor(clip, dtype=torch.float32)[:cut] for clip in clips]
    lengths = torch.tensor([len(clip) for clip in features])
    if padding in (False, "do_not_pad") and lengths.unique().numel() > 1:
        raise ValueError(f"the clips have lengths from {lengths.min()} to {lengths.max()} frames: use padding=True")
    padded = torch.nn.utils.rnn.pad_sequence(features, batch_first=True)
    if padding == "max_length" and max_length is not None:
        if padded.shape[1] > max_length:
            raise ValueError(
                f"clip {int(lengths.argmax())} has {lengths.max()} frames, more than max_length={max_length}: set "
                "truncation=True"
            )
        padded = torch.nn.functional.pad(padded, (0, 0, 0, max_length - padded.shape[1]))
    return padded, lengths.to(padded.device)


__all__ = ["LIBRARY_KEYS", "FeatureExtractorBase"]

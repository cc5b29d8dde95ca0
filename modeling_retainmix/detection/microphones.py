"""The view of a machine through two microphones: a near one, and a far one that mostly hears the surroundings.

Where the encoder retains mixtures, the embedding of the near clip is about a weighted mean of those of machine and
noise. Taking a share of the far clip's embedding away leaves more of the machine: the residual near - a * far.
"""

from typing import Any

import numpy as np
import torch

from modeling_retainmix.audio import AudioSource, audio_sources
from modeling_retainmix.detection.backends.base import Bank
from modeling_retainmix.detection.settings import View


class ResidualBank:
    """A bank of residuals.

    Args:
        bank: of `residual(vectors, far_weight)`.
        far_weight: a.

    Attributes:
        recording, is_target, domains, lowest: those of the bank.
    """

    def __init__(self, bank: Bank, far_weight: float) -> None:
        self.recording, self.is_target = bank.recording, bank.is_target
        self.domains, self.lowest = bank.domains, bank.lowest
        self._bank, self._far_weight = bank, far_weight

    def distances(self, queries: torch.Tensor) -> torch.Tensor:
        """Distances of the residuals of queries [n, 2 * D], near and far end to end, to each domain, [n, domains]."""
        return self._bank.distances(residual(queries, self._far_weight))

    def leave_one_out(self) -> torch.Tensor:
        """Distances of the references, each without its own recording, [n, domains]."""
        return self._bank.leave_one_out()


def residual(vectors: torch.Tensor, far_weight: float) -> torch.Tensor:
    """near - far_weight * far, [n, D], of vectors [n, 2 * D] that hold both end to end."""
    near, far = vectors.chunk(2, dim=1)
    return near - far_weight * far


def view_sources(
    view: View,
    audio: Any,
    sampling_rate: int | None = None,
    channel: int | str | None = None,
    far: Any = None,
    far_channel: int | str | None = None,
) -> list[AudioSource]:
    """Lists the clips that a view needs without reading them.

    Args:
        view: of `DetectorSettings`.
        audio: clips of the near microphone, in any form that `audio_sources` takes.
        sampling_rate: of arrays, in Hz.
        channel: what to take of near files with several channels.
        far: the clips of the far microphone in the same order; None: they are another channel of `audio`.
        far_channel: what to take of far files with several channels.

    Returns:
        With `view="near"` those of `audio`; else sources that load float32 [samples, 2], near and far.

    Raises:
        FileNotFoundError, ValueError: as `audio_sources`; no far clips or another number of them, or far clips that
            the view does not read. Loading raises a ValueError where a far clip has another length.
    """
    near_sources = audio_sources(audio, sampling_rate, channel)
    first = near_sources[0].name
    if view == "near":
        if far is not None or far_channel is not None:
            raise ValueError(f"{first} has a far clip, which view='near' does not read: use 'residual' or 'fusion'")
        return near_sources
    if far is None and far_channel is None:
        raise ValueError(f"{first} has no far clip, which view={view!r} needs: pass far=, or far_channel= of its file")
    far_sources = audio_sources(audio if far is None else far, sampling_rate, far_channel)
    if len(far_sources) != len(near_sources):
        shorter = min(len(far_sources), len(near_sources))
        longer, other = (near_sources, "far") if len(near_sources) > shorter else (far_sources, "near")
        raise ValueError(
            f"{len(near_sources)} near and {len(far_sources)} far clips: {longer[shorter].name} has no {other} clip, "
            "pass one far clip for each near one"
        )
    return [_pair(*pair) for pair in zip(near_sources, far_sources, strict=True)]


def _pair(near: AudioSource, far: AudioSource) -> AudioSource:
    def load() -> np.ndarray:
        near_clip, far_clip = near.load(), far.load()
        if len(near_clip) != len(far_clip):
            raise ValueError(
                f"{near.name} has {len(near_clip)} samples and its far one ({far.name}) {len(far_clip)}: cut both "
                "to the same time"
            )
        return np.stack([near_clip, far_clip], axis=1)

    return AudioSource(near.name, load)

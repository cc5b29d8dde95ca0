"""Long recordings: windows of one length, and one score from those of the windows."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

Reduction = Literal["max", "mean", "first"]


@dataclass(frozen=True)
class Windows:
    """How clips are cut into windows, and how the windows' scores become a clip's.

    A clip that is not longer than a window is one window. The last window of a longer clip ends with the clip.

    Attributes:
        window_seconds: length of a window in seconds.
        hop_seconds: from the start of a window to that of the next one, in seconds.
        reduce: "max" or "mean" of the scores of all windows, or "first": the rest of the clip is left out, as
            published tables on 10 s clips have it.
        pad: put zeros behind clips shorter than a window, as GenRep does; the zeros take part in the pooling.

    Raises:
        ValueError: a value out of range.
    """

    window_seconds: float = 10.0
    hop_seconds: float = 5.0
    reduce: Reduction = "max"
    pad: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.hop_seconds <= self.window_seconds:
            raise ValueError(
                f"hop_seconds={self.hop_seconds} must be above 0 and at most window_seconds={self.window_seconds}, or "
                "parts of a recording are never looked at"
            )
        if self.reduce not in get_args(Reduction):
            raise ValueError(f"reduce={self.reduce!r} is unknown: use one of {', '.join(get_args(Reduction))}")

    def cut(self, waveform: np.ndarray, sampling_rate: int) -> list[tuple[int, np.ndarray]]:
        """Cuts a waveform into windows: (first sample, samples of the window), in the order of time.

        Args:
            waveform: [samples], or [samples, channels], as its windows are.
            sampling_rate: in Hz.
        """
        window, hop = round(self.window_seconds * sampling_rate), round(self.hop_seconds * sampling_rate)
        if self.pad and len(waveform) < window:
            waveform = np.pad(waveform, [(0, window - len(waveform)), *[(0, 0)] * (waveform.ndim - 1)])
        last = len(waveform) - window
        starts = [0] if last <= 0 or self.reduce == "first" else [*range(0, last, hop), last]
        return [(start, waveform[start : start + window]) for start in starts]

    def reduce_scores(self, scores: np.ndarray, clip: np.ndarray) -> np.ndarray:
        """Scores of clips from those of their windows.

        Args:
            scores: [windows].
            clip: [windows] the clip of each window, ascending from 0 without gaps.

        Returns:
            [clips].
        """
        starts = np.flatnonzero(np.diff(clip, prepend=-1))
        if self.reduce == "mean":
            return np.add.reduceat(scores, starts) / np.diff(np.append(starts, len(scores)))
        return np.maximum.reduceat(scores, starts)

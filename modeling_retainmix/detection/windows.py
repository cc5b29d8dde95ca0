"""Long recordings: windows of one length, and one score from those of the windows."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

Reduction = Literal["max", "mean", "first"]


class ClipScore(NamedTuple):
    """The score of one clip.

    Attributes:
        position: among the clips of the call.
        score: higher is more anomalous; NaN for a clip that cannot be read.
        num_windows: so many windows took part, on which the threshold depends (`AnomalyDetector.threshold`).
    """

    position: int
    score: float
    num_windows: int


@dataclass(frozen=True)
class Windows:
    """How clips are cut into windows, and how the windows' scores become a clip's.

    A clip that is not longer than a window is one window. The last window of a longer clip ends with the clip.
    `DetectorSettings` checks the values.

    Attributes:
        window_seconds: length of a window in seconds.
        hop_seconds: from the start of a window to that of the next one, in seconds; at most `window_seconds`.
        reduce: "max" or "mean" of the scores of all windows, or "first": the rest of the clip is left out, as in
            published tables on 10 s clips.
        pad: put zeros behind clips shorter than a window, as GenRep does; the zeros take part in the pooling.
    """

    window_seconds: float = 10.0
    hop_seconds: float = 5.0
    reduce: Reduction = "max"
    pad: bool = False

    def cut(self, waveform: np.ndarray, sampling_rate: int) -> list[tuple[int, np.ndarray]]:
        """Cut a waveform into windows: (first sample, samples of the window), in the order of time.

        Args:
            waveform: [samples], or [samples, channels], as its windows are.
            sampling_rate: in Hz.
        """
        window = round(self.window_seconds * sampling_rate)
        if self.pad and len(waveform) < window:
            waveform = np.pad(waveform, [(0, window - len(waveform)), *[(0, 0)] * (waveform.ndim - 1)])
        starts = self._starts(len(waveform), sampling_rate)
        return [(start, waveform[start : start + window]) for start in starts]

    def count(self, num_samples: int, sampling_rate: int) -> int:
        """Return the number of windows of a clip of so many samples."""
        return len(self._starts(num_samples, sampling_rate))

    def reduce_scores(self, scores: np.ndarray, clip_index: np.ndarray) -> np.ndarray:
        """Reduce the scores of windows to those of clips.

        Args:
            scores: [windows].
            clip_index: [windows] the clip of each window, ascending; every clip that occurs gives a score.

        Returns:
            [clips].
        """
        starts = np.flatnonzero(np.diff(clip_index, prepend=-1))
        if self.reduce == "mean":
            return np.add.reduceat(scores, starts) / np.diff(np.append(starts, len(scores)))
        return np.maximum.reduceat(scores, starts)

    def _starts(self, num_samples: int, sampling_rate: int) -> list[int]:
        window, hop = round(self.window_seconds * sampling_rate), round(self.hop_seconds * sampling_rate)
        last = num_samples - window
        return [0] if last <= 0 or self.reduce == "first" else [*range(0, last, hop), last]

"""An exported detector: windows of recordings through its graph, one score for each recording, and decisions."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from retainmix_score.audio import load_clips

DESCRIPTION_FILE = "scorer.json"
FORMAT = 1

_BATCH = 8  # windows of one run


class Scorer:
    """Score recordings as the detector does that was exported.

    Args:
        folder: with `scorer.json` and the graph that it names, as `AnomalyDetector.export_onnx` writes them.
        threads: of the computation; None: as many as onnxruntime finds fit.

    Attributes:
        description: what `scorer.json` holds: sampling rate, windows, thresholds, settings of the detector, where it
            comes from and how far its scores are from the detector's.

    Raises:
        FileNotFoundError: one of the files is missing.
        ValueError: they do not belong together, or are of a later format.
    """

    def __init__(self, folder: str | os.PathLike[str], threads: int | None = None) -> None:
        path = Path(folder) / DESCRIPTION_FILE
        if not path.is_file():
            raise FileNotFoundError(f"{path} is missing: pass a folder that AnomalyDetector.export_onnx wrote")
        self.description: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if self.description.get("format") != FORMAT:
            raise ValueError(f"{path} has format {self.description.get('format')}, this package reads {FORMAT}")
        graph = (Path(folder) / self.description["graph"]).read_bytes()
        if hashlib.sha256(graph).hexdigest() != self.description["sha256"]:
            raise ValueError(f"{path} does not belong to {self.description['graph']} beside it: export both again")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def score(self, audio: Any, sampling_rate: int | None = None, channel: int | str | None = None) -> np.ndarray:
        """Score clips: [clips] float64; higher is more anomalous.

        Args:
            audio: a path, an array [samples] or [batch, samples], or a list of paths or arrays; any sampling rate.
            sampling_rate: of arrays, in Hz.
            channel: what to take of files with several channels: an index from 0, or "mean".

        Raises:
            ValueError: a clip that cannot be read or is too short or has too long windows; the message names it.
        """
        return self.score_windows(audio, sampling_rate, channel)[0]

    def decide(self, audio: Any, sampling_rate: int | None = None, channel: int | str | None = None) -> np.ndarray:
        """Decide which clips are anomalous, each by the threshold of its number of windows: [clips] bool.

        The thresholds are those of the description, at its false alarm rate. Arguments and errors as in `score`.

        Raises:
            ValueError: the description has no thresholds, or none for so many windows.
        """
        self.threshold()
        scores, counts = self.score_windows(audio, sampling_rate, channel)
        return scores > np.asarray([self.threshold(count) for count in counts.tolist()])

    def threshold(self, num_windows: int = 1) -> float:
        """Return the score above which a clip of so many windows is called anomalous; errors as in `decide`."""
        table = self.description["thresholds"]
        if table is None:
            raise ValueError("this detector has no thresholds: fit it with more references and export it again")
        by_windows = {int(count): float(value) for count, value in table["by_windows"].items()}
        larger = [count for count in by_windows if count >= num_windows]
        if not larger:
            raise ValueError(
                f"a clip of {num_windows} windows is longer than the thresholds reach ({max(by_windows)}): cut it"
            )
        return by_windows[min(larger)]

    def score_windows(
        self, audio: Any, sampling_rate: int | None = None, channel: int | str | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Score clips as `score` does: scores [clips] float64 and numbers of windows [clips], for `threshold`."""
        scores, counts = [], []
        for name, waveform in load_clips(audio, self.description["sampling_rate"], sampling_rate, channel):
            windows = self._cut(waveform)
            self._check_length(windows.shape[1], name)
            batches = [windows[start : start + _BATCH] for start in range(0, len(windows), _BATCH)]
            values = np.concatenate([self._session.run(None, {"waveform": self._tile(batch)})[0] for batch in batches])
            if not np.isfinite(values).all():
                raise ValueError(f"{name} has a score that is not finite: check the recording")
            scores.append(values.mean() if self.description["windows"]["reduce"] == "mean" else values.max())
            counts.append(len(windows))
        return np.asarray(scores, dtype=np.float64), np.asarray(counts, dtype=np.int64)

    def _cut(self, waveform: np.ndarray) -> np.ndarray:
        """Windows [windows, samples]: one of a clip that is not longer; the last one ends with the clip."""
        cut, rate = self.description["windows"], self.description["sampling_rate"]
        window, hop = round(cut["window_seconds"] * rate), round(cut["hop_seconds"] * rate)
        if cut["pad"] and len(waveform) < window:
            waveform = np.pad(waveform, (0, window - len(waveform)))
        last = len(waveform) - window
        starts = [0] if last <= 0 or cut["reduce"] == "first" else [*range(0, last, hop), last]
        return np.stack([waveform[start : start + window] for start in starts])

    def _tile(self, windows: np.ndarray) -> np.ndarray:
        """Repeat windows under 0.2 s, where the encoder's features do so."""
        shortest, samples = self.description["repeat_below"], windows.shape[1]
        return windows if shortest is None or samples >= shortest else np.tile(windows, shortest // samples + 1)

    def _check_length(self, samples: int, name: str) -> None:
        shortest, longest = self.description["shortest_samples"], self.description["longest_samples"]
        rate = self.description["sampling_rate"]
        if samples < shortest:
            raise ValueError(
                f"{name} is {samples / rate:.4g} s long; at least {shortest / rate:.4g} s are needed: leave it out or "
                "join it with others"
            )
        if samples > longest:
            raise ValueError(
                f"{name} has windows of {samples / rate:.4g} s, and at most {longest / rate:.4g} s are possible: fit "
                "the detector with smaller window_seconds and export it again"
            )

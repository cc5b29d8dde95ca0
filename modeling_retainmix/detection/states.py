"""A machine with several operating states, such as idle, start-up and load: references and thresholds of each."""

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from modeling_retainmix.atomic import whole_file
from modeling_retainmix.audio import AudioSource
from modeling_retainmix.detection.clip_embedding import embed_clips
from modeling_retainmix.detection.detector import AnomalyDetector
from modeling_retainmix.detection.inputs import clip_sources
from modeling_retainmix.detection.nearest_search import nearest_neighbors
from modeling_retainmix.json_files import read_json
from modeling_retainmix.shipped import SHIPPED

STATES_FILE = "states.json"


class StateDetector:
    """Score clips of one machine by the references of the operating state that each was recorded in.

    Every state has an `AnomalyDetector` of its own, with its references, sessions, held-out recordings and thresholds;
    all share one encoder.

    Example:
        ```python
        machine = StateDetector.from_pretrained()
        machine.fit("idle", "fan/idle").fit("load", "fan/load", groups="folder")
        machine.decide("fan/today")  # each clip by the state that it is nearest to
        ```

    Args:
        empty: a detector without references, whose encoder and settings every state takes.
        detectors: {state: its detector}.
    """

    def __init__(self, empty: AnomalyDetector, detectors: dict[str, AnomalyDetector] | None = None) -> None:
        self._empty, self._detectors = empty, dict(detectors or {})

    @classmethod
    def from_pretrained(cls, name: str | os.PathLike[str] = SHIPPED, **options: Any) -> Self:
        """Load an encoder for states to be fitted, or the folder that `save_pretrained` wrote.

        Args:
            name: as `AnomalyDetector.from_pretrained`, or the folder.
            options: as `AnomalyDetector.from_pretrained`; of a saved detector `device` and `batch_size` only.

        Raises:
            FileNotFoundError, ValueError: as `AnomalyDetector.from_pretrained`, or a file of states that is broken.
        """
        file = Path(name) / STATES_FILE
        if not file.is_file():
            return cls(AnomalyDetector.from_pretrained(name, **options))
        states = read_json(file).get("states")
        if not isinstance(states, list) or not states or not all(_is_name(state) for state in states):
            raise ValueError(f"{file} does not hold a list of states: save the detector again")
        detectors = {state: AnomalyDetector.from_pretrained(Path(name) / state, **options) for state in states}
        return cls(_without_references(detectors[states[0]]), detectors)

    @property
    def states(self) -> list[str]:
        """Names of the states that have references."""
        return list(self._detectors)

    def detector(self, state: str) -> AnomalyDetector:
        """Return the detector of a state, for `threshold`, `calibrate`, `explain` and `confirm_normal`.

        Raises:
            ValueError: an unknown state.
        """
        if state not in self._detectors:
            raise ValueError(f"state {state!r} has no references: use one of {self.states}, or fit it first")
        return self._detectors[state]

    def fit(self, state: str, reference: Any, *arguments: Any, **options: Any) -> Self:
        """Remember normal clips of a state; forget those of an earlier call for it.

        Args:
            state: name of the state: letters, digits, `-` and `_`.
            reference: normal clips.
            arguments, options: further ones of `AnomalyDetector.fit`, which also says what is raised.
        """
        if not _is_name(state):
            raise ValueError(f"state {state!r} is not a valid name: use letters, digits, - and _")
        self._detectors[state] = _without_references(self._empty).fit(reference, *arguments, **options)
        return self

    def nearest_states(
        self, audio: Any, sampling_rate: int | None = None, channel: int | str | None = None
    ) -> list[str]:
        """Return the state of each clip whose references are nearest, by the Euclidean distance of embeddings.

        A clip's distance to a state is the mean over its windows of that to the nearest reference.

        Raises:
            FileNotFoundError, ValueError: as `score`.
        """
        return self._nearest(self._sources(audio, sampling_rate, channel))

    def score(
        self,
        audio: Any,
        sampling_rate: int | None = None,
        state: str | Sequence[str] | None = None,
        channel: int | str | None = None,
    ) -> np.ndarray:
        """Score clips, each by the references of its state: [clips] float64; scales differ from state to state.

        Args:
            audio, sampling_rate, channel: as in `AnomalyDetector.score`.
            state: of all clips, or of each; None: the nearest one, for which clips are read twice.

        Raises:
            FileNotFoundError, ValueError: as `AnomalyDetector.score`, no state has references, an unknown state, or a
                number of states that is not that of the clips.
        """
        sources, states = self._clips_and_states(audio, sampling_rate, state, channel)
        scores = np.empty(len(sources))
        for one, rows in _rows_by_state(states).items():
            scores[rows] = self.detector(one).score([sources[row] for row in rows])
        return scores

    def decide(
        self,
        audio: Any,
        sampling_rate: int | None = None,
        state: str | Sequence[str] | None = None,
        channel: int | str | None = None,
        **options: Any,
    ) -> np.ndarray:
        """Decide which clips are anomalous, each by the threshold of its state: [clips] bool.

        Args:
            audio, sampling_rate, state, channel: as in `score`.
            options: `false_alarm_rate`, `method` and `per_domain` of `AnomalyDetector.decide`.

        Raises:
            FileNotFoundError, ValueError: as `score` and `AnomalyDetector.decide`.
        """
        sources, states = self._clips_and_states(audio, sampling_rate, state, channel)
        alarms = np.empty(len(sources), dtype=bool)
        for one, rows in _rows_by_state(states).items():
            alarms[rows] = self.detector(one).decide([sources[row] for row in rows], **options)
        return alarms

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write a folder of each state, an ordinary detector that loads by itself as well, and the list of states.

        Raises:
            ValueError: no state has references.
        """
        self._check_fitted()
        Path(folder).mkdir(parents=True, exist_ok=True)
        for state, detector in self._detectors.items():
            detector.save_pretrained(Path(folder) / state)
        content = json.dumps({"states": self.states}, indent=2) + "\n"
        with whole_file(Path(folder) / STATES_FILE) as file:  # last: it names folders that are whole
            file.write_text(content, encoding="utf-8")

    def _check_fitted(self) -> None:
        if not self._detectors:
            raise ValueError("no state has references: call fit with the name of a state and its normal clips first")

    def _sources(self, audio: Any, sampling_rate: int | None, channel: int | str | None) -> list[AudioSource]:
        self._check_fitted()
        return clip_sources(self._empty.settings.microphones, audio, sampling_rate, channel)

    def _clips_and_states(
        self, audio: Any, sampling_rate: int | None, state: str | Sequence[str] | None, channel: int | str | None
    ) -> tuple[list[AudioSource], list[str]]:
        sources = self._sources(audio, sampling_rate, channel)
        if state is None:
            return sources, self._nearest(sources)
        states = [state] * len(sources) if isinstance(state, str) else list(state)
        if len(states) != len(sources):
            raise ValueError(f"{len(states)} states for {len(sources)} clips: pass one for each clip, or one for all")
        for one in set(states):
            self.detector(one)  # unknown ones are refused before a clip is read
        return sources, states

    def _nearest(self, sources: Sequence[AudioSource]) -> list[str]:
        if len(self._detectors) == 1:
            return self.states * len(sources)
        banks = [detector._fitted().tensors["vectors"] for detector in self._detectors.values()]

        def distances(vectors: torch.Tensor) -> torch.Tensor:
            return torch.cat([nearest_neighbors(vectors.cpu(), bank, 1)[0] for bank in banks], dim=1)

        empty = self._empty
        common = (empty.settings.windows, empty.batch_size, "states", distances, banks[0].shape[1])
        embedded = embed_clips(empty.embedder, sources, *common)
        totals = np.zeros((len(sources), len(banks)))
        np.add.at(totals, embedded.clip_index, embedded.vectors.double().numpy())
        return [self.states[index] for index in totals.argmin(axis=1)]


def _is_name(state: Any) -> bool:
    return isinstance(state, str) and re.fullmatch(r"[\w-]+", state) is not None


def _rows_by_state(states: Sequence[str]) -> dict[str, list[int]]:
    rows: dict[str, list[int]] = {}
    for row, state in enumerate(states):
        rows.setdefault(state, []).append(row)
    return rows


def _without_references(detector: AnomalyDetector) -> AnomalyDetector:
    embedder = detector.embedder
    return AnomalyDetector(
        embedder.model, embedder.feature_extractor, detector.settings, embedder.device, detector.batch_size
    )

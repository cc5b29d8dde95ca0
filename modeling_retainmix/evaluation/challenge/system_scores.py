"""The scores of a detector on a data set of DCASE Task 2, each test by the references of its machine and section."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from datasets import Dataset

from modeling_retainmix.data.layouts.columns import SUPPLEMENTAL
from modeling_retainmix.detection.detector import AnomalyDetector
from modeling_retainmix.detection.windows import ClipScore

Section = tuple[str, str]


def score_data_set(
    detector: AnomalyDetector,
    recordings: Dataset,
    channels: Mapping[str, Any],
    false_alarm_rate: float | None = None,
    on_score: Callable[[str, ClipScore], None] = lambda path, clip: None,
) -> tuple[dict[str, np.ndarray], dict[Section, float]]:
    """Score all tests of a data set; thresholds come from the references alone.

    Args:
        detector: whose encoder and settings are used; it is fitted anew for every section.
        recordings: the table of `read_recordings`, with a column `path`.
        channels: `channel` and `far_channel` of `AnomalyDetector.fit`.
        false_alarm_rate: of the thresholds; None: there are none.
        on_score: called with the path and the score of each test as soon as it is known.

    Returns:
        The columns of the tests in the order of the table, with `score`, and {(machine type, section): threshold for
        the number of windows that most of its tests have}.

    Raises:
        FileNotFoundError, ValueError: as `AnomalyDetector.fit` and `score`; a section has tests and no references, or
            the recordings are no files; or, after all others are scored, tests that cannot be read, each with its
            cause.
    """
    if "path" not in recordings.column_names:
        raise ValueError("a detector reads files: download the data set from the Hub into a folder")
    columns = {name: np.asarray(recordings[name]) for name in recordings.column_names}
    columns["score"] = np.zeros(len(recordings))
    is_test, thresholds, failures = columns["split"] == "test", {}, list[Exception]()
    sections = list(zip(columns["machine_type"].tolist(), columns["section"].tolist(), strict=True))
    for section in sorted({one for one, test in zip(sections, is_test, strict=True) if test}):
        is_section = np.asarray([one == section for one in sections]) & (columns["split"] != SUPPLEMENTAL)
        references, tests = is_section & ~is_test, is_section & is_test
        if not references.any():
            raise ValueError(f"machine type {section[0]!r} has tests but no references: add its train folder")
        detector.fit(columns["path"][references].tolist(), domains=columns["domain"][references].tolist(), **channels)
        if false_alarm_rate is not None:
            detector.threshold(false_alarm_rate)  # before the tests are read: the references may be too few
        paths, num_windows = columns["path"][tests].tolist(), Counter[int]()

        def take(clip: ClipScore, paths: list[str] = paths, counts: Counter[int] = num_windows) -> None:
            counts[clip.num_windows] += 1
            on_score(paths[clip.position], clip)

        columns["score"][tests] = detector.score(paths, **channels, on_error=failures.append, on_score=take)
        if false_alarm_rate is not None and num_windows:
            ((most_common, _),) = num_windows.most_common(1)
            thresholds[section] = detector.threshold(false_alarm_rate, num_windows=most_common)
    if failures:
        causes = "; ".join(map(str, failures))
        raise ValueError(f"{len(failures)} of {is_test.sum()} tests cannot be read, mend or remove them: {causes}")
    return {name: column[is_test] for name, column in columns.items()}, thresholds


def official_columns(tests: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return the arguments of `dcase_score` for labeled tests of `score_data_set`."""
    return {
        "predictions": tests["score"],
        "references": (tests["label"] == "anomaly").astype(int),
        "domains": tests["domain"],
        "machines": tests["machine_type"],
        "sections": tests["section"],
    }

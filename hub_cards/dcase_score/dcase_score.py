"""Official score of DCASE Task 2 (anomalous sound detection) under the rules of 2020, 2021 and 2022 to 2026.

The function `dcase_score` holds the computation, the class below it is the same as an `evaluate` metric. The file is
complete in itself: the metric's Space on the Hub serves this one file to machines without the package.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import datasets
import evaluate
import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import roc_auc_score

_DESCRIPTION = """
Official score of DCASE Task 2, unsupervised anomalous sound detection: area under the ROC curve per domain, partial
area up to a false positive rate of 0.1, and their harmonic mean over machines and sections.
"""

_KWARGS_DESCRIPTION = """
Args:
    predictions: anomaly scores, one per clip, higher means more anomalous.
    references: labels, 0 normal, 1 anomalous.
    domains: "source" or "target" (or 0 and 1), optional.
    machines: machine type of each clip, optional (default: one machine).
    sections: section of each clip, or machine id in 2020, optional (default: one section).
    rules: year of the challenge, 2020 to 2026 (default 2023).
    max_fpr: upper end of the false positive rate for the partial AUC (default 0.1).

Returns:
    official_score, auc, auc_source, auc_target, pauc: fractions in [0, 1].
    machines: the same figures per machine, with "sections" inside.

Examples:
    >>> metric = evaluate.load("dcase_score")
    >>> metric.compute(
    ...     predictions=[0.1, 0.9, 0.2, 0.8], references=[0, 1, 0, 1], domains=["source", "source", "target", "target"]
    ... )["official_score"]
    1.0
"""

_CITATION = """
@inproceedings{dohi2023description,
  title = {Description and Discussion on {DCASE} 2023 Challenge Task 2: First-Shot Unsupervised Anomalous Sound
           Detection for Machine Condition Monitoring},
  author = {Dohi, Kota and Imoto, Keisuke and Harada, Noboru and Niizumi, Daisuke and Koizumi, Yuma and
            Nishida, Tomoya and Purohit, Harsh and Tanabe, Ryo and Endo, Takashi and Kawaguchi, Yohei},
  booktitle = {Proceedings of the 8th Detection and Classification of Acoustic Scenes and Events Workshop},
  year = {2023}
}
"""

_YEARS = range(2020, 2027)
_DOMAIN_NAMES = {"source": "source", "target": "target", "0": "source", "1": "target"}


def dcase_score(
    predictions: ArrayLike,
    references: ArrayLike,
    domains: Sequence[str | int] | None = None,
    machines: Sequence[str] | None = None,
    sections: Sequence[str] | None = None,
    rules: int = 2023,
    max_fpr: float = 0.1,
) -> dict[str, Any]:
    """Return the official score of anomaly scores by the rules of a year of DCASE Task 2.

    What one year's evaluator computes in a section:

    - 2022 to 2026: `auc_source` (normal clips of the source domain against all anomalies of the section),
      `auc_target` likewise, `pauc` and `auc` over all clips. Figures of a machine and of the whole are harmonic means
      over sections and over machines x sections; `official_score` is the harmonic mean of every `auc_source`,
      `auc_target` and `pauc`.
    - 2021: AUC and pAUC inside each domain: `auc_source`, `pauc_source`, `auc_target`, `pauc_target`; `auc` and `pauc`
      are the harmonic means over both domains and `official_score` the harmonic mean of all AUC and pAUC.
    - 2020: `auc` and `pauc` per machine id (given as `sections`); domains play no part. A machine has the arithmetic
      means over its ids, where that evaluator ends; the whole has the arithmetic means over all ids, and
      `official_score` is the mean of all AUC and pAUC.

    Before a harmonic mean, values are clipped from below at the float64 epsilon, as the evaluators do: one AUC of
    exactly 0 brings the score to about 1e-15. Ties count as diagonal segments of the ROC curve, so constant scores
    have AUC 0.5 and pAUC 0.5. The pAUC is McClish-standardised (`sklearn.metrics.roc_auc_score` with `max_fpr`).

    Args:
        predictions: [clips], anomaly scores, higher means more anomalous; compared in float64.
        references: [clips], 0 normal, 1 anomalous.
        domains: [clips], "source"/"target", 0/1 or False/True, in any array. None: the domains are unknown, figures
            of single domains are NaN and the official score is the harmonic mean of `auc` and `pauc`.
        machines: [clips], machine types. None: one machine, named "all".
        sections: [clips], sections. None: one section, named "00".
        rules: year, 2020 to 2026.
        max_fpr: upper false positive rate of the pAUC, in (0, 1].

    Returns:
        `{"official_score", "auc", "auc_source", "auc_target", "pauc", "machines": {name: {the same, "sections": {name:
        {"auc", "auc_source", "auc_target", "pauc"}}}}}`, fractions in [0, 1], machines and sections in string order.
        2021 adds `pauc_source` and `pauc_target` to every level, 2020 has no figures of single domains.

    Raises:
        ValueError: columns differ in length or are empty; a score is not a finite number; a label is not 0 or 1; a
            domain is unknown; a class that a figure needs is missing (the message names machine, section and domain).
    """
    _check_options(rules, max_fpr)
    columns = _check_columns(predictions, references, domains, machines, sections)
    if len(columns["predictions"]) == 0:
        raise ValueError("there are no predictions to score")

    score_section = {2020: _section_2020, 2021: _section_2021}.get(rules, _section_2022)
    official = {2020: ["auc", "pauc"], 2021: ["auc_source", "auc_target", "pauc_source", "pauc_target"]}.get(
        rules, ["auc_source", "auc_target", "pauc"]
    )
    if domains is None:
        official = ["auc", "pauc"]
    average = _arithmetic_mean if rules == 2020 else harmonic_mean

    by_machine: dict[str, Any] = {}
    for machine in np.unique(columns["machines"]).tolist():
        in_machine = columns["machines"] == machine
        by_section = {}
        for section in np.unique(columns["sections"][in_machine]).tolist():
            rows = in_machine & (columns["sections"] == section)
            by_section[section] = score_section(
                columns["predictions"][rows],
                columns["references"][rows],
                None if domains is None else columns["domains"][rows],
                max_fpr,
                f"machine {machine!r}, section {section!r}",
            )
        by_machine[machine] = {**_summarise(list(by_section.values()), official, average), "sections": by_section}

    all_sections = [figures for machine in by_machine.values() for figures in machine["sections"].values()]
    return {**_summarise(all_sections, official, average), "machines": by_machine}


def _section_2020(scores, labels, domains, max_fpr, place) -> dict[str, float]:
    return {"auc": _auc(scores, labels, place), "pauc": _auc(scores, labels, place, max_fpr)}


def _section_2021(scores, labels, domains, max_fpr, place) -> dict[str, float]:
    if domains is None:
        return {
            **_section_2020(scores, labels, None, max_fpr, place),
            **dict.fromkeys(("auc_source", "auc_target", "pauc_source", "pauc_target"), float("nan")),
        }
    figures = {}
    for domain in ("source", "target"):
        rows = domains == domain
        where = f"{place}, {domain} domain"
        figures[f"auc_{domain}"] = _auc(scores[rows], labels[rows], where)
        figures[f"pauc_{domain}"] = _auc(scores[rows], labels[rows], where, max_fpr)
    for figure in ("auc", "pauc"):
        figures[figure] = float(harmonic_mean([figures[f"{figure}_source"], figures[f"{figure}_target"]]))
    return figures


def _section_2022(scores, labels, domains, max_fpr, place) -> dict[str, float]:
    figures = _section_2020(scores, labels, None, max_fpr, place)
    for domain in ("source", "target"):
        if domains is None:
            figures[f"auc_{domain}"] = float("nan")
        else:
            rows = (domains == domain) | (labels == 1)  # anomalies of both domains are positives
            figures[f"auc_{domain}"] = _auc(scores[rows], labels[rows], f"{place}, {domain} domain")
    return figures


def _summarise(
    sections: list[dict[str, float]], official: list[str], average: Callable[[list[float]], float]
) -> dict[str, float]:
    """Average each figure over the sections, and the official score over the figures that make it up."""
    return {
        "official_score": float(average([section[name] for section in sections for name in official])),
        **{name: float(average([section[name] for section in sections])) for name in sections[0]},
    }


def _arithmetic_mean(values: list[float]) -> float:
    return sum(values) / len(values)


def harmonic_mean(values: ArrayLike) -> Any:
    """Return the harmonic mean over the first axis, values clipped from below at the float64 epsilon; NaN stays NaN.

    Args:
        values: [n, ...].

    Returns:
        [...] float64; of [n] a scalar.
    """
    clipped = np.maximum(values, np.finfo(np.float64).eps)
    return len(clipped) / np.sum(1.0 / clipped, axis=0)


def _auc(scores: np.ndarray, labels: np.ndarray, place: str, max_fpr: float | None = None) -> float:
    """Return the (partial) AUC; if a class is missing, sklearn would only warn and return NaN."""
    for value, name in ((0, "normal"), (1, "anomalous")):
        if not np.any(labels == value):
            raise ValueError(
                f"{place}: there is no {name} clip, so the AUC is undefined; "
                "leave the section out, or score without domains (domains=None) if only a domain lacks them"
            )
    return float(roc_auc_score(labels, scores, max_fpr=max_fpr))


def _check_options(rules: int, max_fpr: float) -> None:
    if rules not in _YEARS:
        raise ValueError(f"rules must be a year from {_YEARS[0]} to {_YEARS[-1]}, got {rules!r}")
    if not 0.0 < max_fpr <= 1.0:
        raise ValueError(f"max_fpr must be in (0, 1], got {max_fpr!r}")


def _check_columns(predictions, references, domains, machines, sections) -> dict[str, np.ndarray]:
    """Return the five columns as arrays of one length: float64 scores, integer labels, and three of strings."""
    scores = _as_floats("predictions", predictions)
    labels = _as_floats("references", references)
    optional = {"domains": domains, "machines": machines, "sections": sections}
    columns = {"predictions": scores, "references": labels}
    for (name, values), default in zip(optional.items(), ("source", "all", "00"), strict=True):
        given = [default] * len(scores) if values is None else [_name(value) for value in values]
        columns[name] = np.asarray(given, dtype=np.str_)
    for name, values in columns.items():
        if len(values) != len(scores):
            raise ValueError(f"there are {len(scores)} predictions but {len(values)} {name}")

    def fail(row: int, problem: str) -> None:
        machine, section = str(columns["machines"][row]), str(columns["sections"][row])
        raise ValueError(f"machine {machine!r}, section {section!r}: {problem}")

    if not np.all(np.isfinite(scores)):
        row = int(np.argmin(np.isfinite(scores)))
        fail(row, f"the score in row {row} is {scores[row]}; scores must be finite numbers")
    is_label = (labels == 0) | (labels == 1)
    if not np.all(is_label):
        row = int(np.argmin(is_label))
        fail(row, f"the label in row {row} is {labels[row]:g}; labels are 0 (normal) or 1 (anomalous)")
    is_domain = np.isin(columns["domains"], list(_DOMAIN_NAMES))
    if not np.all(is_domain):
        row = int(np.argmin(is_domain))
        name = columns["domains"][row]
        fail(row, f"the domain in row {row} is {str(name)!r}; domains are 'source' (or 0) and 'target' (or 1)")

    columns["references"] = labels.astype(np.int64)
    columns["domains"] = np.asarray([_DOMAIN_NAMES[name] for name in columns["domains"]], dtype=np.str_)
    return columns


def _name(value) -> str:
    """Return a name, also of a number that is an element of an array or a tensor; False is 0 and True is 1."""
    value = value.item() if hasattr(value, "item") else value
    return str(int(value)) if isinstance(value, bool) else str(value)


def _as_floats(name: str, values) -> np.ndarray:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be a sequence of numbers: {error}") from None
    if array.ndim != 1:
        raise ValueError(f"{name} must have one value per clip, got shape {array.shape}")
    return array


@evaluate.utils.file_utils.add_start_docstrings(_DESCRIPTION, _KWARGS_DESCRIPTION)
class DcaseScore(evaluate.Metric):
    """The metric module around `dcase_score`.

    The module store of `evaluate` requires every declared column in every batch; absent ones are stored as empty
    strings and become None again before the score is computed.
    """

    def _info(self):
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_KWARGS_DESCRIPTION,
            features=datasets.Features(
                {
                    "predictions": datasets.Value("float64"),  # "float" would merge close scores
                    "references": datasets.Value("int64"),
                    "domains": datasets.Value("string"),
                    "machines": datasets.Value("string"),
                    "sections": datasets.Value("string"),
                }
            ),
            reference_urls=[
                "https://dcase.community/challenge2023/task-first-shot-unsupervised-anomalous-sound-detection"
            ],
        )

    def compute(
        self,
        *,
        predictions=None,
        references=None,
        domains=None,
        machines=None,
        sections=None,
        rules=2023,
        max_fpr=0.1,
    ):
        """Compute the score of what is passed here, or of what was added before.

        What is passed in one call, in one process, is scored as it is: `evaluate` would write it to a file first, and
        keep that file and its lock after an error.
        """
        _check_options(rules, max_fpr)
        columns = {"domains": domains, "machines": machines, "sections": sections}
        passed = predictions is not None or references is not None
        if passed and self.writer is None and self.num_process == 1:
            return dcase_score(predictions, references, **columns, rules=rules, max_fpr=max_fpr)
        if passed:
            self.add_batch(predictions=predictions, references=references, **columns)
        elif self.writer is None and self.num_process == 1:
            raise ValueError("there are no predictions to score: pass predictions and references, or add them before")
        try:
            return super().compute(rules=rules, max_fpr=max_fpr)
        except ValueError:
            self._discard()
            raise

    def _discard(self):
        """Remove what was added, with its file and the lock that the next call would wait for."""
        self.data = self.writer = None
        for lock, path in zip(
            getattr(self, "filelocks", None) or [], getattr(self, "file_paths", None) or [], strict=True
        ):
            Path(path).unlink(missing_ok=True)
            lock.release()
        self.filelocks = self.file_paths = None

    def add_batch(self, *, predictions=None, references=None, domains=None, machines=None, sections=None):
        """Add a batch of clips; the optional columns may be absent from all batches, not from some."""
        optional = {"domains": domains, "machines": machines, "sections": sections}
        columns = _check_columns(predictions, references, **optional)
        absent = {name: [""] * len(columns["predictions"]) for name, values in optional.items() if values is None}
        super().add_batch(**{name: values.tolist() for name, values in columns.items()} | absent)

    def add(self, *, prediction=None, reference=None, domains=None, machines=None, sections=None):
        """Add one clip."""
        optional = {"domains": domains, "machines": machines, "sections": sections}
        self.add_batch(
            predictions=[prediction],
            references=[reference],
            **{name: None if value is None else [value] for name, value in optional.items()},
        )

    def _compute(self, predictions, references, domains, machines, sections, rules=2023, max_fpr=0.1):
        optional = {"domains": domains, "machines": machines, "sections": sections}
        for name, values in optional.items():
            absent = sum(value == "" for value in values)
            if absent == len(values):
                optional[name] = None
            elif absent:
                raise ValueError(
                    f"{name} were given for {len(values) - absent} of {len(values)} clips: give all or none"
                )
        return dcase_score(predictions, references, **optional, rules=rules, max_fpr=max_fpr)

"""Scores of the compared systems: each system's encoder at the layer that its rule names, in one pass for all."""

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from modeling_retainmix.data.benchmark import BenchmarkProtocol, MachineBenchmark
from modeling_retainmix.detection.load_encoder import embedding_layer as own_layer
from modeling_retainmix.evaluation.compared_systems import (
    ANOTHER,
    BY_KEY,
    LOG_MEL,
    LOG_MEL_STATISTICS,
    RUN_SYSTEMS,
    TEACHER,
    TRAINED_MODEL,
    ComparedSystem,
    Comparison,
)
from modeling_retainmix.evaluation.results import result_row
from modeling_retainmix.evaluation.score_encoders import (
    NamedEncoder,
    log_mel_mean,
    log_mel_statistics,
    score_encoders,
)
from modeling_retainmix.evaluation.scores import BenchmarkScores


@dataclass(frozen=True)
class SystemScores:
    """Scores of compared systems.

    Attributes:
        rows: {key of the system: (layer, scores)}, in the order of the systems; layer None: there are no layers.
        by_layer: {(name of the encoder, layer): scores} of every layer that was read, in the plain comparison.
    """

    rows: dict[str, tuple[int | None, BenchmarkScores]]
    by_layer: dict[tuple[str, int], BenchmarkScores]


def score_systems(
    systems: Sequence[ComparedSystem],
    encoders: Mapping[str, NamedEncoder],
    layer: int,
    evaluation: Sequence[MachineBenchmark],
    validation: Sequence[MachineBenchmark],
    whole: Collection[str] = (),
    **options: Any,
) -> SystemScores:
    """Score systems on the evaluation machines; the teacher's best layer is chosen on the validation machines.

    Args:
        systems: from `compared_systems.SYSTEMS`.
        encoders: the encoders that the systems read, by name, the teacher among them; `layers` are all that an encoder
            has. The log-mel mean and statistics need no entry.
        layer: of the trained model.
        evaluation, validation: machine types of the two sets.
        whole: names of encoders of which every layer is read.
        options: of `score_encoders`.
    """
    best = _best_layers(systems, encoders[TEACHER], validation, options)
    layers = {system.key: _layer(system, encoders, layer, best) for system in systems}
    views = {system.key: (system.encoder, layers[system.key] or 0) for system in systems}
    features = encoders[TEACHER].feature_extractor
    known = {LOG_MEL: log_mel_mean(features), LOG_MEL_STATISTICS: log_mel_statistics(features), **encoders}
    every = [(name, one) for name in whole for one in encoders[name].layers]
    scores: dict[bool, dict[Hashable, BenchmarkScores]] = {}
    for oracle in (False, True):
        chosen = [system for system in systems if system.oracle == oracle]
        wanted = {*(views[system.key] for system in chosen), *(() if oracle else every)}
        names = sorted({name for name, _ in wanted})
        scores[oracle] = score_encoders(
            evaluation if wanted else (),
            encoders=[replace(known[name], layers=tuple(sorted(k for n, k in wanted if n == name))) for name in names],
            oracle=oracle,
            compared={(*views[system.key], system.comparison) for system in chosen if system.comparison != "plain"},
            description="oracle" if oracle else "evaluation machines",
            **options,
        )
    rows = {}
    for system in systems:
        view = views[system.key] if system.comparison == "plain" else (*views[system.key], system.comparison)
        rows[system.key] = layers[system.key], scores[system.oracle][view]
    read = {*(views[system.key] for system in systems if not system.oracle), *every}
    return SystemScores(rows, {view: scores[False][view] for view in read})


def _best_layers(
    systems: Sequence[ComparedSystem],
    teacher: NamedEncoder,
    validation: Sequence[MachineBenchmark],
    options: Mapping[str, Any],
) -> dict[Comparison, int]:
    """Return {comparison: the teacher's best layer} of the systems that want it."""
    wanted = {system.comparison for system in systems if system.layer == "best"}
    if not wanted:
        return {}
    views = [(teacher.name, layer) for layer in teacher.layers]
    scores = score_encoders(
        validation,
        encoders=[teacher],
        compared=[(*view, way) for view in views for way in wanted if way != "plain"],
        description="validation machines",
        **options,
    )
    return {
        way: best_layer({view: scores[view if way == "plain" else (*view, way)] for view in views}) for way in wanted
    }


def best_layer(scores: Mapping[Any, BenchmarkScores]) -> int:
    """Return the layer of the key (name, layer) with the highest harmonic mean over all subsets and SNRs."""
    return max(scores, key=lambda key: scores[key].hmean_all)[1]


def table_rows(
    evaluation: Sequence[MachineBenchmark],
    validation: Sequence[MachineBenchmark],
    protocol: BenchmarkProtocol,
    teacher: Any,
    student: Any,
    teacher_feature_extractor: Any,
    student_feature_extractor: Any,
    embedding_layer: int,
    another: NamedEncoder | None = None,
    device: torch.device | str = "cpu",
    batch_size: int = 64,
    show_progress: bool = True,
) -> list[dict[str, Any]]:
    """Score the systems of a run's table (`compared_systems.RUN_SYSTEMS`).

    Args:
        evaluation, validation: machine types of the two sets. Without the second one the teacher's best layer is not
            known, and has no row.
        protocol: counts and SNRs.
        teacher, student: encoders; layers 1 to the last of the teacher are read, and layer `embedding_layer` of both.
        teacher_feature_extractor, student_feature_extractor: theirs.
        embedding_layer: the student's layer.
        another: to score as well, at its own layer; its name is that of its rows.
        device: where to compute.
        batch_size: clips of one forward.
        show_progress: show progress bars.

    Returns:
        Rows as `results.result_row` makes them, each with its `key`.
    """
    encoders = {
        TEACHER: NamedEncoder(TEACHER, teacher, teacher_feature_extractor, _all_layers(teacher)),
        TRAINED_MODEL: NamedEncoder(TRAINED_MODEL, student, student_feature_extractor, _all_layers(student)),
    }
    labels = {system.key: system.label for system in RUN_SYSTEMS}
    if another is not None:
        encoders[ANOTHER] = replace(another, name=ANOTHER)
        plain = BY_KEY[ANOTHER].label
        labels |= {key: label.replace(plain, another.name) for key, label in labels.items() if label.startswith(plain)}
    scores = score_systems(
        [
            system
            for system in RUN_SYSTEMS
            if (validation or system.layer != "best") and (another is not None or system.encoder != ANOTHER)
        ],
        encoders,
        embedding_layer,
        evaluation,
        validation,
        protocol=protocol,
        device=device,
        batch_size=batch_size,
        show_progress=show_progress,
    )
    return [{"key": key, **result_row(labels[key], row, layer)} for key, (layer, row) in scores.rows.items()]


def _layer(
    system: ComparedSystem, encoders: Mapping[str, NamedEncoder], layer: int, best: Mapping[Comparison, int]
) -> int | None:
    if system.layer == "last":
        return encoders[system.encoder].layers[-1]
    if system.layer == "own":
        return own_layer(encoders[system.encoder].model.config)
    return {"same": layer, "best": best.get(system.comparison), None: None}[system.layer]


def _all_layers(model: Any) -> tuple[int, ...]:
    return tuple(range(1, model.config.num_hidden_layers + 1))

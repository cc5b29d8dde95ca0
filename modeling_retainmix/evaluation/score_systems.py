"""Scores of the compared systems: each system's encoder at the layer that its rule names, in one pass for all."""

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from modeling_retainmix.data.benchmark import BenchmarkProtocol, MachineBenchmark
from modeling_retainmix.evaluation.compared_systems import (
    LOG_MEL,
    LOG_MEL_STATISTICS,
    RUN_SYSTEMS,
    TEACHER,
    TRAINED_MODEL,
    ComparedSystem,
)
from modeling_retainmix.evaluation.results import result_row
from modeling_retainmix.evaluation.score_encoders import (
    NamedEncoder,
    log_mel_mean,
    log_mel_statistics,
    score_encoders,
)
from modeling_retainmix.evaluation.scores import WHITENED, BenchmarkScores


@dataclass(frozen=True)
class SystemScores:
    """Scores of compared systems.

    Attributes:
        rows: {key of the system: (layer, scores)}, in the order of the systems; layer None: there are no layers.
        by_layer: {(name of the encoder, layer): scores} of everything that was read, without the oracle.
    """

    rows: dict[str, tuple[int | None, BenchmarkScores]]
    by_layer: dict[Hashable, BenchmarkScores]


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
            has. The log-mel mean needs no entry.
        layer: of the trained model.
        evaluation, validation: machine types of the two sets.
        whole: names of encoders of which every layer is read.
        options: of `score_encoders`.
    """
    best = None
    if any(system.layer == "best" for system in systems):
        teacher = [encoders[TEACHER]]
        best = best_layer(score_encoders(validation, encoders=teacher, description="validation machines", **options))
    layers = {system.key: _layer(system, encoders, layer, best) for system in systems}

    features = encoders[TEACHER].feature_extractor
    spectra = {LOG_MEL: log_mel_mean(features), LOG_MEL_STATISTICS: log_mel_statistics(features)}
    wanted = {name: set(encoders[name].layers) for name in whole}
    read = []
    for system in systems:
        if system.encoder in spectra:
            settings = WHITENED if system.whitened else None
            read.append(replace(spectra[system.encoder], name=system.key, settings=settings))
        elif not system.oracle:
            wanted.setdefault(system.encoder, set()).add(layers[system.key] or 0)
    read += [replace(encoders[name], layers=tuple(sorted(chosen))) for name, chosen in wanted.items()]
    by_layer = score_encoders(evaluation, encoders=read, description="evaluation machines", **options)

    rows = {}
    for system in systems:
        name, view = system.encoder, layers[system.key] or 0
        scores = by_layer
        if system.oracle:
            averaged = [replace(encoders[name], layers=(view,))]
            scores = score_encoders(evaluation, encoders=averaged, oracle=True, description="oracle", **options)
        elif name in spectra:
            name = system.key
        rows[system.key] = layers[system.key], scores[name, view]
    return SystemScores(rows, by_layer)


def best_layer(scores: Mapping[Any, BenchmarkScores]) -> int:
    """Return the layer of the key (name, layer) with the highest harmonic mean over all subsets and SNRs."""
    return max(scores, key=lambda key: scores[key].hmean_all)[1]


def table_rows(
    evaluation: Sequence[MachineBenchmark],
    validation: Sequence[MachineBenchmark],
    protocol: BenchmarkProtocol,
    teacher: Any,
    student: Any,
    feature_extractor: Any,
    embedding_layer: int,
    device: torch.device | str,
    batch_size: int = 64,
    show_progress: bool = True,
) -> list[dict[str, Any]]:
    """Score the systems of a run's table (`compared_systems.RUN_SYSTEMS`).

    Args:
        evaluation, validation: machine types of the two sets. Without the second one the teacher's best layer is not
            known, and has no row.
        protocol: counts and SNRs.
        teacher, student: encoders; layers 1 to the last of the teacher are read, and layer `embedding_layer` of both.
        feature_extractor: theirs.
        embedding_layer: the student's layer.
        device: where to compute.
        batch_size: clips of one forward.
        show_progress: show progress bars.

    Returns:
        Rows as `results.result_row` makes them, each with its `key`.
    """
    models = {TEACHER: teacher, TRAINED_MODEL: student}
    scores = score_systems(
        [system for system in RUN_SYSTEMS if validation or system.layer != "best"],
        {name: NamedEncoder(name, model, feature_extractor, _all_layers(model)) for name, model in models.items()},
        embedding_layer,
        evaluation,
        validation,
        protocol=protocol,
        device=device,
        batch_size=batch_size,
        show_progress=show_progress,
    )
    labels = {system.key: system.label for system in RUN_SYSTEMS}
    return [{"key": key, **result_row(labels[key], row, layer)} for key, (layer, row) in scores.rows.items()]


def _layer(system: ComparedSystem, encoders: Mapping[str, NamedEncoder], layer: int, best: int | None) -> int | None:
    if system.layer == "last":
        return encoders[system.encoder].layers[-1]
    return {"same": layer, "best": best, None: None}[system.layer]


def _all_layers(model: Any) -> tuple[int, ...]:
    return tuple(range(1, model.config.num_hidden_layers + 1))

"""The rows of the results table: log-mel mean, the frozen teacher, the student, the oracle."""

from collections.abc import Hashable, Mapping, Sequence
from functools import partial
from typing import Any

import torch

from modeling_retainmix.data.benchmark import BenchmarkProtocol, MachineBenchmark
from modeling_retainmix.evaluation.embeddings import EmbedFunction
from modeling_retainmix.evaluation.results import result_row
from modeling_retainmix.evaluation.score_encoders import LOG_MEL, NamedEncoder, log_mel_mean, score_encoders
from modeling_retainmix.evaluation.scores import BenchmarkScores


def log_mel_embedder(feature_extractor: Any, device: torch.device | str = "cpu") -> EmbedFunction:
    """The plainest embedding, the mean over time of the normalised log-mel features: {"log-mel": [batch, 128]}."""

    def embed(waveforms: torch.Tensor) -> dict[Hashable, torch.Tensor]:
        with torch.inference_mode():
            return {"log-mel": feature_extractor.extract_features(waveforms.to(device)).mean(dim=1)}

    return embed


def best_layer(scores: Mapping[Any, BenchmarkScores]) -> int:
    """The layer of the view (name, layer) with the highest harmonic mean over all subsets and SNRs."""
    return max(scores, key=lambda view: scores[view].hmean_all)[1]


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
    """All rows, scored on the evaluation machines; the teacher's best layer is chosen on the validation machines.

    Args:
        evaluation, validation: machine types of the two sets.
        protocol: counts and SNRs.
        teacher, student: encoders; layers 1 to the last of the teacher are read, and layer `embedding_layer` of both.
        feature_extractor: theirs.
        embedding_layer: the student's layer.
        device: where to compute.
        batch_size: clips of one forward.
        show_progress: show progress bars.

    Returns:
        Rows as `results.result_row` makes them.
    """
    score = partial(
        score_encoders, protocol=protocol, device=device, batch_size=batch_size, show_progress=show_progress
    )
    frozen = NamedEncoder("frozen", teacher, feature_extractor, tuple(range(1, teacher.config.num_hidden_layers + 1)))
    trained = NamedEncoder("trained", student, feature_extractor, (embedding_layer,))
    averaged = NamedEncoder("oracle", teacher, feature_extractor, (embedding_layer,))
    chosen = best_layer(score(validation, encoders=[frozen], description="frozen teacher, validation"))
    scores = score(
        evaluation, encoders=[log_mel_mean(feature_extractor), frozen, trained], description="all encoders, evaluation"
    )
    scores |= score(evaluation, encoders=[averaged], oracle=True, description="oracle, evaluation")
    return [
        result_row("Log-mel mean", scores[LOG_MEL, 0]),
        result_row("Frozen teacher, same layer", scores["frozen", embedding_layer], embedding_layer),
        result_row("Frozen teacher, best layer on validation machines", scores["frozen", chosen], chosen),
        result_row("RetainMix", scores["trained", embedding_layer], embedding_layer),
        result_row("Oracle (mean of clean and noise embeddings)", scores["oracle", embedding_layer], embedding_layer),
    ]

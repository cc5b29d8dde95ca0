"""The rows of the results table: log-mel mean, the frozen teacher, the student, the oracle."""

from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import Any

import torch
from tqdm.auto import tqdm

from modeling_retainmix.data.benchmark import BenchmarkProtocol, MachineBenchmark
from modeling_retainmix.detection.embedder import Embedder
from modeling_retainmix.evaluation.benchmark_embeddings import EmbedFunction, embed_mixtures, embed_oracle
from modeling_retainmix.evaluation.benchmark_scores import BenchmarkScores, score_benchmark
from modeling_retainmix.evaluation.results import result_row


def score_embedder(
    benchmark: Sequence[MachineBenchmark],
    protocol: BenchmarkProtocol,
    embed: EmbedFunction,
    description: str,
    oracle: bool = False,
    batch_size: int = 64,
    show_progress: bool = True,
) -> dict[Hashable, BenchmarkScores]:
    """Scores every view of an embedder, with a progress bar over machine types.

    Args:
        benchmark: machine types.
        protocol: SNRs.
        embed: waveforms [batch, samples] -> {view: [batch, dim]}.
        description: label of the progress bar.
        oracle: average the embeddings of clean clip and noise (Table 3) instead of embedding the mixture.
        batch_size: clips of one call of `embed`.
        show_progress: show the bar.
    """
    embed_machine: Callable[[MachineBenchmark], Any] = partial(
        embed_oracle if oracle else embed_mixtures, protocol=protocol, embed=embed, batch_size=batch_size
    )
    machines = tqdm(benchmark, desc=description, disable=not show_progress)
    return score_benchmark(machines, protocol, embed_machine)


def log_mel_embedder(feature_extractor: Any, device: torch.device | str = "cpu") -> EmbedFunction:
    """The plainest embedding, the mean over time of the normalised log-mel features: {"log-mel": [batch, 128]}."""

    def embed(waveforms: torch.Tensor) -> dict[Hashable, torch.Tensor]:
        with torch.inference_mode():
            return {"log-mel": feature_extractor.extract_features(waveforms.to(device)).mean(dim=1)}

    return embed


def best_layer(scores: dict[Hashable, BenchmarkScores]) -> int:
    """The layer with the highest harmonic mean over all subsets and SNRs."""
    return max((view for view in scores if isinstance(view, int)), key=lambda layer: scores[layer].hmean_all)


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
    score = partial(score_embedder, protocol=protocol, batch_size=batch_size, show_progress=show_progress)
    layers = range(1, teacher.config.num_hidden_layers + 1)
    frozen = Embedder(teacher, feature_extractor, layers, device).embed
    log_mel = score(evaluation, embed=log_mel_embedder(feature_extractor, device), description="log-mel mean")
    chosen = best_layer(score(validation, embed=frozen, description="frozen teacher, validation"))
    frozen_scores = score(evaluation, embed=frozen, description="frozen teacher")
    student_embed = Embedder(student, feature_extractor, [embedding_layer], device).embed
    student_scores = score(evaluation, embed=student_embed, description="RetainMix")
    oracle_embed = Embedder(teacher, feature_extractor, [embedding_layer], device).embed
    oracle_scores = score(evaluation, embed=oracle_embed, description="oracle", oracle=True)
    return [
        result_row("Log-mel mean", log_mel["log-mel"]),
        result_row("Frozen teacher, same layer", frozen_scores[embedding_layer], embedding_layer),
        result_row("Frozen teacher, best layer on validation machines", frozen_scores[chosen], chosen),
        result_row("RetainMix", student_scores[embedding_layer], embedding_layer),
        result_row("Oracle (mean of clean and noise embeddings)", oracle_scores[embedding_layer], embedding_layer),
    ]

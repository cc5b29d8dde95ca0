"""Official scores of every layer of an encoder, by nearest neighbor and whitened: what `student_queue.py` files.

"changes" are the scores of a layer and log-mel statistics as recorded with the changes of both (`joined_blocks`),
whitened; of log-mel, those of its statistics and their changes.

On the validation machines of the procedural factory: low SNRs and all SNRs (harmonic means over the subsets), and
Mismatch at 0 dB. On real machines, where there are any: clean, and at each SNR the mean over draws of the noise, whose
kind differs between references and tests in every third draw.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from modeling_retainmix.data.benchmark import PROTOCOLS, SUBSETS, BenchmarkProtocol, MachineBenchmark
from modeling_retainmix.data.benchmark_sources import load_benchmark
from modeling_retainmix.detection.domain_scores import DomainScores
from modeling_retainmix.detection.settings import DetectorSettings
from modeling_retainmix.detection.vector_layout import Layer, VectorLayout
from modeling_retainmix.evaluation.compared_systems import LOG_MEL
from modeling_retainmix.evaluation.embeddings import EmbedFunction, embed_mixtures, embed_oracle
from modeling_retainmix.evaluation.score_encoders import NamedEncoder, embed_together, log_mel_mean, log_mel_statistics
from modeling_retainmix.evaluation.scores import NEAREST_REFERENCE, WHITENED, score_benchmark
from modeling_retainmix.evaluation.studies.choice_sets import RealSet, read_noise, read_real_sets
from modeling_retainmix.metrics.dcase_score.dcase_score import dcase_score
from modeling_retainmix.training.arguments import RetainMixTrainingArguments
from modeling_retainmix.training.run_arguments import RunArguments

BACKENDS = {"knn": NEAREST_REFERENCE, "whitened": WHITENED}
REAL_SNR_DB = (-5.0, 0.0, 10.0)
NUM_DRAWS = 6  # two of each subset
CHANGES = "changes"  # among the backends: what changes, beside what stays
STUDENT, TEACHER, ORACLE = "student", "frozen_teacher", "oracle"

Row = dict[str, Any]
View = tuple[str, int, str]  # system, layer, backend


@dataclass(frozen=True)
class Comparison:
    """What of a clip is compared in a view, and how.

    Attributes:
        blocks: whose embeddings lie end to end.
        settings: of the detector.
        layout: of the vector.
    """

    blocks: tuple[Layer, ...]
    settings: DetectorSettings
    layout: VectorLayout = VectorLayout()  # noqa: RUF009

    def vectors(self, system: str, embeddings: Mapping[Any, Any]) -> Any:
        """Return the vectors of the blocks of `embed_together`: [clips, D], or such a tensor of each cell."""
        parts = [embeddings[system, block] for block in self.blocks]
        if isinstance(parts[0], Mapping):
            return {cell: torch.cat([part[cell] for part in parts], dim=1) for cell in parts[0]}
        return torch.cat(parts, dim=1)


def comparisons(encoders: Sequence[NamedEncoder]) -> dict[View, Comparison]:
    """List what is compared of encoders: every layer by every backend, and with its changes.

    The oracle has no changes, as an average of two embeddings holds none of a mixture, and the log-mel mean has none.
    """
    views: dict[View, Comparison] = {}
    for encoder in encoders:
        for layer in encoder.layers:
            for backend, settings in BACKENDS.items():
                views[encoder.name, layer, backend] = Comparison((layer,), settings)
            if encoder.name not in (ORACLE, LOG_MEL):
                blocks = encoder.joined(layer)
                views[encoder.name, layer, CHANGES] = Comparison(blocks, WHITENED, encoder.layout(blocks))
    return views


class Scorer:
    """Scores encoders on the machines that a run's options name, and on real machines.

    Args:
        real_data: folder of real machines and of `noise`; None: there are none.

    Raises:
        FileNotFoundError: the folder lacks machines or noise.
    """

    def __init__(self, real_data: str | None) -> None:
        self.sets: list[RealSet] = []
        self.noise: dict[str, list[np.ndarray]] = {}
        if real_data is not None:
            self.sets, self.noise = read_real_sets(Path(real_data)), read_noise(Path(real_data) / "noise")

    def student(self, model: Any, extractor: Any, run: RunArguments, args: RetainMixTrainingArguments) -> list[Row]:
        """Score every layer of a student: rows of system, layer, backend, data, condition and score in %."""
        encoders = [NamedEncoder(STUDENT, model, extractor, _layers(model))]
        return self._rows(encoders, run, args)

    def teacher(self, model: Any, extractor: Any, run: RunArguments, args: RetainMixTrainingArguments) -> list[Row]:
        """Score the frozen teacher and the log-mel mean and statistics; arguments and result as in `student`."""
        spectra = [log_mel_mean(extractor), log_mel_statistics(extractor)]
        return self._rows([NamedEncoder(TEACHER, model, extractor, _layers(model)), *spectra], run, args)

    def frozen(self, model: Any, extractor: Any, run: RunArguments, args: RetainMixTrainingArguments) -> list[Row]:
        """Score as `teacher` does, and the oracle, which real machines do not have."""
        rows = self.teacher(model, extractor, run, args)
        protocol, machines = _benchmark(run, args)
        average = partial(embed_oracle, has_clip_level=extractor.clip_level is not None)
        oracle = NamedEncoder(ORACLE, model, extractor, _layers(model))
        return rows + factory_rows([oracle], machines, protocol, args, average)

    def _rows(
        self, encoders: Sequence[NamedEncoder], run: RunArguments, args: RetainMixTrainingArguments
    ) -> list[Row]:
        torch.set_num_threads(run.cpu_threads or os.cpu_count() or 1)
        protocol, machines = _benchmark(run, args)
        rows = factory_rows(encoders, machines, protocol, args)
        for real in self.sets:
            rows += real_rows(real, self.noise, encoders, _embedder(encoders, args))
        return rows


def factory_rows(
    encoders: Sequence[NamedEncoder],
    machines: Sequence[MachineBenchmark],
    protocol: BenchmarkProtocol,
    args: RetainMixTrainingArguments,
    embed_clips: Any = embed_mixtures,
) -> list[Row]:
    """Score encoders on procedural machines; every backend compares the same embeddings."""
    views, embed = comparisons(encoders), _embedder(encoders, args)

    def embed_machine(machine: MachineBenchmark) -> dict[Any, Any]:
        embeddings = embed_clips(machine, protocol, embed, batch_size=args.per_device_eval_batch_size)
        return {view: compared.vectors(view[0], embeddings) for view, compared in views.items()}

    settings = {view: compared.settings for view, compared in views.items()}
    layouts = {view: compared.layout for view, compared in views.items()}
    rows = []
    for view, scores in score_benchmark(machines, protocol, embed_machine, settings, layouts).items():
        conditions = {"low SNRs": scores.hmean_low, "all SNRs": scores.hmean_all}
        conditions["Mismatch 0 dB"] = scores.official("Mismatch", 0)
        rows += [_row(view, "factory", condition, score) for condition, score in conditions.items()]
    return rows


def real_rows(
    real: RealSet, noise: Mapping[str, list[np.ndarray]], encoders: Sequence[NamedEncoder], embed: EmbedFunction
) -> list[Row]:
    """Score encoders, which a function embeds, on one real machine."""
    views = comparisons(encoders)
    embedder: Any = SimpleNamespace(embed=embed)
    found: dict[tuple[View, str], list[float]] = {}

    def add(condition: str, waveforms: Sequence[np.ndarray]) -> None:
        references, tests = real.split(real.embed(embedder, waveforms))
        for view, compared in views.items():
            score = official_score(real, compared, *(compared.vectors(view[0], part) for part in (references, tests)))
            found.setdefault((view, condition), []).append(score)

    add("clean", real.waveforms)
    for snr_db in REAL_SNR_DB:
        for draw in range(NUM_DRAWS):
            kinds = list(SUBSETS.values())[draw % len(SUBSETS)]
            add(f"{snr_db:g} dB", real.mixed(noise, kinds, snr_db, draw))
    return [_row(view, real.name, condition, float(np.mean(scores))) for (view, condition), scores in found.items()]


def official_score(real: RealSet, compared: Comparison, references: torch.Tensor, tests: torch.Tensor) -> float:
    """Return the official score of one real machine, as a fraction."""
    is_target = torch.from_numpy(real.is_target_domain[real.is_reference])
    scores = DomainScores(
        compared.settings, references, torch.arange(len(references)), is_target, compared.layout
    ).scores(tests)
    test = ~real.is_reference
    domains = np.where(real.is_target_domain[test], "target", "source").tolist()
    return float(dcase_score(scores, real.is_anomaly[test].astype(int), domains)["official_score"])


def _embedder(encoders: Sequence[NamedEncoder], args: RetainMixTrainingArguments) -> EmbedFunction:
    views = comparisons(encoders)
    blocks = {
        encoder.name: dict.fromkeys(b for view in views if view[0] == encoder.name for b in views[view].blocks)
        for encoder in encoders
    }
    return embed_together([(encoder, list(blocks[encoder.name])) for encoder in encoders], args.device)


def _benchmark(
    run: RunArguments, args: RetainMixTrainingArguments
) -> tuple[BenchmarkProtocol, list[MachineBenchmark]]:
    seconds = run.eval_clip_seconds or args.clip_seconds
    protocol = replace(PROTOCOLS[run.protocol], clip_seconds=seconds)
    return protocol, load_benchmark(protocol, run, "validation")


def _layers(model: Any) -> tuple[int, ...]:
    return tuple(range(model.config.num_hidden_layers + 1))


def _row(view: View, data: str, condition: str, score: float) -> Row:
    system, layer, backend = view
    return {
        "system": system,
        "layer": layer,
        "backend": backend,
        "data": data,
        "condition": condition,
        "score": f"{100 * score:.2f}",
    }

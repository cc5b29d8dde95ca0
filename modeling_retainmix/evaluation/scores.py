"""Official scores on Factory A, Factory B and Mismatch, and their harmonic means (paper, Table 2)."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from modeling_retainmix.data.benchmark import SUBSETS, BenchmarkProtocol, MachineBenchmark
from modeling_retainmix.detection.domain_scores import DomainScores
from modeling_retainmix.detection.settings import DetectorSettings
from modeling_retainmix.detection.vector_layout import VectorLayout
from modeling_retainmix.evaluation.embeddings import BenchmarkEmbeddings
from modeling_retainmix.metrics.dcase_score.dcase_score import dcase_score, harmonic_mean

# K = 1, Euclidean, the nearer of both domains (Eq. 2)
NEAREST_REFERENCE = DetectorSettings(backend="knn", normalization="none")
WHITENED = DetectorSettings(backend="whitened", normalization="none")


@dataclass(frozen=True)
class ClipScores:
    """Anomaly scores of the test clips of all machine types, clips in the same order in every cell.

    Attributes:
        machine_types: [clips] str, with the section if a machine type has several.
        is_anomaly, is_target_domain: [clips] bool.
        scores: {(subset, snr_db): [clips] float64}, higher means more anomalous.
        rules: year of DCASE Task 2 whose official score they have (`dcase_score`).
    """

    machine_types: np.ndarray
    is_anomaly: np.ndarray
    is_target_domain: np.ndarray
    scores: dict[tuple[str, float], np.ndarray]
    rules: int = 2023


@dataclass
class BenchmarkScores:
    """Official scores of one embedder.

    Attributes:
        cells: {subset: {snr_db: result of `dcase_score` over all machine types}}, fractions in [0, 1].
        low_snr_db: the SNRs that `hmean_low` covers.
        clips: the scores of single clips, from which `cells` were made.
    """

    cells: dict[str, dict[float, dict[str, Any]]]
    low_snr_db: tuple[float, ...]
    clips: ClipScores

    def official(self, subset: str, snr_db: float) -> float:
        """The official score of the recordings' year over machine types and sections, as a fraction.

        Since 2022 it is the harmonic mean of source AUC, target AUC and pAUC; if all tests are of one domain, of
        AUC and pAUC.
        """
        return float(self.cells[subset][snr_db]["official_score"])

    def hmean(self, snr_db: Sequence[float] | None = None, subset: str | None = None) -> float:
        """Harmonic mean of official scores over subsets and SNRs, as a fraction; None: all of them."""
        subsets = SUBSETS if subset is None else [subset]
        snrs = next(iter(self.cells.values())) if snr_db is None else snr_db
        return float(harmonic_mean([self.official(name, snr) for name in subsets for snr in snrs]))

    @property
    def hmean_low(self) -> float:
        """Harmonic mean over all subsets and the low SNRs."""
        return self.hmean(self.low_snr_db)

    @property
    def hmean_all(self) -> float:
        """Harmonic mean over all subsets and SNRs."""
        return self.hmean()


def score_benchmark(
    benchmark: Iterable[MachineBenchmark],
    protocol: BenchmarkProtocol,
    embed_machine: Callable[[MachineBenchmark], BenchmarkEmbeddings],
    settings: DetectorSettings | Mapping[Hashable, DetectorSettings] = NEAREST_REFERENCE,
    layout: VectorLayout | Mapping[Hashable, VectorLayout] = VectorLayout(),  # noqa: B008
) -> dict[Hashable, BenchmarkScores]:
    """Score all subsets as a detector with these settings does.

    Args:
        benchmark: the machine types.
        protocol: gives the SNRs.
        embed_machine: embeddings of one machine type, from `embed_mixtures` or `embed_oracle`; called once for each,
            so that only one machine type's embeddings are held at a time.
        settings: how clips are compared; layers, pooling and windows are not read from them. By default the
            anomaly score of a test clip is its distance to the nearest reference (Eq. 2). A mapping gives those of
            every view.
        layout: blocks and bands of an embedding. A mapping gives those of every view.

    Returns:
        Scores for every view that `embed_machine` returns.

    Raises:
        ValueError: no references, or embeddings that do not divide into bands.
    """
    collected: dict[Any, dict[tuple[str, float], list[np.ndarray]]] = {}
    machines = []
    for machine in benchmark:
        machines.append(machine)
        for view, cells in embed_machine(machine).items():
            chosen = settings[view] if isinstance(settings, Mapping) else settings
            blocks = layout[view] if isinstance(layout, Mapping) else layout
            for subset, (reference_kind, test_kind) in SUBSETS.items():
                for snr_db in protocol.snr_db:
                    references, tests = cells[reference_kind, snr_db], cells[test_kind, snr_db]
                    scores = _anomaly_scores(machine, references, tests, chosen, blocks)
                    collected.setdefault(view, {}).setdefault((subset, snr_db), []).append(scores)
    return {
        view: _official_scores(
            ClipScores(
                machine_types=np.concatenate([np.full((~m.is_reference).sum(), m.machine_type) for m in machines]),
                is_anomaly=np.concatenate([m.is_anomaly[~m.is_reference] for m in machines]),
                is_target_domain=np.concatenate([m.is_target_domain[~m.is_reference] for m in machines]),
                scores={cell: np.concatenate(parts) for cell, parts in by_cell.items()},
                rules=machines[0].rules,
            ),
            protocol,
        )
        for view, by_cell in collected.items()
    }


def _official_scores(clips: ClipScores, protocol: BenchmarkProtocol) -> BenchmarkScores:
    labels, machine_types = clips.is_anomaly.astype(np.int64), clips.machine_types.tolist()
    both = len(set(clips.is_target_domain.tolist())) == 2
    domains = np.where(clips.is_target_domain, "target", "source").tolist() if both else None
    cells = {
        subset: {
            snr_db: dcase_score(clips.scores[subset, snr_db], labels, domains, machine_types, rules=clips.rules)
            for snr_db in protocol.snr_db
        }
        for subset in SUBSETS
    }
    return BenchmarkScores(cells, protocol.low_snr_db, clips)


def _anomaly_scores(
    machine: MachineBenchmark,
    references: torch.Tensor,
    tests: torch.Tensor,
    settings: DetectorSettings,
    layout: VectorLayout,
) -> np.ndarray:
    """Score the test clips, [tests] float64; every recording has an embedding in both arguments."""
    is_reference = torch.from_numpy(machine.is_reference)
    is_target_domain = torch.from_numpy(machine.is_target_domain)[is_reference]
    recording_index = torch.arange(len(is_target_domain))
    scores = DomainScores(settings, references[is_reference], recording_index, is_target_domain, layout)
    return scores.scores(tests[~is_reference])

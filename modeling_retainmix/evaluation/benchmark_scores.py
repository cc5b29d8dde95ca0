"""Official scores on Factory A, Factory B and Mismatch, and their harmonic means (paper, Table 2)."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import hmean

from modeling_retainmix.data.benchmark import SUBSETS, BenchmarkProtocol, MachineBenchmark
from modeling_retainmix.detection.knn import knn_distance
from modeling_retainmix.evaluation.benchmark_embeddings import BenchmarkEmbeddings
from modeling_retainmix.metrics.dcase_score.dcase_score import dcase_score


@dataclass
class BenchmarkScores:
    """Official scores of one embedder.

    Attributes:
        cells: {subset: {snr_db: result of `dcase_score` over all machine types}}, fractions in [0, 1].
        low_snr_db: the SNRs that `hmean_low` covers.
    """

    cells: dict[str, dict[float, dict[str, Any]]]
    low_snr_db: tuple[float, ...]

    def official(self, subset: str, snr_db: float) -> float:
        """Harmonic mean over machine types of source AUC, target AUC and pAUC, as a fraction."""
        return float(self.cells[subset][snr_db]["official_score"])

    def hmean(self, snr_db: Sequence[float] | None = None, subset: str | None = None) -> float:
        """Harmonic mean of official scores over subsets and SNRs, as a fraction; None: all of them."""
        subsets = SUBSETS if subset is None else [subset]
        snrs = next(iter(self.cells.values())) if snr_db is None else snr_db
        return float(hmean([self.official(name, snr) for name in subsets for snr in snrs]))

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
    k: int = 1,
) -> dict[Hashable, BenchmarkScores]:
    """Scores all subsets with the nearest-neighbour detector: Euclidean, no normalisation between domains.

    The anomaly score of a test clip is its mean distance to the K nearest references of a domain, the smaller one
    of the two domains (with K = 1 this is the distance to the nearest reference of all; Eq. 2).

    Args:
        benchmark: the machine types.
        protocol: gives the SNRs.
        embed_machine: embeddings of one machine type, from `embed_mixtures` or `embed_oracle`; called once for each,
            so that only one machine type's embeddings are held at a time.
        k: number of neighbours.

    Returns:
        Scores for every view that `embed_machine` gives.
    """
    collected: dict[Any, dict[tuple[str, float], dict[str, list[np.ndarray]]]] = {}
    for machine in benchmark:
        for view, cells in embed_machine(machine).items():
            for subset, (reference_kind, test_kind) in SUBSETS.items():
                for snr_db in protocol.snr_db:
                    lists = collected.setdefault(view, {}).setdefault((subset, snr_db), {})
                    distance = _distances(machine, cells[reference_kind, snr_db], cells[test_kind, snr_db], k)
                    test = ~machine.is_reference
                    lists.setdefault("predictions", []).append(distance)
                    lists.setdefault("references", []).append(machine.is_anomaly[test].astype(np.int64))
                    lists.setdefault("domains", []).append(np.where(machine.is_target[test], "target", "source"))
                    lists.setdefault("machines", []).append(np.full(test.sum(), machine.machine_type))
    return {
        view: BenchmarkScores(
            cells={
                subset: {snr_db: _official_score(by_cell[subset, snr_db]) for snr_db in protocol.snr_db}
                for subset in SUBSETS
            },
            low_snr_db=protocol.low_snr_db,
        )
        for view, by_cell in collected.items()
    }


def _official_score(columns: dict[str, list[np.ndarray]]) -> dict[str, Any]:
    predictions, references, domains, machines = (
        np.concatenate(columns[name]) for name in ("predictions", "references", "domains", "machines")
    )
    return dcase_score(predictions, references, domains.tolist(), machines.tolist())


def _distances(machine: MachineBenchmark, references: Any, tests: Any, k: int) -> np.ndarray:
    """Anomaly scores of the test clips, [tests] float64."""
    queries = tests[~machine.is_reference]
    by_domain = [
        knn_distance(queries, references[machine.is_reference & (machine.is_target == is_target)], k=k)
        for is_target in (False, True)
        if (machine.is_reference & (machine.is_target == is_target)).any()
    ]
    return np.minimum.reduce([distance.double().numpy() for distance in by_domain])

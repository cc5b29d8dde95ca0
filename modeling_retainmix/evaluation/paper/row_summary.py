"""Figures of a row over its seeds: mean, spread between seeds, confidence interval, difference to another row."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from modeling_retainmix.data.benchmark import SUBSETS
from modeling_retainmix.evaluation.bootstrap import confidence_interval
from modeling_retainmix.evaluation.paper import published_numbers
from modeling_retainmix.evaluation.paper.row_files import ScoredRow
from modeling_retainmix.metrics.dcase_score.dcase_score import harmonic_mean


@dataclass(frozen=True)
class Figure:
    """A column of a table: the harmonic mean of official scores over subsets and SNRs, or a single one.

    Attributes:
        name: heading of the column.
        subsets: names of subsets.
        snr_db: SNRs in dB.
        machine: of one machine type; None: over all.
    """

    name: str
    subsets: tuple[str, ...]
    snr_db: tuple[float, ...]
    machine: str | None = None

    @property
    def cells(self) -> list[tuple[str, float]]:
        """(subset, SNR in dB) of every score in the mean."""
        return [(subset, snr_db) for subset in self.subsets for snr_db in self.snr_db]


@dataclass(frozen=True)
class Estimate:
    """A figure in %, or a difference of figures in points.

    Attributes:
        mean: over seeds.
        std: sample standard deviation over seeds; None for one seed.
        confidence_interval: 95 % bootstrap interval of the mean, test clips drawn again within each seed's benchmark;
            None: the figure is of one machine type. If seeds share recordings, each end is the mean of the seeds'
            ends, as if their deviations were one and the same.
        seeds: number of seeds.
    """

    mean: float
    std: float | None
    confidence_interval: tuple[float, float] | None
    seeds: int


def estimate(rows: Sequence[ScoredRow], figure: Figure) -> Estimate | None:
    """Return a figure of the rows of all seeds; None: there are no rows, or they lack a cell."""
    values = [_value(row, figure) for row in rows]
    if not values or None in values:
        return None
    replicates = None if figure.machine is not None else [_replicates(row, figure) for row in rows]
    return _over_seeds(rows, [value for value in values if value is not None], replicates)


def difference(rows: Sequence[ScoredRow], others: Sequence[ScoredRow], figure: Figure) -> Estimate | None:
    """Return the figure of `rows` less that of `others` over the seeds that both have on one benchmark, paired."""
    by_seed = {(row.seed, row.benchmark): row for row in others}
    pairs = [(row, by_seed[row.seed, row.benchmark]) for row in rows if (row.seed, row.benchmark) in by_seed]
    values = [(_value(row, figure), _value(other, figure)) for row, other in pairs]
    differences = [a - b for a, b in values if a is not None and b is not None]
    if not differences or len(differences) < len(pairs):
        return None
    replicates = [_replicates(row, figure) - _replicates(other, figure) for row, other in pairs]
    return _over_seeds(rows, differences, replicates)


def paper_value(key: str, figure: Figure) -> float | None:
    """Return the paper's figure in % (Tables 2, 4, 5): as printed, else the mean of its cells; None: it has none."""
    printed = {
        (tuple(SUBSETS), published_numbers.LOW_SNR_DB): published_numbers.HMEAN_LOW,
        (tuple(SUBSETS), published_numbers.SNR_DB): published_numbers.HMEAN_ALL,
        (("Mismatch",), published_numbers.SNR_DB): published_numbers.HMEAN_MISMATCH,
    }.get((figure.subsets, figure.snr_db), {})
    if key in printed:
        return printed[key]
    cells = [(key, subset, snr_db) for subset, snr_db in figure.cells]
    if any(cell not in published_numbers.CELLS for cell in cells):
        return None
    return float(harmonic_mean([published_numbers.CELLS[cell] for cell in cells]))


def paper_value_table_3(key: str, figure: Figure) -> float | None:
    """Return the same of Table 3: Mismatch at 0 dB without normalization between domains."""
    if figure.machine is None:
        return published_numbers.HMEAN_TABLE_3.get(key)
    return published_numbers.TABLE_3.get((key, figure.machine.lower()))


def _value(row: ScoredRow, figure: Figure) -> float | None:
    """Return the figure of one seed in %."""
    if any(snr_db not in row.scores[subset] for subset, snr_db in figure.cells):
        return None
    if figure.machine is not None:
        return row.per_machine[figure.subsets[0]][figure.snr_db[0]].get(figure.machine)
    return float(harmonic_mean([row.scores[subset][snr_db] for subset, snr_db in figure.cells]))


def _replicates(row: ScoredRow, figure: Figure) -> np.ndarray:
    return 100 * harmonic_mean(np.stack([row.bootstrap_replicates[cell] for cell in figure.cells]))


def _over_seeds(
    rows: Sequence[ScoredRow], values: Sequence[float], replicates: Sequence[np.ndarray] | None
) -> Estimate:
    ends = None
    if replicates is not None and any(row.recordings for row in rows):
        ends = tuple(np.mean([confidence_interval(one_seed) for one_seed in replicates], axis=0).tolist())
    elif replicates is not None:
        ends = confidence_interval(np.mean(replicates, axis=0))
    return Estimate(
        mean=float(np.mean(values)),
        std=float(np.std(values, ddof=1)) if len(values) > 1 else None,
        confidence_interval=ends,
        seeds=len(values),
    )

"""Figures of a row over its seeds: mean, spread between seeds, bootstrap interval, difference to another row."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import hmean

from modeling_retainmix.data.benchmark import SUBSETS
from modeling_retainmix.evaluation.bootstrap import harmonic_mean, interval
from modeling_retainmix.evaluation.paper import published_numbers
from modeling_retainmix.evaluation.paper.row_files import ScoredRow


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
        interval: 95 % bootstrap interval of the mean, test clips drawn again within each seed's benchmark; None where
            the figure is of one machine type. Where seeds share recordings, each end is the mean of the seeds' ends,
            as if their deviations were one and the same.
        seeds: how many.
    """

    mean: float
    std: float | None
    interval: tuple[float, float] | None
    seeds: int


def estimate(rows: Sequence[ScoredRow], figure: Figure) -> Estimate | None:
    """A figure of the rows of all seeds; None: there are no rows, or they lack a cell."""
    values = [_value(row, figure) for row in rows]
    if not values or None in values:
        return None
    draws = None if figure.machine is not None else [_draws(row, figure) for row in rows]
    return _over_seeds(rows, [value for value in values if value is not None], draws)


def difference(rows: Sequence[ScoredRow], others: Sequence[ScoredRow], figure: Figure) -> Estimate | None:
    """Figure of `rows` less that of `others`, over the seeds that both have on the same benchmark; paired draws."""
    by_seed = {(row.seed, row.benchmark): row for row in others}
    pairs = [(row, by_seed[row.seed, row.benchmark]) for row in rows if (row.seed, row.benchmark) in by_seed]
    values = [(_value(row, figure), _value(other, figure)) for row, other in pairs]
    differences = [a - b for a, b in values if a is not None and b is not None]
    if not differences or len(differences) < len(pairs):
        return None
    draws = [_draws(row, figure) - _draws(other, figure) for row, other in pairs]
    return _over_seeds(rows, differences, draws)


def paper_value(key: str, figure: Figure) -> float | None:
    """The paper's figure in % (Tables 2, 4, 5): as printed, else the mean of its printed cells; None: it has none."""
    printed = {
        (tuple(SUBSETS), published_numbers.LOW_SNR_DB): published_numbers.HMEAN_LOW,
        (tuple(SUBSETS), published_numbers.SNR_DB): published_numbers.HMEAN_ALL,
        (("Mismatch",), published_numbers.SNR_DB): published_numbers.HMEAN_MISMATCH,
    }.get((figure.subsets, figure.snr_db), {})
    if key in printed:
        return printed[key]
    cells = [published_numbers.CELLS.get((key, subset, snr_db)) for subset, snr_db in figure.cells]
    return None if None in cells else float(hmean(cells))


def paper_value_table_3(key: str, figure: Figure) -> float | None:
    """The same of Table 3: Mismatch at 0 dB without normalisation between domains."""
    if figure.machine is None:
        return published_numbers.HMEAN_TABLE_3.get(key)
    return published_numbers.TABLE_3.get((key, figure.machine.lower()))


def _value(row: ScoredRow, figure: Figure) -> float | None:
    """The figure of one seed in %."""
    scores = [row.scores[subset].get(snr_db) for subset, snr_db in figure.cells]
    if None in scores:
        return None
    if figure.machine is not None:
        return row.per_machine[figure.subsets[0]][figure.snr_db[0]].get(figure.machine)
    return float(hmean(scores))


def _draws(row: ScoredRow, figure: Figure) -> np.ndarray:
    return 100 * harmonic_mean(np.stack([row.draws[cell] for cell in figure.cells]))


def _over_seeds(rows: Sequence[ScoredRow], values: Sequence[float], draws: Sequence[np.ndarray] | None) -> Estimate:
    ends = None
    if draws is not None and any(row.recordings for row in rows):
        ends = tuple(np.mean([interval(own) for own in draws], axis=0).tolist())
    elif draws is not None:
        ends = interval(np.mean(draws, axis=0))
    return Estimate(
        mean=float(np.mean(values)),
        std=float(np.std(values, ddof=1)) if len(values) > 1 else None,
        interval=ends,
        seeds=len(values),
    )

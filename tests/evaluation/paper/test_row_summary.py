"""Figures over seeds and the paper's figures beside them."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import hmean

from modeling_retainmix.data.benchmark import SUBSETS
from modeling_retainmix.evaluation.bootstrap import confidence_interval
from modeling_retainmix.evaluation.paper.row_files import ScoredRow
from modeling_retainmix.evaluation.paper.row_summary import (
    Figure,
    difference,
    estimate,
    paper_value,
    paper_value_table_3,
)
from modeling_retainmix.evaluation.scores import ClipScores

ALL = tuple(SUBSETS)
MEAN = Figure("mean", ALL, (-10.0, 0.0))


def make_row(key, seed, shift=0.0, benchmark="benchmark", recordings=False):
    generator = np.random.default_rng(seed)
    is_anomaly, is_target_domain = np.tile([False, True], 20), np.tile([False, False, True, True], 10)
    noise = {(subset, snr_db): generator.normal(size=40) for subset in SUBSETS for snr_db in (-10.0, 0.0)}
    clips = ClipScores(
        np.full(40, "fan"),
        is_anomaly,
        is_target_domain,
        {cell: v + (0.5 + shift) * is_anomaly for cell, v in noise.items()},
    )
    scores = {subset: {-10.0: 50.0 + shift + seed, 0.0: 60.0 + shift + seed} for subset in SUBSETS}
    per_machine = {subset: {snr: {"fan": value} for snr, value in cells.items()} for subset, cells in scores.items()}
    return ScoredRow(key, seed, 2, benchmark, {}, scores, per_machine, clips, recordings)


def test_when_seeds_are_several_then_the_mean_the_spread_and_the_interval_are_over_them():
    rows = [make_row("both_0db", seed, benchmark=f"benchmark {seed}") for seed in (0, 1, 2)]
    found = estimate(rows, MEAN)
    means = [hmean([50 + seed, 60 + seed] * 3) for seed in (0, 1, 2)]
    assert found.seeds == 3
    assert found.mean == pytest.approx(np.mean(means))
    assert found.std == pytest.approx(np.std(means, ddof=1))
    replicates = [100 * hmean(np.stack([row.bootstrap_replicates[cell] for cell in MEAN.cells])) for row in rows]
    assert found.confidence_interval == pytest.approx(confidence_interval(np.mean(replicates, axis=0)))
    single = estimate(rows[:1], MEAN)
    assert single.std is None
    assert np.ptp(found.confidence_interval) < np.ptp(single.confidence_interval)


def test_when_seeds_share_recordings_then_more_of_them_do_not_narrow_the_interval():
    rows = [make_row("both_0db", seed, benchmark=f"noise {seed}", recordings=True) for seed in (0, 1, 2)]
    others = [make_row("frozen_same_layer", seed, -0.3, f"noise {seed}", recordings=True) for seed in (0, 1, 2)]
    for found, single in (
        (estimate(rows, MEAN), [estimate([row], MEAN) for row in rows]),
        (difference(rows, others, MEAN), [difference([row], others, MEAN) for row in rows]),
    ):
        assert found.confidence_interval == pytest.approx(np.mean([one.confidence_interval for one in single], axis=0))


def test_when_rows_are_compared_then_the_draws_are_paired():
    rows, others = [make_row("both_0db", 0, 0.3)], [make_row("frozen_same_layer", 0)]
    found = difference(rows, others, MEAN)
    assert found.mean == pytest.approx(hmean([50.3, 60.3]) - hmean([50, 60]))
    both = [estimate(own, MEAN).confidence_interval for own in (rows, others)]
    assert np.ptp(found.confidence_interval) < 0.5 * sum(np.ptp(ends) for ends in both)
    same = difference(others, others, MEAN)
    assert (same.mean, same.confidence_interval) == (0, (0, 0))


def test_when_rows_share_no_seed_or_benchmark_then_there_is_no_difference():
    rows = [make_row("both_0db", 0)]
    assert difference(rows, [make_row("frozen_same_layer", 1)], MEAN) is None
    assert difference(rows, [replace(make_row("frozen_same_layer", 0), benchmark="another")], MEAN) is None


def test_when_a_cell_was_not_scored_then_there_is_no_figure():
    rows = [make_row("both_0db", 0)]
    assert estimate(rows, Figure("", ALL, (-10.0, -5.0))) is None
    assert estimate([], MEAN) is None
    assert estimate(rows, Figure("", ("Mismatch",), (0.0,), machine="pump")) is None
    assert estimate(rows, Figure("", ("Mismatch",), (0.0,), machine="fan")).mean == 60


def test_when_the_paper_prints_a_figure_then_it_is_taken_and_else_averaged_from_its_cells():
    assert paper_value("frozen_last_layer", Figure("", ALL, (-10, -5, 0))) == 66.0
    assert paper_value("both_0db", Figure("", ALL, (-10, -5, 0, 5, 10, 20, 30))) == 81.6
    assert paper_value("tagging_pm10db", Figure("", ("Mismatch",), (-10, -5, 0, 5, 10, 20, 30))) == 62.8
    assert paper_value("tagging_pm10db", Figure("", ("Mismatch",), (-10.0, 0.0))) == pytest.approx(hmean([44.7, 55.3]))
    assert paper_value("tagging_pm10db", Figure("", ALL, (-10,))) is None
    assert paper_value("log_mel", Figure("", ALL, (-10,))) is None


def test_when_table_3_is_asked_then_its_own_figures_are_taken():
    at_0_db = (("Mismatch",), (0.0,))
    assert paper_value_table_3("frozen_last_layer", Figure("Hmean", *at_0_db)) == 60.4
    assert paper_value("frozen_last_layer", Figure("", *at_0_db)) == pytest.approx(61.5)
    assert paper_value_table_3("oracle", Figure("Shaker", *at_0_db, machine="Shaker")) == 99.7

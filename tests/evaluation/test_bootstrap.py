"""The bootstrap against a plain loop with scikit-learn over repeated clips."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from modeling_retainmix.evaluation.bootstrap import (
    bootstrap_replicates,
    confidence_interval,
    official_scores,
    replicate_counts,
    roc_area,
)
from modeling_retainmix.evaluation.scores import ClipScores
from modeling_retainmix.metrics.dcase_score.dcase_score import dcase_score


@pytest.fixture(scope="module")
def clips():
    generator = np.random.default_rng(0)
    machine_types = np.repeat(["fan", "pump"], 60)
    is_anomaly = np.tile([False, True], 60)
    is_target_domain = np.tile([False, False, True], 40)
    scores = {
        ("Factory A", 0): generator.normal(size=120) + is_anomaly,
        ("Factory A", 10): np.round(generator.normal(size=120) + is_anomaly, 1),  # ties
    }
    return ClipScores(machine_types, is_anomaly, is_target_domain, scores)


@pytest.mark.parametrize("rules", [2020, 2021, 2023])
@pytest.mark.parametrize("cell", [("Factory A", 0), ("Factory A", 10)])
def test_when_clips_are_drawn_then_every_draw_scores_as_the_metric_scores_the_repeated_clips(clips, cell, rules):
    clips = replace(clips, rules=rules)
    counts = replicate_counts(clips, "benchmark", num_replicates=20, seed=3).astype(int)
    found = bootstrap_replicates(clips, "benchmark", num_replicates=20, seed=3)[cell]
    for drawn, value in zip(counts, found, strict=True):
        rows = np.repeat(np.arange(120), drawn)
        expected = dcase_score(
            clips.scores[cell][rows],
            clips.is_anomaly[rows].astype(int),
            np.where(clips.is_target_domain, "target", "source")[rows].tolist(),
            clips.machine_types[rows].tolist(),
            rules=rules,
        )
        assert value == pytest.approx(expected["official_score"], abs=1e-12)


@pytest.mark.parametrize("rules", [2020, 2021, 2023])
def test_when_all_tests_are_of_one_domain_then_the_score_is_the_metrics_without_domains(clips, rules):
    alone = replace(clips, is_target_domain=np.zeros(120, dtype=bool), rules=rules)
    found = official_scores(clips.scores["Factory A", 0], alone, np.ones((1, 120)))
    labels = clips.is_anomaly.astype(int)
    expected = dcase_score(clips.scores["Factory A", 0], labels, machines=clips.machine_types, rules=rules)
    assert found == pytest.approx(expected["official_score"], abs=1e-12)


@pytest.mark.parametrize("max_fpr", [0.1, 0.37, 1.0])
@pytest.mark.parametrize("decimals", [0, 1, 8])
def test_when_no_clip_repeats_then_the_area_is_that_of_scikit_learn(max_fpr, decimals):
    generator = np.random.default_rng(decimals)
    labels = generator.random(50) < 0.4
    scores = np.round(generator.normal(size=50) + labels, decimals)
    area = roc_area(scores, labels, np.ones((1, 50)), max_fpr)[0]
    least = max_fpr**2 / 2
    standardised = (1 + (area - least) / (max_fpr - least)) / 2 if max_fpr < 1 else area
    assert standardised == pytest.approx(roc_auc_score(labels, scores, max_fpr=max_fpr), abs=1e-12)


def test_when_clips_are_drawn_then_every_cell_of_domain_and_label_keeps_its_size(clips):
    counts = replicate_counts(clips, "benchmark", num_replicates=50, seed=0)
    for machine_type in ("fan", "pump"):
        for is_target_domain in (False, True):
            for is_anomaly in (False, True):
                stratum = (
                    (clips.machine_types == machine_type)
                    & (clips.is_target_domain == is_target_domain)
                    & (clips.is_anomaly == is_anomaly)
                )
                assert (counts[:, stratum].sum(axis=1) == stratum.sum()).all()
    assert counts.std() > 0.5


def test_when_the_benchmark_is_the_same_then_so_are_the_draws_and_else_not(clips):
    counts = replicate_counts(clips, "benchmark", num_replicates=5, seed=0)
    assert np.array_equal(counts, replicate_counts(clips, "benchmark", num_replicates=5, seed=0))
    assert not np.array_equal(counts, replicate_counts(clips, "another", num_replicates=5, seed=0))
    assert not np.array_equal(counts, replicate_counts(clips, "benchmark", num_replicates=5, seed=1))


def test_when_the_interval_is_taken_then_it_covers_the_score_and_narrows_with_more_clips(clips):
    many = ClipScores(
        *(np.tile(column, 9) for column in (clips.machine_types, clips.is_anomaly, clips.is_target_domain)),
        {cell: np.tile(scores, 9) for cell, scores in clips.scores.items()},
    )
    few_low, few_high = confidence_interval(bootstrap_replicates(clips, "benchmark")["Factory A", 0])
    many_low, many_high = confidence_interval(bootstrap_replicates(many, "benchmark")["Factory A", 0])
    assert few_low < many_low < many_high < few_high
    assert (many_high - many_low) / (few_high - few_low) == pytest.approx(1 / 3, abs=0.08)

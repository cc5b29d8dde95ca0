"""P-values against naive twins, and rates that hold on further clips."""

import numpy as np
import pytest
import torch

from modeling_retainmix.detection.calibration import NormalScores
from modeling_retainmix.detection.conformal import CrossScores, conformal_p_values, discoveries
from modeling_retainmix.detection.domain_scores import DomainScores
from modeling_retainmix.detection.settings import DetectorSettings
from modeling_retainmix.detection.threshold import CalibrationScores, score_threshold
from modeling_retainmix.detection.vector_layout import VectorLayout

KNN = DetectorSettings(backend="knn", normalization="none")


def normal_scores(values, unit):
    index = np.arange(len(values))
    return NormalScores(values, index, unit, np.zeros_like(index), np.zeros_like(index))


def sessions(generator, count, size, width=6, spread=2.0):
    """Clips of sessions that differ by an offset: [count * size, width], and the session of each."""
    offsets = generator.normal(0, spread, (count, 1, width))
    clips = offsets + generator.normal(0, 1, (count, size, width))
    return clips.reshape(-1, width).astype(np.float32), np.repeat(np.arange(count), size)


@pytest.mark.parametrize("num_stretches", [1.0, 3.5])
def test_p_values_are_weighted_shares_of_scores_that_are_no_smaller(num_stretches):
    generator = np.random.default_rng(0)
    values, unit = generator.integers(0, 12, 30).astype(float), np.repeat(np.arange(6), [1, 2, 3, 6, 8, 10])
    scores = np.asarray([-1.0, 0, 3, 3.5, 11, 12, np.nan])
    found = conformal_p_values(scores, CalibrationScores(values, unit, num_stretches))
    for score, p_value in zip(scores[:-1], found[:-1], strict=True):
        shares = [(values[unit == one] >= score).mean() for one in range(6)]
        assert p_value == pytest.approx(1 - (1 - (1 + sum(shares)) / 7) ** num_stretches)
    assert np.isnan(found[-1])


@pytest.mark.parametrize("rate", [0.1, 0.25, 0.5])
def test_a_clip_is_above_the_quantile_when_its_p_value_is_no_larger_than_the_rate(rate):
    generator = np.random.default_rng(0)
    unit = np.repeat(np.arange(12), generator.integers(1, 6, 12))
    values = generator.gamma(4.0, 1.5, len(unit))
    scores = np.concatenate([values, generator.gamma(4.0, 1.5, 200)])
    p_values = conformal_p_values(scores, CalibrationScores(values, unit, 1.0))
    alarms = scores > score_threshold(values, rate, recording=unit)
    np.testing.assert_array_equal(p_values <= rate + 1e-9, alarms)
    assert alarms.any() and not alarms.all()


def test_cross_p_values_compare_a_clip_and_each_unit_by_the_same_other_units():
    generator = np.random.default_rng(0)
    vectors, unit = sessions(generator, 5, 3)
    queries, _ = sessions(generator, 4, 2)
    is_target = torch.arange(15) >= 9
    cross = CrossScores(KNN, torch.from_numpy(vectors), unit, is_target, VectorLayout())
    scores = cross.scores(torch.from_numpy(queries)).numpy()
    found = cross.p_values(scores, normal_scores(cross.values, unit), np.ones(8, dtype=int), KNN)
    for query, p_value in zip(queries, found, strict=True):
        total = 1.0
        for left_out in range(5):
            others = vectors[unit != left_out]
            own = [np.linalg.norm(others - clip, axis=1).min() for clip in vectors[unit == left_out]]
            total += np.mean(np.asarray(own) >= np.linalg.norm(others - query, axis=1).min() - 1e-6)
        assert p_value == pytest.approx(total / 6)


@pytest.mark.parametrize("num_sessions", [4, 9])
def test_with_few_sessions_cross_p_values_keep_the_rate_and_find_more_than_left_out_scores(num_sessions):
    generator = np.random.default_rng(1)
    rate = 1 / (num_sessions + 1)
    false_alarms, hits, held_hits = [], [], []
    for _ in range(60):
        vectors, unit = sessions(generator, num_sessions, 4)
        normal, _ = sessions(generator, 20, 1)
        faulty = sessions(generator, 20, 1)[0] + 2.5
        bank, is_target = torch.from_numpy(vectors), torch.zeros(len(unit), dtype=torch.bool)
        cross = CrossScores(KNN, bank, unit, is_target, VectorLayout())
        windows = normal_scores(cross.values, unit)
        for clips, shares in ((normal, false_alarms), (faulty, hits)):
            scores = cross.scores(torch.from_numpy(clips)).numpy()
            shares.append((cross.p_values(scores, windows, np.ones(20, dtype=int), KNN) <= rate + 1e-9).mean())
        plain = DomainScores(KNN, bank, torch.from_numpy(unit), is_target)
        threshold = score_threshold(plain.leave_one_out(), rate, recording=unit)
        held_hits.append((plain.scores(torch.from_numpy(faulty)) > threshold).mean())
    assert np.mean(false_alarms) < 1.2 * rate
    assert np.mean(hits) > np.mean(held_hits)


def test_when_all_references_are_of_one_unit_then_error_says_to_add_one():
    with pytest.raises(ValueError, match="references are of one session, which cannot be left out"):
        CrossScores(KNN, torch.randn(4, 3), np.zeros(4, dtype=int), torch.zeros(4, dtype=torch.bool), VectorLayout())


def naive_discoveries(p_values, rate):
    order = np.argsort(p_values)
    count = max([k for k in range(1, len(order) + 1) if p_values[order[k - 1]] <= rate * k / len(order)], default=0)
    return sorted(order[:count].tolist())


@pytest.mark.parametrize("rate", [0.05, 0.2, 0.5])
def test_discoveries_are_those_of_benjamini_and_hochberg(rate):
    generator = np.random.default_rng(0)
    p_values = np.concatenate([generator.random(40), generator.random(10) * 0.01])
    scores = -p_values
    found = discoveries([f"clip {index}" for index in range(50)], scores, p_values, rate)
    assert sorted(one.position for one in found) == naive_discoveries(p_values, rate) != []
    assert [one.p_value for one in found] == sorted(one.p_value for one in found)
    assert all(one.name == f"clip {one.position}" and one.false_discovery_rate <= rate for one in found)


def test_clips_without_a_p_value_take_no_part_in_discoveries():
    p_values = np.asarray([0.01, np.nan, 0.9])
    (one,) = discoveries(["a", "b", "c"], np.zeros(3), p_values, 0.05)
    assert (one.name, one.false_discovery_rate) == ("a", pytest.approx(0.02))
    with pytest.raises(ValueError, match=r"false_discovery_rate=1\.0 is not a valid rate"):
        discoveries([], np.empty(0), np.empty(0), 1.0)

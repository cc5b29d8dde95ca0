"""Normalization between domains against the published scores, and by statistics of references."""

from pathlib import Path

import numpy as np
import pytest
import torch

from modeling_retainmix.detection import domain_normalized_score
from modeling_retainmix.detection.normalization import DistanceStatistics

ARRAYS = np.load(Path(__file__).parents[1] / "golden" / "genrep" / "scoring.npz")
CASES = ["k1_plain", "k3_plain", "k1_mix5_a090", "k3_mix5_a090", "k1_mixall_a090", "k1_mix1_a050"]


@pytest.mark.parametrize("case", CASES)
def test_without_statistics_scores_are_the_published_ones(case):
    distances = [torch.from_numpy(ARRAYS[f"{case}/knn_{domain}"]) for domain in ("source", "target")]
    np.testing.assert_allclose(domain_normalized_score(*distances).numpy(), ARRAYS[f"{case}/score_norm"], atol=5e-6)


def test_with_statistics_a_score_does_not_depend_on_the_other_clips():
    source, target = torch.tensor([3.0, 8.0, 5.0]), torch.tensor([9.0, 4.0, 6.0])
    statistics = DistanceStatistics(4.0, 0.5), DistanceStatistics(5.0, 2.0)
    scores = domain_normalized_score(source, target, *statistics)
    assert scores.tolist() == [-2.0, -0.5, 0.5]  # of (-2, 2), (8, -0.5), (2, 0.5)
    assert domain_normalized_score(source[1:2], target[1:2], *statistics).tolist() == [-0.5]


def test_when_one_statistic_is_missing_then_error_says_so():
    with pytest.raises(ValueError, match="one domain only"):
        domain_normalized_score(torch.ones(2), torch.ones(2), DistanceStatistics(0.0, 1.0))


def test_when_distances_do_not_vary_then_error_names_the_domain():
    with pytest.raises(ValueError, match="target bank do not vary"):
        domain_normalized_score(torch.tensor([1.0, 2.0]), torch.ones(2))


def test_when_a_single_clip_is_normalized_by_itself_then_error_says_so():
    with pytest.raises(ValueError, match="source bank do not vary"):
        domain_normalized_score(torch.ones(1), torch.ones(1))


def test_when_shapes_differ_then_error_names_them():
    with pytest.raises(ValueError, match=r"\[2\] and \[3\]"):
        domain_normalized_score(torch.ones(2), torch.ones(3))

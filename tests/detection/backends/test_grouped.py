"""Groups of blocks that are compared apart: units, sums, contrasts and bad settings."""

import numpy as np
import pytest
import torch

from modeling_retainmix.detection.backends.base import References
from modeling_retainmix.detection.backends.build import build_backend
from modeling_retainmix.detection.backends.grouped import GroupedBackend, grouped_backends
from modeling_retainmix.detection.backends.knn import KnnBackend
from modeling_retainmix.detection.backends.whitened import WhitenedBackend
from modeling_retainmix.detection.domain_scores import DomainScores
from modeling_retainmix.detection.settings import DetectorSettings
from modeling_retainmix.detection.vector_layout import VectorLayout

# Bands of one block of 3 features, then of two blocks of changes of 2 and 4.
LAYOUT = VectorLayout((3, 2, 4), num_bands=2, num_changes=2)
STILL = 6


def drawn(count: int = 12, num_target: int = 4) -> tuple[References, torch.Tensor]:
    vectors = torch.randn(count + 5, 18, generator=torch.Generator().manual_seed(count))
    vectors[:, STILL:] *= 30
    is_target = torch.arange(count) >= count - num_target
    vectors[:count][is_target] += 2
    return References(vectors[:count], torch.arange(count), is_target, LAYOUT), vectors[count:]


def of_group(references: References, start: int, stop: int) -> References:
    return References(references.vectors[:, start:stop], references.recording_index, references.is_target_domain)


@pytest.mark.parametrize("backend", [KnnBackend, WhitenedBackend])
def test_distance_is_the_sum_of_the_groups_in_units_of_references_left_out(backend):
    references, queries = drawn()
    joined = grouped_backends(references, backend)
    expected = {domain: np.zeros(len(queries)) for domain in ("source", "target")}
    left_out = {domain: np.zeros(len(references.vectors)) for domain in ("source", "target")}
    for start, stop in ((0, STILL), (STILL, 10), (10, 18)):
        members = {domain: backend(of_group(references, start, stop), domain) for domain in expected}
        nearest = np.min([member.reference_distances().numpy() for member in members.values()], axis=0)
        for domain, member in members.items():
            unit = np.sort(nearest)[(len(nearest) - 1) // 2]
            expected[domain] += member.distance(queries[:, start:stop]).numpy() / unit
            left_out[domain] += member.reference_distances().numpy() / unit
    for domain, one in joined.items():
        np.testing.assert_allclose(one.distance(queries).numpy(), expected[domain], rtol=1e-5)
        np.testing.assert_allclose(one.reference_distances().numpy(), left_out[domain], rtol=1e-5)
        np.testing.assert_allclose(one.leave_one_out().numpy(), left_out[domain][one.rows], rtol=1e-5)


def test_changes_count_by_their_weight():
    references, queries = drawn()
    distances = {
        weight: grouped_backends(references, KnnBackend, weight)["source"].distance(queries) for weight in (1, 2, 4)
    }
    torch.testing.assert_close(distances[4] - distances[2], 2 * (distances[2] - distances[1]))
    settings = DetectorSettings(backend="knn", normalization="none", change_weight=4)
    parts = references.vectors, references.recording_index, references.is_target_domain
    scores = DomainScores(settings, *parts, LAYOUT).distances(queries)[:, 0]
    torch.testing.assert_close(scores, distances[4])


def test_no_group_decides_by_the_size_of_its_features():
    references, queries = drawn()
    louder = References(
        references.vectors * torch.tensor([1.0] * STILL + [1000.0] * 12),
        references.recording_index,
        references.is_target_domain,
        LAYOUT,
    )
    plain = grouped_backends(references, KnnBackend)["source"].distance(queries)
    queries = queries * torch.tensor([1.0] * STILL + [1000.0] * 12)
    torch.testing.assert_close(grouped_backends(louder, KnnBackend)["source"].distance(queries), plain)


def test_when_there_is_one_group_then_the_backend_is_as_ever():
    references, _ = drawn()
    changes_alone = References(
        references.vectors[:, STILL:],
        references.recording_index,
        references.is_target_domain,
        VectorLayout((6,), num_bands=2, num_changes=1),
    )
    assert type(grouped_backends(changes_alone, WhitenedBackend)["target"]) is WhitenedBackend


@pytest.mark.parametrize("name", ["knn", "whitened", "mahalanobis", "subband", "density", "pca"])
def test_every_backend_of_distances_takes_groups(name):
    references, queries = drawn()
    settings = DetectorSettings(backend=name, normalization="none")
    scores = DomainScores(
        settings, references.vectors, references.recording_index, references.is_target_domain, LAYOUT
    )
    assert all(type(backend) is GroupedBackend for backend in scores.backends.values())
    assert np.isfinite(scores.scores(queries)).all() and np.isfinite(scores.leave_one_out()).all()
    assert scores.scores(3 * queries).mean() > scores.scores(queries).mean()


@pytest.mark.parametrize("name", ["fusion", "varmin"])
def test_when_distances_may_be_negative_then_the_error_names_the_cure(name):
    references, _ = drawn()
    parts = references.vectors, references.recording_index, references.is_target_domain
    with pytest.raises(ValueError, match="use backend='whitened' or 'knn', or read no 'change-K'"):
        DomainScores(DetectorSettings(backend=name), *parts, LAYOUT)


@pytest.mark.parametrize("backend", ["knn", "whitened"])
@pytest.mark.parametrize("changed", [slice(0, 18), slice(0, STILL), slice(STILL, 18)])
def test_contrast_gives_the_squared_distance(backend, changed):
    references, queries = drawn()
    values = DetectorSettings(backend=backend, normalization="none").to_dict()
    joined = grouped_backends(references, lambda group, domain: build_backend(backend, group, domain, values))[
        "source"
    ]
    query = references.vectors[1].clone()  # of which one group may not differ at all
    query[changed] = queries[0, changed]
    assert joined.has_contrast
    contrast = joined.contrast(query)
    squared = float((query.double() - contrast.origin) @ contrast.direction)
    assert squared == pytest.approx(float(joined.distance(query[None])) ** 2, rel=1e-4)
    if changed.start > 0:
        assert contrast.row == 1
    assert references.domains[int(references.is_target_domain[contrast.row])] == "source"


@pytest.mark.parametrize("count", [1, 2])
def test_few_references_give_finite_distances(count):
    references, queries = drawn(count, num_target=0)
    distance = grouped_backends(references, WhitenedBackend)["source"].distance(queries)
    assert distance.isfinite().all() and (distance > 0).all()


def test_copies_of_one_reference_have_the_distance_zero():
    references, _ = drawn()
    copies = References(references.vectors[:1].repeat(4, 1), torch.arange(4), torch.zeros(4, dtype=torch.bool), LAYOUT)
    assert grouped_backends(copies, WhitenedBackend)["source"].distance(copies.vectors).tolist() == [0] * 4

"""VarMin against its formula in plain loops."""

import numpy as np
import pytest
import torch

from modeling_retainmix.detection.backends.base import References
from modeling_retainmix.detection.backends.varmin import VarMinBackend
from modeling_retainmix.detection.vector_layout import VectorLayout

GENERATOR = torch.Generator().manual_seed(0)
COUNT, WIDTH, BANDS = 9, 12, 3
VECTORS = torch.randn(COUNT, WIDTH, generator=GENERATOR) + 0.5
QUERIES = torch.randn(4, WIDTH, generator=GENERATOR)


def references_of(vectors, recording_index=None):
    index = torch.arange(len(vectors)) if recording_index is None else recording_index
    return References(vectors, index, torch.zeros(len(vectors), dtype=torch.bool), VectorLayout(num_bands=BANDS))


def cosine_distance(one, other):
    return (1 - float(one @ other / (one.norm() * other.norm()))) / 2


def naive_scores(vectors, queries, recording_index=None, neighbors=4):
    """The mean over bands of min_i(d_i - alpha * b_i), as the formula has it."""
    recordings = list(range(len(vectors))) if recording_index is None else recording_index.tolist()
    totals = np.zeros(len(queries))
    for band in range(BANDS):
        part = slice(band * WIDTH // BANDS, (band + 1) * WIDTH // BANDS)
        bank, tests = vectors[:, part].double(), queries[:, part].double()
        spacings, pairs = [], []
        for i, reference in enumerate(bank):
            others = [
                (cosine_distance(reference, bank[j]), j) for j in range(len(bank)) if recordings[j] != recordings[i]
            ]
            nearest = sorted(others)[: min(neighbors, len(others))]
            spacings.append(np.mean([distance for distance, _ in nearest]) if nearest else 0.0)
            pairs += nearest[:1]
        d, b = [distance for distance, _ in pairs], [spacings[j] for _, j in pairs]
        variance = np.var(b) if b else 0.0
        alpha = np.mean((np.array(d) - np.mean(d)) * (np.array(b) - np.mean(b))) / variance if variance > 0 else 0.0
        for number, test in enumerate(tests):
            corrected = [cosine_distance(test, r) - alpha * s for r, s in zip(bank, spacings, strict=True)]
            totals[number] += min(corrected) / BANDS
    return totals


@pytest.mark.parametrize("count", [1, 2, 3, 5, 9])
def test_scores_follow_the_formula(count):
    backend = VarMinBackend(references_of(VECTORS[:count]), "source")
    expected = naive_scores(VECTORS[:count], QUERIES)
    np.testing.assert_allclose(backend.distance(QUERIES).numpy(), expected, rtol=1e-4, atol=1e-6)
    assert (backend.distance(torch.cat([VECTORS, QUERIES])) >= backend.lower_bound - 1e-6).all()


@pytest.mark.parametrize("neighbors", [1, 2])
def test_windows_of_a_recording_are_not_neighbors(neighbors):
    index = torch.tensor([0, 0, 1, 2, 2, 2, 3, 4, 5])
    backend = VarMinBackend(references_of(VECTORS, index), "source", neighbors)
    expected = naive_scores(VECTORS, QUERIES, index, neighbors)
    np.testing.assert_allclose(backend.distance(QUERIES).numpy(), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("index", [torch.arange(COUNT), torch.tensor([0, 0, 1, 2, 2, 2, 3, 4, 5])])
def test_leaving_out_equals_a_bank_without_the_recording(index):
    left_out = VarMinBackend(references_of(VECTORS, index), "source").leave_one_out()
    for row in range(COUNT):
        rest = index != index[row]
        expected = naive_scores(VECTORS[rest], VECTORS[row : row + 1], index[rest])
        assert float(left_out[row]) == pytest.approx(float(expected[0]), rel=1e-4, abs=1e-6)


def test_the_correction_leaves_the_least_variance_in_the_references_distances():
    backend = VarMinBackend(references_of(VECTORS), "source")
    for band, alpha in zip(backend._bands, backend.alpha, strict=True):
        nearest = band._near.min(dim=1)
        distance = nearest.values.double()
        spacing = band.correction.spacing[band._near_rows[torch.arange(COUNT), nearest.indices]].double()
        least = (distance - alpha * spacing).var()
        for other in (alpha - 0.05, alpha + 0.05):
            assert (distance - other * spacing).var() > least
        assert alpha != 0


def test_when_spacings_are_equal_then_distances_are_plain():
    equal = torch.eye(4).repeat(1, BANDS)  # every pair of references is as far apart
    backend = VarMinBackend(references_of(equal), "source")
    assert backend.alpha == [0.0] * BANDS and backend.lower_bound == 0
    expected = [np.mean([min(cosine_distance(q, r) for r in torch.eye(4)) for q in v.chunk(BANDS)]) for v in QUERIES]
    np.testing.assert_allclose(backend.distance(QUERIES).numpy(), expected, rtol=1e-5)


def test_one_recording_cannot_be_left_out():
    index = torch.zeros(2, dtype=torch.int64)
    backend = VarMinBackend(references_of(VECTORS[:2], index), "source")
    assert backend.leave_one_out().tolist() == [torch.inf] * 2
    np.testing.assert_allclose(backend.distance(QUERIES).numpy(), naive_scores(VECTORS[:2], QUERIES, index), rtol=1e-5)


def test_when_the_width_does_not_divide_into_bands_then_error_names_both():
    with pytest.raises(ValueError, match="vectors of 12 features do not divide into 5 bands"):
        VarMinBackend(
            References(VECTORS, torch.arange(COUNT), torch.zeros(COUNT, dtype=torch.bool), VectorLayout(num_bands=5)),
            "source",
        )

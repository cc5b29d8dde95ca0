"""Distances to the banks against the published ones; leaving one recording out against banks built without it."""

from pathlib import Path

import numpy as np
import pytest
import torch

from modeling_retainmix.detection import nearest_search as knn
from modeling_retainmix.detection.backends.knn import MemoryBank

ARRAYS = np.load(Path(__file__).parents[2] / "golden" / "genrep" / "scoring.npz")
VECTORS = torch.cat([torch.from_numpy(ARRAYS["source"]), torch.from_numpy(ARRAYS["target"])])
IS_TARGET = torch.arange(50) >= 40
RECORDING = torch.arange(50)


@pytest.mark.parametrize(
    ("case", "k", "support", "alpha"),
    [
        ("k1_plain", 1, None, 0.9),
        ("k3_plain", 3, None, 0.9),
        ("k1_mix5_a090", 1, 5, 0.9),
        ("k3_mix5_a090", 3, 5, 0.9),
        ("k1_mixall_a090", 1, 40, 0.9),
        ("k1_mix1_a050", 1, 1, 0.5),
    ],
)
def test_distances_are_the_published_ones(case, k, support, alpha):
    bank = MemoryBank(VECTORS, RECORDING, IS_TARGET, k, mix_support=support, mix_alpha=alpha)
    distances = bank.distances(torch.from_numpy(ARRAYS["test"])).numpy()
    for column, domain in zip(distances.T, bank.domains, strict=True):
        np.testing.assert_allclose(column, ARRAYS[f"{case}/knn_{domain}"], rtol=2e-6, atol=1e-7)
    np.testing.assert_allclose(distances.min(axis=1), ARRAYS[f"{case}/score_raw"], rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_leaving_out_equals_a_bank_without_the_recording(k, metric):
    recording = RECORDING // 2  # two vectors of each recording
    distances = MemoryBank(VECTORS, recording, IS_TARGET, k, metric).leave_one_out()
    for row in (0, 7, 41):
        others = recording != recording[row]
        bank = MemoryBank(VECTORS[others], recording[others], IS_TARGET[others], k, metric)
        torch.testing.assert_close(distances[row : row + 1], bank.distances(VECTORS[row : row + 1]))


def test_leaving_out_also_removes_what_was_mixed_from_the_recording():
    whole = MemoryBank(VECTORS, RECORDING, IS_TARGET, mix_support=40)  # every target with every source
    distances = whole.leave_one_out()
    for row in (3, 44):
        others = row != RECORDING
        bank = MemoryBank(VECTORS[others], RECORDING[others], IS_TARGET[others], mix_support=40)
        torch.testing.assert_close(distances[row : row + 1], bank.distances(VECTORS[row : row + 1]))
    # what is removed matters: with alpha near 1 a target's mixtures are its near copies
    kept = MemoryBank(VECTORS, RECORDING, IS_TARGET, mix_support=40, mix_alpha=0.999)
    assert kept.distances(VECTORS[44:45])[0, 1] == 0
    assert kept.leave_one_out()[44, 1] > 1


def test_when_leaving_out_is_chunked_then_result_does_not_change(monkeypatch):
    bank = MemoryBank(VECTORS, RECORDING, IS_TARGET, 2, mix_support=5)
    whole = bank.leave_one_out()
    monkeypatch.setattr(knn, "_CHUNK_ELEMENTS", 130)
    torch.testing.assert_close(bank.leave_one_out(), whole, rtol=0, atol=0)


def test_when_one_domain_has_references_then_there_is_one_bank():
    bank = MemoryBank(VECTORS[:40], RECORDING[:40], IS_TARGET[:40], mix_support=5)
    assert bank.domains == ["source"]
    assert bank.distances(VECTORS[40:]).shape == (10, 1)


def test_nearest_reference_of_a_mixed_vector_is_its_target():
    bank = MemoryBank(VECTORS, RECORDING, IS_TARGET, mix_support=3)
    mixed = bank.bank("target")[10 + 3 * 4 + 1]  # second neighbour of the fifth target reference
    contrast = bank.contrast(mixed + 0.25, "target")
    torch.testing.assert_close(contrast.origin, mixed.double(), rtol=0, atol=0)
    torch.testing.assert_close(contrast.direction, torch.full_like(contrast.origin, 0.25), rtol=0, atol=1e-6)
    assert contrast.recording == 44


def test_when_there_are_no_references_then_error_says_so():
    with pytest.raises(ValueError, match="the machine has no references"):
        MemoryBank(VECTORS[:0], RECORDING[:0], IS_TARGET[:0])


def test_when_a_domain_has_fewer_references_than_k_then_error_names_it():
    with pytest.raises(ValueError, match="target domain has 10 references, fewer than k=11"):
        MemoryBank(VECTORS, RECORDING, IS_TARGET, k=11)


def test_when_a_bank_is_too_small_to_leave_one_out_then_error_names_the_domain():
    with pytest.raises(ValueError, match="target domain has too few references to leave one recording out with k=10"):
        MemoryBank(VECTORS, RECORDING, IS_TARGET, k=10).leave_one_out()

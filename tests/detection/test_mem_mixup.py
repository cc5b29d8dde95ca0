"""MemMixup gives the published banks bit for bit."""

from pathlib import Path

import numpy as np
import pytest
import torch

from modeling_retainmix.detection import mem_mixup

ARRAYS = np.load(Path(__file__).parents[1] / "golden" / "genrep" / "scoring.npz")
SOURCE, TARGET = torch.from_numpy(ARRAYS["source"]), torch.from_numpy(ARRAYS["target"])


@pytest.mark.parametrize(
    ("case", "num_support", "alpha"), [("k1_mix5_a090", 5, 0.9), ("k3_mix5_a090", 5, 0.9), ("k1_mix1_a050", 1, 0.5)]
)
def test_bank_is_the_published_one_bit_for_bit(case, num_support, alpha):
    bank = torch.cat([SOURCE, mem_mixup(SOURCE, TARGET, alpha, num_support)])
    np.testing.assert_array_equal(bank.numpy(), ARRAYS[f"{case}/memory_bank"])


@pytest.mark.parametrize("num_support", [40, 990])
def test_when_support_is_all_sources_then_bank_is_the_published_one(num_support):
    bank = torch.cat([SOURCE, mem_mixup(SOURCE, TARGET, 0.9, num_support)]).numpy()
    np.testing.assert_allclose(
        bank.astype(np.float64).sum(axis=1), ARRAYS["k1_mixall_a090/memory_bank_rowsum_f64"], rtol=1e-12
    )
    np.testing.assert_array_equal(bank[-45:], ARRAYS["k1_mixall_a090/memory_bank_tail"])


def test_when_alpha_is_one_then_mixed_vectors_are_the_target_references():
    bank = mem_mixup(SOURCE, TARGET, alpha=1.0, num_support=3)
    torch.testing.assert_close(bank[10:], TARGET.repeat_interleave(3, dim=0))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"alpha": 1.5}, "alpha=1.5"),
        ({"num_support": 0}, "num_support=0"),
        ({"source": torch.zeros(0, 24)}, "0 source, 10 target"),
    ],
)
def test_when_arguments_are_wrong_then_error_names_the_value(arguments, message):
    with pytest.raises(ValueError, match=message):
        mem_mixup(**{"source": SOURCE, "target": TARGET, **arguments})

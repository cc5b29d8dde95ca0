"""The global sequence of pairs: weighted, keyed, the same for any number of processes."""

import numpy as np
import pytest
from accelerate.data_loader import BatchSamplerShard
from torch.utils.data import BatchSampler

from modeling_retainmix.training.sampler import PairSampler

MACHINE_CLASSES = np.array([0] * 90 + [1] * 9 + [2])
NOISE_CLASSES = np.array([1, 0, 0, 0])


def make_sampler(num_samples=64, seed=0):
    return PairSampler(MACHINE_CLASSES, NOISE_CLASSES, num_samples, seed)


def test_when_classes_differ_in_size_then_each_is_drawn_equally_often():
    keys = list(make_sampler(30_000))
    classes = MACHINE_CLASSES[[key.machine for key in keys]]
    assert np.abs(np.bincount(classes) / 30_000 - 1 / 3).max() < 0.01
    noise = np.bincount([key.noise for key in keys]) / 30_000
    assert noise[0] == pytest.approx(1 / 2, abs=0.01)
    assert noise[1:] == pytest.approx([1 / 6] * 3, abs=0.01)


def test_when_epoch_is_set_then_positions_go_on_from_the_last_epoch():
    sampler = make_sampler(8)
    first = list(sampler)
    sampler.set_epoch(1)
    second = list(sampler)
    assert [key.position for key in first + second] == list(range(16))
    assert [key.machine for key in first] != [key.machine for key in second]


def test_when_epochs_have_another_length_then_the_sequence_is_the_same():
    long = list(make_sampler(16))
    short = make_sampler(8)
    short.set_epoch(1)
    assert list(short) == long[8:]


def test_when_two_processes_share_the_sequence_then_slices_are_disjoint_and_complete():
    whole = list(make_sampler(64))
    shards = [
        [key for batch in BatchSamplerShard(BatchSampler(make_sampler(64), 4, False), 2, rank) for key in batch]
        for rank in range(2)
    ]
    assert not set(shards[0]) & set(shards[1])
    assert sorted(shards[0] + shards[1]) == sorted(whole)


def test_when_seed_differs_then_sequence_differs():
    assert list(make_sampler(seed=0)) != list(make_sampler(seed=1))


def test_when_table_is_empty_then_error_says_so():
    with pytest.raises(ValueError, match="empty"):
        PairSampler(np.array([], dtype=int), NOISE_CLASSES, 8, 0)

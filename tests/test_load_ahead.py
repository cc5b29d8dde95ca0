"""Clips come in order, and only so many are loaded before they are asked for."""

import threading

import numpy as np
import pytest

from modeling_retainmix.load_ahead import load_ahead


def test_clips_come_in_order_with_their_errors():
    def load(number):
        if number == 3:
            raise ValueError("clip 3 is broken")
        return np.full(2, number)

    futures = list(load_ahead(range(6), load, max_clips=2))
    assert [int(future.result()[0]) for future in futures if future.exception() is None] == [0, 1, 2, 4, 5]
    assert str(futures[3].exception()) == "clip 3 is broken"


@pytest.mark.parametrize(("samples", "max_clips", "most"), [(10, 8, 8), (40, 8, 2), (1000, 8, 2), (25, 8, 4)])
def test_so_many_clips_are_held_as_their_samples_allow(samples, max_clips, most):
    lock = threading.Lock()
    held, peak = 0, 0

    def load(number):
        nonlocal held, peak
        with lock:
            held += 1
            peak = max(peak, held)
        return np.zeros(samples)

    for future in load_ahead(range(40), load, max_clips=max_clips, max_samples=100):
        future.result()
        with lock:
            held -= 1
    assert held == 0
    assert peak <= most + 1  # one more may begin while the first is handed over


def test_when_the_consumer_stops_then_no_further_clip_is_loaded():
    loaded = []
    clips = load_ahead(range(1000), loaded.append, max_clips=4, num_samples=lambda clip: 0)
    next(clips)
    clips.close()
    assert len(loaded) <= 6

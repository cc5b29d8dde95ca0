"""Events of a factory: every family is heard, in every clip."""

import numpy as np
import pytest

from modeling_retainmix.data.factory import events, signals

SAMPLES = 32000


@pytest.mark.parametrize("family", events.EVENTS)
def test_every_family_of_events_is_heard(family):
    sound = events.EVENTS[family](np.random.default_rng(0), np.random.default_rng(1), SAMPLES)
    assert sound.shape == (SAMPLES,)
    assert np.isfinite(sound).all()
    assert sound.std() > 0


@pytest.mark.parametrize("family", ["bursts", "horns", "hammering", "impacts"])
def test_no_clip_is_without_an_event(family):
    for index in range(40):
        length = signals.padded_length(SAMPLES)
        sound = events.EVENTS[family](np.random.default_rng(0), np.random.default_rng(index), length)
        kept = sound[signals.MARGIN : signals.MARGIN + SAMPLES]
        assert np.sqrt(np.mean(kept**2)) > 0.2 * np.sqrt(np.mean(sound**2))

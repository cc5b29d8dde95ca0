"""The ambience of a factory and of its zones."""

import numpy as np

from modeling_retainmix.data.factory.ambience import draw_ambience
from modeling_retainmix.data.factory.catalogue import NOISE_FACTORIES


def test_zones_of_a_training_factory_have_colors_of_their_own():
    foundry = NOISE_FACTORIES["train"][0]
    first, second = (draw_ambience(foundry, 0, zone) for zone in (0, 1))
    assert np.abs(first.color_db - second.color_db).mean() > 0.5
    np.testing.assert_array_equal(first.tones_hz, second.tones_hz)

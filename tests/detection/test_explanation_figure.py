"""The picture of a deviation map."""

import numpy as np

from modeling_retainmix.detection.explanation_figure import deviation_map


class Explained:
    level_deviations = np.arange(24.0).reshape(6, 4) - 3
    start_seconds, column_seconds = 1.0, 0.5


def test_when_a_map_is_drawn_then_colors_are_symmetric_and_axes_are_seconds_and_hz():
    axes, bar = deviation_map(Explained(), "A gear").axes
    (mesh,) = axes.collections
    assert mesh.get_clim() == (-20.0, 20.0) and axes.get_title() == "A gear"
    np.testing.assert_array_equal(mesh.get_array().reshape(4, 6), Explained.level_deviations.T)
    assert axes.get_xlim() == (1.0, 4.0)
    labels = [int(label.get_text()) for label in axes.get_yticklabels()]
    assert labels == sorted(labels) and len(labels) == 5
    assert "standard deviations" in bar.get_ylabel()

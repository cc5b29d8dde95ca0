"""A picture of where a recording deviates from the references."""

from typing import TYPE_CHECKING

import numpy as np

from modeling_retainmix.detection.explanation import Explanation
from modeling_retainmix.detection.level_cells import band_edges

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def deviation_map(explanation: Explanation, title: str) -> "Figure":
    """Draw the level deviations over seconds and Hz; red is louder than the references, blue quieter.

    Args:
        explanation: of one recording.
        title: above the map.

    Raises:
        ImportError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(f"a picture needs matplotlib ({error}): pip install 'retainmix[plots]'") from error
    deviations = explanation.level_deviations
    columns, patches = deviations.shape
    seconds = explanation.start_seconds + explanation.column_seconds * np.arange(columns + 1)
    limit = np.abs(deviations).max()
    figure = Figure(figsize=(7, 3), dpi=110, layout="constrained")
    axes = figure.subplots()
    # Patches are of equal height, as the encoder sees them: the axis is mel, its labels are Hz.
    mesh = axes.pcolormesh(seconds, np.arange(patches + 1), deviations.T, cmap="RdBu_r", vmin=-limit, vmax=limit)
    axes.set_yticks(np.arange(patches + 1), [f"{edge:.0f}" for edge in band_edges(patches)])
    axes.set_xlabel("Time in s")
    axes.set_ylabel("Frequency in Hz")
    axes.set_title(title, fontsize="medium")
    figure.colorbar(mesh, ax=axes, label="Level against the references\nin standard deviations")
    return figure

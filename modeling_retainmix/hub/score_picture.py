"""The picture of a model card: the official score of every system over the signal-to-noise ratio.

A system has one color: a solid line by the nearest reference, a dashed one whitened, a dotted one joined.
"""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PICTURE = "scores.png"

_LINES = {"_whitened": "--", "_joined": ":"}  # by the ends of keys


def draw_scores(results: Mapping[str, Any], path: Path) -> bool:
    """Draw the rows of a run's results, a panel for each subset, and save the picture.

    Args:
        results: content of `results.json`, with rows.
        path: of the PNG.

    Returns:
        Whether it was drawn.

    Warns:
        UserWarning: matplotlib is not installed, so there is no picture.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        warnings.warn(f"{path} is not drawn, as matplotlib is missing: pip install retainmix[plots]", stacklevel=3)
        return False

    rows = results["rows"]
    subsets = list(rows[0]["scores"])
    figure = Figure(figsize=(3.2 * len(subsets) + 0.6, 3.6), dpi=100, layout="constrained")
    panels = figure.subplots(1, len(subsets), sharey=True, squeeze=False)[0]
    systems = list(dict.fromkeys(_system(row) for row in rows))
    for axes, subset in zip(panels, subsets, strict=True):
        for row in rows:
            cells = row["scores"][subset]
            axes.plot(
                [float(snr) for snr in cells],
                list(cells.values()),
                marker="o",
                markersize=4,
                color=f"C{systems.index(_system(row))}",
                linestyle=_LINES.get(row["key"].removeprefix(_system(row)), "-"),
                label=row["name"],
            )
        axes.axhline(50, color="0.6", linewidth=0.8, linestyle=":")  # chance
        axes.set_title(subset, fontsize="medium")
        axes.set_xticks([float(snr) for snr in rows[0]["scores"][subset]])
        axes.set_xlabel("SNR in dB")
    panels[0].set_ylabel("Official score in %")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize="small")
    figure.savefig(path, metadata={"Software": None})  # without the version of the library
    return True


def _system(row: Mapping[str, Any]) -> str:
    key = str(row["key"])
    return next((key.removesuffix(end) for end in _LINES if key.endswith(end)), key)

"""Draw where in time and frequency a recording differs from those of the healthy machine.

python examples/deviation_map.py --references healthy/ --recording suspect.wav --output deviation_map.png

The map is `level_deviations` of `AnomalyDetector.explain`: the log-mel level of each cell against that of the
references, in standard deviations. Of a recording longer than a window it shows the window with the highest score.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from modeling_retainmix import AnomalyDetector
from modeling_retainmix.detection.explanation import Explanation
from modeling_retainmix.detection.level_cells import band_edges

TINY_MODEL = Path(__file__).parents[1] / "hub_cards" / "retainmix-beats-tiny"


def deviation_map(explanation: Explanation, title: str) -> Figure:
    """Draw the level deviations over seconds and Hz; red is louder than the references, blue quieter."""
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


def channel(value: str) -> int | str:
    return value if value == "mean" else int(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--model", default=str(TINY_MODEL), help="encoder: folder, Hub name or original .pt; default: %(default)s"
    )
    parser.add_argument("--references", required=True, help="folder of recordings of the healthy machine")
    parser.add_argument("--recording", required=True, help="file to look at")
    parser.add_argument(
        "--channel", type=channel, help="of recordings with several channels: an index from 0, or 'mean'"
    )
    parser.add_argument("--title", help="of the picture; default: the name of the recording")
    parser.add_argument("--output", default="deviation_map.png", help="picture to write; default: %(default)s")
    options = parser.parse_args()
    try:
        detector = AnomalyDetector.from_pretrained(options.model).fit(options.references, channel=options.channel)
        (explanation,) = detector.explain(options.recording, channel=options.channel)
        figure = deviation_map(explanation, options.title or Path(options.recording).name)
        Path(options.output).parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(options.output)
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    print(f"the picture is in {options.output}")


if __name__ == "__main__":
    main()

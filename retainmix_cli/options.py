"""Options that several commands share, and what their texts mean."""

import json
import math
from pathlib import Path
from typing import Annotated, Any, Literal

import typer


def channel(value: str) -> int | str:
    """Read a channel: an index from 0, or "mean".

    Raises:
        typer.BadParameter: anything else.
    """
    if value == "mean":
        return value
    try:
        return int(value)
    except ValueError:
        raise typer.BadParameter(f"{value!r} is neither an index from 0 nor mean") from None


def share(value: Any) -> float:
    """Read a number between 0 and 1.

    Raises:
        typer.BadParameter: anything else.
    """
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not 0 < number < 1:
        raise typer.BadParameter(f"{value!r} is not between 0 and 1: write 0.1 for 10 %")
    return number


def layers(value: str) -> int | str | tuple[int | str, ...]:
    """Read a layer, or several with commas between them, such as `1,log-mel`."""
    parts = tuple(int(part) if part.isdecimal() else part for part in value.split(","))
    return parts if len(parts) > 1 else parts[0]


def setting(value: str) -> tuple[str, Any]:
    """Read NAME=VALUE; a value that is no JSON is a text.

    Raises:
        typer.BadParameter: there is no `=`.
    """
    name, equals, text = value.partition("=")
    if not equals:
        raise typer.BadParameter(f"{value!r} is not of the form NAME=VALUE, such as k=2")
    try:
        return name.strip(), json.loads(text)
    except json.JSONDecodeError:
        return name.strip(), None if text == "None" else text


Detector = Annotated[Path, typer.Option("--detector", "-d", help="Detector: folder that `retainmix fit` wrote.")]
Channel = Annotated[
    Any, typer.Option(parser=channel, metavar="INDEX|mean", help="What to take of recordings with several channels.")
]
FarChannel = Annotated[
    Any, typer.Option(parser=channel, metavar="INDEX|mean", help="Of the far microphone; see --microphones of fit.")
]
Far = Annotated[Path | None, typer.Option(help="Folder of the far microphone's files, in the same order.")]
Sessions = Annotated[
    str | None,
    typer.Option(
        "--sessions",
        "--groups",
        metavar="HOW",
        help="Which recordings are of one session: folder, FILE.csv:COLUMN, or a regular expression with one group.",
    ),
]
Group = Annotated[
    str | None,
    typer.Option(
        "--group",
        metavar="HOW",
        help="Tell most recordings from the few of changed conditions: folder, FILE.csv:COLUMN, a regular expression "
        "with one group, or source (all are usual) or target (all are of changed conditions).",
    ),
]
DEFAULT_MODEL = "retainmix-beats-tiny"  # `modeling_retainmix.shipped`, whose package takes seconds to import
Model = Annotated[str, typer.Option(help="Encoder: folder, Hub name or original .pt; log-mel: none.")]
Layer = Annotated[
    Any,
    typer.Option(
        parser=layers, metavar="LAYER[,...]", help="Layers to read of the encoder, log-mel or level among them."
    ),
]
Backend = Annotated[str | None, typer.Option(help="How distances are measured: whitened, mahalanobis, knn, ...")]
Microphones = Annotated[
    Literal["near", "cancel", "residual", "fusion"] | None,
    typer.Option(help="What becomes of a far microphone's recordings; near: there is none."),
]
Settings = Annotated[
    list[Any] | None,
    typer.Option(
        "--setting", parser=setting, metavar="NAME=VALUE", help="Any other setting of the detector, such as k=2."
    ),
]
Method = Annotated[
    Literal["quantile", "gamma"],
    typer.Option(help="Of the threshold: gamma has one for any rate, if scores are so distributed."),
]
FalseAlarmRate = Annotated[
    Any,
    typer.Option(
        parser=share, metavar="RATE", help="Share of normal recordings that may be called anomalous, 0.1 for 10 %."
    ),
]


def chosen_settings(layer: Any, backend: str | None, microphones: str | None, others: Any) -> dict[str, Any]:
    """Collect the settings of a detector that the user gave; the others keep their defaults.

    Raises:
        ValueError: a setting is given twice.
    """
    named = {"layer": layer, "backend": backend, "microphones": microphones}
    found = {name: value for name, value in named.items() if value is not None}
    for name, value in others or []:
        if name in found:
            raise ValueError(f"the setting {name} is given twice: leave one out")
        found[name] = value
    return found

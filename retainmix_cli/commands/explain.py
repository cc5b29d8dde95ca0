"""`retainmix explain`: where and when a recording deviates, as a picture and in sentences."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from retainmix_cli.detectors import load_detector
from retainmix_cli.options import Channel, Detector, Far, FarChannel
from retainmix_cli.output import Json, say, show


def explain(
    recording: Annotated[Path, typer.Argument(help="Recording to look at.")],
    detector: Detector = Path("detector"),
    output: Annotated[Path, typer.Option("--output", "-o", help="Picture to write.")] = Path("deviation_map.png"),
    title: Annotated[str | None, typer.Option(help="Of the picture; by default the recording's name.")] = None,
    channel: Channel = None,
    far: Far = None,
    far_channel: FarChannel = None,
    json: Json = False,
) -> None:
    """Show where and when a recording deviates.

    A picture shows where it is louder or quieter than the references, sentences name the events.
    """
    say(f"explaining {recording}")
    from modeling_retainmix.atomic import whole_file
    from modeling_retainmix.detection.explanation_figure import deviation_map

    ready = load_detector(detector)
    how: dict[str, Any] = {"channel": channel, "far": far, "far_channel": far_channel}
    (explanation,) = ready.explain(recording, **how)
    figure = deviation_map(explanation, title or recording.name)
    output.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(output) as staged:
        figure.savefig(staged, format=output.suffix[1:] or "png")
    (events,) = ready.events(recording, **how)
    for event in events:
        show({"file": recording} | asdict(event) | {"sentence": event.sentence}, event.sentence, json)
    say(f"{len(events)} events; the picture is in {output}")

"""`retainmix explain`: where and when a recording deviates, as a picture or a page, and in sentences."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from retainmix_cli.detectors import load_detector
from retainmix_cli.options import Channel, Detector, Far, FarChannel
from retainmix_cli.output import Json, say, show

if TYPE_CHECKING:
    from modeling_retainmix import AnomalyDetector
    from modeling_retainmix.detection.events import Event


def explain(
    recording: Annotated[Path, typer.Argument(help="Recording to look at.")],
    detector: Detector = Path("detector"),
    output: Annotated[Path, typer.Option("--output", "-o", help="Picture to write.")] = Path("deviation_map.png"),
    html: Annotated[
        Path | None, typer.Option(help="Page to write in place of the picture: also verdict, player and warnings.")
    ] = None,
    title: Annotated[str | None, typer.Option(help="Of picture or page; by default the recording's name.")] = None,
    channel: Channel = None,
    far: Far = None,
    far_channel: FarChannel = None,
    json: Json = False,
) -> None:
    """Show where and when a recording deviates.

    A picture shows where it is louder or quieter than the references, sentences name the events. --html makes a page
    of one recording, as `retainmix report` makes of many.
    """
    say(f"explaining {recording}")
    ready = load_detector(detector)
    how: dict[str, Any] = {"channel": channel, "far": far, "far_channel": far_channel}
    if html is None:
        events, made = _draw(ready, recording, output, title or recording.name, how), f"picture is in {output}"
    else:
        from modeling_retainmix.reports import write_report

        (found,) = write_report(ready, recording, html, title=title or recording.name, max_details=1, **how).recordings
        events, made = list(found.detail.events) if found.detail else [], f"page is {html}"
    for event in events:
        show({"file": recording} | asdict(event) | {"sentence": event.sentence}, event.sentence, json)
    say(f"{len(events)} events; the {made}")


def _draw(
    detector: "AnomalyDetector", recording: Path, output: Path, title: str, how: dict[str, Any]
) -> "list[Event]":
    from modeling_retainmix.atomic import whole_file
    from modeling_retainmix.detection.explanation_figure import deviation_map

    (explanation,) = detector.explain(recording, **how)
    figure = deviation_map(explanation, title)
    output.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(output) as staged:
        figure.savefig(staged, format=output.suffix[1:] or "png")
    (events,) = detector.events(recording, **how)
    return events

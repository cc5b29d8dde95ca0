"""`retainmix explain`: where and when a recording deviates, as a picture or a page, and in sentences."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from retainmix_cli.detectors import check_places, load_detector
from retainmix_cli.options import Channel, Detector, Far, FarChannel
from retainmix_cli.output import Json, say, show

if TYPE_CHECKING:
    from modeling_retainmix import AnomalyDetector


def explain(
    recording: Annotated[Path, typer.Argument(help="Recording to look at.")],
    detector: Detector = Path("detector"),
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Picture to write; default: deviation_map.png, or with --json none."),
    ] = None,
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
    check_places(recording)
    ready = load_detector(detector)
    if recording.is_dir():
        raise ValueError(
            f"{recording} is a folder: name one recording, or see many with `retainmix report {recording}`"
        )
    how: dict[str, Any] = {"channel": channel, "far": far, "far_channel": far_channel}
    if html is None:
        picture = Path("deviation_map.png") if output is None and not json else output
        if picture is not None:
            _draw(ready, recording, picture, title or recording.name, how)
        (events,) = ready.events(recording, **how)
        made = None if picture is None else f"picture is in {picture}"
    else:
        from modeling_retainmix.reports import write_report

        (found,) = write_report(ready, recording, html, title=title or recording.name, max_details=1, **how).recordings
        events, made = list(found.detail.events) if found.detail else [], f"page is {html}"
    for event in events:
        show({"file": recording} | asdict(event) | {"sentence": event.sentence}, event.sentence, json)
    hint = "" if events else ", which says nothing of the score: events compare levels, cell by cell"
    say(f"{len(events)} event{'s' if len(events) != 1 else ''}{hint}{'' if made is None else f'; the {made}'}")


def _draw(detector: "AnomalyDetector", recording: Path, output: Path, title: str, how: dict[str, Any]) -> None:
    from modeling_retainmix.atomic import whole_file
    from modeling_retainmix.detection.explanation_figure import deviation_map

    (explanation,) = detector.explain(recording, **how)
    figure = deviation_map(explanation, title)
    output.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(output) as staged:
        figure.savefig(staged, format=output.suffix[1:] or "png")

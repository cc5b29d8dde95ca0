"""`retainmix confirm` and `undo`: what a person says of recordings becomes part of the detector, and can be undone."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from retainmix_cli.detectors import load_detector, read_recordings
from retainmix_cli.options import Channel, Detector, Far, FarChannel, Group, Sessions
from retainmix_cli.output import Json, say, show

Note = Annotated[str, typer.Option(help="Why, or who said so, for the detector's log.")]


def confirm(
    recordings: Annotated[list[Path], typer.Argument(help="Recordings that were normal: files or folders.")],
    detector: Detector = Path("detector"),
    note: Note = "",
    sessions: Sessions = None,
    group: Group = None,
    channel: Channel = None,
    far: Far = None,
    far_channel: FarChannel = None,
    json: Json = False,
) -> None:
    """Say of recordings: this was normal.

    They become references of the detector, until `retainmix undo` takes them back.
    """
    say(f"adding {', '.join(map(str, recordings))} to the references of {detector}")
    from modeling_retainmix.detection.saved_detector import locked

    with locked(detector):
        ready = load_detector(detector)
        files = read_recordings(recordings)
        ready.confirm_normal(files, None, group, channel, far=far, far_channel=far_channel, groups=sessions, note=note)
        ready.save_pretrained(detector)
    count = len(ready.reference_names)
    for file in files:
        record = {"confirmed": file.name, "detector": detector, "references": count}
        undoing = shlex.join(["retainmix", "undo", file.name, "--detector", str(detector)])
        show(record, f"{file.name} is a reference now; `{undoing}` takes it back", json)


def undo(
    names: Annotated[list[str], typer.Argument(help="Recordings that were confirmed: paths, or names alone.")],
    detector: Detector = Path("detector"),
    note: Note = "",
    json: Json = False,
) -> None:
    """Take back what was confirmed as normal."""
    say(f"taking {', '.join(names)} from the references of {detector}")
    from modeling_retainmix.detection.saved_detector import locked

    names = [Path(name).name for name in names]  # as the detector knows them
    with locked(detector):
        ready = load_detector(detector)
        for name in names:
            ready.undo_confirm(name, note)
        ready.save_pretrained(detector)
    count = len(ready.reference_names)
    for name in names:
        show({"undone": name, "detector": detector, "references": count}, f"{name} is no reference any more", json)

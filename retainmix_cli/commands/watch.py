"""`retainmix watch`: every recording that appears in a folder is scored once."""

import os
from pathlib import Path
from typing import Annotated

import typer

from retainmix_cli import exit_codes
from retainmix_cli.detectors import check_places
from retainmix_cli.options import Channel, Detector, FalseAlarmRate, FarChannel
from retainmix_cli.output import Json, say, show

MICROPHONE = "default"  # the system's own choice of an input


def watch(
    folder: Annotated[Path, typer.Argument(help="Folder in which recordings appear.")],
    detector: Detector = Path("detector"),
    state: Annotated[Path | None, typer.Option(help="Folder for what is remembered; default: the user's.")] = None,
    false_alarm_rate: FalseAlarmRate = 0.1,
    raise_at: Annotated[int, typer.Option(min=1, help="Raise the alarm when so many are anomalous ...")] = 3,
    of_last: Annotated[int, typer.Option(min=1, help="... of so many recordings; clear it when none is.")] = 5,
    poll: Annotated[float, typer.Option(min=0.01, help="Seconds between looks at the folder.")] = 5.0,
    once: Annotated[bool, typer.Option("--once", help="Score what is there, and end.")] = False,
    channel: Channel = None,
    far_channel: FarChannel = None,
    command: Annotated[list[str] | None, typer.Option(help="Run it for each recording, JSON on its input.")] = None,
    post: Annotated[list[str] | None, typer.Option(metavar="URL", help="POST JSON for each recording.")] = None,
    mqtt: Annotated[list[str] | None, typer.Option(metavar="HOST[:PORT]/TOPIC", help="Publish JSON likewise.")] = None,
    trend: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a page of the last days (HTML).")] = None,
    microphone: Annotated[
        str | None, typer.Option(metavar="DEVICE", help="Record into the folder; a number, a name, or 'default'.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=1, help="Length of a recording of the microphone.")] = 10.0,
    confirm: Annotated[
        str | None, typer.Option(metavar="RECORDING", help="Say that it was normal: a number or a file; and end.")
    ] = None,
    undo: Annotated[str | None, typer.Option(metavar="RECORDING", help="Take that back, and end.")] = None,
    note: Annotated[str, typer.Option(help="Why, or who says so.")] = "",
    json: Json = False,
) -> int:
    """Score every recording that appears in a folder once.

    With --once the exit status is 1 if a recording was anomalous, and 2 if one could not be read, or a message could
    not be delivered. Without, the watch ends with Ctrl-C or SIGTERM after the current recording; the next one goes on.
    """
    say(f"watching {folder}" if confirm is None and undo is None else f"reading the watch of {folder}")
    if microphone is None and confirm is None and undo is None:
        check_places(folder)
    os.environ.setdefault("TQDM_DELAY", "2")  # no progress bar flickers for each recording
    from modeling_retainmix.detection.hysteresis import Hysteresis
    from modeling_retainmix.stoppable_csv import Stopped, StopSignals
    from modeling_retainmix.watching.feedback import confirm_recording, undo_recording
    from modeling_retainmix.watching.hooks import make_hooks
    from modeling_retainmix.watching.judge import DetectorJudge
    from modeling_retainmix.watching.microphone import Microphone
    from modeling_retainmix.watching.places import default_state_folder
    from modeling_retainmix.watching.recording import Recording
    from modeling_retainmix.watching.service import WatchOptions, run_watch
    from modeling_retainmix.watching.state import WatchState

    place = default_state_folder(folder) if state is None else state

    def tell(recording: Recording) -> None:
        event = recording.event()
        score = recording.judgement and f"score {recording.judgement.score:.4g}"
        limit = recording.judgement and f"threshold {recording.judgement.threshold:.4g}"
        parts = [score, limit, recording.cause, *event.get("warnings", [])]
        change = f"  ALARM {recording.alarm.upper()}" if recording.alarm in ("raised", "cleared") else ""
        told = "; ".join(part for part in parts if part)
        show(event, f"{recording.number}  {recording.verdict}  {recording.path}  {told}{change}", json)

    if confirm is not None or undo is not None:
        with WatchState(place) as remembered:
            if confirm is not None:
                done = confirm_recording(remembered, detector, confirm, note, channel, far_channel)
                say(f"{done.path} is a reference of {detector} now; --undo {done.number} takes it back")
            if undo is not None:
                done = undo_recording(remembered, detector, undo, note)
                say(f"{done.path} is no reference of {detector} any more")
        return exit_codes.NORMAL
    if once and microphone is not None:
        raise typer.BadParameter("--once scores what is there, and --microphone records: leave one of them out")
    try:
        Hysteresis(raise_at, of_last)
        hooks = make_hooks(command or [], post or [], mqtt or [])
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    judge = DetectorJudge(
        detector, false_alarm_rate, channel, far_channel, on_problem=lambda problem: say(f"warning: {problem}")
    )
    recorder = None
    if microphone is not None:
        device = int(microphone) if microphone.isdecimal() else microphone
        recorder = Microphone(folder, seconds, None if device == MICROPHONE else device)
    options = WatchOptions(folder, place, raise_at, of_last, poll, once, trend)
    say(f"detector {judge.fingerprint}; what is remembered is in {place}")
    try:
        with StopSignals() as signals:
            totals = run_watch(
                options,
                judge,
                hooks,
                recorder,
                on_recording=tell,
                on_problem=lambda problem: say(f"warning: {problem}"),
                hold=signals.hold,
            )
    except Stopped as stop:
        say(f"{stop}: everything decided is kept; the same command goes on")
        return stop.status
    for path, why in (totals.waiting or {}).items():
        say(f"warning: {path} {why}; it is left for the next watch")
    say(
        f"{totals.num_recordings} new recordings, {totals.num_anomalous} of them anomalous, {totals.num_unreadable} "
        "could not be read"
    )
    if totals.num_undelivered:
        say(f"error: {totals.num_undelivered} messages wait for the next watch")
    if totals.num_unreadable or totals.num_undelivered:
        return exit_codes.FAILED
    return exit_codes.ANOMALIES if totals.num_anomalous else exit_codes.NORMAL

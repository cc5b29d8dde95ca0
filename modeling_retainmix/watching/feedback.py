""" "This was normal": a watched recording becomes a reference of its detector, and is taken back."""

import os
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from modeling_retainmix.detection.detector import AnomalyDetector
from modeling_retainmix.detection.saved_detector import locked
from modeling_retainmix.watching.recording import Recording
from modeling_retainmix.watching.state import WatchState
from modeling_retainmix.watching.watcher import content_of


def confirm_recording(
    state: WatchState,
    detector: str | os.PathLike[str],
    which: str,
    note: str = "",
    channel: int | str | None = None,
    far_channel: int | str | None = None,
) -> Recording:
    """Make a recording a reference, as a person judged it normal, and save the detector.

    A running watch reads the detector again. The recording counts as normal for the alarm from then on. What was done
    before a kill is not done twice. Where the references are of sessions, recordings of one day are one session.

    Args:
        state: of the watch.
        detector: its folder.
        which: number of the recording, or its file, or the name of its file.
        note: why, or who said so, for the detector's log.
        channel, far_channel: of a recording with several channels, as the watch takes them.

    Returns:
        The recording.

    Raises:
        ValueError, FileNotFoundError: no such recording or several, it cannot be read, it is confirmed, its file is
            gone or has changed, or the detector refuses it.
    """
    recording = find_recording(state, which)
    if recording.judgement is None:
        raise ValueError(f"{recording.path} cannot be read ({recording.cause}), so it is no reference")
    if recording.confirmed is not None:
        raise ValueError(f"{recording.path} is confirmed as normal already")
    for file in state.files_of(recording.content):
        if file.is_file() and content_of(file) == recording.content:
            break
    else:
        raise FileNotFoundError(f"{recording.path} is gone or has changed: a reference needs the file as it was")
    path = Path(recording.path)
    name = f"{path.stem}-{recording.content[:8]}{path.suffix}"  # detectors keep names alone, which may come twice
    with state.transaction(), locked(detector):
        known = AnomalyDetector.from_pretrained(detector)
        if name not in known.reference_names:
            day = f"confirmed, recorded on {datetime.fromtimestamp(recording.recorded).date()}"
            known.confirm_normal(
                [{"path": name, "bytes": file.read_bytes()}],
                channel=channel,
                far_channel=far_channel,
                groups=[day] if known.threshold_basis().unit == "groups" else None,
                note=note,
            )
            known.save_pretrained(detector)
        state.set_confirmed(recording.number, name)
    return replace(recording, confirmed=name)


def undo_recording(state: WatchState, detector: str | os.PathLike[str], which: str, note: str = "") -> Recording:
    """Take a confirmed recording from the references again; arguments and errors as in `confirm_recording`."""
    recording = find_recording(state, which)
    name = recording.confirmed
    if name is None:
        raise ValueError(f"{recording.path} is not confirmed as normal, so there is nothing to undo")
    with state.transaction(), locked(detector):
        known = AnomalyDetector.from_pretrained(detector)
        if name in known.reference_names:
            known.undo_confirm(name, note)
            known.save_pretrained(detector)
        state.set_confirmed(recording.number, None)
    return replace(recording, confirmed=None)


def find_recording(state: WatchState, which: str) -> Recording:
    """Find a recording by its number, the path of its file, or the name of its file.

    Raises:
        ValueError: there is none, or several have the name; the message lists their numbers.
    """
    by_number = state.recording(int(which)) if which.isdecimal() else None
    if by_number is not None:
        return by_number
    absolute = os.path.realpath(which)
    found = [one for one in state.recordings() if which == one.path or absolute == os.path.realpath(one.path)]
    found = found or [one for one in state.recordings() if which == Path(one.path).name]
    if not found:
        raise ValueError(f"{which} is no recording of this watch: give a number or the name of a file")
    if len(found) > 1:
        numbers = ", ".join(str(one.number) for one in found)
        raise ValueError(f"{which} is the name of {len(found)} recordings: give one of their numbers, {numbers}")
    return found[0]

"""`retainmix score`: recordings, or those of many machines, become scores, p-values and verdicts."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from retainmix_cli import exit_codes
from retainmix_cli.detectors import check_places, fit_detector, load_detector
from retainmix_cli.options import (
    DEFAULT_MODEL,
    Backend,
    Channel,
    Detector,
    FalseAlarmRate,
    Far,
    FarChannel,
    Group,
    Layer,
    Method,
    Microphones,
    Model,
    Sessions,
    Settings,
    chosen_settings,
)
from retainmix_cli.output import Json, say, say_error
from retainmix_cli.result_rows import Rows, result_file

if TYPE_CHECKING:
    from modeling_retainmix.detection.verdicts import FileScore, Verdicts

_COLUMNS = ("file", "score", "p_value", "threshold", "anomalous")


class _Machine(NamedTuple):
    """Recordings to score, references to fit on if there are any, or else the saved detector; the only one is None."""

    name: str | None
    recordings: list[Path]
    references: list[Path] | None
    saved: Path


def score(
    recordings: Annotated[list[Path], typer.Argument(help="Recordings to score: files or folders.")],
    detector: Detector = Path("detector"),
    references: Annotated[
        list[Path] | None,
        typer.Option("--references", "-r", help="Fit on these healthy recordings, in place of a saved detector."),
    ] = None,
    machines: Annotated[
        bool,
        typer.Option(
            "--machines", help="Each subfolder is a machine, with its detector below --detector, or its references."
        ),
    ] = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="CSV file with a row per recording.")] = None,
    csv: Annotated[bool, typer.Option("--csv", help="Print rows of CSV as they come, not a table.")] = False,
    json: Json = False,
    false_alarm_rate: FalseAlarmRate = 0.1,
    method: Method = "quantile",
    sessions: Sessions = None,
    group: Group = None,
    model: Model = DEFAULT_MODEL,
    layer: Layer = None,
    backend: Backend = None,
    microphones: Microphones = None,
    channel: Channel = None,
    far: Far = None,
    far_channel: FarChannel = None,
    settings: Settings = None,
) -> int:
    """Score recordings, and say which are anomalies.

    The score says how unlike the references a recording is, the p-value how likely a normal one would score as high.

    --sessions, --group, --model, --layer, --backend, --microphones and --setting belong to --references, as in fit.
    """
    say(f"scoring {', '.join(map(str, recordings))}")
    chosen = chosen_settings(layer, backend, microphones, settings)
    if references is None and (chosen or sessions or group or model != DEFAULT_MODEL):
        raise typer.BadParameter(
            "--model, --layer, --backend, --microphones, --setting, --sessions and --group belong to --references: a "
            "saved detector has its own, so fit it with them"
        )
    if machines and (len(recordings) > 1 or (references and len(references) > 1) or far is not None):
        raise typer.BadParameter("--machines takes one folder of recordings, one of references, and no --far")
    if csv and json:
        raise typer.BadParameter("--csv and --json both print on standard output: leave one out")
    check_places(*recordings, *(references or []))
    from modeling_retainmix import AnomalyDetector
    from modeling_retainmix.audio_files import find_recordings, shown_name
    from modeling_retainmix.detection.verdicts import Verdicts, judge_files
    from modeling_retainmix.stoppable_csv import StopSignals

    how: dict[str, Any] = {"channel": channel, "far": far, "far_channel": far_channel}
    columns = ("machine", *_COLUMNS) if machines else _COLUMNS

    def score_one(machine: _Machine) -> None:
        found = find_recordings(machine.recordings)
        for path, cause in found.problems.items():
            rows.take_failure(path, f"{shown_name(path)} {cause}")
        if not found.files:
            return
        if machine.references is None:
            ready = load_detector(machine.saved, may_be_on_hub=machine.name is None)
        else:
            ready = empty
            fit_detector(ready, machine.references, group, sessions, **how)
        verdicts = Verdicts(ready, false_alarm_rate, method)

        def take(scored: "FileScore") -> None:
            if scored.error is None:
                rows.take(({} if machine.name is None else {"machine": machine.name}) | _cells(scored))
            else:
                rows.take_failure(scored.file, scored.error)

        judge_files(ready, found.files, verdicts, take, signals.hold, **how)
        _say_what_is_missing(verdicts, false_alarm_rate, machine.name)

    with StopSignals() as signals, result_file(output, columns) as result:
        rows = Rows(columns, result, csv, json)
        try:
            if references is not None:
                empty = AnomalyDetector.from_pretrained(model, **chosen)
            for machine in _machines(machines, recordings, references, detector):
                try:
                    score_one(machine)
                except (ValueError, FileNotFoundError) as error:
                    if machine.name is None:
                        raise
                    rows.take_failure(machine.name, f"{machine.name}: {error}")  # the other machines go on
        finally:
            rows.print_table()
        if rows.num_rows == 0:
            _say_failures(rows, machines)
            raise typer.Exit(exit_codes.FAILED)  # an earlier file stays as it is
    rate = f"{100 * false_alarm_rate:.3g} %"
    if rows.num_judged:
        found = f"{rows.num_anomalous} of {rows.num_judged} recordings with a verdict"
        say(f"above the threshold of {rate} of false alarms: {found}")
    if output is not None:
        say(f"the scores are in {output}")
    if rows.failures:
        _say_failures(rows, machines)
        return exit_codes.FAILED
    return exit_codes.ANOMALIES if rows.num_anomalous else exit_codes.NORMAL


def _machines(
    several: bool, recordings: list[Path], references: list[Path] | None, detector: Path
) -> Iterator[_Machine]:
    if not several:
        yield _Machine(None, recordings, references, detector)
        return
    from modeling_retainmix.detection.machines import machine_folders, part_of_machine

    for name, folder in machine_folders(recordings[0]).items():
        place = None if references is None else [part_of_machine(references[0] / name, "train")]
        yield _Machine(name, [part_of_machine(folder, "test")], place, detector / name)


def _cells(scored: "FileScore") -> dict[str, Any]:
    from modeling_retainmix.audio_files import shown_name

    verdict = scored.verdict
    values = (shown_name(scored.file), scored.score, verdict.p_value, verdict.threshold, verdict.is_anomalous)
    return dict(zip(_COLUMNS, values, strict=True))


def _say_what_is_missing(verdicts: "Verdicts", rate: float, machine: str | None) -> None:
    if verdicts.num_missing:
        place = "" if machine is None else f"{machine}: "
        what = "reference" if verdicts.unit == "recordings" else "session"
        more = f"{verdicts.num_missing} more {what}{'s' if verdicts.num_missing > 1 else ''}"
        say(f"{place}no verdict, only a ranking: {more} needed for a false alarm rate of {100 * rate:.3g} %")


def _say_failures(rows: Rows, of_machines: bool) -> None:
    total = rows.num_rows + len(rows.failures)
    count = f"no row for {len(rows.failures)} of {total}" if rows.num_rows else f"none of {total}"
    noun = "recordings or machines" if of_machines else "recordings"
    say_error(f"{count} {noun}{'' if rows.num_rows else ' could be scored'}:")
    for failure in rows.failures:
        say(f"  {failure}")

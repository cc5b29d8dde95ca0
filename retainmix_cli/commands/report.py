"""`retainmix report`: recordings become one HTML page with verdicts, pictures and players."""

from pathlib import Path
from typing import Annotated

import typer

from retainmix_cli import exit_codes
from retainmix_cli.detectors import check_places, load_detector
from retainmix_cli.options import Channel, Detector, FalseAlarmRate, Far, FarChannel
from retainmix_cli.output import Json, say, say_error, show


def report(
    recordings: Annotated[list[Path], typer.Argument(help="Recordings to judge: files or folders.")],
    detector: Detector = Path("detector"),
    output: Annotated[Path, typer.Option("--output", "-o", help="Page to write.")] = Path("report.html"),
    false_alarm_rate: FalseAlarmRate = 0.1,
    max_details: Annotated[
        int, typer.Option(min=0, help="So many recordings, the most anomalous, get a picture and a player.")
    ] = 20,
    title: Annotated[str, typer.Option(help="Title of the page.")] = "Report on machine sounds",
    channel: Channel = None,
    far: Far = None,
    far_channel: FarChannel = None,
    json: Json = False,
) -> int:
    """Write one HTML page on recordings: verdicts, ranking, pictures with marked events, and players.

    The page needs nothing but a browser and loads nothing from the network.
    """
    say(f"judging {', '.join(map(str, recordings))}")
    check_places(*recordings)
    from modeling_retainmix.reports import write_report
    from modeling_retainmix.reports.wording import headline

    findings = write_report(
        load_detector(detector),
        recordings[0] if len(recordings) == 1 else recordings,
        output,
        channel=channel,
        far=far,
        far_channel=far_channel,
        false_alarm_rate=false_alarm_rate,
        max_details=max_details,
        title=title,
    )
    record = {
        "page": str(output),
        "recordings": len(findings.recordings),
        "anomalous": findings.num_anomalous if findings.has_verdicts else None,
        "missing_references": findings.basis.num_missing,
        "unreadable": list(findings.unreadable),
    }
    show(record, f"{headline(findings)}; the page is {output}", json)
    if findings.unreadable:
        total = len(findings.recordings) + len(findings.unreadable)
        say_error(f"{len(findings.unreadable)} of {total} recordings could not be read:")
        for message in findings.unreadable:
            say(f"  {message}")
        return exit_codes.FAILED
    return exit_codes.ANOMALIES if findings.num_anomalous else exit_codes.NORMAL

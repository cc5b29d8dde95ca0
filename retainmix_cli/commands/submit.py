"""`retainmix submit`: the challenge's folders become a submission to DCASE Task 2."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from retainmix_cli.options import Channel, FarChannel, Microphones
from retainmix_cli.output import Json, say, show
from retainmix_cli.result_rows import result_file

if TYPE_CHECKING:
    from modeling_retainmix.detection.windows import ClipScore


def submit(
    model: Annotated[Path, typer.Option(help="Checkpoint folder with the results.json of its training.")],
    year: Annotated[int, typer.Option(min=2023, max=2026, help="Of the challenge.")],
    system: Annotated[Path, typer.Option(help="YAML file with label, name, abbreviation and authors of the system.")],
    development: Annotated[Path, typer.Option(help="Folder of the development set, with labels in its names.")],
    evaluation: Annotated[Path, typer.Option(help="Folder of the evaluation set and its training clips.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Root of the submission package.")],
    microphones: Microphones = None,
    channel: Channel = None,
    far_channel: FarChannel = None,
    json: Json = False,
) -> None:
    """Write a submission to DCASE Task 2.

    The evaluation set of 2023 to 2026 is scored; what the submission still lacks is listed. Both data sets lie as the
    challenge delivers them, MACHINE/{train,test}/. Of two channels, as in 2026, the near one is read; with
    --microphones cancel the far one is subtracted from it.
    """
    say(f"scoring {development} and {evaluation}")
    from modeling_retainmix.evaluation.challenge.write_system import default_channels, read_system, write_system
    from modeling_retainmix.stoppable_csv import StopSignals

    described = read_system(system)
    settings: dict[str, Any] = {} if microphones is None else {"microphones": microphones}
    channels = default_channels(year, microphones or "near", channel, far_channel)
    scores = output / f"{described.label}.scores.csv"
    with StopSignals() as signals, result_file(scores, ["file", "score"], is_kept=False) as result:
        assert result is not None

        def keep(path: str, clip: "ClipScore") -> None:
            with signals.hold():
                result.write([path, clip.score])

        folder, problems, official = write_system(
            output, described, year, model, development, evaluation, settings, channels, keep
        )
    record = {"submission": folder, "development_score": official["official_score"], "problems": problems}
    lines = [
        f"official score on the development set: {100 * official['official_score']:.2f} %",
        f"{folder} is written; {len(problems)} things to fix or to add:",
        *problems,
    ]
    show(record, "\n".join(lines), json)

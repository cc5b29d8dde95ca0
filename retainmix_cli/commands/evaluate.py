"""`retainmix evaluate`: official scores of a table, of a submission, or of a detector on labeled recordings."""

from pathlib import Path
from typing import Annotated, Any

import typer

from retainmix_cli.options import (
    DEFAULT_MODEL,
    Backend,
    Channel,
    FarChannel,
    Layer,
    Microphones,
    Model,
    Settings,
    chosen_settings,
)
from retainmix_cli.output import Json, say, show
from retainmix_cli.signals import when_stopped


def evaluate(
    what: Annotated[
        Path,
        typer.Argument(
            help="CSV file of scores; folder of recordings in a layout of DCASE Task 2; or folder of a submission."
        ),
    ],
    labels: Annotated[
        Path | None,
        typer.Option(help="Of a CSV file: another one, whose first column names the files, with the column label."),
    ] = None,
    ground_truth: Annotated[
        Path | None, typer.Option("--ground-truth", help="Of a folder: the official ground truth, where it needs it.")
    ] = None,
    rules: Annotated[
        int | None,
        typer.Option("--rules", "--year", min=2020, max=2026, help="Year whose rules count; by default as the names."),
    ] = None,
    model: Model = DEFAULT_MODEL,
    layer: Layer = None,
    backend: Backend = None,
    microphones: Microphones = None,
    channel: Channel = None,
    far_channel: FarChannel = None,
    settings: Settings = None,
    json: Json = False,
) -> None:
    """Print the official score of DCASE Task 2.

    A detector is fitted on the references of each machine of a folder and scores its tests; --model, --layer,
    --backend, --microphones, --channel, --far-channel and --setting are those of fit.
    """
    say(f"evaluating {what}")
    if labels is not None and what.is_dir():
        raise typer.BadParameter("--labels belongs to a CSV file: use --ground-truth for a folder")
    chosen = chosen_settings(layer, backend, microphones, settings)
    if not what.is_dir():
        result = _of_table(what, labels, rules)
    elif any(what.glob("anomaly_score_*.csv")):
        result = _of_submission(what, ground_truth, rules)
    else:
        channels = {"channel": channel, "far_channel": far_channel}
        with when_stopped("nothing is kept; run the same command again"):
            result = _of_recordings(what, ground_truth, rules, model, chosen, channels)
    if json:
        show(result, "", True)
        return
    for name, figures in {**(result["machines"] if len(result["machines"]) > 1 else {}), "all": result}.items():
        named = [key for key, value in figures.items() if isinstance(value, float) and key != "official_score"]
        parts = ", ".join(f"{key} {100 * figures[key]:.2f}" for key in named if figures[key] == figures[key])
        print(f"{name}: official score {100 * figures['official_score']:.2f} % ({parts})")


def _of_table(table: Path, labels: Path | None, rules: int | None) -> dict[str, Any]:
    from modeling_retainmix import dcase_score
    from modeling_retainmix.evaluation.score_table import read_score_table

    return dcase_score(**read_score_table(table, labels), rules=rules or 2023)


def _of_submission(folder: Path, ground_truth: Path | None, rules: int | None) -> dict[str, Any]:
    if ground_truth is None or rules is None:
        raise typer.BadParameter("a submission needs --ground-truth and --year")
    from modeling_retainmix.evaluation.challenge.result_files import score_submission

    return score_submission(folder, ground_truth, rules)


def _of_recordings(
    folder: Path,
    ground_truth: Path | None,
    rules: int | None,
    model: str,
    chosen: dict[str, Any],
    channels: dict[str, Any],
) -> dict[str, Any]:
    from modeling_retainmix import AnomalyDetector, dcase_score
    from modeling_retainmix.data.recordings import read_evaluation_recordings, scoring_rules
    from modeling_retainmix.evaluation.challenge.system_scores import official_columns, score_data_set

    recordings = read_evaluation_recordings(folder, ground_truth)
    detector = AnomalyDetector.from_pretrained(model, **chosen)
    tests, _ = score_data_set(detector, recordings, channels)
    return dcase_score(**official_columns(tests), rules=rules or scoring_rules(recordings))

"""`retainmix fit`: healthy recordings become a detector folder, or one folder for each of many machines."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from retainmix_cli.detectors import check_places
from retainmix_cli.options import (
    DEFAULT_MODEL,
    Backend,
    Channel,
    Far,
    FarChannel,
    Group,
    Layer,
    Microphones,
    Model,
    Sessions,
    Settings,
    chosen_settings,
)
from retainmix_cli.output import Json, say, show
from retainmix_cli.signals import when_stopped

if TYPE_CHECKING:
    from modeling_retainmix import AnomalyDetector


def fit(
    references: Annotated[list[Path], typer.Argument(help="Recordings of the healthy machine: files or folders.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the detector.")] = Path("detector"),
    add: Annotated[bool, typer.Option("--add", help="Add the references to the detector that is there.")] = False,
    machines: Annotated[
        bool, typer.Option("--machines", help="Each subfolder is a machine; each gets its detector below the output.")
    ] = False,
    sessions: Sessions = None,
    group: Group = None,
    held_out: Annotated[
        list[Path] | None,
        typer.Option("--held-out", help="Further healthy recordings, of other sessions, to take thresholds from."),
    ] = None,
    model: Model = DEFAULT_MODEL,
    layer: Layer = None,
    backend: Backend = None,
    microphones: Microphones = None,
    channel: Channel = None,
    far: Far = None,
    far_channel: FarChannel = None,
    settings: Settings = None,
    json: Json = False,
) -> None:
    """Fit a detector to healthy recordings.

    The folder that is written is read by `retainmix score`, `explain`, `confirm` and `export`.
    """
    given = ", ".join(map(str, references))
    say(f"{'adding' if add else 'fitting'} the references of {given}")
    chosen = chosen_settings(layer, backend, microphones, settings)
    if add and (chosen or model != DEFAULT_MODEL):
        raise typer.BadParameter("--add keeps the encoder and the settings of the detector: leave them out")
    if machines and (len(references) > 1 or far is not None or held_out):
        raise typer.BadParameter("--machines takes one folder, and neither --far nor --held-out")
    check_places(*references, *(held_out or []))
    _check_output(output, references)
    from modeling_retainmix import AnomalyDetector
    from modeling_retainmix.audio_files import find_recordings
    from modeling_retainmix.detection.machines import machine_folders, part_of_machine
    from modeling_retainmix.detection.saved_detector import locked

    how: dict[str, Any] = {"channel": channel, "far": far, "far_channel": far_channel}

    def fit_one(detector: "AnomalyDetector", places: list[Path], folder: Path, machine: str | None = None) -> None:
        """Fit, save and report one detector."""
        found = find_recordings(places)
        if found.problems:
            raise found.error()
        options = how | {"domains": group, "groups": sessions}
        detector.add_references(found.files, **options) if add else detector.fit(found.files, **options)
        if held_out:
            detector.calibrate(find_recordings(held_out).files, **how, groups=sessions)
        detector.save_pretrained(folder)
        record = {"machine": machine, "detector": folder} | _describe(detector)
        show(record, _sentence(record), json)

    if not machines:
        with when_stopped(f"{output} is as it was; run the same command again"), locked(output):
            detector = AnomalyDetector.from_pretrained(str(output) if add else model, **chosen)
            fit_one(detector, references, output)
        return
    folders = machine_folders(references[0])
    empty = None if add else AnomalyDetector.from_pretrained(model, **chosen)
    with when_stopped(f"the detectors that are reported are in {output}; run the same command again for all"):
        for name, folder in folders.items():
            say(f"{name}:")
            with locked(output / name):
                detector = empty or AnomalyDetector.from_pretrained(output / name)
                fit_one(detector, [part_of_machine(folder, "train")], output / name, name)


def _check_output(output: Path, references: list[Path]) -> None:
    """Keep the detector out of folders that hold something else.

    Raises:
        ValueError: the folder is one of references, or has files and no detector.
    """
    if not output.is_dir() or (output / "detector.json").is_file():
        return
    if any(path.is_file() for path in output.iterdir()) or output.resolve() in (path.resolve() for path in references):
        raise ValueError(f"{output} holds other files: name a new folder with --output, for the detector alone")


def _describe(detector: "AnomalyDetector") -> dict[str, Any]:
    """Return what the references are: how many, of what, and what rate of false alarms they bear."""
    basis = detector.threshold_basis()
    return {
        "references": len(detector.reference_names),
        "of_changed_conditions": detector.reference_domains.count("target"),
        "sessions": basis.num_units if basis.unit == "groups" else None,
        "smallest_false_alarm_rate": None if basis.normal is None else 1 / (basis.num_units + 1),
    }


def _sentence(record: dict[str, Any]) -> str:
    changed, sessions, rate = (
        record[key] for key in ("of_changed_conditions", "sessions", "smallest_false_alarm_rate")
    )
    parts = [
        f"{record['references']} reference{'s' if record['references'] != 1 else ''}",
        *([f"{changed} of them of changed conditions"] if changed else []),
        *([f"{sessions} session{'s' if sessions != 1 else ''}"] if sessions else []),
        "a ranking, but no verdicts: add references" if rate is None else f"false alarm rates from {rate:.3g} up",
    ]
    return f"{record['detector']}: {', '.join(parts)}"

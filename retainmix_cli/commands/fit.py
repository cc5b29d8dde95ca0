"""`retainmix fit`: healthy recordings become a detector folder."""

from pathlib import Path
from typing import Annotated

import typer

from retainmix_cli.output import Json, say, show
from retainmix_cli.signals import when_stopped


def fit(
    references: Annotated[Path, typer.Argument(help="Folder of recordings of the healthy machine.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the detector.")] = Path("detector"),
    model: Annotated[str, typer.Option(help="log-mel, or an encoder: folder, Hub name or original .pt")] = "log-mel",
    json: Json = False,
) -> None:
    """Remember recordings of the healthy machine."""
    say(f"fitting a detector to {references}")
    from modeling_retainmix import AnomalyDetector

    with when_stopped(f"{output} is as it was; run the same command again"):
        detector = AnomalyDetector.from_pretrained(model).fit(references)
        detector.save_pretrained(output)
    record = {"detector": output, "references": len(detector.reference_names)}
    show(record, f"{record['references']} references; the detector is in {output}", json)

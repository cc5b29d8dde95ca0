"""`retainmix push`: a folder of an encoder, a detector, the metric or a Space goes to the Hub as one commit."""

from pathlib import Path
from typing import Annotated

import typer

from retainmix_cli.output import Json, say, show


def push(
    folder: Annotated[Path, typer.Argument(help="Encoder, detector, metric or Space.")],
    repository: Annotated[str, typer.Argument(help="ORGANIZATION/NAME on the Hub.")],
    private: Annotated[bool, typer.Option("--private", help="Into a private repository.")] = False,
    license: Annotated[str | None, typer.Option(help="Of a detector; by default its encoder's.")] = None,
    json: Json = False,
) -> None:
    """Upload a folder to the Hub.

    Log in once with `hf auth login`, or set HF_TOKEN. The folder goes up as one commit.
    """
    say(f"uploading {folder} to {repository}")
    from modeling_retainmix import AnomalyDetector
    from modeling_retainmix.detection.saved_detector import SETTINGS_FILE
    from modeling_retainmix.hub.push import push_folder

    if (folder / SETTINGS_FILE).is_file():
        address = AnomalyDetector.from_pretrained(folder).push_to_hub(repository, private, license=license)
    else:
        if license is not None:
            raise typer.BadParameter("--license belongs to a detector; the card of other folders names theirs")
        address = push_folder(folder, repository, private, "space" if _is_space(folder) else "model")
    show({"commit": address}, address, json)


def _is_space(folder: Path) -> bool:
    """Whether the front matter of the card names the SDK that a Space runs with."""
    card = folder / "README.md"
    lines = card.read_text(encoding="utf-8").splitlines() if card.is_file() else []
    if lines[:1] != ["---"] or "---" not in lines[1:]:
        return False
    return any(line.startswith("sdk:") for line in lines[1 : lines.index("---", 1)])

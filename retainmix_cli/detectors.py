"""The detector of a command: a saved one, or one that is fitted on the way."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modeling_retainmix import AnomalyDetector


def check_places(*places: Path) -> None:
    """Look whether files and folders exist, before anything is imported that takes seconds.

    Raises:
        FileNotFoundError: the first that does not.
    """
    for place in places:
        if not place.exists():
            raise FileNotFoundError(f"{place} does not exist: check the path, and quote names with spaces")


def load_detector(name: Path, may_be_on_hub: bool = True) -> "AnomalyDetector":
    """Load a detector with its references.

    Args:
        name: its folder.
        may_be_on_hub: whether a folder that is not there may be a name on the Hub.

    Raises:
        FileNotFoundError: there is none; the message says how to make one.
        ValueError: it is an encoder, or damaged.
    """
    from modeling_retainmix import AnomalyDetector

    if name.is_file():
        raise ValueError(f"{name} is a file: name the folder that `retainmix fit` wrote")
    if not name.is_dir() and not (may_be_on_hub and len(name.parts) == 2):
        raise FileNotFoundError(
            f"there is no detector in {name}: make one with `retainmix fit RECORDINGS --output {name}`, or name "
            "another with --detector"
        )
    if name.is_dir() and not (name / "config.json").is_file():
        raise ValueError(f"{name} is no detector: make one with `retainmix fit RECORDINGS --output FOLDER`")
    detector = AnomalyDetector.from_pretrained(name)
    if not detector.reference_names:
        raise ValueError(f"{name} is an encoder without references: fit it with `retainmix fit RECORDINGS --model`")
    return detector


def read_recordings(places: list[Path]) -> list[Path]:
    """List recordings that all have to be read.

    Raises:
        FileNotFoundError, ValueError: a path does not exist, or a recording cannot be read.
    """
    from modeling_retainmix.audio_files import find_recordings

    found = find_recordings(places)
    if found.problems:
        raise found.error()
    return found.files


def fit_detector(
    detector: "AnomalyDetector", places: list[Path], group: str | None, sessions: str | None, **how: Any
) -> None:
    """Fit a detector on the recordings of some files and folders."""
    detector.fit(read_recordings(places), domains=group, groups=sessions, **how)

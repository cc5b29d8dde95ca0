"""The two files of a saved detector, checked against each other and against the encoder before they are used."""

import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import torch
from filelock import FileLock
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch.nn.functional import pad
from transformers.utils import cached_file

from modeling_retainmix.detection.duplicates import NUM_VALUES
from modeling_retainmix.detection.level_cells import NUM_CELL_STATISTICS
from modeling_retainmix.detection.memory_notes import PREFIX, MemoryNotes
from modeling_retainmix.detection.recording_traits import Traits
from modeling_retainmix.detection.settings import DetectorSettings
from modeling_retainmix.detection.vector_layout import VectorLayout
from modeling_retainmix.encoders.known_keys import near_miss
from modeling_retainmix.json_files import read_json

SETTINGS_FILE = "detector.json"
REFERENCES_FILE = "references.safetensors"
LOCK_FILE = ".lock"

# Names of settings and tensors in detectors that were saved by version 0.1, and what they are called now.
OLD_NAMES = {
    "variance": "explained_variance",
    "density_neighbours": "density_neighbors",
    "mix_support": "memmixup_neighbors",
    "mix_alpha": "memmixup_alpha",
    "view": "microphones",
    "recording": "recording_index",
    "is_target": "is_target_domain",
}

_DTYPES = {
    "vectors": torch.float32,
    "recording_index": torch.int64,
    "is_target_domain": torch.bool,
    "level_moments": torch.float32,
    "cell_levels": torch.float32,
    "traits": torch.float32,
    "fingerprints": torch.float32,
}
# Of recordings; detectors that were saved before these were measured have none, or the first few traits.
_PER_RECORDING = {"traits": len(Traits._fields), "fingerprints": NUM_VALUES}
_FIRST_TRAITS = 6

_MOST_READS = 10

T = TypeVar("T")


def write_detector(
    folder: Path,
    settings: DetectorSettings,
    names: Sequence[str],
    references: Mapping[str, torch.Tensor],
    thresholds: Mapping[str, Any] | None = None,
    notes: MemoryNotes | None = None,
) -> None:
    """Write a detector's JSON file and its tensors, as `read_settings` and `read_references` read them.

    Args:
        folder: of the detector.
        settings: of the detector.
        names: of the reference recordings.
        references: tensors as `read_references` returns them.
        thresholds: for readers of the file; a loaded detector takes its thresholds from the references.
        notes: as `read_notes` returns them.
    """
    content = {"settings": settings.to_dict(), "references": list(names), "thresholds": thresholds}
    content |= {} if notes is None else notes.to_json()
    (folder / SETTINGS_FILE).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    save_file({**references, **({} if notes is None else notes.tensors())}, folder / REFERENCES_FILE)


@contextmanager
def locked(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Keep other processes from changing a saved detector from its loading to its saving: they wait for their turn.

    Who only reads it needs no lock.

    Args:
        folder: of the detector; without one nothing is locked.
    """
    if not Path(folder).is_dir():
        yield
        return
    with FileLock(Path(folder, LOCK_FILE)):
        yield


def read_unchanged(folder: Path, read: Callable[[], T]) -> T:
    """Read a detector from several files, and read it again if some of them were replaced meanwhile by a save.

    Args:
        folder: of the detector.
        read: reads it.

    Returns:
        What `read` returns.

    Raises:
        ValueError: files of the folder change each time; or as `read` raises.
    """
    for _ in range(_MOST_READS):
        before = _states(folder)
        try:
            detector = read()
        except (OSError, ValueError):
            if before.items() <= _states(folder).items():
                raise
        else:
            if before.items() <= _states(folder).items():  # a download adds files
                return detector
    raise ValueError(f"files of {folder} changed while it was read, {_MOST_READS} times: load it after they are saved")


def _states(folder: Path) -> dict[str, tuple[int, int]]:
    """Return number and time of change of each file of a folder."""
    states = {}
    for path in folder.iterdir():
        with suppress(FileNotFoundError):  # a staging folder that has just gone
            status = path.stat()
            states[path.name] = (status.st_ino, status.st_mtime_ns)
    return {name: state for name, state in states.items() if not name.startswith(".")}


def check_setting_names(names: Iterable[str]) -> None:
    """Check that these are fields of `DetectorSettings`.

    Raises:
        ValueError: one is not; the message gives the new name of an old one, and the name that it is most like.
    """
    known = [field.name for field in fields(DetectorSettings)]
    for name in names:
        if OLD_NAMES.get(name) in known:
            raise ValueError(f"the setting {name} has a new name: use {OLD_NAMES[name]}=")
        if name not in known:
            likely = near_miss(name, known)
            guess = "use" if likely is None else f"did you mean {likely}? Use"
            raise ValueError(f"{name} is not a setting: {guess} {', '.join(known)}")


def find_settings(name: str | os.PathLike[str], revision: str | None) -> str | None:
    """Find the JSON file of a saved detector, a folder or Hub name; None: this is not a saved detector."""
    return cached_file(
        name,
        SETTINGS_FILE,
        revision=revision,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,  # the encoder's loading reports these
    )


def read_settings(path: str | os.PathLike[str]) -> tuple[DetectorSettings, list[str]]:
    """Read a detector's JSON file.

    Args:
        path: `detector.json`.

    Returns:
        The settings, and the names of the reference recordings.

    Raises:
        ValueError: it is not JSON, lacks one of the two, or holds a setting that is unknown or out of its bounds; the
            message gives file, setting and value.
    """
    try:
        content = read_json(path)
        settings, names = DetectorSettings(**_with_current_names(content["settings"])), content["references"]
    except KeyError as error:
        raise ValueError(f"{path} lacks {error}: save the detector again") from error
    except (TypeError, ValueError) as error:  # JSON and Unicode errors are ValueErrors
        raise ValueError(f"{path} does not hold a detector's settings ({error}): save the detector again") from error
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{path} has references that are not a list of names: save the detector again")
    return settings, names


def read_notes(
    path: str | os.PathLike[str], tensors: Mapping[str, torch.Tensor], num_references: int
) -> tuple[MemoryNotes, dict[str, torch.Tensor]]:
    """Read what a detector knows beside the sound of its references.

    Args:
        path: `detector.json`.
        tensors: as `read_references` returns them.
        num_references: recordings among them.

    Returns:
        The notes, and the tensors of the references alone.

    Raises:
        ValueError: groups, held-out recordings or log do not fit the references.
    """
    try:
        notes = MemoryNotes.read(read_json(path), tensors, num_references)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{path} {error}: the detector's files do not belong together, save it again") from error
    return notes, {key: tensor for key, tensor in tensors.items() if not key.startswith(PREFIX)}


def read_references(
    name: str | os.PathLike[str],
    revision: str | None,
    names: Sequence[str],
    settings: DetectorSettings,
    layout: VectorLayout,
    num_level_bands: int,
    num_cell_bands: int,
) -> dict[str, torch.Tensor]:
    """Read a detector's tensors.

    Args:
        name: folder or Hub name.
        revision: branch, tag or commit on the Hub; None: the main branch.
        names: of the recordings, from the JSON file.
        settings: of the detector.
        layout: of a vector, near or far.
        num_level_bands: frequency patches of the encoder.
        num_cell_bands: of the level map.

    Returns:
        `vectors` [n, dim] float32, `recording_index` [n] int64, `is_target_domain` [n] bool, `level_moments`
        [n, F, 2] float32; `cell_levels` [n, B, 4], `traits` [recordings, traits] and `fingerprints` [recordings,
        values] float32, NaN in detectors that were saved without; those of held-out recordings under names of their
        own.

    Raises:
        OSError: `references.safetensors` is missing.
        ValueError: it is damaged, or does not fit the JSON file or the encoder; the message says where.
    """
    path = cached_file(name, REFERENCES_FILE, revision=revision)

    def check(fits: bool, problem: str) -> None:
        if not fits:
            raise ValueError(f"{path} {problem}: the detector's files do not belong together, save it again")

    try:
        tensors = _with_current_names(load_file(path))
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged ({error}): save the detector again") from error
    for key, length in _PER_RECORDING.items():
        tensors.setdefault(key, torch.full((len(names), length), math.nan))
    if list(tensors["traits"].shape) == [len(names), _FIRST_TRAITS]:
        tensors["traits"] = pad(tensors["traits"], (0, len(Traits._fields) - _FIRST_TRAITS), value=math.nan)
    if "recording_index" in tensors:
        cells = (len(tensors["recording_index"]), num_cell_bands, NUM_CELL_STATISTICS)
        tensors.setdefault("cell_levels", torch.full(cells, math.nan))
    for key, dtype in _DTYPES.items():
        check(key in tensors, f"lacks {key}")
        check(tensors[key].dtype == dtype, f"holds {key} as {tensors[key].dtype}, not {dtype}")
    vectors, recording_index = tensors["vectors"], tensors["recording_index"]
    count = len(recording_index)
    check(recording_index.ndim == 1, f"holds recording_index of shape {list(recording_index.shape)}, not [n]")
    for key, shape in (
        ("is_target_domain", [count]),
        ("level_moments", [count, num_level_bands, 2]),
        ("cell_levels", [count, num_cell_bands, NUM_CELL_STATISTICS]),
    ):
        check(list(tensors[key].shape) == shape, f"holds {key} of shape {list(tensors[key].shape)}, not {shape}")
    width = (2 if settings.has_two_vectors else 1) * sum(layout.widths) * layout.num_bands
    # Averages over frequency keep the time axis, whose length is that of the references.
    has_width = vectors.ndim == 2 and (
        vectors.shape[1] % width == 0 if settings.pooling == "frequency_mean" else vectors.shape[1] == width
    )
    check(
        has_width and len(vectors) == count,
        f"holds vectors of shape {list(vectors.shape)}, but {count} windows and an encoder that gives {width} values",
    )
    check(bool(vectors.isfinite().all()), "holds vectors that are not finite")
    recordings = recording_index.unique().tolist()
    check(
        recordings == list(range(len(names))),
        f"holds {len(recordings)} recordings, numbered {recordings[:1]} to {recordings[-1:]}, "
        f"but {SETTINGS_FILE} names {len(names)}",
    )
    for key, length in _PER_RECORDING.items():
        shape = [len(names), length]
        check(list(tensors[key].shape) == shape, f"holds {key} of shape {list(tensors[key].shape)}, not {shape}")
    return tensors


def _with_current_names(values: Any) -> dict[str, Any]:
    if not isinstance(values, Mapping):
        raise TypeError(f"{values!r} is not a table of names and values")
    return {OLD_NAMES.get(str(name), str(name)): value for name, value in values.items()}

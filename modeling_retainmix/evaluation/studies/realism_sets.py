"""Clips that the realism study compares: recordings of machines and noise from folders, and those of the factory."""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from modeling_retainmix.audio import SAMPLING_RATE, read_audio
from modeling_retainmix.data.factory import FactoryConfig
from modeling_retainmix.data.factory.catalogue import MACHINE_TYPES
from modeling_retainmix.data.factory.plan import Clip, planned_tables, synthesize
from modeling_retainmix.evaluation.studies.realism_statistics import ClipStatistics, describe, one_level

CLIP_SECONDS = 2.5  # the shortest real clips are as long
NOISE_KINDS = ("stationary", "non_stationary")
FACTORY_SIZES = {
    "clip_seconds": CLIP_SECONDS,
    "source_references": 30,
    "target_references": 10,
    "tests_per_cell": 30,
    "segments_per_kind": 60,
}


@dataclass
class MachineSet:
    """Clips of machines of one kind, with what is known of each.

    Attributes:
        name: of the set.
        waveforms: [clips, samples] float32, all of one level.
        unit: [clips] name of the machine (motor, sensor) that a clip is of.
        recording: [clips] name of the recording that a clip is cut from.
        fault: [clips] name of its fault, "" for a normal clip.
        is_target_domain, is_reference: [clips] bool.
        statistics: of the clips.
    """

    name: str
    waveforms: np.ndarray
    unit: np.ndarray
    recording: np.ndarray
    fault: np.ndarray
    is_target_domain: np.ndarray
    is_reference: np.ndarray
    statistics: ClipStatistics = field(init=False)

    def __post_init__(self) -> None:
        self.statistics = describe(self.waveforms)

    @property
    def is_anomaly(self) -> np.ndarray:
        """[clips] bool."""
        return self.fault != ""


@dataclass
class NoiseSet:
    """Segments of noise of one level.

    Attributes:
        waveforms: [segments, samples] float32.
        classes: [segments] name of the class or factory.
        is_first: [segments] bool, the first segment of its file.
        statistics: of the segments.
    """

    waveforms: np.ndarray
    classes: np.ndarray
    is_first: np.ndarray
    statistics: ClipStatistics = field(init=False)

    def __post_init__(self) -> None:
        self.statistics = describe(self.waveforms)


def read_machine_sets(folder: Path) -> list[MachineSet]:
    """Read the machines that the manifests below a folder list, a set for each machine type, sorted by name.

    Clips are cut to pieces of `CLIP_SECONDS`.

    Args:
        folder: with files `MANIFEST.csv`. Columns: path, relative to the manifest; domain; split; label; attributes,
            in which `sensor=NAME` or `motor_NAME` names the machine (rows without are left out); recording, or origin,
            of which the part before a `#` and the machine name the recording.

    Raises:
        FileNotFoundError: the folder has no manifest, or a clip is missing.
        ValueError: no row names a machine.
    """
    manifests = sorted(folder.rglob("MANIFEST.csv"))
    if not manifests:
        raise FileNotFoundError(f"{folder} has no MANIFEST.csv: name the folder of the real recordings")
    clips: dict[str, list[tuple[Any, ...]]] = {}
    for manifest in manifests:
        with open(manifest, newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                unit = re.search(r"(?:sensor=|motor_)([^;_]+)", row["attributes"])
                if unit is None:
                    continue
                recording = row.get("recording") or f"{row['origin'].split('#')[0]}#{unit[1]}"
                fault = "" if row["label"] == "normal" else "fault"
                path = manifest.parent / row["path"]
                values = (unit[1], recording, fault, row["domain"] == "target", row["split"] == "train")
                clips.setdefault(path.parents[1].name, []).extend((piece, *values) for piece in _pieces(path))
    if not clips:
        raise ValueError(f"no manifest below {folder} has a row whose attributes name `sensor=` or `motor_`")
    sets = []
    for name, rows in sorted(clips.items()):
        waveforms, *columns = zip(*rows, strict=True)
        sets.append(MachineSet(name, one_level(np.stack(waveforms)), *map(np.array, columns)))
    return sets


def read_noise_set(folder: Path, kinds: Sequence[str] = NOISE_KINDS, classes: Sequence[str] | None = None) -> NoiseSet:
    """Read noise of some kinds and classes (None: all), cut to pieces of `CLIP_SECONDS`.

    Args:
        folder: with `noise/stationary` and `noise/non_stationary`, whose FLAC files are named
            `<source>_<class>_<id>.flac`.
        kinds: of noise.
        classes: of noise.

    Raises:
        ValueError: the folder holds none that is as long.
    """
    waveforms: list[np.ndarray] = []
    names: list[str] = []
    first: list[bool] = []
    for kind in kinds:
        for path in sorted((folder / "noise" / kind).glob("*.flac")):
            name = "_".join(path.stem.split("_")[1:-1])
            if classes is None or name in classes:
                pieces = list(_pieces(path))
                waveforms += pieces
                names += [name] * len(pieces)
                first += [index == 0 for index in range(len(pieces))]
    if not waveforms:
        wanted = "any class" if classes is None else ", ".join(classes)
        raise ValueError(f"{folder / 'noise'} holds no FLAC file of {wanted}, at least {CLIP_SECONDS} s long")
    return NoiseSet(one_level(np.stack(waveforms)), np.array(names), np.array(first))


def _pieces(path: Path) -> Iterator[np.ndarray]:
    waveform, samples = read_audio(path), round(CLIP_SECONDS * SAMPLING_RATE)
    for start in range(0, len(waveform) - samples + 1, samples):
        yield waveform[start : start + samples]


def make_factory_sets(
    version: int, sizes: Mapping[str, Any] | None = None, seed: int = 0
) -> tuple[list[MachineSet], dict[str, NoiseSet]]:
    """Make the validation machines of a version of the factory, a set for each type, and their noise, by its kind.

    A recording of the factory is what was recorded in one session at one speed and load (version 3 has no sessions).

    Args:
        version: of the factory.
        sizes: fields of `FactoryConfig` that differ from `FACTORY_SIZES`.
        seed: of the factory.
    """
    config = FactoryConfig(**(FACTORY_SIZES | {"version": version, "seed": seed} | dict(sizes or {})))
    plan = planned_tables(config, ["validation"])
    machines = []
    for machine_type in MACHINE_TYPES["validation"]:
        clips = [clip for clip in plan["validation_machines"] if clip.row["machine_type"] == machine_type.name]
        rows = [clip.row for clip in clips]
        keys = ("split", "label", "attributes", "session")
        machines.append(
            MachineSet(
                name=machine_type.name,
                waveforms=_one_level(clips, config),
                unit=np.full(len(rows), machine_type.name),
                recording=np.array(["/".join(row.get(key, "") for key in keys) for row in rows]),
                fault=np.array([row["fault"] for row in rows]),
                is_target_domain=np.array([row["domain"] == "target" for row in rows]),
                is_reference=np.array([row["split"] == "train" for row in rows]),
            )
        )
    noise = {}
    for kind in NOISE_KINDS:
        segments = [clip for clip in plan["validation_noise"] if clip.row["kind"] == kind]
        factories = np.array([clip.row["factory"] for clip in segments])
        noise[kind] = NoiseSet(_one_level(segments, config), factories, np.ones(len(segments), dtype=bool))
    return machines, noise


def _one_level(clips: Sequence[Clip], config: FactoryConfig) -> np.ndarray:
    return one_level(synthesize(clips, config))

"""The procedural factory as a data set: six tables of int16 clips in Arrow files, made once and cached.

Every clip is a function of the seed and its own name, so neither the number of workers nor the size of the pool
changes a sample of it.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
from datasets import Dataset, DatasetDict, Features, List, Value
from tqdm.auto import tqdm

from modeling_retainmix.data.factory import machines, noise, signals
from modeling_retainmix.data.factory.catalogue import MACHINE_TYPES, NOISE_FACTORIES, SPLITS, MachineType, NoiseFactory
from modeling_retainmix.data.factory.faults import fault_sound

FACTORY_VERSION = "0"  # a change of any sample of any clip is a new version

SOURCE_SPEEDS = (0.88, 1.0, 1.12)
TARGET_SPEED = 1.3
LOADS = (0, 1)

_MACHINE_COLUMNS = ("machine_type", "section", "domain", "split", "label", "attributes", "factory", "fault")
_NOISE_COLUMNS = ("noise_class", "kind", "factory")


@dataclass(frozen=True)
class FactoryConfig:
    """Size and seed of the procedural factory.

    Attributes:
        clip_seconds: length of every clip, in seconds; at least 1.
        seed: of everything that is drawn.
        instances_per_type: machines of each training type; each is an attribute class.
        clips_per_instance: clips of each of them.
        source_references, target_references: normal clips of each domain, per validation and evaluation type.
        tests_per_cell: test clips per cell of domain x label, per validation and evaluation type.
        clips_per_noise_class: clips of each class of training noise.
        segments_per_kind: noise segments of each kind, per validation and evaluation factory.

    Raises:
        ValueError: a value is out of its range.
    """

    clip_seconds: float = 4.0
    seed: int = 0
    instances_per_type: int = 40
    clips_per_instance: int = 8
    source_references: int = 100
    target_references: int = 10
    tests_per_cell: int = 20
    clips_per_noise_class: int = 60
    segments_per_kind: int = 190

    def __post_init__(self) -> None:
        if not 1.0 <= self.clip_seconds <= 60.0:
            raise ValueError(f"clip_seconds must be between 1 and 60, not {self.clip_seconds}")
        if self.seed < 0:
            raise ValueError(f"seed must not be negative: {self.seed}")
        for field in fields(self)[2:]:
            if getattr(self, field.name) < 1:
                raise ValueError(f"{field.name} must be at least 1, not {getattr(self, field.name)}")


def factory_fingerprint(config: FactoryConfig) -> str:
    """Name of the data that `config` makes: the generator's version and a hash of the configuration."""
    content = json.dumps({"version": FACTORY_VERSION, **asdict(config)}, sort_keys=True)
    return f"factory-v{FACTORY_VERSION}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"


@dataclass(frozen=True)
class _MachineClip:
    """A machine clip to be made: its row in the table and what it is made of."""

    row: dict[str, str]
    key: tuple[str | int, ...]
    machine_type: MachineType
    instance: int | None
    speed: float
    load: float


@dataclass(frozen=True)
class _NoiseClip:
    """A noise clip to be made."""

    row: dict[str, str]
    key: tuple[str | int, ...]
    factory: NoiseFactory
    zone: int | None
    events: tuple[str, ...]  # the families to choose from; none: stationary


def _training_clips(config: FactoryConfig) -> Iterator[_MachineClip]:
    for machine_type in MACHINE_TYPES["train"]:
        for instance in range(config.instances_per_type):
            rng = signals.keyed_generator(config.seed, "instance", machine_type.name, instance)
            load = rng.uniform()
            row = _machine_row(machine_type, "source", "train", "normal", f"instance_{instance:03d}")
            for index in range(config.clips_per_instance):
                key = (machine_type.name, "train", instance, index)
                yield _MachineClip(row, key, machine_type, instance, 1.0, load)


def _benchmark_clips(split: str, config: FactoryConfig) -> Iterator[_MachineClip]:
    cells = [
        ("source", "train", "normal", config.source_references),
        ("target", "train", "normal", config.target_references),
    ] + [(d, "test", label, config.tests_per_cell) for d in ("source", "target") for label in ("normal", "anomaly")]
    for machine_type in MACHINE_TYPES[split]:
        for domain, part, label, count in cells:
            speeds = SOURCE_SPEEDS if domain == "source" else (TARGET_SPEED,)
            conditions = [(speed, load) for speed in speeds for load in LOADS]
            for index in range(count):
                # anomalies: all faults in turn, and every fault meets all conditions
                fault = machine_type.faults[index % len(machine_type.faults)] if label == "anomaly" else ""
                turn = index // len(machine_type.faults) + index if label == "anomaly" else index
                speed, load = conditions[turn % len(conditions)]
                row = _machine_row(machine_type, domain, part, label, f"speed_{speed:.2f}_load_{load}", fault)
                yield _MachineClip(
                    row, (machine_type.name, part, domain, label, index), machine_type, None, speed, load
                )


def _machine_row(
    machine_type: MachineType, domain: str, split: str, label: str, attributes: str, fault: str = ""
) -> dict[str, str]:
    values = (machine_type.name, "00", domain, split, label, attributes, machine_type.factory, fault)
    return dict(zip(_MACHINE_COLUMNS, values, strict=True))


def _noise_clips(split: str, config: FactoryConfig) -> Iterator[_NoiseClip]:
    for factory in NOISE_FACTORIES[split]:
        if split == "train":
            classes = [(f"stationary_{zone}", zone, ()) for zone in range(noise.ZONES)]
            classes += [(family, 0, (family,)) for family in factory.events]
            count = config.clips_per_noise_class
        else:
            classes = [("stationary", None, ()), ("non_stationary", None, factory.events)]
            count = config.segments_per_kind
        for name, zone, events in classes:
            kind = "non_stationary" if events else "stationary"
            row = dict(zip(_NOISE_COLUMNS, (f"{factory.name}_{name}", kind, factory.name), strict=True))
            for index in range(count):
                yield _NoiseClip(row, (factory.name, name, index), factory, zone, events)


_machine = lru_cache(maxsize=64)(machines.draw_machine)


def _machine_audio(clip: _MachineClip, config: FactoryConfig) -> np.ndarray:
    num_samples = round(config.clip_seconds * signals.SAMPLING_RATE)
    rng = signals.keyed_generator(config.seed, "clip", *clip.key)
    machine = _machine(clip.machine_type, config.seed, clip.instance)
    motion = machines.draw_motion(machine, rng, clip.speed, num_samples)
    sound = machines.machine_sound(machine, motion, rng, clip.load)
    fault, severity_db = None, 0.0
    if clip.row["fault"]:
        fault, severity_db = fault_sound(clip.row["fault"], machine, motion, config.seed, rng)
    is_target = clip.row["domain"] == "target"
    return machines.finish_clip(machine, motion, rng, sound, fault, severity_db, is_target, num_samples)


def _noise_audio(clip: _NoiseClip, config: FactoryConfig) -> np.ndarray:
    rng = signals.keyed_generator(config.seed, "noise", *clip.key)
    families = []
    if clip.events:
        families = sorted(rng.choice(clip.events, rng.integers(1, len(clip.events) + 1), replace=False).tolist())
    num_samples = round(config.clip_seconds * signals.SAMPLING_RATE)
    return noise.noise_clip(clip.factory, config.seed, rng, clip.zone, families, num_samples)


def _synthesise(clips: list[_MachineClip] | list[_NoiseClip], config: FactoryConfig) -> np.ndarray:
    """The audio of some clips, int16 [clips, samples]."""
    return np.stack(
        [_machine_audio(c, config) if isinstance(c, _MachineClip) else _noise_audio(c, config) for c in clips]
    )


def planned_tables(config: FactoryConfig) -> dict[str, list[_MachineClip] | list[_NoiseClip]]:
    """Everything that a build makes, table by table, in the order of the rows."""
    plan: dict[str, list[_MachineClip] | list[_NoiseClip]] = {}
    for split in SPLITS:
        of_split = _training_clips(config) if split == "train" else _benchmark_clips(split, config)
        plan[f"{split}_machines"] = list(of_split)
        plan[f"{split}_noise"] = list(_noise_clips(split, config))
    return plan


def build_factory(
    cache_dir: str | os.PathLike[str], config: FactoryConfig, num_proc: int | None = None
) -> DatasetDict:
    """Makes the procedural factory, or opens it where it has been made before.

    The tables are memory-mapped. A build that is interrupted leaves no cache behind.

    Args:
        cache_dir: folder of the caches; each configuration has a folder of its own in it.
        config: size and seed.
        num_proc: worker processes; None: none, the calling process does the work.

    Returns:
        `train_machines`, `validation_machines`, `evaluation_machines` with columns audio (int16 list), machine_type,
        section, domain, split, label, attributes, factory, fault, and `train_noise`, `validation_noise`,
        `evaluation_noise` with columns audio, noise_class, kind, factory.
    """
    folder = Path(cache_dir) / factory_fingerprint(config)
    if not folder.is_dir():
        temporary = folder.with_name(f".{folder.name}-{os.getpid()}")
        temporary.mkdir(parents=True, exist_ok=True)
        try:
            _write_tables(temporary, config, num_proc)
            _rename(temporary, folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    names = [f"{split}_{what}" for split in SPLITS for what in ("machines", "noise")]
    return DatasetDict({name: Dataset.from_file(str(folder / f"{name}.arrow")) for name in names})


def _rename(temporary: Path, folder: Path) -> None:
    """Puts a finished build in its place; where another process was faster, its build stands."""
    try:
        temporary.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise


def _write_tables(folder: Path, config: FactoryConfig, num_proc: int | None, batch_size: int = 32) -> None:
    plan = planned_tables(config)
    executor = ProcessPoolExecutor(num_proc) if num_proc is not None and num_proc > 1 else None
    with tqdm(total=sum(map(len, plan.values())), desc="procedural factory", unit="clip") as progress:
        try:
            for name, clips in plan.items():
                batches = [clips[start : start + batch_size] for start in range(0, len(clips), batch_size)]
                run = map if executor is None else executor.map
                columns = _MACHINE_COLUMNS if name.endswith("_machines") else _NOISE_COLUMNS
                features = Features({"audio": List(Value("int16")), **{column: Value("string") for column in columns}})
                with (
                    pa.OSFile(str(folder / f"{name}.arrow"), "wb") as file,
                    pa.ipc.new_stream(file, features.arrow_schema) as writer,
                ):
                    for batch, audio in zip(batches, run(_synthesise, batches, [config] * len(batches)), strict=True):
                        offsets = np.arange(len(batch) + 1, dtype=np.int32) * audio.shape[1]
                        arrays = [pa.ListArray.from_arrays(offsets, audio.ravel())]
                        arrays += [pa.array([clip.row[column] for clip in batch]) for column in columns]
                        writer.write_batch(pa.record_batch(arrays, schema=features.arrow_schema))
                        progress.update(len(batch))
        finally:
            if executor is not None:
                executor.shutdown(cancel_futures=True)

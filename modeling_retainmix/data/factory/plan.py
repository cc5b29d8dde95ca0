"""What a build of the procedural factory makes, clip by clip, and how a planned clip becomes sound.

Every clip is a function of the seed and its own name, so neither the number of workers nor the size of the pool
changes a sample of it.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from functools import lru_cache

import numpy as np

from modeling_retainmix.data.factory import machines, noise, signals
from modeling_retainmix.data.factory.catalogue import MACHINE_TYPES, NOISE_FACTORIES, MachineType, NoiseFactory
from modeling_retainmix.data.factory.faults import fault_sound
from modeling_retainmix.data.factory.foreign import FAMILIES, foreign_clip
from modeling_retainmix.data.factory.sessions import draw_session
from modeling_retainmix.data.factory.widths import WIDTHS

# A change of any sample of any clip is a new version, with a new hash of the sample clips: {version: hash}.
FACTORY_SHA256 = {
    3: "b1a2dbf1a2b6a944b0d214051f5f0fa8c0fe3a2af876faf0b4c3d5c500254173",
    4: "8e6ab2ebc669561fe46a87b3944d04cc7ff4d2bf7aee4cfd99a53458b3c86eb1",
}
FACTORY_VERSIONS = tuple(FACTORY_SHA256)
FACTORY_VERSION = max(FACTORY_VERSIONS)

SOURCE_SPEEDS = (0.88, 1.0, 1.12)
TARGET_SPEED = 1.3
LOADS = (0, 1)

FOREIGN = "foreign"  # the machine type of sounds unlike any machine
LARGEST_SHARE = 0.8  # of what a training pool may hold beside healthy machines

CLIPS_PER_SESSION = 5  # from version 4 on; a faulty session holds each of a type's faults once

MACHINE_COLUMNS = ("machine_type", "section", "domain", "split", "label", "attributes", "factory", "fault")
SESSION_COLUMN = "session"  # of machine clips, from version 4 on
NOISE_COLUMNS = ("noise_class", "kind", "factory")


@dataclass(frozen=True)
class FactoryConfig:
    """Size and seed of the procedural factory.

    Attributes:
        clip_seconds: length of every clip, 1 to 60 seconds.
        seed: of everything that is drawn, not negative.
        instances_per_type: machines of each training type; each is an attribute class.
        clips_per_instance: clips of each of them.
        source_references, target_references: normal clips of each domain, per validation and evaluation type.
        tests_per_cell: test clips per cell of domain x label, per validation and evaluation type.
        clips_per_noise_class: clips of each class of training noise.
        segments_per_kind: noise segments of each kind, per validation and evaluation factory.
        version: of the generator; earlier ones make the clips that they always made.
        faulty_share: share of faulty machines among the attribute classes of the training pool. Each is one of the
            healthy machines again, with a fault in all its clips.
        foreign_share: share of sounds unlike any machine among these classes. The healthy clips are the same
            whatever the shares, which are at most 0.8 together.

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
    version: int = FACTORY_VERSION
    faulty_share: float = 0.0
    foreign_share: float = 0.0

    def __post_init__(self) -> None:
        if not 1.0 <= self.clip_seconds <= 60.0:
            raise ValueError(f"clip_seconds must be between 1 and 60, not {self.clip_seconds}")
        if self.seed < 0:
            raise ValueError(f"seed must not be negative: {self.seed}")
        if self.version not in FACTORY_VERSIONS:
            raise ValueError(f"version of the factory must be one of {FACTORY_VERSIONS}, not {self.version}")
        for field in fields(self):
            if field.type is int and field.name not in ("seed", "version") and getattr(self, field.name) < 1:
                raise ValueError(f"{field.name} must be at least 1, not {getattr(self, field.name)}")
        shares = (self.faulty_share, self.foreign_share)
        if min(shares) < 0 or sum(shares) > LARGEST_SHARE:
            raise ValueError(
                f"faulty_share and foreign_share must not be negative, and at most {LARGEST_SHARE} together, not "
                f"{shares[0]} and {shares[1]}"
            )

    @property
    def num_samples(self) -> int:
        """Return the length of a clip in samples."""
        return round(self.clip_seconds * signals.SAMPLING_RATE)


_SHARES = ("faulty_share", "foreign_share")  # the names of data without them are older than the options


def factory_fingerprint(config: FactoryConfig) -> str:
    """Name the data that `config` makes: the generator's version, a hash of its samples and the configuration."""
    values = asdict(config)
    version = values.pop("version")  # the name and the hash of the samples hold it
    values = {name: value for name, value in values.items() if value or name not in _SHARES}
    content = json.dumps({"samples": FACTORY_SHA256[version], **values}, sort_keys=True)
    return f"factory-v{version}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"


@dataclass(frozen=True)
class MachineClip:
    """A machine clip to be made.

    Attributes:
        row: its columns in the table.
        key: its name, which its random draws depend on.
        machine_type, instance: the machine; instance None: the one machine of a validation or evaluation type.
        speed, load: how it runs.
        session: name of the recording session, which its offsets depend on; None: without any (before version 4).
    """

    row: dict[str, str]
    key: tuple[str | int, ...]
    machine_type: MachineType
    instance: int | None
    speed: float
    load: float
    session: tuple[str | int, ...] | None

    def synthesize(self, config: FactoryConfig) -> np.ndarray:
        """Synthesize the clip, int16 [samples]."""
        rng = signals.keyed_generator(config.seed, "clip", *self.key)
        machine, widths = _draw_machine(self.machine_type, config.seed, self.instance), WIDTHS[config.version]
        session = None
        if self.session is not None and widths.session is not None:
            session = _draw_session(
                widths.session,
                config.seed,
                self.session,
                self.machine_type.factory,
                machines.PARTS,
                len(machine.orders),
                signals.padded_length(config.num_samples),
            )
        motion = machines.draw_motion(machine, rng, self.speed, config.num_samples, widths, session)
        sound = machines.machine_sound(machine, motion, rng, self.load, widths, session)
        fault, severity_db = None, 0.0
        if self.row["fault"]:
            fault, severity_db = fault_sound(self.row["fault"], machine, motion, config.seed, rng, widths, session)
        is_target_domain = self.row["domain"] == "target"
        return machines.finish_clip(
            machine, motion, rng, sound, fault, severity_db, is_target_domain, config.num_samples, widths, session
        )


@dataclass(frozen=True)
class NoiseClip:
    """A noise clip to be made.

    Attributes:
        row: its columns in the table.
        key: its name, which its random draws depend on.
        factory, zone: where it is recorded.
        events: the families of which some happen in it; none: stationary.
    """

    row: dict[str, str]
    key: tuple[str | int, ...]
    factory: NoiseFactory
    zone: int | None
    events: tuple[str, ...]

    def synthesize(self, config: FactoryConfig) -> np.ndarray:
        """Synthesize the clip, int16 [samples]."""
        rng = signals.keyed_generator(config.seed, "noise", *self.key)
        families: list[str] = []
        if self.events:
            families = sorted(rng.choice(self.events, rng.integers(1, len(self.events) + 1), replace=False).tolist())
        return noise.noise_clip(
            self.factory, config.seed, rng, self.zone, families, config.num_samples, config.version
        )


@dataclass(frozen=True)
class ForeignClip:
    """A clip of a sound unlike any machine, to be made.

    Attributes:
        row: its columns in the table.
        key: its name, which its random draws depend on.
        family, index: of the sound, of which there are several clips.
        session: as in `MachineClip`.
    """

    row: dict[str, str]
    key: tuple[str | int, ...]
    family: str
    index: int
    session: tuple[str | int, ...] | None

    def synthesize(self, config: FactoryConfig) -> np.ndarray:
        """Synthesize the clip, int16 [samples]."""
        sound_rng = signals.keyed_generator(config.seed, FOREIGN, self.family, self.index)
        rng, widths, path = signals.keyed_generator(config.seed, "clip", *self.key), WIDTHS[config.version], None
        if self.session is not None and widths.session is not None:
            length = signals.padded_length(config.num_samples)
            path = _draw_session(widths.session, config.seed, self.session, self.row["factory"], (), 0, length).path
        return foreign_clip(self.family, sound_rng, rng, config.num_samples, path)


Clip = MachineClip | NoiseClip | ForeignClip

_draw_machine = lru_cache(maxsize=64)(machines.draw_machine)
_draw_session = lru_cache(maxsize=8)(draw_session)  # clips of a session follow one another


def planned_tables(config: FactoryConfig, splits: Sequence[str]) -> dict[str, list[Clip]]:
    """List everything that a build makes: {table: its clips in the order of the rows}, two tables per split."""
    plan: dict[str, list[Clip]] = {}
    for split in splits:
        if split == "train":
            plan["train_machines"] = [*_training_clips(config), *_faulty_clips(config), *_foreign_clips(config)]
        else:
            plan[f"{split}_machines"] = list(_benchmark_clips(split, config))
        plan[f"{split}_noise"] = list(_noise_clips(split, config))
    return plan


def synthesize(clips: Sequence[Clip], config: FactoryConfig) -> np.ndarray:
    """Synthesize the audio of some clips, int16 [clips, samples]."""
    return np.stack([clip.synthesize(config) for clip in clips])


def sample_hash(config: FactoryConfig, splits: Sequence[str]) -> str:
    """Compute the SHA-256 over the first and the last clip of every table of the splits."""
    digest = hashlib.sha256()
    for clips in planned_tables(config, splits).values():
        digest.update(synthesize([clips[0], clips[-1]], config).astype("<i2").tobytes())
    return digest.hexdigest()


def _training_clips(config: FactoryConfig) -> Iterator[MachineClip]:
    for machine_type in MACHINE_TYPES["train"]:
        for instance in range(config.instances_per_type):
            load = signals.keyed_generator(config.seed, "load", machine_type.name, instance).uniform()
            attributes = f"instance_{instance:03d}"
            for index in range(config.clips_per_instance):
                key = (machine_type.name, "train", instance)
                row = _machine_row(machine_type, "source", "train", "normal", attributes)
                session = _add_session(row, f"source_train_normal_{attributes}", key, index, config)
                yield MachineClip(row, (*key, index), machine_type, instance, 1.0, load, session)


def _classes_of_share(share: float, config: FactoryConfig) -> float:
    """Return how many attribute classes have this share, of all in the training pool."""
    healthy = len(MACHINE_TYPES["train"]) * config.instances_per_type
    return share * healthy / (1.0 - config.faulty_share - config.foreign_share)


def _faulty_clips(config: FactoryConfig) -> Iterator[MachineClip]:
    """Plan machines of the pool again, each with a fault of its type: another class, in sessions of its own."""
    per_type = round(_classes_of_share(config.faulty_share, config) / len(MACHINE_TYPES["train"]))
    for machine_type in MACHINE_TYPES["train"]:
        for number in range(per_type):
            turn, instance = divmod(number, config.instances_per_type)
            load = signals.keyed_generator(config.seed, "load", machine_type.name, instance).uniform()
            order = signals.keyed_generator(config.seed, "faults", machine_type.name, instance)
            fault = order.permutation(machine_type.faults).tolist()[turn]
            attributes = f"instance_{instance:03d}_{fault}"
            for index in range(config.clips_per_instance):
                key = (machine_type.name, "train", "faulty", instance, fault)
                row = _machine_row(machine_type, "source", "train", "anomaly", attributes, fault)
                session = _add_session(row, f"source_train_anomaly_{attributes}", key, index, config)
                yield MachineClip(row, (*key, index), machine_type, instance, 1.0, load, session)


def _foreign_clips(config: FactoryConfig) -> Iterator[ForeignClip]:
    """Plan sounds unlike any machine, heard in the training factories in turn."""
    families, factories = list(FAMILIES), [factory.name for factory in NOISE_FACTORIES["train"]]
    for number in range(round(_classes_of_share(config.foreign_share, config))):
        turn, family = number // len(families), families[number % len(families)]
        attributes = f"{family}_{turn:03d}"
        for index in range(config.clips_per_instance):
            key = (FOREIGN, "train", family, turn)
            values = (FOREIGN, "00", "source", "train", "normal", attributes, factories[turn % len(factories)], "")
            row = dict(zip(MACHINE_COLUMNS, values, strict=True))
            session = _add_session(row, f"source_train_normal_{attributes}", key, index, config)
            yield ForeignClip(row, (*key, index), family, turn, session)


def _benchmark_clips(split: str, config: FactoryConfig) -> Iterator[MachineClip]:
    cells = [
        ("source", "train", "normal", config.source_references),
        ("target", "train", "normal", config.target_references),
    ] + [(d, "test", label, config.tests_per_cell) for d in ("source", "target") for label in ("normal", "anomaly")]
    for machine_type in MACHINE_TYPES[split]:
        for domain, part, label, count in cells:
            speeds = SOURCE_SPEEDS if domain == "source" else (TARGET_SPEED,)
            conditions = [(speed, load) for speed in speeds for load in LOADS]
            key = (machine_type.name, part, domain, label)
            for index in range(count):
                # all faults in turn; over the turns every fault meets all conditions
                fault = machine_type.faults[index % len(machine_type.faults)] if label == "anomaly" else ""
                if config.version >= 4:  # a session runs at one condition; a few sessions meet all speeds
                    turn = -(index // CLIPS_PER_SESSION)
                else:
                    turn = index + (index // (len(machine_type.faults) * len(conditions)) if fault else 0)
                speed, load = conditions[turn % len(conditions)]
                row = _machine_row(machine_type, domain, part, label, f"speed_{speed:.2f}_load_{load}", fault)
                session = _add_session(row, f"{domain}_{part}_{label}", key, index, config)
                yield MachineClip(row, (*key, index), machine_type, None, speed, load, session)


def _add_session(
    row: dict[str, str], name: str, key: tuple[str | int, ...], index: int, config: FactoryConfig
) -> tuple[str | int, ...] | None:
    """Write the session of a clip into its row, and return the session's key; version 3 has none."""
    if config.version < 4:
        return None
    session = index // CLIPS_PER_SESSION
    row[SESSION_COLUMN] = f"{name}_{session:02d}"
    return (*key, session)


def _machine_row(
    machine_type: MachineType, domain: str, split: str, label: str, attributes: str, fault: str = ""
) -> dict[str, str]:
    values = (machine_type.name, "00", domain, split, label, attributes, machine_type.factory, fault)
    return dict(zip(MACHINE_COLUMNS, values, strict=True))


def _noise_clips(split: str, config: FactoryConfig) -> Iterator[NoiseClip]:
    for factory in NOISE_FACTORIES[split]:
        classes: list[tuple[str, int | None, tuple[str, ...]]]
        if split == "train":
            classes = [(f"stationary_zone_{zone}", zone, ()) for zone in range(noise.ZONES)]
            classes += [(family, 0, (family,)) for family in factory.events]
            count = config.clips_per_noise_class
        else:
            classes = [("stationary", None, ()), ("non_stationary", None, factory.events)]
            count = config.segments_per_kind
        for name, zone, events in classes:
            kind = "non_stationary" if events else "stationary"
            row = dict(zip(NOISE_COLUMNS, (f"{factory.name}_{name}", kind, factory.name), strict=True))
            for index in range(count):
                yield NoiseClip(row, (factory.name, name, index), factory, zone, events)

"""What stands in the procedural factories: machine types, their build, their faults, and the noise of each factory.

Training, validation and evaluation share no machine type and no factory. Choices are made on validation types.
"""

from dataclasses import dataclass

SPLITS = ("train", "validation", "evaluation")


@dataclass(frozen=True)
class MachineType:
    """How a type of machine is built. Levels are in dB relative to each other, before the body filter.

    Attributes:
        name: of the type.
        factory: where machines of this type stand.
        rotation_hz: turns of the shaft per second at speed 1.
        shaft_db: level of the harmonics of the rotation.
        teeth, gear_db: teeth of the gear on the shaft and level of its mesh; 0 teeth: no gear.
        blades, blade_db: blades on the shaft and level of their tones; 0 blades: none.
        strokes, stroke_db: impacts per turn and their level; 0: none.
        friction_hz, friction_db: band of the friction noise in Hz and its level.
        cycle_hz: on/off cycles per second; 0: runs without pause.
        faults: the mechanisms that anomalies of this type have; of a training type, those of its faulty machines,
            which a training pool holds on request alone.
    """

    name: str
    factory: str
    rotation_hz: float
    shaft_db: float
    friction_hz: tuple[float, float]
    friction_db: float
    teeth: int = 0
    gear_db: float = 0.0
    blades: int = 0
    blade_db: float = 0.0
    strokes: float = 0.0
    stroke_db: float = 0.0
    cycle_hz: float = 0.0
    faults: tuple[str, ...] = ()


@dataclass(frozen=True)
class NoiseFactory:
    """The noise of one factory: one ambience, and the families of events that happen in it."""

    name: str
    events: tuple[str, ...]


NOISE_FACTORIES = {
    "train": (
        NoiseFactory("foundry", ("impacts", "babble", "bursts")),
        NoiseFactory("bottling_hall", ("impacts", "bursts", "horns")),
        NoiseFactory("weaving_mill", ("babble", "bursts", "hammering")),
    ),
    "validation": (
        NoiseFactory("assembly_hall", ("impacts", "babble", "alarms")),
        NoiseFactory("printing_works", ("bursts", "babble", "trolley")),
        NoiseFactory("machine_shop", ("hammering", "impacts", "drilling")),
    ),
    "evaluation": (
        NoiseFactory("paper_mill", ("babble", "bursts", "alarms")),
        NoiseFactory("loading_bay", ("impacts", "trolley", "horns")),
        NoiseFactory("shipyard", ("hammering", "babble", "drilling")),
    ),
}

_TRAIN = (
    MachineType(
        "centrifuge", "foundry", 43, 0, (700, 3000), -4,
        faults=("imbalance", "bearing", "looseness", "rub", "hum"),
    ),
    MachineType(
        "ventilator", "foundry", 24, -2, (300, 2500), 1, blades=7, blade_db=0,
        faults=("imbalance", "looseness", "bearing", "rub", "hum"),
    ),
    MachineType(
        "punch_press", "foundry", 8, -3, (400, 2400), -2, strokes=0.5, stroke_db=1, teeth=47, gear_db=-2,
        faults=("gear_wear", "rattle", "looseness", "squeal", "hum"),
    ),
    MachineType(
        "conveyor", "foundry", 6, -4, (500, 3600), 0, teeth=19, gear_db=-3, strokes=4.4, stroke_db=-3,
        faults=("gear_wear", "squeal", "rattle", "bearing", "rub"),
    ),
    MachineType(
        "gear_pump", "bottling_hall", 29, -2, (1200, 4200), -4, teeth=11, gear_db=1,
        faults=("cavitation", "leak", "gear_wear", "bearing", "hum"),
    ),
    MachineType(
        "screw_compressor", "bottling_hall", 48, -2, (1500, 6000), -3, blades=5, blade_db=1,
        faults=("leak", "cavitation", "bearing", "imbalance", "squeal"),
    ),
    MachineType(
        "bottle_capper", "bottling_hall", 14, -2, (800, 3800), -3, strokes=1, stroke_db=0, cycle_hz=0.9,
        faults=("leak", "rattle", "looseness", "squeal", "rub"),
    ),
    MachineType(
        "mixer", "bottling_hall", 17, 0, (250, 1800), 1, blades=4, blade_db=-2,
        faults=("imbalance", "bearing", "looseness", "rattle", "cavitation"),
    ),
    MachineType(
        "winding_machine", "weaving_mill", 33, -1, (1000, 4800), -2, teeth=23, gear_db=-1, cycle_hz=0.45,
        faults=("gear_wear", "squeal", "rub", "bearing", "imbalance"),
    ),
    MachineType(
        "loom", "weaving_mill", 5, -4, (700, 4000), -2, strokes=2, stroke_db=1, teeth=53, gear_db=-3,
        faults=("gear_wear", "rattle", "looseness", "squeal", "leak"),
    ),
    MachineType(
        "spindle", "weaving_mill", 56, 0, (2000, 6500), -4,
        faults=("imbalance", "bearing", "rub", "squeal", "cavitation"),
    ),
    MachineType(
        "elevator_motor", "weaving_mill", 21, 0, (350, 2100), -3, teeth=41, gear_db=0, cycle_hz=0.3,
        faults=("hum", "gear_wear", "bearing", "imbalance", "looseness"),
    ),
)  # fmt: skip


_VALIDATION = (
    MachineType(
        "cooling_fan", "assembly_hall", 27, -1, (350, 3000), 0, blades=6, blade_db=0,
        faults=("imbalance", "looseness", "bearing", "rub", "hum"),
    ),
    MachineType(
        "reduction_gear", "assembly_hall", 22, -2, (800, 3500), -2, teeth=27, gear_db=1,
        faults=("imbalance", "gear_wear", "bearing", "squeal", "looseness"),
    ),
    MachineType(
        "piston_pump", "printing_works", 13, -2, (600, 4000), -2, strokes=2, stroke_db=0,
        faults=("leak", "cavitation", "rattle", "hum", "looseness"),
    ),
    MachineType(
        "label_printer", "printing_works", 16, -2, (1000, 4500), -2, teeth=21, gear_db=-1, cycle_hz=0.7,
        faults=("gear_wear", "squeal", "rub", "rattle", "imbalance"),
    ),
    MachineType(
        "surface_grinder", "machine_shop", 38, -1, (1500, 6000), 0,
        faults=("imbalance", "bearing", "rub", "squeal", "leak"),
    ),
    MachineType(
        "hydraulic_slide", "machine_shop", 11, -3, (500, 3200), -1, teeth=37, gear_db=0, strokes=1, stroke_db=-3,
        cycle_hz=0.5, faults=("leak", "cavitation", "gear_wear", "rattle", "hum"),
    ),
)  # fmt: skip

_EVALUATION = (
    MachineType(
        "blower", "paper_mill", 31, -1, (450, 3400), 0, blades=8, blade_db=-1,
        faults=("imbalance", "looseness", "bearing", "leak", "rub"),
    ),
    MachineType(
        "worm_gear", "paper_mill", 18, -2, (700, 3000), -2, teeth=33, gear_db=1,
        faults=("gear_wear", "bearing", "squeal", "hum", "looseness"),
    ),
    MachineType(
        "air_compressor", "loading_bay", 15, -2, (550, 4400), -2, strokes=2, stroke_db=0,
        faults=("leak", "rattle", "hum", "imbalance", "cavitation"),
    ),
    MachineType(
        "packing_machine", "loading_bay", 12, -2, (900, 4200), -2, teeth=24, gear_db=-1, strokes=1, stroke_db=-2,
        cycle_hz=0.8, faults=("gear_wear", "rub", "rattle", "squeal", "leak"),
    ),
    MachineType(
        "band_saw", "shipyard", 35, -1, (1300, 5600), 0, teeth=12, gear_db=-2,
        faults=("imbalance", "squeal", "rub", "bearing", "looseness"),
    ),
    MachineType(
        "plate_shear", "shipyard", 9, -3, (480, 2900), -1, teeth=43, gear_db=0, strokes=1, stroke_db=-2,
        cycle_hz=0.4, faults=("cavitation", "gear_wear", "rattle", "hum", "leak"),
    ),
)  # fmt: skip

MACHINE_TYPES = {"train": _TRAIN, "validation": _VALIDATION, "evaluation": _EVALUATION}

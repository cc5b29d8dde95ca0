"""An invented tree in the layout of DCASE 2026 Task 2: two channels, near and far, clips of 6, 10 and 16 s."""

from pathlib import Path

import numpy as np
import soundfile as sf

RATE = 16000
NO_ATTRIBUTE = "noAttribute"
# Attributes of a source and of a target recording
DEVELOPMENT = {
    "ToyCar": (NO_ATTRIBUTE, NO_ATTRIBUTE),
    "ToyCarEmu": ("car_D2_spd_5_mic_2_mic_1", "car_A2_spd_4_mic_2_mic_1"),
    "bearingEmu": (NO_ATTRIBUTE, NO_ATTRIBUTE),
    "fan": ("spd_1", "spd_2"),
    "gearboxEmu": ("pro_A", "pro_y"),
    "sliderEmu": (NO_ATTRIBUTE, NO_ATTRIBUTE),
    "valveEmu": (NO_ATTRIBUTE, NO_ATTRIBUTE),
}
EVALUATION = {
    "BlowerDustCollector": ("nzl_1_pow_1", "nzl_2_pow_2"),
    "Sander": ("spd_4_grit_120", "spd_3_grit_240"),
    "SewingMachine": (NO_ATTRIBUTE, NO_ATTRIBUTE),
    "ToothBrush": (NO_ATTRIBUTE, NO_ATTRIBUTE),
    "ToyDrone": ("car_B1_spd_1_mic_2_mic_1", "car_C1_spd_3_mic_2_mic_1"),
}
SECONDS = {"BlowerDustCollector": 10, "Sander": 10, "SewingMachine": 10, "ToothBrush": 6, "ToyDrone": 16}
TESTS = [(domain, label) for domain in ("source", "target") for label in ("normal", "anomaly")]


def write_tree(root: Path, development_seconds: float = 0.5) -> None:
    """Write `dev_data/raw`, `eval_data/raw` and the ground truth of the latter, `evaluator`, of a few clips each."""
    for machine_type, attributes in DEVELOPMENT.items():
        machine = root / "dev_data" / "raw" / machine_type
        _write_references(machine, attributes, development_seconds)
        for domain, label in TESTS:
            name = f"section_00_{domain}_test_{label}_0000_{attributes[domain == 'target']}"
            _write_clip(machine / "test" / f"{name}.wav", development_seconds, label)
    for machine_type, attributes in EVALUATION.items():
        machine = root / "eval_data" / "raw" / machine_type
        _write_references(machine, attributes, SECONDS[machine_type])
        for index, (domain, label) in enumerate(TESTS):
            name = f"section_00_{index:04d}.wav"
            _write_clip(machine / "test" / name, SECONDS[machine_type], label)
            labelled = f"section_00_{domain}_test_{label}_{index:04d}_{attributes[domain == 'target']}"
            truth = {"data": int(label == "anomaly"), "domain": int(domain == "target"), "attributes": labelled}
            for kind, value in truth.items():
                folder = root / "evaluator" / f"ground_truth_{kind}"
                folder.mkdir(parents=True, exist_ok=True)
                with open(folder / f"ground_truth_{machine_type}_section_00_test.csv", "a", encoding="utf-8") as file:
                    file.write(f"{name},{value}\n")


def _write_references(machine: Path, attributes: tuple[str, str], seconds: float) -> None:
    for domain, count in (("source", 4), ("target", 2)):
        for index in range(count):
            name = f"section_00_{domain}_train_normal_{index:04d}_{attributes[domain == 'target']}"
            _write_clip(machine / "train" / f"{name}.wav", seconds, "normal")
    (machine / "attributes_00.csv").write_text("file_name\n", encoding="utf-8")


def _write_clip(path: Path, seconds: float, label: str) -> None:
    """The near channel hears the machine, a tone that whistles if it is broken; both hear the noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(list(str(path.relative_to(path.parents[4])).encode()))
    time, noise = np.arange(round(seconds * RATE)) / RATE, generator.normal(0, 0.1, round(seconds * RATE))
    machine = 0.02 * np.sin(2 * np.pi * 300 * time)
    if label == "anomaly":
        machine += 0.02 * np.sin(2 * np.pi * 2100 * time)
    far = np.convolve(noise, [0.6, 0.3, 0.1])[: len(noise)] + 0.2 * machine
    sf.write(path, np.stack([machine + noise, far], axis=1), RATE)

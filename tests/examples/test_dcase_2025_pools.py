"""The pools of DCASE 2025: every supplemental clip in one of them, noise of a type on one side."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import soundfile

from modeling_retainmix.data.layouts.noise import read_noise_folder, read_training_noise
from modeling_retainmix.data.recordings import read_training_machines

SCRIPT = Path(__file__).parents[2] / "examples" / "dcase_2025_pools.py"


@pytest.fixture(scope="module")
def pools():
    spec = importlib.util.spec_from_file_location("dcase_2025_pools", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write(folder, machine_type, name, steady=True):
    sound = 0.1 * np.random.default_rng(0).standard_normal(16000)
    path = folder / "eval_data" / "raw" / machine_type / "supplemental" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound if steady else sound * np.repeat([0.01, 1.0], 8000), 16000)


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "dcase2025"
    for number in range(2):
        write(folder, "fan", f"section_00_machine_{number:04d}_.wav")
        write(folder, "Polisher", f"section_00_source_supplemental_machine_{number:04d}.wav")
        for machine_type in ("ToyCar", "ToyPet", "valve"):
            write(folder, machine_type, f"section_00_noise_supplemental_normal_{number:04d}.wav", steady=number == 0)
    write(folder, "fan", "../train/section_00_source_train_normal_0000_.wav")
    return folder


def test_when_clips_are_sorted_then_the_pools_are_what_training_and_benchmark_read(pools, data, tmp_path, capsys):
    output = tmp_path / "pools"
    pools.main([str(data), str(output)])
    assert capsys.readouterr().out.splitlines() == [
        f"{output}/evaluation_noise/non_stationary: 1 clips",
        f"{output}/evaluation_noise/stationary: 1 clips",
        f"{output}/machines: 4 clips",
        f"{output}/noise: 4 clips",
    ]
    assert sorted(read_training_machines(str(output / "machines"))["machine_type"]) == ["Polisher"] * 2 + ["fan"] * 2
    assert sorted(read_training_noise(str(output / "noise"))["noise_class"]) == ["ToyCar"] * 2 + ["valve"] * 2
    noise = read_noise_folder(output / "evaluation_noise")
    assert set(zip(noise["noise_class"], noise["kind"], strict=True)) == {
        ("ToyPet", "stationary"),
        ("ToyPet", "non_stationary"),
    }
    with pytest.raises(SystemExit, match="exists"):
        pools.main([str(data), str(output)])


def test_when_only_one_type_has_noise_then_error_says_what_is_missing(pools, tmp_path):
    write(tmp_path / "data", "fan", "section_00_machine_0000_.wav")
    write(tmp_path / "data", "ToyCar", "section_00_noise_0000.wav")
    with pytest.raises(SystemExit, match="noise of 1 machine types: two are needed"):
        pools.main([str(tmp_path / "data"), str(tmp_path / "pools")])
    assert not (tmp_path / "pools").exists()


def test_level_deviation_is_that_of_a_naive_loop(pools):
    sound = np.random.default_rng(0).standard_normal(16500) * np.linspace(0.1, 1.0, 16500)
    levels = [10 * np.log10(np.mean(sound[start : start + 1600] ** 2)) for start in range(0, 16000, 1600)]
    assert pools.level_deviation_db(sound) == pytest.approx(np.std(levels), abs=1e-6)

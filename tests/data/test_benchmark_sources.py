"""One call for every source of a benchmark."""

import numpy as np
import pytest
import soundfile

from modeling_retainmix.data.benchmark import BenchmarkProtocol
from modeling_retainmix.data.benchmark_arguments import BenchmarkArguments
from modeling_retainmix.data.benchmark_sources import factory_config, load_benchmark
from modeling_retainmix.data.factory import FACTORY_VERSION

PROTOCOL = BenchmarkProtocol("tiny", 2, 1, 1, (0,), (0,), clip_seconds=1.0)


def arguments(cache_dir, recordings=None, noise=None, **options):
    folders = {name: str(folder) for name, folder in (("eval_data", recordings), ("noise", noise)) if folder}
    return BenchmarkArguments(cache_dir=str(cache_dir), data_workers=1, **folders, **options)


def write_clip(path, generator):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, generator.uniform(-0.3, 0.3, 16000), 16000)


@pytest.fixture
def noise(tmp_path):
    generator = np.random.default_rng(1)
    for kind in ("stationary", "non_stationary"):
        for index in range(9):
            write_clip(tmp_path / "noise" / kind / f"hall_{index}.wav", generator)
    return tmp_path / "noise"


@pytest.fixture
def recordings(tmp_path):
    """The layout of DCASE Task 2 from 2022 on."""
    generator = np.random.default_rng(0)
    root = tmp_path / "recordings"
    for domain, references in (("source", 2), ("target", 1)):
        for index in range(references):
            write_clip(root / "fan" / "train" / f"section_00_{domain}_train_normal_{index:04}_a.wav", generator)
        for label in ("normal", "anomaly"):
            write_clip(root / "fan" / "test" / f"section_00_{domain}_test_{label}_0000_a.wav", generator)
    return root


def test_when_no_folder_is_given_then_the_factory_has_as_many_clips_as_the_protocol_takes(tmp_path):
    benchmark = load_benchmark(PROTOCOL, arguments(tmp_path, benchmark_seed=3))
    assert len(benchmark) == 6
    assert benchmark[0].counts() == {
        "source references": 2,
        "target references": 1,
        "normal tests": 2,
        "anomalous tests": 2,
    }
    again = load_benchmark(PROTOCOL, arguments(tmp_path / "elsewhere", benchmark_seed=3))
    assert [machine.fingerprint for machine in benchmark] == [machine.fingerprint for machine in again]
    assert load_benchmark(PROTOCOL, arguments(tmp_path, benchmark_seed=4))[0].fingerprint != benchmark[0].fingerprint


def test_when_sizes_are_given_then_they_stand_above_those_of_the_protocol():
    config = factory_config(PROTOCOL, 2.0, 5, {"tests_per_cell": 7})
    assert (config.clip_seconds, config.seed, config.source_references, config.tests_per_cell) == (2.0, 5, 2, 7)
    assert config.version == FACTORY_VERSION
    assert factory_config(PROTOCOL, 2.0, 5, {"version": 3}).version == 3


def test_when_a_folder_is_given_then_the_seed_decides_which_noise_lies_on_which_clip(tmp_path, recordings, noise):
    def fingerprint(seed):
        (fan,) = load_benchmark(PROTOCOL, arguments(tmp_path / "cache", recordings, noise, benchmark_seed=seed))
        assert fan.counts()["source references"] == 2
        return fan.fingerprint

    assert fingerprint(0) == fingerprint(0) != fingerprint(1)


def test_when_tests_have_no_labels_then_the_ground_truth_is_asked_for_and_used(tmp_path, recordings, noise):
    """The layout of a public evaluation set: file names of tests tell nothing."""
    columns = {"data": [], "domain": []}
    for index, path in enumerate(sorted((recordings / "fan" / "test").iterdir())):
        name = f"section_00_{index:04}.wav"
        columns["data"].append([name, int("anomaly" in path.name)])
        columns["domain"].append([name, int("target" in path.name)])
        path.rename(path.with_name(name))
    for kind, rows in columns.items():
        file = tmp_path / f"truth/ground_truth_{kind}/ground_truth_fan_section_00_test.csv"
        file.parent.mkdir(parents=True)
        file.write_text("".join(f"{name},{value}\n" for name, value in rows))
    with pytest.raises(ValueError, match=r"4 of 4 tests of the machine type fan \(section 00\) have no label"):
        load_benchmark(PROTOCOL, arguments(tmp_path / "cache", recordings, noise))
    truth = str(tmp_path / "truth")
    (fan,) = load_benchmark(PROTOCOL, arguments(tmp_path / "cache", recordings, noise, ground_truth=truth))
    assert fan.counts()["anomalous tests"] == 2


def test_layout_of_2020_is_scored_per_id_by_the_rules_of_2020(tmp_path, noise):
    generator = np.random.default_rng(0)
    for section in ("02", "04"):
        for index in range(2):
            write_clip(tmp_path / f"data/pump/train/normal_id_{section}_{index:08}.wav", generator)
        for label in ("normal", "anomaly"):
            write_clip(tmp_path / f"data/pump/test/{label}_id_{section}_00000000.wav", generator)
    benchmark = load_benchmark(PROTOCOL, arguments(tmp_path / "cache", tmp_path / "data", noise))
    assert [(unit.machine_type, unit.rules) for unit in benchmark] == [("pump/02", 2020), ("pump/04", 2020)]
    assert all(unit.counts()["source references"] == 2 for unit in benchmark)


def test_when_only_one_folder_is_given_then_the_error_says_so(tmp_path, recordings):
    with pytest.raises(ValueError, match="belong together"):
        arguments(tmp_path, recordings)


def test_when_the_folder_is_missing_then_the_error_names_it(tmp_path, noise):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load_benchmark(PROTOCOL, arguments(tmp_path, tmp_path / "nowhere", noise))


def test_when_validation_machines_are_asked_for_then_they_are_the_factorys_even_beside_recordings(
    tmp_path, recordings, noise
):
    given = load_benchmark(PROTOCOL, arguments(tmp_path, recordings, noise), split="validation")
    plain = load_benchmark(PROTOCOL, arguments(tmp_path), split="validation")
    assert [machine.fingerprint for machine in given] == [machine.fingerprint for machine in plain]
    assert "fan" not in [machine.machine_type for machine in given]

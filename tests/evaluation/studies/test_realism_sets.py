"""Sets of the realism study, read from a made-up folder and made from a tiny factory."""

import csv

import numpy as np
import pytest
import soundfile

from modeling_retainmix.evaluation.studies import realism_sets

HEADER = ["path", "domain", "split", "label", "attributes", "recording", "origin"]


def write_clip(path, seconds, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = 0.05 * np.random.default_rng(seed).standard_normal(round(seconds * 16000))
    soundfile.write(path, samples, 16000)


def write_manifest(folder, rows):
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "MANIFEST.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, HEADER)
        writer.writeheader()
        writer.writerows(dict(zip(HEADER, row, strict=True)) for row in rows)


@pytest.fixture
def folder(tmp_path):
    rows = [
        ("rig/gear/train/a.flac", "source", "train", "normal", "load=0;sensor=a1;", "", "repo:h0.csv#a1"),
        ("rig/gear/test/b.flac", "target", "test", "anomaly", "load=0;sensor=a2;", "", "repo:b0.csv#a2"),
        ("noise/stationary/x_hum_1.flac", "", "", "", "", "", ""),  # no machine
    ]
    for seed, (row, seconds) in enumerate(zip(rows, (5.2, 2.5, 6.0), strict=True)):
        write_clip(tmp_path / row[0], seconds, seed)
    write_manifest(tmp_path, rows)
    write_clip(tmp_path / "more/fan/train/c.flac", 2.6, 7)
    write_manifest(
        tmp_path / "more", [("fan/train/c.flac", "source", "train", "normal", "motor_M1_speed_9", "Healthy_1", "")]
    )
    write_clip(tmp_path / "noise/non_stationary/x_running_tap_2.flac", 2.5, 8)
    write_clip(tmp_path / "noise/stationary/x_hum_3.flac", 1.0, 9)  # too short
    return tmp_path


def test_machines_are_read_from_every_manifest_and_cut_to_pieces(folder):
    fan, gear = realism_sets.read_machine_sets(folder)
    assert (fan.name, gear.name) == ("fan", "gear")
    assert gear.waveforms.shape == (3, 40000)
    assert gear.unit.tolist() == ["a1", "a1", "a2"]
    assert gear.recording.tolist() == ["repo:h0.csv#a1", "repo:h0.csv#a1", "repo:b0.csv#a2"]
    assert gear.is_anomaly.tolist() == gear.is_target_domain.tolist() == [False, False, True]
    assert gear.is_reference.tolist() == [True, True, False]
    assert (fan.unit.tolist(), fan.recording.tolist()) == (["M1"], ["Healthy_1"])
    samples, _ = soundfile.read(folder / "rig/gear/train/a.flac")
    second = samples[40000:80000] - samples[40000:80000].mean()
    np.testing.assert_allclose(gear.waveforms[1], second / np.sqrt(np.mean(second**2)) * 10**-1.5, atol=1e-5)
    assert gear.statistics.spectrum.shape == (3, 128)


def test_noise_is_read_by_kind_and_class(folder):
    hum = realism_sets.read_noise_set(folder, ["stationary"])
    assert hum.classes.tolist() == ["hum", "hum"]
    assert hum.is_first.tolist() == [True, False]
    assert realism_sets.read_noise_set(folder, classes=("running_tap",)).classes.tolist() == ["running_tap"]
    with pytest.raises(ValueError, match="no FLAC file of drill"):
        realism_sets.read_noise_set(folder, classes=("drill",))


def test_when_a_folder_has_no_manifest_or_no_machine_then_the_error_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"{tmp_path} has no MANIFEST.csv"):
        realism_sets.read_machine_sets(tmp_path)
    write_manifest(tmp_path, [("a/b/c.flac", "source", "train", "normal", "", "", "")])
    with pytest.raises(ValueError, match="has a row whose attributes name"):
        realism_sets.read_machine_sets(tmp_path)


@pytest.mark.parametrize(("version", "recordings"), [(3, 6 + 2), (4, 2 + 1)])
def test_recordings_of_the_factory_are_conditions_and_from_version_4_on_sessions(version, recordings):
    sizes = {"source_references": 6, "target_references": 2, "tests_per_cell": 5, "segments_per_kind": 2}
    machines, noise = realism_sets.make_factory_sets(version, sizes)
    assert len(machines) == 6
    for each in machines:
        assert len(each.waveforms) == 6 + 2 + 4 * 5
        assert len(set(each.recording[each.is_reference])) == recordings
        assert len(set(each.fault[each.is_anomaly])) == 5
        assert not each.is_anomaly[each.is_reference].any()
    assert {kind: len(each.waveforms) for kind, each in noise.items()} == {"stationary": 6, "non_stationary": 6}
    assert set(noise["stationary"].classes) == {"assembly_hall", "printing_works", "machine_shop"}

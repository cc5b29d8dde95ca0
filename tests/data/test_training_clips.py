"""Preparation of training clips: what is dropped and why, and several processes at once."""

import multiprocessing

import numpy as np
import pytest
import soundfile
from datasets import Dataset

from modeling_retainmix.data.training_clips import prepare_training_clips

RATE = 16000


def write(path, samples, rate=RATE):
    soundfile.write(path, samples, rate, subtype="PCM_16")
    return str(path)


def noise(seed, seconds=0.5):
    return 0.1 * np.random.default_rng(seed).standard_normal(int(seconds * RATE))


@pytest.fixture
def table(tmp_path):
    folder = tmp_path / "clips"
    folder.mkdir()
    (folder / "broken.wav").write_bytes(b"this is no sound")
    paths = [
        write(folder / "first.wav", noise(0)),
        str(folder / "broken.wav"),
        write(folder / "silent.wav", np.zeros(8000)),
        write(folder / "short.wav", noise(1, 0.1)),
        write(folder / "copy.wav", noise(0)),
        write(folder / "stereo.wav", np.stack([noise(2), noise(3)], axis=1)),
        write(folder / "last.wav", noise(4)),
    ]
    return Dataset.from_dict({"path": paths, "machine_type": [f"type_{n}" for n in range(7)]})


def test_when_clips_cannot_be_trained_on_then_they_are_dropped_and_each_reason_is_told(table, tmp_path):
    clips, report = prepare_training_clips(table, tmp_path / "cache")
    assert clips["machine_type"][:] == ["type_0", "type_6"]
    assert clips["audio"][1] == soundfile.read(table["path"][6], dtype="int16")[0].tolist()
    paths = table["path"][:]
    why = dict(
        zip(["broken", "silent", "short", "copy", "stereo"], [report.dropped[p] for p in paths[1:6]], strict=True)
    )
    assert why["broken"].startswith("undecodable: ")
    assert why["silent"].startswith("silent: ")
    assert why["short"] == "too short: 1600 samples, at least 2800 are needed"
    assert why["copy"] == f"duplicate: of {paths[0]}"
    assert "2 channels" in why["stereo"]
    assert report.kept == 2
    assert report.counts() == {"undecodable": 2, "silent": 1, "too short": 1, "duplicate": 1}
    assert str(report).startswith("7 clips, 5 dropped (2 undecodable, 1 silent, 1 too short, 1 duplicate): ")
    assert all(path in str(report) for path in paths[1:6])


def test_when_channel_is_given_then_clips_of_several_channels_are_kept(table, tmp_path):
    clips, report = prepare_training_clips(table.select([5]), tmp_path / "cache", channel=1)
    assert report.kept == 1
    assert clips["audio"][0] == soundfile.read(table["path"][5], dtype="int16")[0][:, 1].tolist()


def test_when_prepared_before_then_the_result_and_its_report_are_opened(table, tmp_path, monkeypatch):
    _, first = prepare_training_clips(table, tmp_path / "cache")
    monkeypatch.setattr("modeling_retainmix.data.training_clips._prepare", None)
    clips, again = prepare_training_clips(table, tmp_path / "cache")
    assert again == first
    assert len(clips) == 2


def test_when_file_changes_then_it_is_prepared_anew(table, tmp_path):
    prepare_training_clips(table, tmp_path / "cache")
    write(table["path"][2], noise(9))
    assert prepare_training_clips(table, tmp_path / "cache")[1].kept == 3


def test_when_no_clip_is_usable_then_error_tells_why(table, tmp_path):
    with pytest.raises(ValueError, match=r"nothing to train on.*1 silent.*silent\.wav"):
        prepare_training_clips(table.select([2]), tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_when_file_is_missing_then_error_names_it(tmp_path):
    table = Dataset.from_dict({"path": [str(tmp_path / "absent.wav")], "machine_type": ["fan"]})
    with pytest.raises(FileNotFoundError, match=r"absent\.wav"):
        prepare_training_clips(table, tmp_path / "cache")


def prepare_when_released(barrier, paths, cache_dir, results):
    table = Dataset.from_dict({"path": paths})
    barrier.wait()
    clips, report = prepare_training_clips(table, cache_dir)
    results.put((report.kept, sum(map(sum, clips["audio"]))))


@pytest.mark.slow
def test_when_two_processes_prepare_at_once_then_both_read_one_whole_result(tmp_path):
    paths = [write(tmp_path / f"{seed}.wav", noise(seed)) for seed in range(200)]
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(2), context.SimpleQueue()
    arguments = (barrier, paths, str(tmp_path / "cache"), results)
    processes = [context.Process(target=prepare_when_released, args=arguments) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    seen = [results.get() for _ in range(2)]
    assert seen[0][0] == 200
    assert seen[0] == seen[1]
    assert len(list((tmp_path / "cache").iterdir())) == 1

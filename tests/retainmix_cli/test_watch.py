"""`retainmix watch`: lines and statuses of a real detector, feedback, and an end that keeps everything."""

import json
import os
import signal
import threading

import numpy as np
import pytest
import soundfile as sf

from modeling_retainmix import AnomalyDetector
from modeling_retainmix.watching.state import WatchState
from retainmix_cli.app import run

RATE = 16000


def write(path, width, seed):
    noise = np.random.default_rng(seed).normal(0, 0.1, RATE)
    sf.write(path, np.convolve(noise, np.ones(width) / width, mode="same"), RATE)


@pytest.fixture(scope="module")
def healthy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("healthy")
    for seed in range(12):
        write(folder / f"healthy_{seed}.wav", 4, seed)
    detector = AnomalyDetector.from_pretrained("log-mel", device="cpu", backend="whitened", normalization="none")
    return detector.fit(folder, groups=[str(seed) for seed in range(12)])


@pytest.fixture
def arguments(healthy, tmp_path):
    healthy.save_pretrained(tmp_path / "detector")
    (tmp_path / "in").mkdir()
    places = ["--detector", str(tmp_path / "detector"), "--state", str(tmp_path / "state")]
    return ["watch", str(tmp_path / "in"), *places, "--poll", "0.05"]


def test_once_says_what_was_found_and_its_status_is_that_of_the_worst(arguments, tmp_path, capsys):
    once = [
        *arguments,
        "--once",
        "--json",
        "--trend",
        str(tmp_path / "trend.html"),
        "--raise-at",
        "1",
        "--of-last",
        "1",
    ]
    assert run(once) == 0
    write(tmp_path / "in" / "a.wav", 4, 100)
    write(tmp_path / "in" / "b.wav", 1, 101)
    os.utime(tmp_path / "in" / "a.wav", (1e9, 1e9))
    capsys.readouterr()
    assert run(once) == 1
    printed = capsys.readouterr()
    first, second = map(json.loads, printed.out.splitlines())
    assert (first["recording"], second["recording"]) == tuple(
        str(tmp_path / "in" / name) for name in ("a.wav", "b.wav")
    )
    assert (second["verdict"], second["alarm"], second["number"]) == ("anomalous", "raised", 2)
    assert second["score"] > second["threshold"] and len(second["detector"]) == 16
    assert "2 new recordings, 1 of them anomalous" in printed.err and "b.wav" in (tmp_path / "trend.html").read_text()
    assert run(once) == 0  # nothing new
    (tmp_path / "in" / "c.m4a").write_bytes(b"x")
    assert run(once) == 2


def test_a_line_tells_verdict_score_and_alarm(arguments, tmp_path, capsys):
    write(tmp_path / "in" / "b.wav", 1, 101)
    assert run([*arguments, "--once", "--raise-at", "1", "--of-last", "1"]) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"1  anomalous  {tmp_path / 'in' / 'b.wav'}  score ") and line.endswith("ALARM RAISED")


def test_confirm_and_undo_change_the_detector(arguments, tmp_path, capsys):
    write(tmp_path / "in" / "b.wav", 1, 101)
    run([*arguments, "--once"])
    assert run([*arguments, "--confirm", "b.wav", "--note", "new belt"]) == 0
    assert "--undo 1 takes it back" in capsys.readouterr().err
    assert len(AnomalyDetector.from_pretrained(tmp_path / "detector").reference_names) == 13
    assert run([*arguments, "--undo", "1"]) == 0
    assert len(AnomalyDetector.from_pretrained(tmp_path / "detector").reference_names) == 12
    assert run([*arguments, "--confirm", "nothing.wav"]) == 2
    assert "nothing.wav is no recording of this watch" in capsys.readouterr().err


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_when_a_signal_comes_then_the_watch_ends_and_a_running_one_has_taken_up_the_changed_detector(
    arguments, tmp_path, capsys, healthy, number, status
):
    def work():
        with WatchState(tmp_path / "state") as state:
            write(tmp_path / "in" / "a.wav", 4, 100)
            wait_for(state, 1)
            detector = AnomalyDetector.from_pretrained(tmp_path / "detector")
            detector.confirm_normal(tmp_path / "in" / "a.wav").save_pretrained(tmp_path / "detector")
            write(tmp_path / "in" / "b.wav", 4, 101)
            wait_for(state, 2)
        os.kill(os.getpid(), number)

    def wait_for(state, count):
        for _ in range(2000):
            if len(state.recordings()) >= count:
                return
            threading.Event().wait(0.02)

    worker = threading.Thread(target=work)
    worker.start()
    assert run([*arguments, "--json"]) == status
    worker.join()
    printed = capsys.readouterr()
    first, second = map(json.loads, printed.out.splitlines())
    assert first["detector"] != second["detector"] and "the same command goes on" in printed.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--raise-at", "3", "--of-last", "2"], "raise_at=3"),
        (["--post", "nowhere"], "--post"),
        (["--mqtt", "broker"], "--mqtt"),
        (["--command", "no-such-program"], "no such program"),
        (["--once", "--microphone", "default"], "leave one of them out"),
        (["--poll", "0"], "--poll"),
    ],
)
def test_when_options_do_not_fit_then_status_is_3_and_they_are_named(arguments, capsys, options, message):
    assert run([*arguments, *options]) == 3
    assert message in " ".join(capsys.readouterr().err.split())


def test_when_there_is_no_detector_or_no_folder_then_status_is_2(arguments, tmp_path, capsys):
    assert run(["watch", str(tmp_path), "--detector", str(tmp_path / "none"), "--once"]) == 2
    assert "not the folder of a saved detector" in capsys.readouterr().err
    (tmp_path / "in").rmdir()
    assert run([*arguments, "--once"]) == 2

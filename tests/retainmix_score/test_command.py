"""Rows, exit status and messages of the command, with the graph whose score is the largest sample."""

import csv
import io
import json

import numpy as np
import pytest
import soundfile
from tiny_scorer import RATE, ramp, write_scorer

from retainmix_score.command import run


@pytest.fixture
def detector(tmp_path):
    return write_scorer(tmp_path / "exported")


@pytest.fixture
def recordings(tmp_path):
    """A quiet and a loud one, of one and of two windows; the threshold is 0.5 or 0.6."""
    folder = tmp_path / "recordings"
    (folder / "more").mkdir(parents=True)
    soundfile.write(folder / "quiet.wav", 0.25 * ramp(1000), RATE)
    soundfile.write(folder / "more" / "loud.FLAC", 0.75 * ramp(1500), RATE, format="FLAC")
    return folder


def test_when_a_folder_is_scored_then_rows_have_verdicts_and_the_status_says_that_there_is_an_anomaly(
    detector, recordings, capsys
):
    (recordings / "notes.txt").write_text("no sound")
    assert run([str(detector), str(recordings)]) == 1
    printed = capsys.readouterr()
    loud, quiet = csv.DictReader(io.StringIO(printed.out))
    assert (loud["file"], loud["threshold"], loud["anomalous"]) == (str(recordings / "more" / "loud.FLAC"), "0.6", "1")
    assert (quiet["file"], quiet["threshold"], quiet["anomalous"]) == (str(recordings / "quiet.wav"), "0.5", "0")
    assert [float(row["score"]) for row in (loud, quiet)] == pytest.approx([0.75, 0.25], abs=1e-3)
    assert "1 other file left out, which is no sound" in printed.err
    assert "1 of 2 recordings is anomalous\n" in printed.err


def test_when_all_are_normal_then_the_status_is_0_and_json_has_a_line_each(detector, recordings, capsys):
    quiet = str(recordings / "quiet.wav")
    assert run([str(detector), quiet, quiet, "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert rows == [{"file": quiet, "score": pytest.approx(0.25, abs=1e-3), "threshold": 0.5, "anomalous": False}] * 2


def test_when_one_cannot_be_read_then_the_others_are_scored_and_failure_wins(detector, recordings, capsys):
    (recordings / "broken.wav").write_bytes(b"no sound")
    assert run([str(detector), str(recordings), "--json"]) == 2
    printed = capsys.readouterr()
    rows = [json.loads(line) for line in printed.out.splitlines()]
    assert [row.get("anomalous", "error" in row) for row in rows] == [True, True, False]
    assert f"error: {recordings / 'broken.wav'} cannot be read" in printed.err


def test_when_no_recording_can_be_scored_then_it_is_said_and_sound_of_other_formats_is_named(
    detector, tmp_path, capsys
):
    folder = tmp_path / "phone"
    folder.mkdir()
    (folder / "voice.m4a").write_bytes(b"no sound that can be read")
    assert run([str(detector), str(folder), "--json"]) == 2
    printed = capsys.readouterr()
    assert "has the format m4a, which cannot be read" in json.loads(printed.out)["error"]
    assert printed.err.endswith("none of 1 recording could be scored\n")
    soundfile.write(folder / "short.wav", ramp(10), RATE)
    assert run([str(detector), str(folder)]) == 2
    assert "short.wav is 0.01 s long; at least 0.1 s are needed" in capsys.readouterr().err


def test_when_the_detector_has_no_thresholds_then_rows_have_no_verdict_and_a_line_says_why(
    tmp_path, recordings, capsys
):
    detector = write_scorer(tmp_path / "few", thresholds=None)
    assert run([str(detector), str(recordings)]) == 0
    printed = capsys.readouterr()
    rows = list(csv.DictReader(io.StringIO(printed.out)))
    assert [(row["threshold"], row["anomalous"]) for row in rows] == [("", ""), ("", "")]
    assert "no verdicts: the detector had too few references" in printed.err


def test_when_files_have_two_channels_then_the_option_chooses(detector, tmp_path, capsys):
    path = str(tmp_path / "two.wav")
    soundfile.write(path, np.stack([0.25 * ramp(1000), 0.75 * ramp(1000)], axis=1), RATE)
    assert run([str(detector), path]) == 2
    assert [run([str(detector), path, "--channel", channel]) for channel in ("0", "1", "mean")] == [0, 1, 0]


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ([], 3, "required: detector, recordings"),
        (["{detector}", "a.wav", "--chanel", "0"], 3, "--chanel"),
        (["{detector}", "a.wav", "--channel", "left"], 3, "--channel"),
        (["nowhere", "{empty}/../exported/scorer.json"], 2, "scorer.json is missing: pass a folder"),
        (["{detector}", "{empty}"], 2, "holds no sound file"),
        (["nowhere", "missing"], 2, "missing does not exist: check the path"),  # before the detector is loaded
    ],
)
def test_when_the_call_is_wrong_then_one_line_says_so(detector, tmp_path, capsys, arguments, status, message):
    (tmp_path / "empty").mkdir()
    places = {"detector": detector, "empty": tmp_path / "empty"}
    assert run([argument.format(**places) for argument in arguments]) == status
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert message in line

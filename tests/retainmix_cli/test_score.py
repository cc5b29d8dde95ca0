"""Recordings become rows: on standard output or in a file, of one machine or of many, with a status that says it."""

import csv
import os
import shutil
import signal
import sys

import numpy as np
import pytest
import soundfile as sf

from modeling_retainmix import AnomalyDetector
from modeling_retainmix.stoppable_csv import OutputError, ResultFile
from retainmix_cli.app import run


def read(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_when_a_fault_is_scored_then_status_is_1_and_values_are_those_of_the_detector(machine, fitted, command):
    status, rows, errors = command("score", machine / "today", "--detector", fitted)
    assert status == 1 and [row["anomalous"] for row in rows] == [False, True, False]
    detector = AnomalyDetector.from_pretrained(fitted)
    np.testing.assert_allclose([row["score"] for row in rows], detector.score(machine / "today"), rtol=1e-6)
    np.testing.assert_allclose([row["p_value"] for row in rows], detector.p_values(machine / "today"))
    assert {row["threshold"] for row in rows} == {detector.threshold(0.1)}
    assert "above the threshold of 10 % of false alarms: 1 of 3 recordings with a verdict" in errors


def test_when_only_healthy_recordings_are_scored_then_status_is_0(machine, fitted, command):
    status, rows, _ = command("score", machine / "today" / "0.wav", machine / "today" / "2.wav", "-d", fitted)
    assert status == 0 and [row["file"][-5:] for row in rows] == ["0.wav", "2.wav"]


def test_when_a_table_is_printed_then_the_most_anomalous_recording_comes_first(machine, fitted, capsys):
    assert run(["score", str(machine / "today"), "--detector", str(fitted)]) == 1
    header, first, *others = capsys.readouterr().out.splitlines()
    assert header.split() == ["file", "score", "p_value", "threshold", "anomalous"]
    assert first.split()[0].endswith("1.wav") and first.split()[-1] == "ANOMALY"
    assert [line.split()[-1] for line in others] == ["normal", "normal"]


def test_when_csv_is_printed_then_it_holds_what_a_file_does(machine, fitted, tmp_path, capsys):
    arguments = ["score", str(machine / "today"), "--detector", str(fitted)]
    assert run([*arguments, "--csv"]) == 1
    printed = capsys.readouterr().out
    assert run([*arguments, "--output", str(tmp_path / "new" / "scores.csv")]) == 1
    assert (tmp_path / "new" / "scores.csv").read_text() == printed
    assert [row["anomalous"] for row in read(tmp_path / "new" / "scores.csv")] == ["0", "1", "0"]
    assert run([*arguments, "--csv", "--json"]) == 3


def test_when_references_are_too_few_for_the_rate_then_there_is_a_ranking_and_no_verdict(machine, command):
    references = machine / "healthy" / "monday"
    options = ("--references", references, "--backend", "whitened")
    status, rows, errors = command("score", machine / "today", *options)
    assert status == 0 and {row["anomalous"] for row in rows} == {row["threshold"] for row in rows} == {None}
    assert max(rows, key=lambda row: row["score"])["file"].endswith("1.wav")
    assert min(row["p_value"] for row in rows) == pytest.approx(1 / 7)
    assert "no verdict, only a ranking: 3 more references needed for a false alarm rate of 10 %" in errors
    status, rows, _ = command("score", machine / "today", *options, "--false-alarm-rate", 0.2)
    assert status == 1 and [row["anomalous"] for row in rows] == [False, True, False]
    status, rows, _ = command("score", machine / "today", *options, "--method", "gamma")
    assert status == 1 and rows[1]["anomalous"]


def test_when_sessions_are_named_then_they_are_what_is_missing(machine, command):
    options = ("--references", machine / "healthy", "--backend", "whitened", "--sessions", "folder")
    status, _, errors = command("score", machine / "today", *options)
    assert status == 0 and "7 more sessions needed" in errors


def test_when_there_is_one_reference_then_scores_have_no_p_value(machine, command):
    one = machine / "healthy" / "monday" / "00.wav"
    status, rows, errors = command("score", machine / "today", "-r", one, "--backend", "whitened")
    assert status == 0 and {row["p_value"] for row in rows} == {None}
    assert "8 more references needed" in errors


def test_when_recordings_cannot_be_read_then_they_are_listed_and_status_is_2(machine, fitted, tmp_path, command):
    folder = shutil.copytree(machine / "today", tmp_path / "tests")
    (folder / "0a.wav").write_bytes(b"no sound")
    sf.write(folder / "1a.wav", np.zeros(8000), 16000)
    (folder / "2a.m4a").touch()
    output = tmp_path / "scores.csv"
    status, records, errors = command("score", folder, "--detector", fitted, "--output", output)
    assert status == 2 and len([record for record in records if "error" in record]) == 3
    assert [row["file"][-5:] for row in read(output)] == ["0.wav", "1.wav", "2.wav"]
    first, *causes = errors.splitlines()[-4:]
    assert first == "error: no row for 3 of 6 recordings:"
    assert "2a.m4a has the format m4a" in causes[0]
    assert "0a.wav cannot be decoded" in causes[1] and "1a.wav is silent" in causes[2]


def test_when_no_recording_can_be_read_then_an_earlier_output_stays(fitted, tmp_path, command):
    folder, output = tmp_path / "tests", tmp_path / "scores.csv"
    folder.mkdir()
    sf.write(folder / "0.wav", np.random.default_rng(0).normal(0, 0.1, (8000, 2)), 16000)
    output.write_text("earlier")
    status, _, errors = command("score", folder, "--detector", fitted, "--output", output)
    assert status == 2 and "error: none of 1 recordings could be scored:" in errors
    assert "0.wav has 2 channels: choose one with channel=0 or 1, or channel='mean' (--channel" in errors
    assert output.read_text() == "earlier" and not (tmp_path / "scores.csv.partial").exists()
    assert command("score", folder, "--detector", fitted, "--output", output, "--channel", "mean")[0] in (0, 1)
    assert len(read(output)) == 1


def test_when_the_output_cannot_be_written_then_it_is_said_before_any_work(tmp_path, command):
    status, _, errors = command("score", tmp_path, "--output", tmp_path)
    assert status == 2
    assert errors.splitlines()[-1] == f"error: {tmp_path} is a folder: give the name of a file"


def test_when_the_disk_is_full_then_rows_stay_beside_the_output(machine, fitted, tmp_path, command, monkeypatch):
    output, write = tmp_path / "scores.csv", ResultFile.write

    def write_two(result, row):
        if result.num_rows == 2:
            raise OutputError(f"{result.path} cannot be written (No space left on device)")
        write(result, row)

    monkeypatch.setattr(ResultFile, "write", write_two)
    status, _, errors = command("score", machine / "today", "--detector", fitted, "--output", output)
    assert status == 2 and not output.exists()
    partial = tmp_path / "scores.csv.partial"
    assert errors.splitlines()[-1].endswith(f"; 2 rows are kept in {partial}") and len(read(partial)) == 2


@pytest.mark.parametrize(
    ("arguments", "status", "named"),
    [
        (["--detector", "absent"], 2, "there is no detector in absent: make one with `retainmix fit"),
        (
            ["--backend", "knn"],
            3,
            "--backend, --microphones, --setting, --sessions and --group belong to --references",
        ),
        (["--method", "mean"], 3, "'mean' is not one of 'quantile', 'gamma'"),
        (["--false-alarm-rate", "2"], 3, "--false-alarm-rate"),
    ],
)
def test_when_the_detector_or_an_option_does_not_fit_then_error_says_so(
    machine, fitted, command, arguments, status, named
):
    found = [] if "--detector" in arguments or "--backend" in arguments else ["--detector", fitted]
    code, _, errors = command("score", machine / "today", *arguments, *found)
    assert code == status and named in errors


def test_when_a_folder_holds_machines_then_one_command_scores_them_all(
    machine, fitted, tmp_path, command, monkeypatch
):
    plant = tmp_path / "plant"
    shutil.copytree(machine / "today", plant / "fan" / "test")
    shutil.copytree(machine / "healthy", plant / "fan" / "train")
    shutil.copytree(machine / "today", plant / "pump")
    options = ("--machines", "--references", plant, "--backend", "whitened")
    status, rows, errors = command("score", plant, *options)
    assert status == 1 and [row["machine"] for row in rows] == ["fan"] * 3 + ["pump"] * 3
    assert [row["anomalous"] for row in rows] == [False, True, False, None, None, None]
    assert "pump: no verdict, only a ranking: 6 more references needed" in errors
    shutil.copytree(fitted, tmp_path / "detectors" / "fan")
    status, rows, errors = command("score", plant, "--machines", "--detector", tmp_path / "detectors")
    assert status == 2 and len(rows) == 4 and rows[3]["file"] == "pump"
    assert "error: no row for 1 of 4 recordings or machines:" in errors and "pump: there is no detector in" in errors
    monkeypatch.chdir(tmp_path)  # two parts, as a name on the Hub has
    status, rows, errors = command("score", plant, "--machines", "--detector", "none")
    assert status == 2 and "error: none of 2 recordings or machines could be scored:" in errors
    assert "fan: there is no detector in none/fan: make one with `retainmix fit" in errors


def test_when_the_reader_of_standard_output_goes_away_then_there_is_no_traceback(machine, fitted, capfd, monkeypatch):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as closed:
        monkeypatch.setattr(sys, "stdout", closed)
        assert run(["score", str(machine / "today"), "--detector", str(fitted), "--json"]) == 2
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_when_it_is_stopped_then_rows_stay_beside_the_output(
    machine, fitted, tmp_path, command, monkeypatch, number, status
):
    output, partial, write = tmp_path / "scores.csv", tmp_path / "scores.csv.partial", ResultFile.write

    def write_and_stop(result, row):
        write(result, row)
        if result.num_rows == 2:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(ResultFile, "write", write_and_stop)
    code, records, errors = command("score", machine / "today", "--detector", fitted, "--output", output)
    assert code == status and not output.exists()
    names = [row["file"][-5:] for row in read(partial)]
    assert names == [record["file"][-5:] for record in records] and names[:2] == ["0.wav", "1.wav"]
    kept = (
        f"stopped by {number.name}: {len(names)} rows are kept in {partial}; run the same command again to score all"
    )
    assert errors.splitlines()[-1] == kept


def test_when_the_references_bear_no_verdict_then_no_count_of_anomalies_is_printed(machine, command):
    status, rows, errors = command("score", machine / "today", "-r", machine / "healthy" / "monday")
    assert status == 0 and {row["anomalous"] for row in rows} == {None}
    assert "no verdict, only a ranking: 3 more references needed" in errors and "above the threshold" not in errors


def test_when_arguments_are_swapped_then_the_error_says_what_each_is(machine, fitted, command):
    _, _, errors = command("score", fitted, "--detector", machine / "today")
    assert "is a saved detector, and holds no sound file" in errors.splitlines()[-1]
    _, _, errors = command("score", machine / "today", "--detector", machine / "healthy")
    assert "is no detector: make one with `retainmix fit" in errors.splitlines()[-1]
    _, _, errors = command("score", machine / "today", "--detector", machine / "today" / "0.wav")
    assert "is a file: name the folder that `retainmix fit` wrote" in errors.splitlines()[-1]

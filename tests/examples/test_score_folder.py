"""The example that scores a folder, run as its users run it."""

import csv
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

SCRIPT = Path(__file__).parents[2] / "examples" / "score_folder.py"


def run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    arguments = ["--references", str(folder / "healthy"), "--tests", str(folder / "suspect"), *options]
    return subprocess.run([sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, check=False)


@pytest.fixture
def folder(tmp_path):
    generator = np.random.default_rng(0)
    for name, count in (("healthy", 4), ("suspect", 3)):
        (tmp_path / name).mkdir()
        for index in range(count):
            sf.write(tmp_path / name / f"{index}.wav", generator.normal(0, 0.1, 8000), 16000)
    return tmp_path


@pytest.mark.slow
def test_every_good_file_has_a_row_and_broken_ones_are_listed_with_their_cause(folder):
    output = folder / "new" / "scores.csv"
    result = run(folder, "--output", str(output))
    assert result.returncode == 0
    with output.open() as file:
        whole = list(csv.DictReader(file))
    assert [Path(row["file"]).name for row in whole] == ["0.wav", "1.wav", "2.wav"]
    (folder / "suspect" / "0a.wav").write_bytes(b"no sound")
    sf.write(folder / "suspect" / "1a.wav", np.zeros(8000), 16000)
    (folder / "suspect" / "2a.m4a").touch()
    result = run(folder, "--output", str(output))
    assert result.returncode == 1
    assert " of 3 recordings are above the threshold of 10% false alarms" in result.stdout
    first, *causes = result.stderr.splitlines()[-4:]
    assert first == "error: no row for 3 of 6 recordings:"
    assert causes[0].startswith(f"{folder}/suspect/2a.m4a has the format m4a, which cannot be read")
    assert causes[1].startswith(f"{folder}/suspect/0a.wav cannot be decoded")
    assert causes[2].startswith(f"{folder}/suspect/1a.wav is silent")
    with output.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == [row["file"] for row in whole]
    np.testing.assert_allclose(*([float(row["score"]) for row in table] for table in (rows, whole)), rtol=1e-5)


@pytest.mark.slow
def test_when_no_recording_can_be_read_then_an_earlier_output_stays_and_the_cures_name_options(folder):
    output = folder / "scores.csv"
    output.write_text("earlier")
    for path in (folder / "suspect").iterdir():
        sf.write(path, np.random.default_rng(0).normal(0, 0.1, (8000, 2)), 16000)
    (folder / "suspect" / "9.m4a").touch()
    result = run(folder, "--output", str(output))
    assert result.returncode == 1 and result.stdout == ""
    first, *causes = result.stderr.splitlines()[-5:]
    assert first == "error: none of 4 recordings could be read:"
    assert causes[0].startswith(f"{folder}/suspect/9.m4a has the format m4a")
    assert "0.wav has 2 channels and channel=None: use channel= (--channel of a command) with an index" in causes[1]
    assert output.read_text() == "earlier" and not (folder / "scores.csv.partial").exists()
    assert run(folder, "--output", str(output), "--channel", "mean").returncode == 1
    assert len(output.read_text().splitlines()) == 4
    for path in (folder / "suspect").glob("*.wav"):
        path.unlink()
    result = run(folder, "--output", str(output))
    assert result.returncode == 1 and "error: none of 1 recordings could be read:" in result.stderr


def test_when_channel_is_mistyped_then_error_names_it(tmp_path):
    result = run(tmp_path, "--channel", "left")
    assert result.returncode == 2 and "argument --channel: invalid channel value: 'left'" in result.stderr


def test_when_the_output_cannot_be_written_then_it_is_said_before_any_work(tmp_path):
    result = run(tmp_path / "absent", "--output", str(tmp_path))
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1] == f"error: {tmp_path} is a folder: give the name of a file"


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_when_it_is_stopped_then_rows_stay_beside_the_output(folder, number, status):
    generator = np.random.default_rng(1)
    for index in range(4000):
        sf.write(folder / "suspect" / f"more{index:04d}.wav", generator.normal(0, 0.1, 8000), 16000)
    output = folder / "scores.csv"
    arguments = ["--references", str(folder / "healthy"), "--tests", str(folder / "suspect"), "--output", str(output)]
    process = subprocess.Popen([sys.executable, str(SCRIPT), *arguments], stderr=subprocess.PIPE, text=True)
    partial = folder / "scores.csv.partial"
    while not partial.exists() or partial.stat().st_size < 200:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(number)
    _, errors = process.communicate()
    assert process.returncode == status
    with partial.open() as file:
        rows = list(csv.DictReader(file))
    names = [Path(row["file"]).name for row in rows]
    assert names == sorted(names) and len(set(names)) == len(names) > 1
    assert errors.splitlines()[-1] == f"error: stopped by {number.name}; {len(rows)} rows are kept in {partial}"
    assert not output.exists() and all(row["anomalous"] in "01" for row in rows)

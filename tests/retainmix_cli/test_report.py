"""`retainmix report`: a page, one line, and the status of what was found."""

import json

import numpy as np
import pytest
import soundfile as sf

from retainmix_cli.app import run

RATE = 16000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A fitted detector and three recordings: healthy, faulty, damaged."""
    folder = tmp_path_factory.mktemp("report")
    generator = np.random.default_rng(0)
    (folder / "train").mkdir()
    for index in range(10):
        sf.write(folder / "train" / f"{index}.wav", generator.normal(0, 0.05, RATE), RATE)
    sf.write(folder / "healthy.wav", generator.normal(0, 0.05, RATE), RATE)
    tone = 0.1 * np.sin(2 * np.pi * 2000 * np.arange(RATE) / RATE)
    sf.write(folder / "faulty.wav", tone + generator.normal(0, 0.05, RATE), RATE)
    (folder / "damaged.wav").write_bytes(b"RIFF1234WAVE")
    assert run(["fit", str(folder / "train"), "--output", str(folder / "detector")]) == 0
    return folder


def report(folder, output, *names, options=()):
    files = [str(folder / name) for name in names]
    return run(["report", *files, "--detector", str(folder / "detector"), "--output", str(output), *options])


def test_when_nothing_is_anomalous_then_status_is_0_and_the_line_says_so(folder, tmp_path, capsys):
    assert report(folder, tmp_path / "new" / "page.html", "train/0.wav", "train/1.wav") == 0
    assert capsys.readouterr().out == f"None of 2 recordings is anomalous; the page is {tmp_path}/new/page.html\n"
    assert "None of 2 recordings is anomalous" in (tmp_path / "new" / "page.html").read_text()


def test_when_one_is_anomalous_then_status_is_1_and_json_counts_it(folder, tmp_path, capsys):
    assert report(folder, tmp_path / "page.html", "healthy.wav", "faulty.wav", options=["--json"]) == 1
    record = json.loads(capsys.readouterr().out)
    assert (record["recordings"], record["anomalous"], record["unreadable"]) == (2, 1, [])


def test_when_one_cannot_be_read_then_status_is_2_and_the_page_has_the_others(folder, tmp_path, capsys):
    assert report(folder, tmp_path / "page.html", "damaged.wav", "faulty.wav") == 2
    assert "damaged.wav" in capsys.readouterr().err
    page = (tmp_path / "page.html").read_text()
    assert "could not be read" in page and "The recording is anomalous" in page


def test_when_the_output_is_a_folder_then_status_is_2_before_anything_is_judged(folder, tmp_path, capsys):
    assert report(folder, tmp_path, "faulty.wav") == 2
    assert f"{tmp_path} is a folder: give the name of a file" in capsys.readouterr().err


def test_when_there_is_no_detector_then_status_is_2_and_it_is_named(folder, tmp_path, capsys):
    assert run(["report", str(folder / "faulty.wav"), "--detector", str(tmp_path / "none")]) == 2
    assert f"{tmp_path}/none" in capsys.readouterr().err.splitlines()[-1]


def test_when_the_channel_is_wrong_then_the_message_says_what_it_may_be(folder, tmp_path, capsys):
    assert report(folder, tmp_path / "page.html", "faulty.wav", options=["--channel", "left"]) == 2
    assert "use an index from 0, or 'mean'" in capsys.readouterr().err
    assert not (tmp_path / "page.html").exists()

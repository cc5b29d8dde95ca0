"""A machine that hums, recorded in two sessions, healthy and faulty: clips of two seconds."""

import json
import shutil

import numpy as np
import pytest
import soundfile as sf

from retainmix_cli.app import run

RATE = 16000


def _write_clip(path, seed, is_faulty=False):
    """Write a hum in noise; a fault adds a whistle."""
    generator, time = np.random.default_rng(seed), np.arange(2 * RATE) / RATE
    clip = 0.2 * np.sin(2 * np.pi * 120 * time + generator.uniform(0, 6)) + generator.normal(0, 0.05, len(time))
    if is_faulty:
        clip += 0.2 * np.sin(2 * np.pi * 1800 * time)
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, clip, RATE)
    return path


@pytest.fixture(scope="session")
def write_clip():
    """Write a clip of the machine: path, seed, and whether it is faulty."""
    return _write_clip


@pytest.fixture(scope="session")
def machine(tmp_path_factory):
    """Folder `healthy` with `monday` and `tuesday`, six clips each, and folder `today`: two healthy, one faulty."""
    folder = tmp_path_factory.mktemp("machine")
    for index in range(12):
        _write_clip(folder / "healthy" / ("monday" if index < 6 else "tuesday") / f"{index:02d}.wav", index)
    for index, is_faulty in enumerate((False, True, False)):
        _write_clip(folder / "today" / f"{index}.wav", 100 + 11 * index, is_faulty)  # healthy ones that look healthy
    return folder


@pytest.fixture(scope="session")
def fitted(machine, tmp_path_factory):
    """A detector of the twelve references, without sessions; not to be changed."""
    folder = tmp_path_factory.mktemp("fitted") / "detector"
    assert run(["fit", str(machine / "healthy"), "--output", str(folder), "--backend", "whitened"]) == 0
    return folder


@pytest.fixture
def detector(fitted, tmp_path):
    """A copy of the detector, that may be changed."""
    return shutil.copytree(fitted, tmp_path / "detector")


@pytest.fixture
def command(capsys):
    """Run a command; return its status, the JSON lines of standard output, and standard error."""

    def run_command(*arguments):
        capsys.readouterr()
        status = run([*map(str, arguments), "--json"])
        printed = capsys.readouterr()
        return status, [json.loads(line) for line in printed.out.splitlines()], printed.err

    return run_command

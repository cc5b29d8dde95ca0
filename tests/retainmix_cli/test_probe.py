"""Modules that load, that are broken, and that take the process down."""

import pytest

from retainmix_cli.probe import probe


@pytest.fixture
def broken(tmp_path, monkeypatch):
    (tmp_path / "raises.py").write_text("raise OSError('libcuda.so:\\n  cannot open')")
    (tmp_path / "aborts.py").write_text("import os; print('a library prints', flush=True); os.abort()")
    (tmp_path / "leaves.py").write_text("raise SystemExit(3)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


def test_when_modules_are_broken_then_each_has_its_cause_and_the_others_load(broken):
    causes, machine = probe(["json", "raises", "aborts", "leaves", "not_there", "psutil"])
    assert causes["json"] is causes["psutil"] is None
    assert causes["raises"] == "OSError: libcuda.so: cannot open"
    assert causes["aborts"] == "the process ends with status -6 while it loads"
    assert causes["leaves"] == "SystemExit: 3"
    assert causes["not_there"] == "ModuleNotFoundError: No module named 'not_there'"
    assert list(causes) == ["json", "raises", "aborts", "leaves", "not_there", "psutil"]
    assert set(machine) == {"memory_gib", "free_memory_gib"} and machine["memory_gib"] > machine["free_memory_gib"] > 0


def test_when_soundfile_loads_then_its_formats_are_told():
    causes, machine = probe(["soundfile"])
    assert causes == {"soundfile": None} and "FLAC" in machine["sound_formats"]

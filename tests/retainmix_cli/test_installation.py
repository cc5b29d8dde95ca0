"""What is found of an installation that lacks or cannot load something, and the command that mends it."""

import json
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import SimpleNamespace

import pytest

from retainmix_cli import installation
from retainmix_cli.installation import examine

REQUIRES = [
    "torch>=2.9",
    "torchaudio>=2.9",
    "soundfile>=0.13",
    "pyyaml>=6.0",
    "transformers<6,>=5.23",
    "onnx>=1.18; extra == 'onnx'",
    "onnxruntime>=1.22; extra == 'onnx'",
    'paho-mqtt>=2.1; extra == "mqtt"',
    "retainmix[onnx]; extra == 'demo'",
    "pytest>=8; extra == 'dev'",
]
INSTALLED = {
    "torch": "2.14.1",
    "torchaudio": "2.11.0",
    "soundfile": "0.14.0",
    "pyyaml": "6.0",
    "transformers": "5.24.0",
    "onnx": "1.23.2",
    "onnxruntime": "1.32.0",
    "paho-mqtt": "2.2.0",
}
MACHINE = {
    "gpus": [],
    "cuda": "13.0",
    "memory_gib": 16.0,
    "free_memory_gib": 9.0,
    "sound_formats": ["FLAC", "MP3", "OGG"],
}


@pytest.fixture
def found(monkeypatch, tmp_path):
    """Findings by name of an installation with changes: versions (None: missing), causes, machine, origin."""

    def examine_with(versions=(), causes=(), machine=(), origin=None):
        installed = {**INSTALLED, **dict(versions)}

        def version(name):
            if installed.get(name) is None:
                raise PackageNotFoundError(name)
            return installed[name]

        package = SimpleNamespace(
            version="0.1.0",
            metadata={"Name": "retainmix"},
            requires=REQUIRES,
            read_text=lambda _: None if origin is None else json.dumps(origin),
        )
        monkeypatch.setattr(installation, "distribution", lambda _: package)
        monkeypatch.setattr(installation, "version", version)
        asked = []

        def importer(modules):
            asked.extend(modules)
            return {**dict.fromkeys(modules), **dict(causes)}, {**MACHINE, **dict(machine)}

        findings = examine(tmp_path / "new" / "cache", importer)
        return {finding.name: finding for finding in findings}, asked

    return examine_with


def test_when_all_is_there_then_nothing_is_to_mend(found):
    findings, asked = found()
    assert {finding.status for finding in findings.values()} == {"ok"} and not any(f.cure for f in findings.values())
    assert asked == [
        *("torch", "torchaudio", "soundfile", "yaml", "transformers", "onnx", "onnxruntime", "paho.mqtt.client")
    ]
    assert findings["[onnx]"].text == "onnx 1.23.2, onnxruntime 1.32.0"
    assert "[dev]" not in findings and "[demo]" not in findings
    assert "no GPU (torch is built for CUDA 13.0)" in findings["devices"].text


@pytest.mark.parametrize(
    ("origin", "cure"),
    [
        (None, "pip install 'retainmix{}'"),
        ({"url": "file:///home/me/a%20b", "dir_info": {"editable": True}}, "pip install -e '/home/me/a b{}'"),
        ({"url": "file:///home/me/x.whl", "archive_info": {}}, "pip install 'retainmix{}'"),
    ],
)
def test_when_something_is_missing_then_the_command_brings_it_from_where_the_package_came(found, origin, cure):
    findings, asked = found(versions={"soundfile": None, "onnxruntime": None}, origin=origin)
    assert (findings["soundfile"].status, findings["soundfile"].cure) == ("fault", cure.format(""))
    assert (findings["[onnx]"].status, findings["[onnx]"].text) == ("note", "without onnxruntime")
    assert findings["[onnx]"].cure == cure.format("[onnx]")
    assert "soundfile" not in asked and "onnxruntime" not in asked


def test_when_torchaudio_does_not_load_then_the_pair_of_its_release_is_named(found):
    findings, _ = found(versions={"torch": "2.14.1+cpu"}, causes={"torchaudio": "OSError: undefined symbol"})
    assert findings["torchaudio"].status == "fault"
    assert findings["torchaudio"].text == "2.11.0 does not load (OSError: undefined symbol)"
    assert "'torch==2.11.*' 'torchaudio==2.11.*'" in findings["torchaudio"].cure


def test_when_versions_or_optional_parts_are_broken_then_they_are_faults(found):
    findings, _ = found(versions={"transformers": "4.50.0"}, causes={"paho.mqtt.client": "SyntaxError: x"})
    assert (
        findings["transformers"].status == "fault" and "4.50.0, <6,>=5.23 is needed" in findings["transformers"].text
    )
    assert findings["[mqtt]"].status == "fault" and "does not load (SyntaxError: x)" in findings["[mqtt]"].text
    assert findings["[mqtt]"].cure == "pip install --force-reinstall paho-mqtt"


def test_when_formats_memory_or_disk_are_scarce_then_notes_say_so(found, monkeypatch):
    monkeypatch.setattr(installation.shutil, "disk_usage", lambda _: SimpleNamespace(free=0.5e9))
    findings, _ = found(machine={"sound_formats": ["FLAC"], "free_memory_gib": 1.0})
    assert [findings[name].status for name in ("sound files", "memory", "disk")] == ["note"] * 3
    assert "without MP3, OGG" in findings["sound files"].text
    assert "0.5 GB free" in findings["disk"].text and all(findings[name].cure for name in ("memory", "disk"))


def test_when_the_package_is_not_installed_then_that_is_the_fault(monkeypatch, tmp_path):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(installation, "distribution", missing)
    assert [finding.status for finding in examine(tmp_path, lambda _: pytest.fail("imported"))] == ["ok", "fault"]


def test_figures_of_the_demo_are_those_of_the_documents():
    text = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
    assert f"{installation._DEMO_MEMORY_GIB} GiB" in text and f"{installation._DEMO_DISK_GB} GB in" in text

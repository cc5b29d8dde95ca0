"""Conversion by Hub name, from a small Hub on the loopback interface that holds the published file layouts."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
import torch
from hub_server import HubServer
from safetensors.torch import load_file

from modeling_retainmix.encoders import BeatsForAudioClassification, BeatsModel

GOLDEN = Path(__file__).parents[1] / "golden" / "openbeats"
CONVERT = "import sys; from modeling_retainmix import convert_checkpoint; convert_checkpoint(*sys.argv[1:])"


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """Base and fine-tuned repositories with their files deep inside."""
    base = tmp_path_factory.mktemp("base")
    (base / "work" / "exp").mkdir(parents=True)
    shutil.copy(GOLDEN / "openbeats_base_tiny.pt", base / "work" / "exp" / "epoch_latest.pt")
    shutil.copy(GOLDEN / "base_config.yaml", base / "work" / "exp" / "config.yaml")
    tuned = tmp_path_factory.mktemp("tuned")
    (tuned / "exp").mkdir()
    shutil.copy(GOLDEN / "openbeats_finetune_tiny.pth", tuned / "exp" / "valid.acc.best.pth")
    shutil.copy(GOLDEN / "config.yaml", tuned / "exp" / "config.yaml")
    with HubServer() as server:
        server.add_repository("shikhar7ssu/OpenBEATs-Base-i1", base)
        server.add_repository("espnet/OpenBEATS-Base-i1-as20k", tuned)
        yield server


def convert(hub: HubServer, name: str, output: Path) -> subprocess.CompletedProcess:
    environment = {**hub.environment(output.parent / "home"), "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.run(
        [sys.executable, "-c", CONVERT, name, str(output)], env=environment, capture_output=True, text=True
    )


@pytest.mark.slow
def test_pretrained_repository_converts_by_its_name(hub, tmp_path):
    done = convert(hub, "shikhar7ssu/OpenBEATs-Base-i1", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "BeatsModel (3 layers, width 48" in done.stdout
    golden = load_file(GOLDEN / "openbeats_base_tiny_expected.safetensors")
    with torch.no_grad():
        output = BeatsModel.from_pretrained(tmp_path / "out")(golden["fbank_normalized"]).last_hidden_state
    torch.testing.assert_close(output, golden["output"], atol=1e-5, rtol=0)


@pytest.mark.slow
def test_fine_tuned_repository_finds_its_base_by_name(hub, tmp_path):
    done = convert(hub, "espnet/OpenBEATS-Base-i1-as20k", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    golden = load_file(GOLDEN / "openbeats_finetune_tiny_expected.safetensors")
    with torch.no_grad():
        logits = BeatsForAudioClassification.from_pretrained(tmp_path / "out")(golden["fbank_normalized"]).logits
    torch.testing.assert_close(logits, golden["logits"], atol=1e-5, rtol=0)


@pytest.mark.slow
def test_example_converts_a_fine_tuned_repository_and_names_what_it_hears(hub, tmp_path):
    root = Path(__file__).parents[2]
    golden = load_file(GOLDEN / "openbeats_finetune_tiny_expected.safetensors")
    soundfile.write(tmp_path / "clip.wav", golden["input_values"][0].numpy(), 16_000, subtype="FLOAT")
    arguments = ["--checkpoint", "espnet/OpenBEATS-Base-i1-as20k", "--output_dir", str(tmp_path / "out")]
    done = subprocess.run(
        [sys.executable, str(root / "examples" / "convert_openbeats.py"), str(tmp_path / "clip.wav"), *arguments],
        env={**hub.environment(tmp_path / "home"), "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert f"{golden['probs'][0].max():.3f}  Rain" in done.stdout


@pytest.mark.slow
def test_repository_that_does_not_exist_is_named(hub, tmp_path):
    done = convert(hub, "espnet/OpenBEATS-Base-i9-absent", tmp_path / "out")
    assert "espnet/OpenBEATS-Base-i9-absent is neither a path here nor a repository on the Hub" in done.stderr

"""The example that writes the embeddings of a folder, run in this process."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from modeling_retainmix import AnomalyDetector

ROOT = Path(__file__).parents[2]
RATE = 16_000


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("embeddings_example", ROOT / "examples" / "embeddings.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two recordings of 2 s, one of them in a subfolder, and one of 15 s, which has two windows."""
    folder = tmp_path_factory.mktemp("recordings")
    (folder / "night").mkdir()
    for seed, (name, seconds) in enumerate((("a.wav", 2), ("night/b.wav", 2), ("long.wav", 15))):
        soundfile.write(folder / name, np.random.default_rng(seed).normal(0, 0.1, seconds * RATE), RATE)
    return folder


@pytest.fixture
def write(example, monkeypatch, tmp_path):
    """Run the example; return the dictionary that a suite reads."""

    def run(folder: Path, *options: str) -> dict[str, np.ndarray]:
        output = tmp_path / "new" / "embeddings.npz"
        arguments = ["embeddings.py", "--recordings", str(folder), "--output", str(output), *options]
        monkeypatch.setattr(sys, "argv", arguments)
        example.main()
        return dict(np.load(output, allow_pickle=False))

    return run


def expected(folder: Path, model: str, **settings) -> dict[str, np.ndarray]:
    """The mean of the embeddings of each recording's windows of 10 s, cut by hand."""
    embedder = AnomalyDetector.from_pretrained(model, **settings).embedder
    found = {}
    for name, starts in (("a.wav", [0]), ("night/b.wav", [0]), ("long.wav", [0, 5])):
        samples, _ = soundfile.read(folder / name, dtype="float32")
        windows = [torch.from_numpy(samples[start * RATE :][: 10 * RATE])[None] for start in starts]
        found[name] = torch.cat([embedder.join(embedder.embed(one)) for one in windows]).mean(dim=0).cpu().numpy()
    return found


def test_dictionary_holds_the_log_mel_statistics_of_every_recording_by_its_name_below_the_folder(
    write, folder, capsys
):
    embeddings, wanted = write(folder), expected(folder, "log-mel")
    assert set(embeddings) == {"a.wav", "night/b.wav", "long.wav"}
    for name, vector in embeddings.items():
        assert vector.dtype == np.float32 and vector.shape == (384,)
        np.testing.assert_allclose(vector, wanted[name], rtol=1e-4, atol=1e-5)
    assert "3 embeddings of 384 values" in capsys.readouterr().out


def test_layers_of_an_encoder_are_laid_end_to_end(write, folder):
    model = str(ROOT / "hub_cards" / "retainmix-beats-tiny")
    embeddings = write(folder, "--model", model, "--layer", "1", "log-mel")
    wanted = expected(folder, model, layer=(1, "log-mel"))
    for name, vector in embeddings.items():
        assert vector.shape == (8 * 192 + 384,)
        np.testing.assert_allclose(vector, wanted[name], rtol=1e-4, atol=1e-4)


def test_when_some_recordings_cannot_be_read_then_the_others_are_written_and_the_status_is_1(write, folder, tmp_path):
    copy = tmp_path / "some"
    copy.mkdir()
    (copy / "a.wav").write_bytes((folder / "a.wav").read_bytes())
    (copy / "broken.wav").write_bytes(b"no sound")
    with pytest.raises(SystemExit) as ended:
        write(copy)
    assert "error: 1 recordings have none:" in str(ended.value) and "broken.wav cannot be decoded" in str(ended.value)
    assert set(np.load(tmp_path / "new" / "embeddings.npz")) == {"a.wav"}


def test_when_no_recording_can_be_read_then_nothing_is_written(write, tmp_path):
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "broken.wav").write_bytes(b"no sound")
    for folder, told in ((tmp_path / "some", "none of 1 recordings can be read"), (tmp_path / "no", "does not exist")):
        with pytest.raises(SystemExit, match=f"(?s)error: .*{told}"):
            write(folder)
    assert not (tmp_path / "new" / "embeddings.npz").exists()

"""Loading by Hub name: with the package, without it by remote code, at a revision, and from the cache when offline."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hub_server import HubServer
from transformers import Wav2Vec2Config

from modeling_retainmix.encoders import BeatsConfig, BeatsFeatureExtractor, BeatsForAudioClassification
from modeling_retainmix.hub.remote_code import add_remote_code

LOAD = """
import sys, torch
{prologue}
from transformers import AutoFeatureExtractor, AutoModel, AutoModelForAudioClassification
options = dict({options})
extractor = AutoFeatureExtractor.from_pretrained("acme/hum", **options)
model = AutoModel.from_pretrained("acme/hum", **options)
classifier = AutoModelForAudioClassification.from_pretrained("acme/hum", **options)
waveform = torch.sin(torch.arange(16000) * 0.1)
inputs = extractor(waveform.numpy(), sampling_rate=16000, return_tensors="pt")
with torch.no_grad():
    tokens = model(**inputs).last_hidden_state
    logits = classifier(**inputs).logits
torch.save({{"tokens": tokens, "logits": logits}}, {output!r})
print(type(model).__module__.split(".")[0])
"""
WITHOUT_PACKAGE = "sys.modules['modeling_retainmix'] = None"
WITH_PACKAGE = "import modeling_retainmix.encoders"


def save_tiny_model(folder: Path, seed: int) -> None:
    torch.manual_seed(seed)
    config = BeatsConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, patch_embed_size=8,
        num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2, num_labels=3,
        problem_type="multi_label_classification",
    )  # fmt: skip
    BeatsForAudioClassification(config).save_pretrained(folder)
    BeatsFeatureExtractor().save_pretrained(folder)
    add_remote_code(folder)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint")
    save_tiny_model(folder, seed=0)
    return folder


def load(hub: HubServer, home: Path, prologue: str, options: str = "", **environment: str):
    output = home.parent / "tokens.pt"
    code = LOAD.format(prologue=prologue, options=options, output=str(output))
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        env={**hub.environment(home), **environment},
        capture_output=True,
        text=True,
    )
    return done, torch.load(output, weights_only=True) if done.returncode == 0 else None


@pytest.fixture(scope="module")
def expected(checkpoint) -> dict[str, torch.Tensor]:
    waveform = torch.sin(torch.arange(16000) * 0.1)
    inputs = BeatsFeatureExtractor.from_pretrained(checkpoint)(
        waveform.numpy(), sampling_rate=16000, return_tensors="pt"
    )
    with torch.no_grad():
        output = BeatsForAudioClassification.from_pretrained(checkpoint)(**inputs)
    return {"tokens": output.last_hidden_state, "logits": output.logits}


def test_every_auto_class_is_named_and_its_files_lie_beside(checkpoint):
    auto_map = json.loads((checkpoint / "config.json").read_text())["auto_map"]
    assert set(auto_map) == {"AutoConfig", "AutoModel", "AutoModelForAudioClassification", "AutoFeatureExtractor"}
    for entry in auto_map.values():
        assert (checkpoint / f"{entry.split('.')[0]}.py").is_file()
    assert "AutoFeatureExtractor" in json.loads((checkpoint / "preprocessor_config.json").read_text())["auto_map"]


@pytest.mark.slow
def test_model_loads_by_hub_name_with_and_without_the_package_and_from_the_cache(checkpoint, expected, tmp_path):
    with HubServer() as hub:
        hub.add_repository("acme/hum", checkpoint)
        done, tensors = load(hub, tmp_path / "remote", WITHOUT_PACKAGE, "trust_remote_code=True")
        assert (done.returncode, done.stdout) == (0, "transformers_modules\n"), done.stderr
        torch.testing.assert_close(tensors, expected, rtol=0, atol=1e-6)

        done, tensors = load(hub, tmp_path / "local", WITH_PACKAGE)
        assert (done.returncode, done.stdout) == (0, "modeling_retainmix\n"), done.stderr
        torch.testing.assert_close(tensors, expected, rtol=0, atol=1e-6)

        done, _ = load(hub, tmp_path / "refused", WITHOUT_PACKAGE)
        assert done.returncode != 0 and "trust_remote_code=True" in done.stderr

        seen = len(hub.requests)
        done, tensors = load(hub, tmp_path / "local", WITH_PACKAGE, HF_HUB_OFFLINE="1")
        assert done.returncode == 0, done.stderr
        torch.testing.assert_close(tensors, expected, rtol=0, atol=1e-6)
        assert len(hub.requests) == seen


@pytest.mark.slow
def test_revision_picks_an_older_commit(checkpoint, expected, tmp_path):
    newer = tmp_path / "newer"
    save_tiny_model(newer, seed=1)
    with HubServer() as hub:
        repository = hub.add_repository("acme/hum", checkpoint)
        repository.add("other weights", {path.name: path.read_bytes() for path in newer.iterdir()})
        revision = repository.commits[0].oid
        done, tensors = load(hub, tmp_path / "home", WITH_PACKAGE, f"revision={revision!r}")
    assert done.returncode == 0, done.stderr
    torch.testing.assert_close(tensors, expected, rtol=0, atol=1e-6)


def test_when_folder_holds_no_model_or_a_foreign_one_then_error_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"config\.json does not exist"):
        add_remote_code(tmp_path)
    Wav2Vec2Config().save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text("{}")
    with pytest.raises(ValueError, match="holds a 'wav2vec2' model"):
        add_remote_code(tmp_path)

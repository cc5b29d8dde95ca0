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
from transformers import AutoFeatureExtractor, AutoModel, AutoModelForAudioClassification, AutoProcessor
options = dict({options})
if {refused}:
    try:
        AutoModel.from_pretrained("acme/hum", trust_remote_code=False)
    except ValueError as error:
        # The message is that of transformers; the card that it points to names the package as well.
        assert "trust_remote_code=True" in str(error) and "hf.co/acme/hum" in str(error)
    else:
        raise AssertionError("remote code was run unasked")
    import builtins
    questions = []
    builtins.input = lambda *words: questions.append(words) or "n"
    try:
        AutoProcessor.from_pretrained("acme/hum")
    except ValueError:
        assert len(questions) <= 2  # for the configuration, and for the feature extractor
    else:
        raise AssertionError("remote code was run although that was declined")
extractor = AutoFeatureExtractor.from_pretrained("acme/hum", **options)
assert type(AutoProcessor.from_pretrained("acme/hum", **options)).__name__ == type(extractor).__name__
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


def load(hub: HubServer, home: Path, prologue: str, options: str = "", refused: bool = False, **environment: str):
    """Module of the loaded class, and the tensors that it computes, in a fresh process."""
    output = home.parent / "tensors.pt"
    code = LOAD.format(prologue=prologue, options=options, refused=refused, output=str(output))
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        env={**hub.environment(home), **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), torch.load(output, weights_only=True)


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
    of_model = {"AutoConfig", "AutoModel", "AutoModelForAudioClassification"}
    of_extractor = {"AutoFeatureExtractor", "AutoProcessor"}
    assert set(auto_map) == of_model | of_extractor
    for entry in auto_map.values():
        assert (checkpoint / f"{entry.split('.')[0]}.py").is_file()
    assert set(json.loads((checkpoint / "preprocessor_config.json").read_text())["auto_map"]) == of_extractor


@pytest.mark.slow
def test_model_loads_by_hub_name_without_the_package_but_not_unasked(checkpoint, expected, tmp_path):
    with HubServer() as hub:
        hub.add_repository("acme/hum", checkpoint)
        module, tensors = load(hub, tmp_path / "home", WITHOUT_PACKAGE, "trust_remote_code=True", refused=True)
    assert module == "transformers_modules"
    torch.testing.assert_close(tensors, expected, rtol=0, atol=1e-6)


@pytest.mark.slow
def test_model_loads_by_hub_name_and_revision_with_the_package_and_then_from_the_cache(checkpoint, expected, tmp_path):
    newer = tmp_path / "newer"
    save_tiny_model(newer, seed=1)
    with HubServer() as hub:
        repository = hub.add_repository("acme/hum", checkpoint)
        repository.add("other weights", {path.name: path.read_bytes() for path in newer.iterdir()})
        revision = f"revision={repository.commits[0].oid!r}"
        module, tensors = load(hub, tmp_path / "home", WITH_PACKAGE, revision)
        assert module == "modeling_retainmix"
        torch.testing.assert_close(tensors, expected, rtol=0, atol=1e-6)
        seen = len(hub.requests)
        _, cached = load(hub, tmp_path / "home", WITH_PACKAGE, revision, HF_HUB_OFFLINE="1")
        assert len(hub.requests) == seen
    torch.testing.assert_close(cached, expected, rtol=0, atol=1e-6)


def test_when_folder_holds_no_model_or_a_foreign_one_then_error_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"config\.json does not exist"):
        add_remote_code(tmp_path)
    Wav2Vec2Config().save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text("{}")
    with pytest.raises(ValueError, match="holds a 'wav2vec2' model"):
        add_remote_code(tmp_path)

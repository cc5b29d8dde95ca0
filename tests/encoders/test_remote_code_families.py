"""Every encoder family loads from a folder by remote code, in a process that cannot import this package."""

import os
import subprocess
import sys

import pytest
import torch
from families import FAMILIES, features

from modeling_retainmix.hub.remote_code import add_remote_code

LOAD = """
import sys, torch
sys.modules["modeling_retainmix"] = None
from transformers import AutoConfig, AutoFeatureExtractor, AutoModel, AutoModelForAudioClassification
folder, features, output = sys.argv[1:]
AutoConfig.from_pretrained(folder, trust_remote_code=True)
extractor = AutoFeatureExtractor.from_pretrained(folder, trust_remote_code=True)
classifier = AutoModelForAudioClassification.from_pretrained(folder, trust_remote_code=True)
encoder = AutoModel.from_pretrained(folder, num_hidden_layers=2, trust_remote_code=True)
with torch.no_grad():
    logits = classifier(torch.load(features)).logits
    tokens = encoder(torch.load(features)).last_hidden_state
    frames = extractor(torch.ones(8000), sampling_rate=16000)["input_values"]
torch.save({"logits": logits, "tokens": tokens, "frames": frames}, output)
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_classifier_cut_encoder_and_extractor_load_by_remote_code(name, tmp_path):
    family = FAMILIES[name]
    model, extractor = family.classifier(num_labels=4), family.extractor_class()
    model.save_pretrained(tmp_path / "model")
    extractor.save_pretrained(tmp_path / "model")
    add_remote_code(tmp_path / "model")
    torch.save(features(), tmp_path / "features.pt")
    done = subprocess.run(
        [sys.executable, "-P", "-c", LOAD, *(str(tmp_path / part) for part in ("model", "features.pt", "out.pt"))],
        cwd=tmp_path,
        env={**os.environ, "HF_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    loaded = torch.load(tmp_path / "out.pt")
    with torch.no_grad():
        expected = model(features(), output_hidden_states=True)
    assert torch.equal(loaded["logits"], expected.logits)
    assert torch.equal(loaded["tokens"], expected.hidden_states[2])
    assert torch.equal(loaded["frames"], extractor(torch.ones(8000), sampling_rate=16_000)["input_values"])

"""The card of a pushed detector: what its folder holds, how to load it, and no path of the machine it was made on."""

import ast
import json
import re

import pytest
import torch
from huggingface_hub import ModelCard
from safetensors.torch import save_file

from modeling_retainmix.hub.detector_card import write_detector_card


@pytest.fixture
def folder(tmp_path):
    """Six windows of five recordings, two of them of the target domain."""
    settings = {"layer": [2], "k": 1, "normalization": "references", "memmixup_neighbors": None, "microphones": "near"}
    names = [f"normal_{index}.wav" for index in range(5)]
    (tmp_path / "detector.json").write_text(json.dumps({"settings": settings, "references": names}))
    config = {"model_type": "retainmix_beats", "num_hidden_layers": 2, "full_num_hidden_layers": 4}
    (tmp_path / "config.json").write_text(json.dumps(config))
    tensors = {
        "vectors": torch.zeros(6, 8),
        "recording_index": torch.tensor([0, 1, 2, 2, 3, 4]),
        "is_target_domain": torch.tensor([False, False, False, False, True, True]),
    }
    save_file(tensors, tmp_path / "references.safetensors")
    return tmp_path


def card_of(folder, **options) -> ModelCard:
    return ModelCard.load(write_detector_card(folder, "acme/fan", **options))


def test_front_matter_holds_what_the_hub_shows(folder):
    data = card_of(folder, license="cc-by-4.0", base_model="acme/hum").data
    assert (data.license, data.library_name, data.base_model) == ("cc-by-4.0", "transformers", "acme/hum")
    assert "anomalous-sound-detection" in data.tags and "anomaly-detector" in data.tags


def test_licence_is_that_of_the_encoder_s_card_where_none_is_given(folder):
    assert card_of(folder).data.license == "apache-2.0"
    assert card_of(folder, base_model=str(folder.parent)).data.license == "unknown"
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    assert card_of(folder, base_model=str(folder)).data.license == "mit"


def test_when_detector_reads_a_far_microphone_then_card_says_how_to_give_its_clips(folder):
    assert "far=" not in card_of(folder).content
    content = json.loads((folder / "detector.json").read_text())
    content["settings"]["microphones"] = "residual"
    (folder / "detector.json").write_text(json.dumps(content))
    assert "`far=`, or `far_channel=`" in card_of(folder).content


def test_local_base_model_is_not_named(folder):
    card = card_of(folder, base_model=str(folder))
    assert card.data.base_model is None and str(folder) not in card.content


def test_detector_that_is_pushed_again_is_not_its_own_base_model(folder):
    assert card_of(folder, base_model="acme/fan").data.base_model is None


def test_numbers_of_references_and_layers_are_those_of_the_folder(folder):
    text = card_of(folder).text
    assert "the embeddings of 5\nnormal recordings" in text and "They give 6 windows." in text
    assert "| source | 3 |" in text and "| target | 2 |" in text
    assert "2 of\n4 layers (`retainmix_beats`)" in text


def test_settings_are_those_of_the_folder(folder):
    text = card_of(folder).text
    for row in ("| layer | [2] |", "| k | 1 |", "| normalization | references |", "| memmixup_neighbors | - |"):
        assert row in text


def test_card_says_how_to_load_with_and_without_the_package_and_its_code_parses(folder):
    text = card_of(folder).text
    code = "".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL))
    ast.parse(code)
    assert 'AnomalyDetector.from_pretrained("acme/fan")' in code
    assert "`import modeling_retainmix`" in text and "`trust_remote_code=True`" in text
    assert "## Limits" in text and "{{" not in text and "{%" not in text

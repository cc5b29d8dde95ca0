"""What a student's head keeps of the classes it knew, and where new classes start."""

import pytest
import torch

from modeling_retainmix.encoders import BeatsConfig, BeatsForAudioClassification
from modeling_retainmix.training.tagging_head import set_tagging_classes


@pytest.fixture
def model():
    names = ["fan", "pump", "hum"]
    config = BeatsConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        patch_embed_size=16,
        id2label=dict(enumerate(names)),
        label2id={name: index for index, name in enumerate(names)},
    )
    torch.manual_seed(0)
    model = BeatsForAudioClassification(config)
    torch.nn.init.normal_(model.classifier.bias)
    return model.eval()


def logits(model):
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        return model(torch.randn(2, 32, 128, generator=generator)).logits


def test_when_classes_are_known_then_they_keep_their_weights_wherever_they_stand(model):
    before = logits(model)
    set_tagging_classes(model, ["hum", "valve", "fan"])
    after = logits(model)
    assert torch.allclose(after[:, [0, 2]], before[:, [2, 0]], atol=1e-6)
    assert (model.config.id2label, model.config.label2id["fan"]) == ({0: "hum", 1: "valve", 2: "fan"}, 2)
    assert model.config.num_labels == 3


def test_when_classes_are_new_then_they_start_at_their_frequency(model):
    set_tagging_classes(model, [f"machine {index}" for index in range(20)])
    assert torch.allclose(model.classifier.bias.sigmoid(), torch.tensor(1 / 20))
    assert torch.allclose(logits(model).sigmoid(), torch.tensor(1 / 20), atol=0.03)
    assert 0.01 < model.classifier.weight.std() < 0.03


def test_when_there_is_one_class_then_its_start_is_finite(model):
    set_tagging_classes(model, ["valve"])
    assert logits(model).shape == (2, 1) and logits(model).isfinite().all()


def test_when_the_changed_model_is_saved_then_it_loads_with_its_classes(model, tmp_path):
    set_tagging_classes(model, ["hum", "valve"])
    model.save_pretrained(tmp_path)
    loaded = BeatsForAudioClassification.from_pretrained(tmp_path)
    assert torch.equal(logits(loaded.eval()), logits(model)) and loaded.config.id2label == {0: "hum", 1: "valve"}

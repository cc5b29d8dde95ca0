"""An encoder is loaded whole or refused: missing tensors, other shapes, other kinds of models, damaged weights."""

import json
import os
import re

import pytest
import torch
from families import FAMILIES
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoModelForAudioClassification, Wav2Vec2Config, Wav2Vec2Model

from modeling_retainmix.pretrained import load_pretrained

WEIGHTS = "model.safetensors"


@pytest.fixture(params=FAMILIES)
def family(request):
    return FAMILIES[request.param]


@pytest.fixture
def encoder(family, tmp_path):
    family.model().save_pretrained(tmp_path / "encoder")
    return tmp_path / "encoder"


@pytest.fixture
def classifier(family, tmp_path):
    family.classifier(num_labels=5).save_pretrained(tmp_path / "classifier")
    return tmp_path / "classifier"


def change_weights(folder, change):
    weights = change(load_file(folder / WEIGHTS))
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})


@pytest.mark.parametrize("layers", [3, 2])
def test_when_checkpoint_is_whole_then_encoder_classifier_and_cut_model_load(encoder, classifier, layers):
    for folder in (encoder, classifier):
        for auto_class in (AutoModel, AutoModelForAudioClassification):
            model = load_pretrained(auto_class, folder, num_hidden_layers=layers)
            assert model.config.num_hidden_layers == layers and not model.training
    stored = load_file(encoder / WEIGHTS)
    assert all(
        torch.equal(value, stored[name]) for name, value in load_pretrained(AutoModel, encoder).state_dict().items()
    )


@pytest.mark.parametrize("auto_class", [AutoModel, AutoModelForAudioClassification])
def test_when_half_of_the_tensors_are_missing_then_the_first_is_named(encoder, auto_class):
    removed = sorted(load_file(encoder / WEIGHTS))[::2]
    change_weights(encoder, lambda weights: {name: weights[name] for name in weights if name not in removed})
    with pytest.raises(ValueError, match=rf"^the weights of {encoder} lack the tensor (\S+) and \d+ others") as raised:
        load_pretrained(auto_class, encoder)
    named = re.search(r"the tensor (\S+)", str(raised.value))[1]
    assert any(named.endswith(name) for name in removed)


def test_when_tensors_are_renamed_then_they_count_as_missing(encoder):
    change_weights(encoder, lambda weights: {f"other.{name}": value for name, value in weights.items()})
    with pytest.raises(ValueError, match="lack the tensor"):
        load_pretrained(AutoModel, encoder)


def test_when_one_tensor_of_the_head_is_missing_then_the_classifier_is_refused_and_the_encoder_loads(classifier):
    change_weights(classifier, lambda weights: {k: v for k, v in weights.items() if k != "classifier.bias"})
    with pytest.raises(ValueError, match=r"lack the tensor classifier\.bias of a"):
        load_pretrained(AutoModelForAudioClassification, classifier)
    load_pretrained(AutoModel, classifier)


def test_when_weights_are_of_another_family_then_they_are_refused(tmp_path):
    for name, family in FAMILIES.items():
        family.model().save_pretrained(tmp_path / name)
    os.replace(tmp_path / "eat" / WEIGHTS, tmp_path / "beats" / WEIGHTS)
    with pytest.raises(ValueError, match=rf"^the weights of {tmp_path / 'beats'} (lack|hold) the tensor"):
        load_pretrained(AutoModel, tmp_path / "beats")


def test_when_a_tensor_has_another_shape_then_both_shapes_are_named(encoder):
    config = json.loads((encoder / "config.json").read_text())
    (encoder / "config.json").write_text(json.dumps(config | {"intermediate_size": 96}))
    with pytest.raises(ValueError, match=r"feed_forward\.fc1\.bias of shape \[64\] where .* asks for \[96\]"):
        load_pretrained(AutoModel, encoder)


def test_when_model_is_of_another_kind_then_its_type_is_named(tmp_path):
    config = Wav2Vec2Config(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, conv_dim=(8,),
        conv_stride=(4,), conv_kernel=(4,), num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=1,
    )  # fmt: skip
    Wav2Vec2Model(config).save_pretrained(tmp_path)
    with pytest.raises(
        ValueError, match=rf"^{tmp_path} is a 'wav2vec2' model without num_mel_patches: use an encoder"
    ):
        load_pretrained(AutoModel, tmp_path)


def test_when_weights_are_damaged_then_error_names_the_model(encoder):
    (encoder / WEIGHTS).write_bytes((encoder / WEIGHTS).read_bytes()[:-10])
    with pytest.raises(ValueError, match=rf"^the weights of {encoder} are damaged"):
        load_pretrained(AutoModel, encoder)


class Payload:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


def test_when_weights_are_a_hostile_pickle_then_nothing_is_run_and_no_message_advises_it(encoder, tmp_path):
    (encoder / WEIGHTS).unlink()
    torch.save({"layers": Payload(tmp_path / "marker")}, encoder / "pytorch_model.bin")
    with pytest.raises(ValueError, match=r"a pickle that holds more than tensors: use a model\.safetensors") as raised:
        load_pretrained(AutoModel, encoder, use_safetensors=False)
    assert "weights_only" not in str(raised.value)
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"patch_size": 0}, "patch_size is 0, use 1 to"),
        ({"hidden_act": "os.system"}, "hidden_act is 'os.system'"),
        ({"num_hidden_layers": "3"}, "num_hidden_layers"),
        ({"dtype": "float128"}, "float128"),
    ],
)
def test_when_the_configuration_cannot_be_used_then_error_names_the_model_and_the_value(encoder, change, message):
    content = json.loads((encoder / "config.json").read_text())
    (encoder / "config.json").write_text(json.dumps({**content, **change}))
    with pytest.raises(ValueError, match=rf"^the configuration of {encoder} cannot be used \(.*{message}"):
        load_pretrained(AutoModel, encoder)


def test_when_layers_are_far_larger_than_the_weights_then_they_are_not_built(encoder, monkeypatch):
    content = json.loads((encoder / "config.json").read_text())
    large = {"hidden_size": 2**14, "intermediate_size": 2**16}  # 12 GiB a layer
    (encoder / "config.json").write_text(json.dumps({**content, **large}))
    monkeypatch.setattr(AutoModel, "from_pretrained", lambda *args, **options: pytest.fail("it was built"))
    with pytest.raises(
        ValueError, match=rf"the weights of {encoder} hold \d+ numbers where 3 layers .* need 9663676416"
    ):
        load_pretrained(AutoModel, encoder)

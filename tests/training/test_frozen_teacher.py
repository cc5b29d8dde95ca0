"""The frozen teacher: cut to the compared layer, copied into another dtype, refused where it cannot teach."""

import copy
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from modeling_retainmix.conversion.encoders_by_name import loadable_name
from modeling_retainmix.encoders import BeatsConfig, BeatsFeatureExtractor, BeatsModel
from modeling_retainmix.training.frozen_teacher import check_same_features, freeze_teacher

CPU = torch.device("cpu")


@pytest.fixture
def folder(teacher, tmp_path):
    teacher.save_pretrained(tmp_path / "teacher")
    return tmp_path / "teacher"


def freeze(teacher, config, layer=None, dtype=torch.float32):
    return freeze_teacher(teacher, config, layer, CPU, dtype)


def test_when_a_folder_is_given_then_no_layer_above_the_compared_one_is_loaded(folder, teacher, tiny_config):
    assert freeze(str(folder), tiny_config).config.num_hidden_layers == 2
    frozen = freeze(str(folder), tiny_config, layer=1)
    features = torch.randn(2, 64, 128, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        whole = teacher.eval()(features, output_hidden_states=True).hidden_states[1]
        assert torch.equal(frozen(features).last_hidden_state, whole)
    assert frozen.config.num_hidden_layers == 1
    assert not frozen.training and not any(weight.requires_grad for weight in frozen.parameters())


def test_when_an_original_checkpoint_is_given_then_its_conversion_is_frozen():
    original = str(Path(__file__).parents[1] / "golden" / "beats" / "beats_pretrain.pt")
    config = BeatsConfig.from_pretrained(loadable_name(original))
    assert freeze(original, config, layer=2).config.num_hidden_layers == 2


def test_when_an_encoder_has_another_dtype_then_a_copy_is_frozen_and_the_callers_stays(teacher, tiny_config):
    before = copy.deepcopy(teacher.state_dict())
    frozen = freeze(teacher, tiny_config, dtype=torch.bfloat16)
    assert frozen.dtype == torch.bfloat16 and teacher.dtype == torch.float32
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())
    assert all(weight.requires_grad for weight in teacher.parameters())


def test_when_no_teacher_is_given_then_error_names_both_cures(tiny_config):
    with pytest.raises(ValueError, match=r"teacher=.*beta=0"):
        freeze(None, tiny_config)


@pytest.mark.parametrize("option", ["hidden_size", "patch_size"])
def test_when_tokens_differ_then_field_and_values_are_named(tiny_config, option):
    other = copy.deepcopy(tiny_config)
    setattr(other, option, 32)
    with pytest.raises(ValueError, match=rf"the student's {option} is 16 but the teacher's 32"):
        freeze(BeatsModel(other), tiny_config)


def test_when_weights_of_the_teacher_are_incomplete_then_the_first_missing_tensor_is_named(folder, tiny_config):
    weights = load_file(folder / "model.safetensors")
    del weights["layers.0.feed_forward.fc1.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        ValueError, match=rf"the weights of {folder} lack the tensor layers\.0\.feed_forward\.fc1\.weight"
    ):
        freeze(str(folder), tiny_config)


def test_when_feature_extractors_differ_in_what_is_heard_then_the_value_is_named():
    ours = BeatsFeatureExtractor(clip_level=-0.1)
    check_same_features(ours, BeatsFeatureExtractor(clip_level=-0.1, return_attention_mask=False))
    with pytest.raises(
        ValueError, match=r"has clip_level=-0\.1 but the teacher's None, .* start the student from the"
    ):
        check_same_features(ours, BeatsFeatureExtractor())

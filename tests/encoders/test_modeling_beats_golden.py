"""BEATs against tensors that the original code computed."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from modeling_retainmix.conversion.convert import convert_checkpoint
from modeling_retainmix.encoders import BeatsFeatureExtractor

GOLDEN = Path(__file__).parents[1] / "golden" / "beats"
VARIANTS = list(json.loads((GOLDEN / "index.json").read_text()))


@pytest.fixture(scope="module", params=VARIANTS)
def case(request, tmp_path_factory):
    """Model, encoder, golden tensors and frame mask of one variant."""
    variant = request.param
    golden = load_file(GOLDEN / f"beats_{variant}_expected.safetensors")
    model = convert_checkpoint(GOLDEN / f"beats_{variant}.pt", tmp_path_factory.mktemp(variant))
    lengths = (~golden["padding_mask"]).sum(dim=1)
    mask = BeatsFeatureExtractor(padding_rule="fold").frame_mask(lengths, golden["input_values"].shape[1])
    return model, getattr(model, "beats", model), golden, mask


def assert_equal(actual, expected):
    torch.testing.assert_close(actual, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("padded", [False, True])
def test_every_hidden_state_equals_the_original(case, attention, padded):
    model, encoder, golden, mask = case
    model.set_attn_implementation(attention)
    with torch.no_grad():
        outputs = model(golden["fbank_normalized"], attention_mask=mask if padded else None, output_hidden_states=True)
    if not padded:
        assert_equal(outputs.hidden_states[0], golden["encoder_input_after_pos_conv_and_norm"])
    name = "hidden_states_with_padding_mask" if padded else "hidden_states"
    for layer in range(1, encoder.config.num_hidden_layers + 1):
        assert_equal(outputs.hidden_states[layer], golden[f"{name}.{layer}"])
    result = outputs.last_hidden_state if model is encoder else outputs.logits.sigmoid()
    assert_equal(result, golden["output_with_padding_mask" if padded else "output"])


def test_patch_embeddings_equal_the_original(case):
    _, encoder, golden, _ = case
    outputs = []
    handle = encoder.patch_embeddings.layer_norm.register_forward_hook(lambda *args: outputs.append(args[-1]))
    with torch.no_grad():
        encoder.patch_embeddings(golden["fbank_normalized"])
    handle.remove()
    assert_equal(outputs[0], golden["patch_embeddings_after_layernorm"])


def test_token_mask_equals_the_original(case):
    _, encoder, golden, mask = case
    assert torch.equal(encoder.token_mask(mask), ~golden["token_padding_mask"])


def test_from_waveform_to_output_equals_the_original(case):
    model, encoder, golden, _ = case
    features = BeatsFeatureExtractor()(golden["input_values"], sampling_rate=16_000)
    with torch.no_grad():
        outputs = model(features["input_values"])
    assert_equal(outputs.last_hidden_state if model is encoder else outputs.logits.sigmoid(), golden["output"])

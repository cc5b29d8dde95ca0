"""Parts of BEATs against naive twins: position buckets, gate, Fourier convolution, attention, layerdrop, gradients."""

import math

import pytest
import torch
from families import BEATS, features, randomised

from modeling_retainmix.encoders import BeatsConfig, BeatsModel
from modeling_retainmix.encoders.modeling_beats import BeatsAttention
from modeling_retainmix.encoders.positions_beats import (
    BeatsPositionalConvEmbedding,
    BeatsRelativePositionBias,
    fourier_conv1d,
)


def tiny_config(**overrides) -> BeatsConfig:
    return BEATS.config(**overrides)


def naive_bucket(offset: int, num_buckets: int, max_distance: int) -> int:
    half, sign = num_buckets // 2, num_buckets // 2 if offset > 0 else 0
    exact, distance = half // 2, abs(offset)
    if distance < exact:
        return sign + distance
    log = math.log(distance / exact) / math.log(max_distance / exact) * (half - exact)
    return sign + min(exact + int(log), half - 1)


@pytest.mark.parametrize(("num_buckets", "max_distance"), [(32, 80), (320, 800)])
def test_buckets_equal_the_naive_rule_for_every_offset(num_buckets, max_distance):
    bias = BeatsRelativePositionBias(tiny_config(num_buckets=num_buckets, max_bucket_distance=max_distance))
    offsets = torch.arange(-1500, 1501)
    expected = [naive_bucket(offset, num_buckets, max_distance) for offset in offsets.tolist()]
    assert bias.buckets(offsets).tolist() == expected


def test_position_bias_depends_on_key_minus_query():
    bias = BeatsRelativePositionBias(tiny_config())
    table = bias.embedding.weight
    values = bias(50, torch.device("cpu"))
    assert values.shape == (1, 4, 50, 50)
    for query, key in [(0, 0), (3, 10), (10, 3), (0, 49)]:
        assert torch.equal(values[0, :, query, key], table[naive_bucket(key - query, 32, 80)])


def test_position_bias_is_contiguous_for_the_products_with_the_gates():
    assert BeatsRelativePositionBias(tiny_config())(50, torch.device("cpu")).is_contiguous()


def test_gate_equals_the_two_sums_of_four():
    attention = randomised(BeatsAttention(tiny_config()))
    query = torch.randn(2, 4, 5, 8)
    first, second = attention.gate_linear(query).view(2, 4, 5, 2, 4).sum(dim=-1).sigmoid().unbind(dim=-1)
    expected = first * (second * attention.gate_scale[:, :, :, 0] - 1) + 2
    torch.testing.assert_close(attention.gate(query).squeeze(-1), expected)


@pytest.mark.parametrize("kernel", [15, 16])
@pytest.mark.parametrize("steps", [7, 24, 100])
def test_fourier_convolution_equals_conv1d_with_its_gradients(kernel, steps):
    generator = torch.Generator().manual_seed(0)
    signal = torch.randn(3, 12, steps, generator=generator, dtype=torch.float64).requires_grad_()
    weight = torch.randn(12, 3, kernel, generator=generator, dtype=torch.float64).requires_grad_()
    bias = torch.randn(12, generator=generator, dtype=torch.float64)
    direct = torch.nn.functional.conv1d(signal, weight, bias, padding=kernel // 2, groups=4)[..., :steps]
    fourier = fourier_conv1d(signal, weight, bias, groups=4)
    torch.testing.assert_close(fourier, direct)
    for actual, expected in zip(
        torch.autograd.grad(fourier.square().sum(), (signal, weight)),
        torch.autograd.grad(direct.square().sum(), (signal, weight)),
        strict=True,
    ):
        torch.testing.assert_close(actual, expected)


def test_many_clips_and_one_give_the_same_positions():
    conv = randomised(BeatsPositionalConvEmbedding(tiny_config()))
    hidden_states = torch.randn(9, 40, 32)
    with torch.no_grad():
        together = conv(hidden_states)
        apart = torch.cat([conv(clip[None]) for clip in hidden_states])
    torch.testing.assert_close(together, apart, atol=1e-5, rtol=0)


@pytest.mark.parametrize("overrides", [{}, {"layer_norm_first": True, "deep_norm": False}])
@pytest.mark.parametrize("depth", [1, 2])
def test_cut_model_equals_the_hidden_state_of_the_whole_one_bit_for_bit(tmp_path, caplog, overrides, depth):
    whole = randomised(BeatsModel(tiny_config(**overrides))).eval()
    whole.save_pretrained(tmp_path)
    cut = BeatsModel.from_pretrained(tmp_path, num_hidden_layers=depth)
    assert not caplog.records
    with torch.no_grad():
        expected = whole(features(), output_hidden_states=True).hidden_states[depth]
        assert torch.equal(cut(features()).last_hidden_state, expected)


def test_when_cut_at_full_depth_then_closing_norm_stays(tmp_path):
    whole = randomised(BeatsModel(tiny_config(layer_norm_first=True, deep_norm=False))).eval()
    whole.save_pretrained(tmp_path)
    again = BeatsModel.from_pretrained(tmp_path, num_hidden_layers=3)
    with torch.no_grad():
        outputs = again(features(), output_hidden_states=True)
        assert torch.equal(outputs.last_hidden_state, whole(features()).last_hidden_state)
        assert torch.equal(outputs.last_hidden_state, again.layer_norm(outputs.hidden_states[-1]))


def test_cut_model_saved_and_loaded_keeps_its_deep_norm(tmp_path):
    whole = randomised(BeatsModel(tiny_config())).eval()
    whole.save_pretrained(tmp_path / "whole")
    cut = BeatsModel.from_pretrained(tmp_path / "whole", num_hidden_layers=2)
    cut.save_pretrained(tmp_path / "cut")
    again = BeatsModel.from_pretrained(tmp_path / "cut")
    assert again.config.full_num_hidden_layers == 3
    with torch.no_grad():
        assert torch.equal(again(features()).last_hidden_state, cut(features()).last_hidden_state)


def test_layerdrop_draws_only_in_training_and_every_parameter_gets_a_gradient():
    model = randomised(BeatsModel(tiny_config(layerdrop=1.0)))
    states = model.eval()(features(), output_hidden_states=True).hidden_states
    assert not torch.equal(states[0], states[3])
    states = model.train()(features(), output_hidden_states=True).hidden_states
    assert torch.equal(states[0], states[3])
    states[3].sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_gradient_decay_scales_the_gradient_at_every_layer_and_leaves_the_values():
    plain = randomised(BeatsModel(tiny_config(layer_wise_gradient_decay_ratio=1.0))).eval()
    decayed = BeatsModel(tiny_config(layer_wise_gradient_decay_ratio=0.5)).eval()
    decayed.load_state_dict(plain.state_dict())
    outputs = [model(features()).last_hidden_state for model in (plain, decayed)]
    assert torch.equal(*outputs)
    for output in outputs:
        output.square().sum().backward()
    # Layer 3 and its parameters see the whole gradient, layer 2 half, layer 1 a quarter, what is below an eighth.
    for name, factor in [("layers.2.feed_forward.fc1", 1), ("layers.1.feed_forward.fc1", 0.5), ("layer_norm", 0.125)]:
        gradients = [model.get_submodule(name).weight.grad for model in (plain, decayed)]
        torch.testing.assert_close(gradients[1], factor * gradients[0])


def test_fresh_weights_have_the_spread_of_the_original_initialisation():
    torch.manual_seed(0)
    model = BeatsModel(BeatsConfig(hidden_size=256, num_hidden_layers=2, num_attention_heads=4, intermediate_size=512))
    layer = model.layers[1]
    gain = (8 * 2) ** -0.25
    expected = {
        layer.attention.q_proj.weight: math.sqrt(2 / 512),
        layer.attention.v_proj.weight: gain * math.sqrt(2 / 512),
        layer.feed_forward.fc1.weight: gain * math.sqrt(2 / 768),
        model.position_conv.conv.weight: math.sqrt(4 / (128 * 256)),
        model.position_bias.embedding.weight: 0.02,
        model.patch_embeddings.linear.weight: 0.02,
    }
    for weight, spread in expected.items():
        assert weight.std().item() == pytest.approx(spread, rel=0.1)
    assert torch.equal(layer.attention.gate_scale, torch.ones(1, 4, 1, 1))
    assert not layer.attention.q_proj.bias.any()


def test_cut_of_a_fresh_deep_model_keeps_the_gain_of_its_full_depth():
    torch.manual_seed(0)
    config = {"hidden_size": 256, "num_attention_heads": 4, "intermediate_size": 512}
    model = BeatsModel(BeatsConfig(**config, num_hidden_layers=1, full_num_hidden_layers=12))
    spread = (8 * 12) ** -0.25 * math.sqrt(2 / 512)
    assert model.layers[0].attention.v_proj.weight.std().item() == pytest.approx(spread, rel=0.05)

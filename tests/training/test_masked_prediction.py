"""Masked patch prediction against dense twins."""

import copy

import pytest
import torch
from tiny_pretraining import ENCODER

from modeling_retainmix.encoders import BeatsConfig, BeatsModel
from modeling_retainmix.training.masked_prediction import (
    MaskedPatchPrediction,
    encode_visible,
    gathered_bias,
    put_tokens,
    split_tokens,
    take_tokens,
)
from modeling_retainmix.training.pretraining_targets import RandomProjectionTokenizer, clip_statistics

TOKENS, CLIPS = 32, 3
FAMILY = {"post-norm": {}, "pre-norm": {"layer_norm_first": True, "deep_norm": False}}


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def make_encoder(**options):
    torch.manual_seed(3)
    encoder = BeatsModel(BeatsConfig(**ENCODER | {"layerdrop": 0.0} | options))
    with torch.no_grad():
        encoder.position_bias.embedding.weight.mul_(30)  # a bias that shows
    encoder.set_attn_implementation("eager")
    return encoder


def make_model(**options):
    encoder = make_encoder()
    return MaskedPatchPrediction(encoder, RandomProjectionTokenizer(8, 256, 16, 8, 2), 2, 16, **options)


@pytest.fixture
def features():
    return random(CLIPS, 70, 128)


@pytest.fixture
def parts():
    draws = torch.rand(CLIPS, TOKENS, generator=torch.Generator().manual_seed(1))
    return split_tokens(draws, 0.25)


def dense_masked(encoder, features, visible):
    """All tokens through the encoder, the masked ones shut out as keys and blank in the convolution."""
    tokens = encoder.patch_embeddings(features)
    seen = torch.zeros(tokens.shape[:2], dtype=torch.bool)
    for clip, row in enumerate(visible.tolist()):
        seen[clip, row] = True
    blanked = torch.where(seen[..., None], tokens * (TOKENS / visible.shape[1]), torch.zeros(()))
    hidden = tokens + encoder.position_conv(blanked)
    if not encoder.config.layer_norm_first:
        hidden = encoder.layer_norm(hidden)
    bias = encoder.position_bias(TOKENS, hidden.device)
    keys = seen[:, None, None, :].expand(-1, 1, TOKENS, -1)
    for layer in encoder.layers:
        hidden = layer(hidden, bias, keys, None)
    return encoder.layer_norm(hidden) if encoder.config.layer_norm_first else hidden


def test_tokens_are_dealt_by_their_draws():
    draws = torch.tensor([[0.9, 0.1, 0.5, 0.3], [0.2, 0.8, 0.1, 0.7]])
    visible, masked = split_tokens(draws, 0.5)
    assert visible.tolist() == [[1, 3], [0, 2]] and masked.tolist() == [[0, 2], [1, 3]]


@pytest.mark.parametrize(("keep_ratio", "kept"), [(0.25, 8), (0.001, 1), (0.999, 31)])
def test_every_clip_has_as_many_visible_tokens_and_some_of_either_kind(keep_ratio, kept):
    draws = torch.rand(5, TOKENS, generator=torch.Generator().manual_seed(2))
    visible, masked = split_tokens(draws, keep_ratio)
    assert visible.shape == (5, kept)
    for clip in range(5):
        assert sorted(visible[clip].tolist() + masked[clip].tolist()) == list(range(TOKENS))


def test_taking_undoes_putting(parts):
    visible, masked = parts
    values = random(CLIPS, visible.shape[1], 5)
    whole = put_tokens(values, visible, TOKENS)
    assert torch.equal(take_tokens(whole, visible), values)
    assert not take_tokens(whole, masked).any()


def test_gathered_bias_is_rows_and_columns_of_the_whole(parts):
    visible, _ = parts
    position_bias = make_encoder().position_bias
    whole = position_bias(TOKENS, visible.device)[0]
    ours = gathered_bias(position_bias, visible)
    for clip, index in enumerate(visible):
        assert torch.equal(ours[clip], whole[:, index][:, :, index])


@pytest.mark.parametrize("family", FAMILY)
def test_encoding_visible_patches_is_dense_attention_with_masked_keys(family, features, parts):
    visible, _ = parts
    encoder, twin = make_encoder(**FAMILY[family]), make_encoder(**FAMILY[family])
    ours = encode_visible(encoder, features, visible)
    theirs = take_tokens(dense_masked(twin, features, visible), visible)
    assert torch.allclose(ours, theirs, atol=1e-5)
    weights = random(*ours.shape, seed=4)
    (ours * weights).sum().backward()
    (theirs * weights).sum().backward()
    for (name, parameter), other in zip(encoder.named_parameters(), twin.parameters(), strict=True):
        assert parameter.grad is not None, name
        scale = other.grad.abs().max().clamp(min=1.0)
        assert torch.allclose(parameter.grad, other.grad, atol=1e-4 * float(scale), rtol=0), name


@pytest.mark.parametrize("family", FAMILY)
def test_when_all_patches_are_visible_then_it_is_the_forward_of_the_model(family, features):
    encoder = make_encoder(**FAMILY[family]).eval()
    with torch.no_grad():
        ours = encode_visible(encoder, features, torch.arange(TOKENS).expand(CLIPS, -1))
        assert torch.allclose(ours, encoder(features).last_hidden_state, atol=1e-5)


def test_when_masked_patches_change_then_nothing_does(features, parts):
    visible, masked = parts
    model = make_model().eval()
    codes = torch.zeros(CLIPS, masked.shape[1], 2, dtype=torch.int64)
    changed = features.clone()
    for clip, row in enumerate(masked.tolist()):
        for token in row:
            time, band = divmod(token, 8)
            changed[clip, 16 * time : 16 * time + 16, 16 * band : 16 * band + 16] += 1.0
    with torch.no_grad():
        first, second = (model(values, visible, masked, codes).logits for values in (features, changed))
    assert torch.equal(first, second)


def test_predictor_sees_encoder_outputs_and_mask_tokens_at_their_places(parts):
    visible, masked = parts
    predictor = make_model().predictor.eval()
    encoded = random(CLIPS, visible.shape[1], 32)
    with torch.no_grad():
        hidden = torch.empty(CLIPS, TOKENS, 16)
        for clip in range(CLIPS):
            for place, token in enumerate(visible[clip].tolist()):
                hidden[clip, token] = predictor.linear(encoded[clip, place])
            for token in masked[clip].tolist():
                hidden[clip, token] = predictor.mask_tokens.weight[token % 8]
        hidden = predictor.layer_norm(hidden)
        for layer in predictor.layers:
            hidden = layer(hidden, predictor.position_bias(TOKENS, hidden.device), None, None)
        expected = torch.stack([predictor.classifier(hidden[clip, masked[clip]]) for clip in range(CLIPS)])
        ours = predictor(encoded, visible, masked)
    assert ours.shape == (CLIPS, masked.shape[1], 2, 16)
    assert torch.allclose(ours.flatten(2), expected, atol=1e-5)


def test_losses_are_their_definitions(features, parts):
    visible, masked = parts
    model = make_model(statistics_weight=0.5, statistics_pool="clip").eval()
    statistics = clip_statistics(features, 16)
    model.standardize_statistics.fit(statistics)
    codes = torch.randint(0, 16, (CLIPS, masked.shape[1], 2), generator=torch.Generator().manual_seed(6))
    with torch.no_grad():
        outputs = model(features, visible, masked, codes, statistics)
        encoded = encode_visible(model.encoder, features, visible)
        log_shares = model.predictor(encoded, visible, masked).log_softmax(dim=-1)
        expected = -log_shares.gather(-1, codes[..., None]).mean()
        wanted = model.standardize_statistics(statistics).flatten(1)
        errors = (model.statistics_head(encoded.mean(dim=1)) - wanted).square().mean()
    assert outputs.loss_codes == pytest.approx(float(expected), abs=1e-5)
    assert outputs.loss_statistics == pytest.approx(float(errors), abs=1e-5)
    assert outputs.loss == pytest.approx(float(expected + 0.5 * errors), abs=1e-5)
    assert outputs.accuracy == pytest.approx(float((log_shares.argmax(-1) == codes).float().mean()), abs=1e-6)
    assert outputs.logits.mean() == pytest.approx(float(outputs.loss), abs=1e-5)


def test_when_statistics_are_read_by_band_then_rows_without_visible_patches_do_not_count(features):
    model = make_model(statistics_weight=1.0, statistics_pool="band").eval()
    statistics = clip_statistics(features, 16)
    visible = torch.tensor([[0, 8, 17], [2, 3, 4], [7, 15, 23]])
    masked = torch.stack([torch.tensor([t for t in range(TOKENS) if t not in row]) for row in visible.tolist()])
    codes = torch.zeros(CLIPS, masked.shape[1], 2, dtype=torch.int64)
    with torch.no_grad():
        encoded = encode_visible(model.encoder, features, visible)
        errors = []
        for clip in range(CLIPS):
            rows = sorted({token % 8 for token in visible[clip].tolist()})
            by_row = []
            for row in rows:
                pooled = encoded[clip][visible[clip] % 8 == row].mean(dim=0)
                by_row.append((model.statistics_head(pooled) - statistics[clip, row]).square().mean())
            errors.append(torch.stack(by_row).mean())
        outputs = model(features, visible, masked, codes, statistics)
    assert outputs.loss_statistics == pytest.approx(float(torch.stack(errors).mean()), abs=1e-5)


def test_when_losses_are_taken_back_then_every_parameter_has_a_gradient(features, parts):
    visible, masked = parts
    model = make_model(statistics_weight=0.5)
    codes = torch.zeros(CLIPS, masked.shape[1], 2, dtype=torch.int64)
    model(features, visible, masked, codes, clip_statistics(features, 16)).loss.backward()
    assert [name for name, weight in model.named_parameters() if weight.grad is None] == []


def test_when_computed_in_bfloat16_then_losses_are_close_to_those_in_float32(features, parts):
    visible, masked = parts
    model = make_model(statistics_weight=0.5)
    codes = torch.zeros(CLIPS, masked.shape[1], 2, dtype=torch.int64)
    inputs = (features, visible, masked, codes, clip_statistics(features, 16))
    exact = copy.deepcopy(model)(*inputs)
    with torch.autocast("cpu", torch.bfloat16):
        rough = model(*inputs)
    assert rough.loss.item() == pytest.approx(exact.loss.item(), rel=0.02)
    rough.loss.backward()
    assert all(torch.isfinite(weight.grad).all() for weight in model.parameters())

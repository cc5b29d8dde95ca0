"""What sets EAT apart: the class token, the reach of its positions, the choices of its head."""

import math

import pytest
import torch
from families import EAT, features
from transformers import AutoModel

from modeling_retainmix.detection.embedder import Embedder
from modeling_retainmix.encoders.modeling_eat import threshold_tanh


def test_class_token_stands_first_and_patches_see_their_positions():
    model = EAT.model()
    with torch.no_grad():
        first = model(features(), output_hidden_states=[0]).hidden_states[0]
        tokens = torch.zeros(2, 33, 32)
        patches = model.embeddings.projection(features()[:, None]).flatten(2).transpose(1, 2)
        tokens[:, :1] = model.embeddings.class_token
        tokens[:, 1:] = patches + model.embeddings.positions[:, :32]
        torch.testing.assert_close(first, model.embeddings.layer_norm(tokens))


def test_when_input_is_longer_than_the_positions_then_error_names_both():
    model = EAT.model(max_time_patches=4)
    assert model(features(frames=79)).last_hidden_state.shape == (2, 33, 32)
    with pytest.raises(ValueError, match=r"80 frames.*64 of max_time_patches=4.*AnomalyDetector"):
        model(features(frames=80))


@pytest.mark.parametrize("pooling", ["mean", "class_token"])
def test_head_sees_the_mean_of_the_patches_or_the_class_token(pooling):
    model = EAT.classifier(num_labels=3, classifier_pooling=pooling, classifier_norm=True)
    with torch.no_grad():
        tokens = model.eat(features()).last_hidden_state
        pooled = tokens[:, 0] if pooling == "class_token" else tokens[:, 1:].mean(dim=1)
        torch.testing.assert_close(model(features()).logits, model.classifier(model.norm(pooled)))


def test_token_mask_keeps_the_class_token_and_whole_patches():
    mask = torch.ones(1, 60, dtype=torch.long)
    mask[:, 31:] = 0
    assert EAT.model().token_mask(mask).tolist() == [[True] * 9 + [False] * 16]


def naive_activation(tokens: torch.Tensor) -> torch.Tensor:
    """The treatment of arXiv 2603.04605, number by number."""
    values = [0.0 if x < 0.1 else math.tanh(x) if x > 0.5 else x for x in tokens.flatten().tolist()]
    return torch.tensor(values).view(tokens.shape)


def test_when_tokens_are_low_or_high_then_they_are_cleared_or_damped():
    tokens = torch.tensor([[-3.0, -0.2, 0.0, 0.0999], [0.1001, 0.4999, 0.5001, 4.0]])
    expected = [[0.0, 0.0, 0.0, 0.0], [0.1001, 0.4999, math.tanh(0.5001), math.tanh(4.0)]]
    torch.testing.assert_close(threshold_tanh(tokens), torch.tensor(expected))
    assert threshold_tanh(tokens.bfloat16()).dtype == torch.bfloat16


@pytest.mark.parametrize("depth", [3, 2])
def test_when_the_output_has_an_activation_then_it_acts_on_every_token_and_on_nothing_inside(depth):
    plain = EAT.model()
    treated = EAT.model(output_activation="threshold_tanh", num_hidden_layers=depth, full_num_hidden_layers=3)
    treated.load_state_dict(plain.state_dict(), strict=False)
    with torch.no_grad():
        expected = plain(features(), output_hidden_states=True).hidden_states
        outputs = treated(features(), output_hidden_states=True)
        chosen = treated(features(), output_hidden_states=[1], return_dict=False)
    assert len(outputs.hidden_states) == depth + 1
    for state, tokens in zip(outputs.hidden_states, expected, strict=False):
        torch.testing.assert_close(state, naive_activation(tokens))
        assert (tokens < 0.1).any() and (tokens > 0.5).any()
    assert torch.equal(outputs.last_hidden_state, outputs.hidden_states[depth])
    assert torch.equal(chosen[0], outputs.last_hidden_state)
    assert chosen[1][0] is None and torch.equal(chosen[1][1], outputs.hidden_states[1])


def test_when_the_checkpoint_is_saved_then_the_activation_is_kept(tmp_path):
    model = EAT.model(output_activation="threshold_tanh")
    model.save_pretrained(tmp_path)
    again = AutoModel.from_pretrained(tmp_path)
    assert again.config.output_activation == "threshold_tanh"
    with torch.no_grad():
        assert torch.equal(again(features()).last_hidden_state, model(features()).last_hidden_state)
        untreated = AutoModel.from_pretrained(tmp_path, output_activation=None)(features()).last_hidden_state
    torch.testing.assert_close(threshold_tanh(untreated), model(features()).last_hidden_state)
    assert EAT.config().output_activation is None


def test_when_clips_are_embedded_then_the_activation_stands_before_the_pooling():
    plain, treated = EAT.model(), EAT.model(output_activation="threshold_tanh")
    treated.load_state_dict(plain.state_dict())
    extractor = EAT.extractor_class(target_length=None)
    waveforms = 0.1 * torch.randn(2, 16_000, generator=torch.Generator().manual_seed(0))
    embedded = Embedder(treated, extractor, [2]).embed(waveforms)[2]
    with torch.no_grad():
        inputs = extractor.extract_features(waveforms)
        tokens = naive_activation(plain(inputs, output_hidden_states=[2]).hidden_states[2][:, 1:])
    columns = tokens.view(2, -1, 8, 32)[:, :6]  # 98 real frames: 6 whole columns of 16
    torch.testing.assert_close(embedded, columns.mean(dim=1).flatten(1), atol=1e-5, rtol=0)


def test_when_a_head_would_read_tokens_behind_the_activation_then_it_is_refused(tmp_path):
    EAT.model(output_activation="threshold_tanh").save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"output_activation='threshold_tanh' is for frozen encoders"):
        EAT.classifier_class.from_pretrained(tmp_path)
    EAT.classifier_class.from_pretrained(tmp_path, output_activation=None)

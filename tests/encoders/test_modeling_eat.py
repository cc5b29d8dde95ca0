"""What sets EAT apart: the class token, the reach of its positions, the choices of its head."""

import pytest
import torch
from families import EAT, features


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

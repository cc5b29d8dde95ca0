"""Which keys are taken for typing errors."""

import pytest

from modeling_retainmix.encoders.known_keys import near_miss

KNOWN = ["hidden_size", "num_hidden_layers", "hidden_dropout", "layer_norm_eps", "padding_rule", "num_labels"]


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("hiden_size", "hidden_size"),
        ("num_hidden_layer", "num_hidden_layers"),
        ("hidden_dropout_prob", "hidden_dropout"),
        ("layer_norm_epsilon", "layer_norm_eps"),
        ("paddng_rule", "padding_rule"),
        ("num_label", "num_labels"),
    ],
)
def test_typing_errors_find_the_key_that_was_meant(key, meant):
    assert near_miss(key, KNOWN) == meant


@pytest.mark.parametrize("key", ["batch_norm_eps", "my_field", "hidden", "num_layers", "rule", "size"])
def test_other_names_are_left_alone(key):
    assert near_miss(key, KNOWN) is None

"""What is read of an encoder where nothing is named, and that no more of it is built."""

import pytest

from modeling_retainmix.detection.load_encoder import chosen_layers, default_blocks, embedding_layer, load_encoder
from modeling_retainmix.encoders import BeatsConfig, LogMelConfig

CONFIG = BeatsConfig(hidden_size=32, num_hidden_layers=3, num_attention_heads=2, intermediate_size=32)


def test_the_layer_is_that_of_the_configuration_or_else_the_last_one():
    assert embedding_layer(CONFIG) == 3 and chosen_layers(None, CONFIG) == (3,)
    chosen = BeatsConfig(**{**CONFIG.to_dict(), "embedding_layer": 2})
    assert (
        embedding_layer(chosen) == 2 and chosen_layers(1, chosen) == (1,) and chosen_layers((0, 1), chosen) == (0, 1)
    )


@pytest.mark.parametrize(
    ("config", "backend", "expected"),
    [
        (CONFIG, "whitened", (3, "recorded", "change-3", "change-recorded")),
        (CONFIG, "knn", (3,)),
        (LogMelConfig(), "whitened", (0,)),
        (LogMelConfig(), "mahalanobis", (0,)),
    ],
)
def test_by_default_the_blocks_are_those_that_the_backend_was_chosen_with(config, backend, expected):
    assert default_blocks(config, backend) == expected


def test_layers_above_the_highest_one_that_is_read_are_not_built(tiny_checkpoint):
    for layer, built in ((1, 1), (("recorded", "change-2"), 2), ("log-mel", 1), (0, 1)):
        model, extractor = load_encoder(tiny_checkpoint, layer)
        assert len(model.layers) == built and extractor.sampling_rate == 16000, layer
    with pytest.raises(ValueError, match=rf"layer=9: {tiny_checkpoint} has 3 layers"):
        load_encoder(tiny_checkpoint, (1, "change-9"))
    model, _ = load_encoder("log-mel", None)
    assert model.config.num_hidden_layers == 0

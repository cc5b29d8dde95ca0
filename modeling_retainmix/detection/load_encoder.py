"""An encoder for a detector: its layers, which of them are read, and loading it up to the highest one of these."""

import os
from typing import Any

from transformers import AutoFeatureExtractor, AutoModel

from modeling_retainmix.detection.vector_layout import LOG_MEL, Layer, block_depth, joined_blocks
from modeling_retainmix.encoders.configuration_log_mel import LogMelConfig
from modeling_retainmix.encoders.feature_extraction_beats import BeatsFeatureExtractor
from modeling_retainmix.encoders.modeling_log_mel import LogMelModel
from modeling_retainmix.pretrained import load_pretrained, read_config


def chosen_layers(layer: Layer | tuple[Layer, ...] | None, config: Any) -> tuple[Layer, ...]:
    """Return the layers to read of an encoder: those given, or its `embedding_layer`, or else its last one."""
    if layer is None:
        return (embedding_layer(config),)
    return layer if isinstance(layer, tuple) else (layer,)


def default_blocks(config: Any, backend: str) -> tuple[Layer, ...]:
    """Return what a detector reads of an encoder if it is told nothing: what its backend was chosen or published with.

    That is `joined_blocks` under "whitened", the statistics alone where these are the encoder; under every other
    backend the layer alone.
    """
    layer = embedding_layer(config)
    if backend != "whitened" or isinstance(config, LogMelConfig):
        return (layer,)
    return joined_blocks(layer)


def embedding_layer(config: Any) -> int:
    """Return the layer of an encoder that a detector reads: its `embedding_layer`, or else its last one."""
    chosen = getattr(config, "embedding_layer", None)
    return int(config.num_hidden_layers if chosen is None else chosen)


def load_encoder(
    name: str | os.PathLike[str],
    layer: Layer | tuple[Layer, ...] | None,
    revision: str | None = None,
    trust_remote_code: bool = False,
) -> tuple[Any, Any]:
    """Load an encoder, of which no layer above the highest one that is read, and its feature extractor.

    Args:
        name: folder or Hub name; "log-mel": the statistics alone (`LogMelModel`), of clips as recorded.
        layer: as in `chosen_layers`.
        revision: branch, tag or commit on the Hub; None: the main branch.
        trust_remote_code: run code from the Hub.

    Raises:
        FileNotFoundError: the weights are missing.
        ValueError: a layer that the encoder does not have, a model of another kind, or weights that are damaged or
            incomplete; the message names the model and the first tensor that is missing.
    """
    if name == LOG_MEL:
        config = LogMelConfig(name_or_path=LOG_MEL)
        _check_depth(layer, config, name)
        return LogMelModel(config).eval(), BeatsFeatureExtractor()
    source: dict[str, Any] = {"revision": revision, "trust_remote_code": trust_remote_code}
    config = read_config(name, revision, trust_remote_code)
    depth = _check_depth(layer, config, name)
    model = load_pretrained(AutoModel, name, num_hidden_layers=built_layers(depth, config), **source)
    return model, AutoFeatureExtractor.from_pretrained(name, **source)


def _check_depth(layer: Layer | tuple[Layer, ...] | None, config: Any, name: str | os.PathLike[str]) -> int:
    depth = block_depth(chosen_layers(layer, config))
    if depth > config.num_hidden_layers:
        raise ValueError(f"layer={depth}: {name} has {config.num_hidden_layers} layers")
    return depth


def built_layers(depth: int, config: Any) -> int:
    """Layers of an encoder that is read up to `depth`: at least one, if it has any."""
    return max(depth, min(1, config.num_hidden_layers))

"""What the configurations of all encoder families share."""

from typing import Any

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig

# Keys beside the declared fields that transformers itself passes to a configuration.
_LIBRARY_KEYS = {
    "model_type",
    "auto_map",
    "num_labels",
    "torch_dtype",
    "name_or_path",
    "output_attentions",
    "attn_implementation",
    "experts_implementation",
    "quantization_config",
    "use_cache",  # the Trainer sets it on every configuration that it trains
}


@strict
class EncoderConfig(PreTrainedConfig):
    r"""
    Base of the configurations: a transformer over square patches of a log-mel spectrogram.

    Args:
        hidden_size: width of the encoder.
        num_hidden_layers: layers that are built and computed.
        full_num_hidden_layers: layers of the whole model; `None` means `num_hidden_layers`. Loading with a smaller
            `num_hidden_layers` leaves it alone, so that a cut model gives exactly the hidden states of the whole one.
        num_attention_heads: attention heads.
        intermediate_size: width of the feed-forward layers.
        hidden_act: activation of the feed-forward layers, a name of `transformers.activations.ACT2FN`.
        patch_size: frames and mel bins of a patch.
        num_mel_bins: mel bins of the input.
        hidden_dropout: dropout after attention and after the feed-forward layers.
        attention_dropout: dropout of the attention weights.
        activation_dropout: dropout inside the feed-forward layers.
        classifier_dropout: dropout before the classification head.
        layerdrop: probability with which a clip skips a layer in training.
        layer_norm_eps: epsilon of every layer norm.
        initializer_range: standard deviation of the initial weights.
        embedding_layer: index into `hidden_states` that an anomaly detector reads; `None` means the last layer.
    """

    keys_to_ignore_at_inference = ["last_hidden_state", "hidden_states", "attentions"]  # noqa: RUF012

    hidden_size: int = 768
    num_hidden_layers: int = 12
    full_num_hidden_layers: int | None = None
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    patch_size: int = 16
    num_mel_bins: int = 128
    hidden_dropout: float | int = 0.0
    attention_dropout: float | int = 0.0
    activation_dropout: float | int = 0.0
    classifier_dropout: float | int = 0.0
    layerdrop: float | int = 0.0
    layer_norm_eps: float = 1e-5
    initializer_range: float = 0.02
    embedding_layer: int | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        unknown = [key for key in kwargs if key not in _LIBRARY_KEYS and not key.startswith("_")]
        if unknown:
            raise ValueError(
                f"unknown configuration key {unknown[0]!r}: {type(self).__name__} knows the keys of its documentation"
            )
        if self.full_num_hidden_layers is None:
            self.full_num_hidden_layers = self.num_hidden_layers
        super().__post_init__(**kwargs)
        self.check()

    def check(self) -> None:
        """Checks what single fields cannot say; the models call it too, as loading may override fields.

        Raises:
            ValueError: fields that contradict each other.
        """
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"hidden_size {self.hidden_size} is not a multiple of num_attention_heads {self.num_attention_heads}"
            )
        if not 0 < self.num_hidden_layers <= self.full_depth:
            raise ValueError(f"num_hidden_layers is {self.num_hidden_layers}, the model has 1 to {self.full_depth}")

    @property
    def full_depth(self) -> int:
        """Layers of the whole model, of which this may be the first few."""
        return self.full_num_hidden_layers or self.num_hidden_layers

    @property
    def num_mel_patches(self) -> int:
        """Tokens of one time column (F): patch index = time * F + frequency."""
        return self.num_mel_bins // self.patch_size

    @property
    def num_prefix_tokens(self) -> int:
        """Tokens before the first patch."""
        return 0


__all__ = ["EncoderConfig"]

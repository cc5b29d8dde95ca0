"""Configuration of the BEATs encoder."""

from typing import Any, Literal

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
    "use_cache",  # the Trainer sets it on every configuration that it trains
}


@strict
class BeatsConfig(PreTrainedConfig):
    r"""
    Configuration of [`BeatsModel`]. The defaults are those of the official BEATs_iter1 to iter3+ (90 M parameters).

    Chen et al., "BEATs: Audio Pre-Training with Acoustic Tokenizers", ICML 2023.

    Args:
        hidden_size: width of the encoder.
        num_hidden_layers: layers that are built and computed.
        full_num_hidden_layers: layers of the whole model, which fix the deep-norm constant; `None` means
            `num_hidden_layers`. Loading with a smaller `num_hidden_layers` leaves it alone, so that a cut model gives
            exactly the hidden states of the whole one.
        num_attention_heads: attention heads.
        intermediate_size: width of the feed-forward layers.
        hidden_act: activation of the feed-forward layers, a name of `transformers.activations.ACT2FN` or `"glu"`.
        patch_embed_size: width of the patch embeddings; a linear layer follows if it is not `hidden_size`.
        patch_size: frames and mel bins of a patch.
        num_mel_bins: mel bins of the input.
        conv_bias: whether the patch convolution has a bias.
        num_conv_pos_embeddings: kernel of the positional convolution.
        num_conv_pos_embedding_groups: groups of the positional convolution.
        relative_position_embedding: add a bucketed relative position bias to the attention logits.
        num_buckets: rows of its table.
        max_bucket_distance: distance in tokens from which on all share the last bucket.
        gru_rel_pos: gate that bias by the query.
        layer_norm_first: pre-norm layers instead of post-norm.
        deep_norm: weigh the residuals of post-norm layers by (2 * full_num_hidden_layers) ** 0.25.
        layer_norm_eps: epsilon of every layer norm.
        hidden_dropout: dropout after the positional convolution, after attention and after the feed-forward layers.
        attention_dropout: dropout of the attention weights.
        activation_dropout: dropout inside the feed-forward layers.
        input_dropout: dropout of the projected patch embeddings.
        classifier_dropout: dropout before the classification head.
        layerdrop: probability with which a clip skips a layer in training.
        layer_wise_gradient_decay_ratio: factor by which each layer's input scales the gradient that passes it.
        initializer_range: standard deviation of the initial weights (without `deep_norm`).
        padding_rule: which tokens of a padded clip are real: `"fold"` as the original BEATs decides, `"conv"` as
            OpenBEATs does (a token is real if all its samples are).
        embedding_layer: index into `hidden_states` that an anomaly detector reads; `None` means the last layer.
    """

    model_type = "retainmix_beats"
    keys_to_ignore_at_inference = ["last_hidden_state", "hidden_states", "attentions"]  # noqa: RUF012

    hidden_size: int = 768
    num_hidden_layers: int = 12
    full_num_hidden_layers: int | None = None
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    patch_embed_size: int = 512
    patch_size: int = 16
    num_mel_bins: int = 128
    conv_bias: bool = False
    num_conv_pos_embeddings: int = 128
    num_conv_pos_embedding_groups: int = 16
    relative_position_embedding: bool = True
    num_buckets: int = 320
    max_bucket_distance: int = 800
    gru_rel_pos: bool = True
    layer_norm_first: bool = False
    deep_norm: bool = True
    layer_norm_eps: float = 1e-5
    hidden_dropout: float | int = 0.0
    attention_dropout: float | int = 0.0
    activation_dropout: float | int = 0.0
    input_dropout: float | int = 0.0
    classifier_dropout: float | int = 0.0
    layerdrop: float | int = 0.05
    layer_wise_gradient_decay_ratio: float | int = 0.6
    initializer_range: float = 0.02
    padding_rule: Literal["fold", "conv"] = "fold"
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

    def validate_architecture(self) -> None:
        """Checks what single fields cannot say."""
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"hidden_size {self.hidden_size} is not a multiple of num_attention_heads {self.num_attention_heads}"
            )
        if self.hidden_size % self.num_conv_pos_embedding_groups:
            raise ValueError(
                f"hidden_size {self.hidden_size} is not a multiple of "
                f"num_conv_pos_embedding_groups {self.num_conv_pos_embedding_groups}"
            )
        if self.num_hidden_layers > self.full_depth:
            raise ValueError(
                f"num_hidden_layers {self.num_hidden_layers} is more than the {self.full_depth} of the model"
            )
        if self.gru_rel_pos and not self.relative_position_embedding:
            raise ValueError("gru_rel_pos=True gates the relative positions: set relative_position_embedding=True")

    @property
    def full_depth(self) -> int:
        """Layers of the whole model, of which this may be the first few."""
        return self.full_num_hidden_layers or self.num_hidden_layers

    @property
    def num_mel_patches(self) -> int:
        """Tokens of one time column (F): token index = time * F + frequency."""
        return self.num_mel_bins // self.patch_size

    @property
    def num_prefix_tokens(self) -> int:
        """Tokens before the first patch: BEATs has no class token."""
        return 0


__all__ = ["BeatsConfig"]

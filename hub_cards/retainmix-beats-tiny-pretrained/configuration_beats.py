"""Configuration of the BEATs encoder."""

from typing import ClassVar, Literal

from huggingface_hub.dataclasses import strict

from .configuration_encoder import EncoderConfig


@strict
class BeatsConfig(EncoderConfig):
    r"""
    Configuration of [`BeatsModel`]. The defaults are those of the official BEATs_iter1 to iter3+ (90 M parameters),
    except for the padding rule.

    Chen et al., "BEATs: Audio Pre-Training with Acoustic Tokenizers", ICML 2023.

    Args (beside those of [`EncoderConfig`]):
        hidden_act: activation of the feed-forward layers, a name of `transformers.activations.ACT2FN` or `"glu"`.
        patch_embed_size: width of the patch embeddings; a linear layer follows if it is not `hidden_size`.
        conv_bias: whether the patch convolution has a bias.
        num_conv_pos_embeddings: kernel of the positional convolution.
        num_conv_pos_embedding_groups: groups of the positional convolution.
        relative_position_embedding: add a bucketed relative position bias to the attention logits.
        num_buckets: rows of its table.
        max_bucket_distance: distance in tokens from which on all share the last bucket.
        gru_rel_pos: gate that bias by the query.
        layer_norm_first: pre-norm layers instead of post-norm.
        deep_norm: weigh the residuals of post-norm layers by (2 * full_num_hidden_layers) ** 0.25.
        input_dropout: dropout of the projected patch embeddings.
        layer_wise_gradient_decay_ratio: factor by which each layer's input scales the gradient that passes it.
        padding_rule: which tokens of a padded clip are real: `"conv"` those whose frames all are, as OpenBEATs has it:
            a clip's result does not depend on the clips beside it. `"fold"` as the original BEATs decides, for its
            converted checkpoints: there it does.
    """

    model_type = "retainmix_beats"
    further_activations: ClassVar[tuple[str, ...]] = ("glu",)

    patch_embed_size: int = 512
    conv_bias: bool = False
    num_conv_pos_embeddings: int = 128
    num_conv_pos_embedding_groups: int = 16
    relative_position_embedding: bool = True
    num_buckets: int = 320
    max_bucket_distance: int = 800
    gru_rel_pos: bool = True
    layer_norm_first: bool = False
    deep_norm: bool = True
    input_dropout: float | int = 0.0
    layerdrop: float | int = 0.05
    layer_wise_gradient_decay_ratio: float | int = 0.6
    padding_rule: Literal["fold", "conv"] = "conv"

    @classmethod
    def auto_classes(cls) -> dict[str, type]:
        """The classes of the family by the names of the Auto classes that load them."""
        # Inside, as these files import this one. That they stand here makes them part of every saved folder.
        from .feature_extraction_beats import BeatsFeatureExtractor
        from .modeling_beats import BeatsForAudioClassification, BeatsModel

        return {
            "AutoConfig": BeatsConfig,
            "AutoModel": BeatsModel,
            "AutoModelForAudioClassification": BeatsForAudioClassification,
            "AutoFeatureExtractor": BeatsFeatureExtractor,
            "AutoProcessor": BeatsFeatureExtractor,
        }

    def check(self) -> None:
        """Check fields that depend on each other; a ValueError names those that contradict."""
        super().check()
        if self.hidden_size % self.num_conv_pos_embedding_groups:
            raise ValueError(
                f"hidden_size {self.hidden_size} is not a multiple of "
                f"num_conv_pos_embedding_groups {self.num_conv_pos_embedding_groups}"
            )
        if self.gru_rel_pos and not self.relative_position_embedding:
            raise ValueError("gru_rel_pos=True gates the relative positions: set relative_position_embedding=True")


__all__ = ["BeatsConfig"]

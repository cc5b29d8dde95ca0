"""Configuration of the EAT encoder, whose network SSLAM shares."""

from typing import Literal

from huggingface_hub.dataclasses import strict

from .configuration_encoder import EncoderConfig


@strict
class EatConfig(EncoderConfig):
    r"""
    Configuration of [`EatModel`]. The defaults are those of EAT-base and SSLAM (85 M parameters).

    Chen et al., "EAT: Self-Supervised Pre-Training with Efficient Audio Transformer", IJCAI 2024; Alex et al.,
    "SSLAM", ICLR 2025.

    Args (beside those of [`EncoderConfig`]):
        max_time_patches: also the time columns of the position table.
        classifier_pooling: what the classification head sees: the mean of the patch tokens, or the class token.
        classifier_norm: a layer norm before the head, as the original fine-tunes have.
        output_activation: "threshold_tanh" clears low values of all tokens that the encoder puts out and damps high
            ones (`threshold_tanh`, arXiv 2603.04605), for frozen encoders; None leaves them as the layers give them.
    """

    model_type = "retainmix_eat"

    layer_norm_eps: float = 1e-6
    classifier_pooling: Literal["mean", "class_token"] = "mean"
    classifier_norm: bool = False
    output_activation: Literal["threshold_tanh"] | None = None

    @classmethod
    def auto_classes(cls) -> dict[str, type]:
        """The classes of the family by the names of the Auto classes that load them."""
        # Inside, as these files import this one. That they stand here makes them part of every saved folder.
        from .feature_extraction_eat import EatFeatureExtractor
        from .modeling_eat import EatForAudioClassification, EatModel

        return {
            "AutoConfig": EatConfig,
            "AutoModel": EatModel,
            "AutoModelForAudioClassification": EatForAudioClassification,
            "AutoFeatureExtractor": EatFeatureExtractor,
            "AutoProcessor": EatFeatureExtractor,
        }

    def check(self) -> None:
        """Check fields that depend on each other; a ValueError names those that contradict."""
        super().check()
        if self.hidden_size % 4:
            raise ValueError(f"hidden_size {self.hidden_size} is not a multiple of the 4 blocks of the position table")

    @property
    def num_prefix_tokens(self) -> int:
        """Tokens before the first patch: the class token."""
        return 1


__all__ = ["EatConfig"]

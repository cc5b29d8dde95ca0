"""Configuration of the log-mel statistics, an encoder that nobody trains."""

from typing import Any

from huggingface_hub.dataclasses import strict

from .configuration_encoder import EncoderConfig

NUM_STATISTICS = 3


@strict
class LogMelConfig(EncoderConfig):
    r"""
    Configuration of [`LogMelModel`]: statistics of each mel bin within square patches, in the place of tokens.

    Args (of those of [`EncoderConfig`]):
        hidden_size: three statistics of each bin of a patch, 3 * `patch_size`.
        num_hidden_layers: 0, there are no layers.
    """

    model_type = "retainmix_log_mel"

    hidden_size: int = NUM_STATISTICS * 16
    num_hidden_layers: int = 0
    num_attention_heads: int = 1
    embedding_layer: int | None = 0
    max_time_patches: int = 4096

    @classmethod
    def auto_classes(cls) -> dict[str, type]:
        """The classes of the family by the names of the Auto classes that load them."""
        # Inside, as these files import this one. That they stand here makes them part of every saved folder.
        from .feature_extraction_beats import BeatsFeatureExtractor
        from .modeling_log_mel import LogMelModel

        return {
            "AutoConfig": LogMelConfig,
            "AutoModel": LogMelModel,
            "AutoFeatureExtractor": BeatsFeatureExtractor,
            "AutoProcessor": BeatsFeatureExtractor,
        }

    def check(self) -> None:
        """Check sizes and fields that depend on each other; a ValueError names those that contradict."""
        self.check_sizes()
        fixed: dict[str, Any] = {"hidden_size": NUM_STATISTICS * self.patch_size, "num_hidden_layers": 0}
        for name, value in fixed.items():
            if getattr(self, name) != value:
                raise ValueError(f"{name} is {getattr(self, name)}, the log-mel statistics have {value}")


__all__ = ["LogMelConfig"]

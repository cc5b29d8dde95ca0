"""What the configurations of all encoder families share."""

import os
from dataclasses import fields
from typing import Any, ClassVar

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig
from transformers.activations import ACT2FN
from transformers.utils import logging

from .known_keys import near_miss

logger = logging.get_logger(__name__)

# Keys beside the declared fields that transformers itself passes to a configuration or writes into its file.
_LIBRARY_KEYS = {
    "model_type",
    "auto_map",
    "custom_pipelines",
    "num_labels",
    "torch_dtype",
    "name_or_path",
    "output_attentions",
    "attn_implementation",
    "experts_implementation",
    "quantization_config",
    "tie_word_embeddings",
    "use_cache",  # the Trainer sets it on every configuration that it trains
}
_FROM_FILE = "_from_file"

# Largest valid sizes, of all families; the smallest is 1. What a file declares is built before its weights are read.
_LARGEST_SIZES = {
    "hidden_size": 2**15,
    "num_attention_heads": 1024,
    "intermediate_size": 2**17,
    "patch_size": 1024,
    "num_mel_bins": 4096,
    "max_time_patches": 2**14,
    "patch_embed_size": 2**15,
    "num_conv_pos_embeddings": 2**14,
    "num_conv_pos_embedding_groups": 2**15,
    "num_buckets": 2**16,
    "max_bucket_distance": 2**20,
}
_MOST_LAYERS = 1000


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
        max_time_patches: time columns of the longest input, 768 of which are 123 s; longer inputs are an error, as
            attention takes memory with the square of the length.

    Unknown keys are kept as attributes, with one warning where they come from a file, so that a file that another
    tool or version wrote can be read. In the constructor, a key that looks like a typing error is an error.
    """

    further_activations: ClassVar[tuple[str, ...]] = ()  # beside those of ACT2FN
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
    max_time_patches: int = 768

    def __post_init__(self, **kwargs: Any) -> None:
        kwargs = self._accepted(kwargs, from_file=kwargs.pop(_FROM_FILE, False))
        if self.full_num_hidden_layers is None:
            self.full_num_hidden_layers = self.num_hidden_layers
        super().__post_init__(**kwargs)
        self.check()

    def _accepted(self, unknown: dict[str, Any], from_file: bool) -> dict[str, Any]:
        """The keys beside the declared fields that become attributes.

        Raises:
            ValueError: the constructor was given a key that looks like a typing error of a known one.
        """
        known = {field.name for field in fields(self)} | _LIBRARY_KEYS
        accepted = {key: value for key, value in unknown.items() if key in _LIBRARY_KEYS or key.startswith("_")}
        for key in sorted(unknown.keys() - accepted.keys()):
            likely = near_miss(key, known)
            if likely is not None and not from_file:
                raise ValueError(
                    f"unknown configuration key {key!r} of {type(self).__name__}: use {likely!r}, or a name that is "
                    "less like it for a key of yours"
                )
            # A property or method of that name would be hidden by the value, or could not be set.
            taken = hasattr(type(self), key)
            if not taken:
                accepted[key] = unknown[key]
            if from_file or taken:
                logger.warning_once(
                    f"the configuration holds the key {key!r}, which {type(self).__name__} does not use: "
                    + ("it is ignored" if taken else "it is kept as an attribute")
                    + ("" if likely is None else f" (for {likely!r} the value stays {getattr(self, likely, None)!r})")
                )
        return accepted

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs: Any) -> Any:
        """The configuration of a file's content; arguments and result as in `PreTrainedConfig.from_dict`."""
        return super().from_dict({**config_dict, _FROM_FILE: True}, **kwargs)

    @classmethod
    def get_config_dict(
        cls, pretrained_model_name_or_path: str | os.PathLike, **kwargs: Any
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """The content of a checkpoint's configuration file, as in `PreTrainedConfig.get_config_dict`.

        Raises:
            ValueError: the checkpoint holds another type of model, whose weights would all be missing.
        """
        config_dict, kwargs = super().get_config_dict(pretrained_model_name_or_path, **kwargs)
        model_type = config_dict.get("model_type", cls.model_type)
        if model_type != cls.model_type:
            raise ValueError(
                f"{pretrained_model_name_or_path} holds a model of type {model_type!r}, {cls.__name__} reads "
                f"{cls.model_type!r}: use the Auto classes of transformers, or another checkpoint"
            )
        return config_dict, kwargs

    @classmethod
    def auto_classes(cls) -> dict[str, type]:
        """The classes of the family by the names of the Auto classes that load them."""
        return {}

    def save_pretrained(self, save_directory: str | os.PathLike, push_to_hub: bool = False, **kwargs: Any) -> None:
        """Write `config.json` and beside it the code of the family, which `auto_map` names.

        Models save their configuration by this method: so every saved folder loads without this package.
        """
        classes = self.auto_classes()
        if classes.get("AutoConfig") is type(self):
            # The library then copies the file of this class, and those that it imports: all of the family.
            self.register_for_auto_class()
            entries = getattr(self, "auto_map", None) or {}
            elsewhere = {name: entry for name, entry in entries.items() if "--" in str(entry)}  # in other repositories
            self.auto_map = elsewhere | {name: auto_map_entry(part) for name, part in classes.items()}
        super().save_pretrained(save_directory, push_to_hub, **kwargs)

    def check(self) -> None:
        """Check sizes and what single fields cannot say; the models call it too, as loading may override fields.

        Raises:
            ValueError: a size out of its bounds, an unknown activation, or fields that contradict each other.
        """
        self.check_sizes()
        if self.hidden_act not in ACT2FN and self.hidden_act not in self.further_activations:
            raise ValueError(f"hidden_act is {self.hidden_act!r}: use a name of transformers.activations.ACT2FN")
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"hidden_size {self.hidden_size} is not a multiple of num_attention_heads {self.num_attention_heads}"
            )
        if self.full_depth > _MOST_LAYERS:
            raise ValueError(f"the model has {self.full_depth} layers, use 1 to {_MOST_LAYERS}")
        if not 0 < self.num_hidden_layers <= self.full_depth:
            raise ValueError(f"num_hidden_layers is {self.num_hidden_layers}, the model has 1 to {self.full_depth}")

    def check_sizes(self) -> None:
        """Check that sizes lie within bounds; a ValueError names the first that does not."""
        for name, largest in _LARGEST_SIZES.items():
            value = getattr(self, name, 1)
            if not 1 <= value <= largest:
                raise ValueError(f"{name} is {value}, use 1 to {largest}")

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


def auto_map_entry(part: type) -> str:
    """How `auto_map` names a class that lies in a file of the checkpoint's folder."""
    return f"{part.__module__.rpartition('.')[2]}.{part.__name__}"


__all__ = ["EncoderConfig"]

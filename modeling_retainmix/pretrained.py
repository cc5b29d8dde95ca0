"""Load the weights of an encoder, all of them: what a checkpoint lacks would otherwise be filled with random numbers.

transformers accepts a checkpoint with missing tensors and initializes them, which a pretraining wants and a detector,
a teacher or a table never does.
"""

import math
import os
import pickle
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError, safe_open
from transformers import AutoConfig, PreTrainedConfig, PreTrainedModel
from transformers.utils import SAFE_WEIGHTS_NAME, cached_file

from modeling_retainmix.model_names import check_model_name

_SMALL_AMOUNT = 2**26  # numbers that may be missing until loading names the tensor; 256 MiB in float32

# What the package reads of a configuration, whatever the family: depth and width, the patch grid, the class token.
ENCODER_FIELDS = ("num_hidden_layers", "hidden_size", "num_mel_patches", "patch_size", "num_prefix_tokens")


def load_pretrained(
    auto_class: Any, name: str | os.PathLike[str], revision: str | None = None, **options: Any
) -> PreTrainedModel:
    """Load an encoder and check that every tensor of it was in the checkpoint.

    A head is the exception: a classifier loaded from a bare encoder has a new head, as long as none of its tensors is
    in the checkpoint.

    Args:
        auto_class: `AutoModel`, `AutoModelForAudioClassification`, or a class of models.
        name: folder or name of a model on the Hub.
        revision: branch, tag or commit on the Hub; None: the main branch.
        options: of `from_pretrained`, such as `num_hidden_layers=6` for a cut model.

    Returns:
        The model, in evaluation mode.

    Raises:
        FileNotFoundError: neither a folder with a model and its weights nor the name of one.
        ValueError: a tensor is missing or of another shape, the weights are damaged or a pickle of more than tensors,
            or the model is not an encoder that this package reads; the message names the model and the first tensor.
    """
    check_model_name(name, revision)
    config = read_config(name, revision, bool(options.get("trust_remote_code")))
    _check_amount(config, options.get("num_hidden_layers", config.num_hidden_layers), name, revision)
    try:
        model, loading = auto_class.from_pretrained(
            name, revision=revision, output_loading_info=True, ignore_mismatched_sizes=True, **options
        )
    except SafetensorError as error:
        raise ValueError(f"the weights of {name} are damaged ({error}): download or save them again") from error
    except OSError as error:  # of transformers, where a folder has no file of weights
        raise FileNotFoundError(f"the weights of {name} cannot be read: {' '.join(str(error).split())}") from error
    except pickle.UnpicklingError:  # its message advises to run what is in the file
        raise ValueError(
            f"the weights of {name} are a pickle that holds more than tensors: use a model.safetensors"
        ) from None
    for tensor, found, wanted in sorted(loading["mismatched_keys"]):
        raise ValueError(
            f"the weights of {name} hold the tensor {tensor} of shape {list(found)} where its configuration asks for "
            f"{list(wanted)}: the two are of different models; save or download them again"
        )
    missing = _missing_tensors(model, loading["missing_keys"])
    if missing:
        others = f" and {len(missing) - 1} others" if len(missing) > 1 else ""
        raise ValueError(
            f"the weights of {name} lack the tensor {missing[0]}{others} of a {model.config.model_type} model: the "
            "checkpoint is incomplete, or of another model; save or download it again"
        )
    return model


def read_config(
    name: str | os.PathLike[str], revision: str | None = None, trust_remote_code: bool = False
) -> PreTrainedConfig:
    """Read the configuration of an encoder; arguments as of `load_pretrained`.

    Raises:
        ValueError: it is of another kind of model, or holds a value that no encoder can have; the message names the
            model.
    """
    try:
        config = AutoConfig.from_pretrained(name, revision=revision, trust_remote_code=trust_remote_code)
    except (ValueError, TypeError, AttributeError, KeyError, StrictDataclassError) as error:
        if str(name) in str(error):
            raise
        raise ValueError(
            f"the configuration of {name} cannot be used ({error}): correct its config.json, or download it again"
        ) from error
    check_encoder_config(config, name)
    return config


def check_encoder_config(config: PreTrainedConfig, name: str | os.PathLike[str]) -> None:
    """Check that a model is an encoder of patches, as this package reads them.

    Args:
        config: of the model.
        name: folder or Hub name, for the message.

    Raises:
        ValueError: it is of another kind; the message names its model type.
    """
    lacking = [field for field in ENCODER_FIELDS if not hasattr(config, field)]
    if lacking:
        raise ValueError(
            f"{name} is a {config.model_type!r} model without {lacking[0]}: use an encoder of spectrogram patches, "
            "such as retainmix_beats or retainmix_eat (convert_checkpoint makes one of an original checkpoint)"
        )


def _check_amount(
    config: PreTrainedConfig, num_layers: int, name: str | os.PathLike[str], revision: str | None
) -> None:
    """Check that layers are not far larger than the weights of the checkpoint, before they are built in memory.

    Raises:
        ValueError: they are.
    """
    path = cached_file(
        name,
        SAFE_WEIGHTS_NAME,
        revision=revision,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
    )
    if path is None or not hasattr(config, "intermediate_size"):
        return
    needed = num_layers * config.hidden_size * (4 * config.hidden_size + 2 * config.intermediate_size)
    try:
        with safe_open(path, "pt") as weights:
            held = sum(math.prod(weights.get_slice(tensor).get_shape()) for tensor in weights.keys())  # noqa: SIM118
    except SafetensorError:
        return  # loading says it
    if needed > 2 * held + _SMALL_AMOUNT:
        raise ValueError(
            f"the weights of {name} hold {held} numbers where {num_layers} layers of its configuration need {needed} "
            "or more: the two are of different models; save or download them again"
        )


def _missing_tensors(model: PreTrainedModel, missing: set[str]) -> list[str]:
    """Return the missing tensors in the model's order, without a head that is missing as a whole."""
    names = list(model.state_dict())
    encoder = f"{model.base_model_prefix}."
    head = {name for name in names if not name.startswith(encoder)} if model.base_model is not model else set()
    allowed = head if head <= missing else set()
    return [name for name in names if name in missing - allowed]

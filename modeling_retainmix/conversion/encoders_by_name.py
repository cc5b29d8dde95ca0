"""Encoders by name: original checkpoints are converted once into the cache, and loaded from there ever after.

Everything that loads an encoder which the user names asks here what transformers loads under that name.
"""

import hashlib
import json
import os
import re
import shutil
import sys
from pathlib import Path

from huggingface_hub import constants
from transformers.utils import cached_file

from modeling_retainmix.atomic import whole_folder
from modeling_retainmix.conversion.convert import describe_conversion, read_original
from modeling_retainmix.conversion.files import find_config, find_folder_or_file, find_weights
from modeling_retainmix.json_files import read_json
from modeling_retainmix.model_names import check_model_name, find_config_file
from modeling_retainmix.shipped import SHIPPED, shipped_folder

CHECKPOINT_SUFFIXES = (".pt", ".pth")
# Of repositories whose authors put a config.json beside their own names of tensors (EAT, SSLAM)
ORIGINAL_MODEL_TYPES = ("eat",)

CARD = "README.md"

_OPTIONAL = {"_raise_exceptions_for_missing_entries": False, "_raise_exceptions_for_connection_errors": False}
_VERSION = 1  # of what a conversion writes; part of the folder's name


def loadable_name(name: str | os.PathLike[str], revision: str | None = None) -> str:
    """Return what transformers loads under the name of an encoder.

    The conversion of an original checkpoint of BEATs, OpenBEATs, EAT or SSLAM lies in `retainmix/encoders` of the
    Hugging Face cache (`HF_HOME`), in a folder whose name depends on the content of weights and configuration: a file
    that has changed is converted again, and what was converted needs no network. Several processes may ask at once,
    and an interrupted conversion leaves nothing that is taken for whole. The first call prints what it does.

    Args:
        name: folder of a model, file of an original checkpoint (.pt or .pth), or repository of either on the Hub;
            "retainmix-beats-tiny": the encoder that comes with the package (a folder of that name is
            "./retainmix-beats-tiny").
        revision: branch, tag or commit on the Hub; None: the main branch.

    Returns:
        The folder of the conversion or of the package's encoder; for everything else, the name as it is.

    Raises:
        FileNotFoundError: no such file or folder, or what the Hub answered to the name.
        ValueError: an original checkpoint that `convert_checkpoint` cannot read without further arguments.
    """
    if name == SHIPPED:
        return str(shipped_folder())
    path = Path(name)
    if path.suffix in CHECKPOINT_SUFFIXES:
        if not path.is_file():
            raise FileNotFoundError(f"{name} does not exist: check the path")
        return str(_converted(name, path))
    if path.is_dir():
        check_model_name(name)
    config = find_config_file(name, revision)
    if config is None or _is_original(config):
        card = cached_file(name, CARD, revision=revision, **_OPTIONAL)
        return str(_converted(name, find_folder_or_file(str(name), revision=revision), card))
    return str(name)


def _is_original(config_file: str) -> bool:
    config = read_json(config_file)
    return isinstance(config, dict) and config.get("model_type") in ORIGINAL_MODEL_TYPES


def _converted(name: str | os.PathLike[str], location: Path, card: str | None = None) -> Path:
    """The transformers folder of the original checkpoint at a location, made where it is missing."""
    try:
        weights = find_weights(location)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{name} is not a model: its repository holds neither a config.json nor weights of an original checkpoint"
        ) from error
    config = find_config(location, weights)
    digest = hashlib.sha256(f"{_VERSION} {json.dumps(config, sort_keys=True, default=str)}".encode())
    with weights.open("rb") as file:
        digest.update(hashlib.file_digest(file, "sha256").digest())
    readable = re.sub(r"[^\w.-]", "-", Path(name).name)
    folder = Path(constants.HF_HOME, "retainmix", "encoders", f"{readable}-{digest.hexdigest()[:16]}")
    if not folder.is_dir():
        megabytes = weights.stat().st_size / 1e6
        print(f"converting {name} ({weights.name}, {megabytes:.0f} MB), once", file=sys.stderr, flush=True)
        model, feature_extractor = read_original(weights, config, str(name))
        with whole_folder(folder) as temporary:
            model.save_pretrained(temporary)
            feature_extractor.save_pretrained(temporary)
            if card is not None:
                shutil.copyfile(card, temporary / CARD)  # states the licence, for the cards of what is made of it
        print(describe_conversion(model, feature_extractor, str(name), folder), file=sys.stderr)
    return folder

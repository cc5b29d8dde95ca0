"""The encoder's source beside its weights, so that transformers loads the folder without this package."""

import inspect
import json
import os
import shutil
from pathlib import Path

from transformers import (
    FEATURE_EXTRACTOR_MAPPING,
    MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING,
    MODEL_MAPPING,
    AutoConfig,
)
from transformers.dynamic_module_utils import get_relative_import_files

import modeling_retainmix.encoders  # registers the encoders in the mappings above


def add_remote_code(folder: str | os.PathLike) -> None:
    """Copies the encoder's files into a checkpoint folder and names every Auto class of it in `auto_map`.

    `register_for_auto_class` of transformers names only the class that is saved, so a saved classifier would not load
    as `AutoModel`; here every class is named whatever was saved. Call it before a push; calling it again is harmless.

    Args:
        folder: checkpoint folder with `config.json` and `preprocessor_config.json`.

    Raises:
        FileNotFoundError: one of the two is missing.
        ValueError: the folder holds a model of another package.
    """
    folder = Path(folder)
    for name in ("config.json", "preprocessor_config.json"):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder / name} does not exist: save model and feature extractor there first")
    config_class = type(AutoConfig.from_pretrained(folder))
    if not config_class.__module__.startswith(modeling_retainmix.encoders.__name__):
        raise ValueError(f"{folder} holds a {config_class.model_type!r} model, whose code is not part of this package")
    classes = {
        "AutoConfig": config_class,
        "AutoModel": MODEL_MAPPING[config_class],
        "AutoModelForAudioClassification": MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING[config_class],
        "AutoFeatureExtractor": FEATURE_EXTRACTOR_MAPPING[config_class],
    }
    auto_map = {}
    for auto_class, model_class in classes.items():
        source = Path(inspect.getfile(model_class))
        for path in (source, *get_relative_import_files(source)):
            shutil.copyfile(path, folder / Path(path).name)
        auto_map[auto_class] = f"{source.stem}.{model_class.__name__}"
    _set_auto_map(folder / "config.json", auto_map)
    _set_auto_map(folder / "preprocessor_config.json", {"AutoFeatureExtractor": auto_map["AutoFeatureExtractor"]})


def _set_auto_map(path: Path, auto_map: dict[str, str]) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**content, "auto_map": auto_map}, indent=2, sort_keys=True) + "\n", encoding="utf-8")

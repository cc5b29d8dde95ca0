"""The encoder's source beside its weights, so that transformers loads the folder without this package."""

import inspect
import json
import os
import shutil
from pathlib import Path
from typing import Any

from transformers import AutoConfig
from transformers.dynamic_module_utils import get_relative_import_files

from modeling_retainmix.encoders.configuration_encoder import EncoderConfig, auto_map_entry

PIPELINE_FILE = Path(__file__).parent / "templates" / "anomaly_detection_pipeline.py"


def add_remote_code(folder: str | os.PathLike) -> None:
    """Copy the encoder's files into a checkpoint folder and name every Auto class of it in `auto_map`.

    Models and feature extractors of this package save their code themselves: this is for folders that lack it or hold
    an older one. Call it before a push; calling it again is harmless.

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
    if not issubclass(config_class, EncoderConfig):
        raise ValueError(f"{folder} holds a {config_class.model_type!r} model, whose code is not part of this package")
    auto_map = {}
    for auto_class, part in config_class.auto_classes().items():
        source = Path(inspect.getfile(part))
        for path in (source, *get_relative_import_files(source)):
            shutil.copyfile(path, folder / Path(path).name)
        auto_map[auto_class] = auto_map_entry(part)
    _set(folder / "config.json", "auto_map", auto_map)
    of_extractor = {name: auto_map[name] for name in ("AutoFeatureExtractor", "AutoProcessor")}
    _set(folder / "preprocessor_config.json", "auto_map", of_extractor)


def add_pipeline(folder: str | os.PathLike) -> None:
    """Let `pipeline("anomaly-detection", model=..., trust_remote_code=True)` load the folder of a detector.

    Args:
        folder: of a saved detector, with `config.json`; calling it again is harmless.
    """
    folder = Path(folder)
    shutil.copyfile(PIPELINE_FILE, folder / PIPELINE_FILE.name)
    entry = {"impl": f"{PIPELINE_FILE.stem}.AnomalyDetectionPipeline", "pt": ["AutoModel"], "type": "audio"}
    _set(folder / "config.json", "custom_pipelines", {"anomaly-detection": entry})


def _set(path: Path, name: str, value: dict[str, Any]) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**content, name: value}, indent=2, sort_keys=True) + "\n", encoding="utf-8")

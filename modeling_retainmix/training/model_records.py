"""What lies beside the weights of a trained model: what it was trained on, and of which models it is the mean.

Scores and card come and go with the runs that score it; these records stay with the weights, so that a model keeps the
licence of its recordings wherever it is scored or averaged.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers.utils import cached_file

from modeling_retainmix.atomic import whole_file
from modeling_retainmix.json_files import read_json
from modeling_retainmix.training.arguments import RetainMixTrainingArguments
from modeling_retainmix.training.saving import ARGUMENTS_NAME, AVERAGE_NAME, DATA_NAME


def write_training_data(folder: str | os.PathLike[str], data: Mapping[str, Any]) -> None:
    """Write what the model in a folder was trained on into its `training_data.json`.

    Args:
        folder: of the model.
        data: `RunData.training`.
    """
    _write(Path(folder, DATA_NAME), data)


def read_training_data(model: str | os.PathLike[str]) -> dict[str, Any]:
    """Return what a model was trained on, as the `data` of `results.json` holds it; empty: it has no record.

    Args:
        model: folder or Hub name.

    Raises:
        ValueError: its `training_data.json` is damaged; the message names the file.
    """
    return read_beside(model, DATA_NAME) or {}


def read_settings(model: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the options of the method and of the steps that a model was trained with; empty: it has no record.

    Args:
        model: folder or Hub name.

    Raises:
        ValueError: its `training_args.json` is damaged; the message names the file.
    """
    arguments = read_beside(model, ARGUMENTS_NAME) or {}
    return {name: arguments[name] for name in RetainMixTrainingArguments.SETTINGS if name in arguments}


def write_average(folder: str | os.PathLike[str], parts: Sequence[Mapping[str, Any]]) -> None:
    """Write the parts of a mean, as `read_average` returns them, into its `average.json`."""
    _write(Path(folder, AVERAGE_NAME), {"average_of": parts})


def read_average(model: str | os.PathLike[str]) -> list[dict[str, Any]] | None:
    """Return of what a model is the mean; None: it is no mean.

    Of each part `name`, `weights_sha256`, `settings` and `training_data` (empty: it has no record).

    Args:
        model: folder or Hub name.

    Raises:
        ValueError: its `average.json` is damaged; the message names the file.
    """
    record = read_beside(model, AVERAGE_NAME)
    if record is None:
        return None
    try:
        return [
            {name: part[name] for name in ("name", "weights_sha256")}
            | {name: {**part[name]} for name in ("settings", "training_data")}
            for part in record["average_of"]
        ]
    except (KeyError, TypeError) as error:
        problem = f"the {AVERAGE_NAME} of {model} is damaged ({error!r})"
        raise ValueError(f"{problem}: make the mean again with `retainmix average`") from error


def settings_of_parts(
    settings: Mapping[str, Any], parts: Sequence[Mapping[str, Any]]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Tell what the parts of a mean have in common from what they differ in.

    Args:
        settings: of the run that scores the mean.
        parts: as `read_average` returns them.

    Returns:
        The settings, those of the training as all parts have them; and of each part `name`, `weights_sha256` and
        `differs`, its settings that another part has otherwise. Where the weights of the losses differ, the settings
        hold the largest ones: the mean has learned what any part has.
    """
    names = dict.fromkeys(name for part in parts for name in part["settings"])
    of_parts = {name: [part["settings"].get(name) for part in parts] for name in names}
    differing = [name for name, values in of_parts.items() if any(value != values[0] for value in values)]
    common = {name: values[0] for name, values in of_parts.items() if name not in differing}
    largest = {name: max(value or 0.0 for value in of_parts[name]) for name in ("alpha", "beta") if name in differing}
    kept = {name: value for name, value in settings.items() if name not in differing}
    described = [
        {key: part[key] for key in ("name", "weights_sha256")}
        | {"differs": {name: part["settings"].get(name) for name in differing}}
        for part in parts
    ]
    return kept | common | largest, described


def data_of_parts(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what the parts of a mean were trained on, as the `data` of `results.json` holds it.

    Args:
        parts: as `read_average` returns them.

    Returns:
        Under `training` what each of them says, once; what they have in common; all their data sets; and the licence
        that any of them states, or "other" where they state several.
    """
    records = [part["training_data"] for part in parts]
    data = {name: value for name, value in records[0].items() if all(other.get(name) == value for other in records)}
    told = dict.fromkeys(record.get("training", "not recorded") for record in records)
    data["training"] = f"that of each of the models it is the mean of: {'; '.join(told)}"
    if sets := list(dict.fromkeys(name for record in records for name in record.get("datasets", ()))):
        data["datasets"] = sets
    if licenses := {record["training_license"] for record in records if "training_license" in record}:
        data["training_license"] = licenses.pop() if len(licenses) == 1 else "other"
    return data


def read_beside(model: str | os.PathLike[str], name: str) -> dict[str, Any] | None:
    """Read a JSON file of a model, from its folder or the Hub; None: the model has none.

    Raises:
        ValueError: it is damaged; the message names the file.
    """
    file = cached_file(model, name, _raise_exceptions_for_missing_entries=False)
    if file is None:
        return None
    content = read_json(file)
    if not isinstance(content, dict):
        raise ValueError(f"{file} is damaged: it holds {content!r:.40}, not names with their values")
    return content


def _write(path: Path, content: Mapping[str, Any]) -> None:
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

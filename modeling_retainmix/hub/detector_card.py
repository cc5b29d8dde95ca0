"""The card of a saved anomaly detector, generated from its folder."""

import os
from pathlib import Path

from safetensors import safe_open

from modeling_retainmix.hub.card import TAGS, base_license, front_matter, hub_name, key_value_table, render_card
from modeling_retainmix.json_files import read_json


def write_detector_card(
    folder: str | os.PathLike, name: str, license: str | None = None, base_model: str | None = None
) -> Path:
    """Write `README.md` into the folder of a saved detector.

    Args:
        folder: what `AnomalyDetector.save_pretrained` wrote.
        name: of the repository, `organisation/name`.
        license: licence of weights and references, an identifier of the Hub; None: that of the encoder's card.
        base_model: where the encoder came from; local folders are not named.

    Returns:
        The written file.

    Raises:
        FileNotFoundError, ValueError: a file is missing or broken; the message names it.
    """
    folder = Path(folder)
    detector, config = read_json(folder / "detector.json"), read_json(folder / "config.json")
    with safe_open(folder / "references.safetensors", "pt") as tensors:
        recording_index = tensors.get_tensor("recording_index")
        is_target_domain = tensors.get_tensor("is_target_domain")
    license = license or base_license(base_model)
    base_model = None if base_model == name else hub_name(base_model)  # a detector that is pushed again
    recordings = {
        domain: len(recording_index[is_target_domain == (domain == "target")].unique())
        for domain in ("source", "target")
    }
    card_data = front_matter(name, license, base_model, [*TAGS, "anomaly-detector"])
    card = render_card(
        "detector_card.md",
        card_data,
        name=name,
        base_model=base_model,
        model_type=config["model_type"],
        num_layers=config["num_hidden_layers"],
        full_num_layers=config["full_num_hidden_layers"],
        num_references=len(detector["references"]),
        num_windows=len(recording_index),
        recordings=recordings,
        far=detector["settings"]["microphones"] != "near",
        settings=key_value_table(detector["settings"]),
    )
    path = folder / "README.md"
    card.save(path)
    return path

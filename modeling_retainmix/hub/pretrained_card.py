"""The card of an encoder that was pre-trained by self-supervision, from the record beside its weights."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard

from modeling_retainmix import markdown
from modeling_retainmix.hub.card import (
    TAGS,
    eval_results,
    front_matter,
    key_value_table,
    render_card,
    score_sections,
)
from modeling_retainmix.hub.result_tables import TEACHER_AT_SAME_LAYER, row_of
from modeling_retainmix.hub.score_picture import PICTURE, draw_scores


def write_pretrained_card(
    folder: str | os.PathLike[str], record: Mapping[str, Any], name: str, results: Mapping[str, Any] | None = None
) -> Path:
    """Write `README.md`, and with results the picture of the scores, into the folder of a pre-trained encoder.

    Args:
        folder: of the encoder.
        record, name, results: as of `pretrained_card`.

    Returns:
        The written file.
    """
    path = Path(folder) / "README.md"
    has_picture = results is not None and draw_scores(results, path.with_name(PICTURE))
    pretrained_card(record, name, results, has_picture).save(path)
    return path


def pretrained_card(
    record: Mapping[str, Any], name: str, results: Mapping[str, Any] | None = None, has_picture: bool = True
) -> ModelCard:
    """Build the card of a pre-trained encoder.

    Args:
        record: content of `pretraining.json`: `step`, `scores` of the probe, `settings`, `data` and `model`.
        name: by which the code in the card loads the model, a folder or repository.
        results: `results.json` of a run whose frozen teacher it is; None: the card shows the probe's scores.
        has_picture: `draw_scores` has drawn one beside the card.

    Returns:
        The card.
    """
    content: dict[str, Any] = {"probe": probe_table(record["scores"])}
    scored: dict[str, Any] = {}
    if results is not None:
        row = row_of(results, TEACHER_AT_SAME_LAYER)
        scored = {"metrics": ["dcase_score"], "eval_results": eval_results(results, row)}
        content |= score_sections(results, row, has_picture)
    # Whose the recordings of a user are, the record does not say.
    license = "apache-2.0" if "factory_version" in record["data"] else "unknown"
    card_data = front_matter(name, license, None, TAGS, pipeline_tag="feature-extraction", **scored)
    settings = record["settings"]
    first = settings["tokenizer_model"] is None
    return render_card(
        "pretrained_card.md",
        card_data,
        name=name,
        record=record,
        results=results or {},
        target="random-projection codes" if first else "codes of another encoder's tokens",
        statistics_weight=settings["statistics_weight"],
        num_parameters=f"{record['model']['num_parameters']:,}",
        settings=key_value_table(settings),
        data=key_value_table(record["data"]),
        **content,
    )


def probe_table(scores: Mapping[str, float]) -> str:
    """Return scores of a probe as a table: a row per layer, and one of log-mel statistics, a column per backend.

    Args:
        scores: {"probe_<backend>_layer_<k>" or "probe_<backend>_log_mel_statistics": score in %}.
    """
    found: dict[str, dict[str, str]] = {}
    for name, score in scores.items():
        match = re.fullmatch(r"probe_(\w+?)_(?:layer_(\d+)|log_mel_statistics)", name)
        if match:
            found.setdefault(match[2] or "log-mel statistics", {})[match[1]] = f"{score:.1f}"
    if not found:
        return "No probe was run."
    backends = list(dict.fromkeys(backend for row in found.values() for backend in row))
    lines = [[layer, *(row.get(backend, "-") for backend in backends)] for layer, row in found.items()]
    return markdown.table(["Layer", *backends], lines, align="l" + "r" * len(backends))

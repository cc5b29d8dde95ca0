"""Reading a run's `results.json`, and its table and protocol as Markdown: the only source of a card's numbers."""

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

FORMAT_VERSION = 1

# What must be there; a mapping names the keys inside, None leaves the content to the run.
_REQUIRED: dict[str, Any] = {
    "created": None,
    "command": None,
    "commit": None,
    "protocol": dict.fromkeys(
        ("name", "snr_db", "low_snr_db", "clip_seconds", "k", "normalization", "clips", "noise_segments_reused")
    ),
    "data": {"training": None, "evaluation": None},
    "settings": {},
    "model": dict.fromkeys(("name", "num_parameters", "embedding_layer", "base_model")),
    "hardware": {},
    "versions": {},
    "duration_seconds": {},
    "peak_memory_gib": None,
}
_ROW_KEYS = ("name", "layer", "scores", "hmean_low", "hmean_all", "per_machine")


def read_results(path: str | os.PathLike) -> dict[str, Any]:
    """Reads and checks a run's `results.json`.

    Args:
        path: the file, as the training run writes it.

    Returns:
        Its content: scores in % per row, subset and SNR, and the records of protocol, data, settings and hardware.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no JSON, of another format version, or lacks an entry; the message names file and entry.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist: a training run with evaluation writes it")
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not valid JSON ({error}): evaluate again to rewrite it") from None
    version = results.get("format_version") if isinstance(results, dict) else None
    if version != FORMAT_VERSION:
        raise ValueError(f"{path} has format_version {version!r}, this release reads {FORMAT_VERSION}: evaluate again")
    _require(results, _REQUIRED, path, "")
    _check_rows(results, path)
    return results


def model_row(results: Mapping[str, Any]) -> dict[str, Any]:
    """The row of the trained model itself, among the systems that it is compared with."""
    return next(row for row in results["rows"] if row["name"] == "RetainMix")


def markdown_table(rows: Sequence[Mapping[str, Any]], protocol: Mapping[str, Any]) -> str:
    """The results as a Markdown table: a row per system, a column per subset and SNR, then the harmonic means."""
    snrs = [f"{snr_db:g}" for snr_db in protocol["snr_db"]]
    low = "{" + ", ".join(f"{snr_db:g}" for snr_db in protocol["low_snr_db"]) + "}"
    subsets = list(rows[0]["scores"])
    header = ["System", "Layer", *(f"{subset} {snr} dB" for subset in subsets for snr in snrs), f"Hmean {low}", "All"]
    lines = ["| " + " | ".join(header) + " |", "|---|" + "---:|" * (len(header) - 1)]
    for row in rows:
        cells = [row["scores"][subset][snr] for subset in subsets for snr in snrs]
        numbers = [f"{value:.1f}" for value in (*cells, row["hmean_low"], row["hmean_all"])]
        lines.append("| " + " | ".join([row["name"], str(row["layer"] or "-"), *numbers]) + " |")
    return "\n".join(lines)


def machine_table(row: Mapping[str, Any], protocol: Mapping[str, Any]) -> str:
    """The official scores of one system by machine type: a row per subset and machine type, a column per SNR."""
    snrs = [f"{snr_db:g}" for snr_db in protocol["snr_db"]]
    lines = ["| Subset | Machine type | " + " | ".join(f"{snr} dB" for snr in snrs) + " |"]
    lines.append("|---|---|" + "---:|" * len(snrs))
    for subset, cells in row["per_machine"].items():
        for machine in cells[snrs[0]]:
            numbers = [f"{cells[snr][machine]['official_score']:.1f}" for snr in snrs]
            lines.append("| " + " | ".join([subset, machine, *numbers]) + " |")
    return "\n".join(lines)


def protocol_sentence(protocol: Mapping[str, Any]) -> str:
    """One paragraph under the table: what was scored, and how."""
    roles: dict[str, set[int]] = {}
    for counts in protocol["clips"].values():
        for role, count in counts.items():
            roles.setdefault(role, set()).add(count)
    clips = ", ".join(
        f"{min(values) if len(values) == 1 else f'{min(values)} to {max(values)}'} {role}"
        for role, values in roles.items()
    )
    reuse = protocol["noise_segments_reused"]
    rule = protocol["normalization"]
    domains = protocol.get("domains", ("source", "target"))  # older records do not name them
    rules = protocol.get("rules", 2023)
    parts = "AUC and pAUC"
    if len(domains) == 2 and rules != 2020:
        parts = "AUC and pAUC of each domain" if rules == 2021 else "source AUC, target AUC and pAUC"
    unit = "section" if any("/" in name for name in protocol["clips"]) else "machine type"
    return (
        f"Official score in % ({'arithmetic' if rules == 2020 else 'harmonic'} mean of {parts} over "
        f"{len(protocol['clips'])} {unit}{'s' if len(protocol['clips']) > 1 else ''}), "
        f"protocol `{protocol['name']}`, clips of {protocol['clip_seconds']:g} s; per {unit} {clips}; "
        f"K = {protocol['k']}, {'no normalisation' if rule == 'none' else f'normalisation `{rule}`'} between domains; "
        + (f"MemMixup with {protocol['mix_support']} neighbours; " if protocol.get("mix_support") else "")
        + (f"{reuse} noise segments used more than once." if reuse else "no noise segment used twice in a subset.")
    )


def _require(content: Any, required: Mapping[str, Any], path: Path, prefix: str) -> None:
    if not isinstance(content, dict):
        raise ValueError(f"{path}: {prefix.rstrip('.')} must be a mapping, got {content!r}: evaluate again")
    for key, inner in required.items():
        if key not in content:
            raise ValueError(f"{path} lacks {prefix}{key}: evaluate again to rewrite it")
        if inner is not None:
            _require(content[key], inner, path, f"{prefix}{key}.")


def _check_rows(results: Mapping[str, Any], path: Path) -> None:
    rows = results.get("rows")
    if not isinstance(rows, list) or not rows:
        raise ValueError(f"{path} lacks rows with scores: evaluate again to rewrite it")
    snrs = [f"{snr_db:g}" for snr_db in results["protocol"]["snr_db"]]
    for index, row in enumerate(rows):
        _require(row, dict.fromkeys(_ROW_KEYS), path, f"rows[{index}].")
        _require(row["scores"], dict.fromkeys(rows[0]["scores"], dict.fromkeys(snrs)), path, f"rows[{index}].scores.")
        values = [
            row["hmean_low"],
            row["hmean_all"],
            *(row["scores"][subset][snr] for subset in row["scores"] for snr in snrs),
        ]
        if not all(isinstance(value, int | float) and math.isfinite(value) and 0 <= value <= 100 for value in values):
            raise ValueError(f"{path}: a score of rows[{index}] ({row['name']}) is not a number in [0, 100]")
    if "RetainMix" not in [row["name"] for row in rows]:
        raise ValueError(f"{path} has no row named 'RetainMix', the model that the card describes: evaluate again")

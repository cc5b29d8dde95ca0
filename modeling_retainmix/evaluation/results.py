"""`results.json`, written and read: everything that a reader needs to judge a number, and to make it again."""

import json
import math
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import NoneType
from typing import Any

import psutil
import torch

from modeling_retainmix.atomic import whole_file
from modeling_retainmix.data.benchmark import BenchmarkProtocol, MachineBenchmark, domains_of_tests
from modeling_retainmix.detection.load_encoder import embedding_layer
from modeling_retainmix.detection.settings import DetectorSettings
from modeling_retainmix.evaluation import compared_systems
from modeling_retainmix.evaluation.scores import NEAREST_REFERENCE, BenchmarkScores
from modeling_retainmix.json_files import read_json

FORMAT_VERSION = 1

# Files from before rows had keys name systems by their labels of then.
_KEYS_OF_OLD_LABELS = {
    "Log-mel mean": compared_systems.LOG_MEL,
    "Frozen teacher, same layer": compared_systems.FROZEN_SAME,
    "Frozen teacher, best layer on validation machines": compared_systems.FROZEN_BEST,
    "RetainMix": compared_systems.TRAINED_MODEL,
    "Oracle (mean of clean and noise embeddings)": compared_systems.ORACLE,
}

# What must be there: a mapping names the keys inside, a type or several say what an entry must be.
_NUMBER = (int, float)
_OPTIONAL_STR, _OPTIONAL_INT, _OPTIONAL_LIST = (str, NoneType), (int, NoneType), (list, NoneType)
_KINDS: dict[Any, str] = {
    str: "text",
    int: "an integer",
    list: "a list",
    dict: "a mapping",
    _NUMBER: "a number",
    _OPTIONAL_STR: "text or null",
    _OPTIONAL_INT: "an integer or null",
    _OPTIONAL_LIST: "a list or null",
}
_LARGEST = 1e15
_REQUIRED: dict[str, Any] = {
    "created": str,
    "command": str,
    "commit": _OPTIONAL_STR,
    "protocol": {
        "name": str,
        "snr_db": list,
        "low_snr_db": list,
        "clip_seconds": _NUMBER,
        "k": int,
        "normalization": str,
        "clips": dict,
        "noise_segments_reused": int,
    },
    "data": {"training": str, "evaluation": str},
    "settings": {"alpha": _NUMBER, "beta": _NUMBER},
    "model": {"name": str, "num_parameters": int, "embedding_layer": int, "base_model": _OPTIONAL_STR},
    "hardware": {},
    "versions": {},
    "duration_seconds": {},
    "peak_memory_gib": _NUMBER,
}
# What may be there
_OPTIONAL: dict[str, Any] = {
    "protocol": {"domains": list, "rules": int, "mix_support": _OPTIONAL_INT},
    "data": {"datasets": _OPTIONAL_LIST, "training_license": str},
    "model": {"average_of": _OPTIONAL_LIST},
}
_ROW: dict[str, Any] = {
    "name": str,
    "layer": _OPTIONAL_INT,
    "scores": dict,
    "hmean_low": _NUMBER,
    "hmean_all": _NUMBER,
    "per_machine": dict,
}


def result_row(name: str, scores: BenchmarkScores, layer: int | None = None) -> dict[str, Any]:
    """Make a row of a table: official scores in % per subset and SNR, their means, and the parts per machine type."""
    return {
        "name": name,
        "layer": layer,
        "scores": {
            subset: {f"{snr_db:g}": 100 * scores.official(subset, snr_db) for snr_db in cells}
            for subset, cells in scores.cells.items()
        },
        "hmean_low": 100 * scores.hmean_low,
        "hmean_all": 100 * scores.hmean_all,
        "per_machine": {
            subset: {
                f"{snr_db:g}": {
                    machine: {
                        part: 100 * float(values[part])
                        for part in ("official_score", "auc_source", "auc_target", "auc", "pauc")
                        if not math.isnan(values.get(part, math.nan))  # of a domain that no test is of, or 2020 lacks
                    }
                    for machine, values in result["machines"].items()
                }
                for snr_db, result in cells.items()
            }
            for subset, cells in scores.cells.items()
        },
    }


def protocol_record(
    protocol: BenchmarkProtocol,
    counts: Mapping[str, Mapping[str, int]],
    reused_segments: int,
    domains: Sequence[str] = ("source", "target"),
    settings: DetectorSettings = NEAREST_REFERENCE,
    rules: int = 2023,
) -> dict[str, Any]:
    """Record protocol, clips really used, how they are scored, and the detector, as tables and cards print them."""
    return {
        **asdict(protocol),
        "k": settings.k,
        "normalization": settings.normalization,
        "mix_support": settings.memmixup_neighbors,
        "clips": {machine: dict(roles) for machine, roles in counts.items()},
        "noise_segments_reused": reused_segments,
        "domains": list(domains),
        "rules": rules,
    }


def environment_record() -> dict[str, Any]:
    """Record hardware and versions of the run."""
    packages = ("torch", "transformers", "accelerate", "datasets", "numpy")
    return {
        "hardware": {
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
            "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        },
        "versions": {"python": platform.python_version()} | {name: version(name) for name in packages},
        "commit": _commit(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def write_results(path: str | Path, results: Mapping[str, Any]) -> None:
    """Write `results.json`; an interrupted run leaves the old one whole."""
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps({"format_version": FORMAT_VERSION, **results}, indent=2) + "\n")


def read_results(path: str | Path) -> dict[str, Any]:
    """Read and check the `results.json` of a run.

    Args:
        path: the file, as the training run writes it; rows of older files get the keys that their labels stand for.

    Returns:
        Its content: scores in % per row, subset and SNR, and the records of protocol, data, settings and hardware.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: it is not valid JSON, has another format version, lacks an entry, or an entry has the wrong type;
            the message names file and entry.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist: a training run with evaluation writes it")
    try:
        results = read_json(path)
    except ValueError as error:
        raise ValueError(f"{error}: evaluate again to rewrite it") from None
    found = results.get("format_version") if isinstance(results, dict) else None
    if found != FORMAT_VERSION:
        raise ValueError(f"{path} has format_version {found!r}, this release reads {FORMAT_VERSION}: evaluate again")
    _check(results, _REQUIRED, path, "")
    for name, optional in _OPTIONAL.items():
        _check(results[name], {key: kind for key, kind in optional.items() if key in results[name]}, path, f"{name}.")
    _check_lists(results, path)
    _check_rows(results, path)
    return results


def _check(content: Any, required: Mapping[Any, Any], path: Path, prefix: str, exact: bool = False) -> None:
    """Raise an error that names file and entry where `content` is not as `required` says.

    Args:
        content: of the file.
        required: {key: type or types, or what is required inside}.
        path: of the file.
        prefix: place of `content` in the file.
        exact: refuse keys that are not required.
    """
    if not isinstance(content, dict):
        raise ValueError(f"{path}: {prefix.rstrip('.')} must be a mapping, got {_short(content)}: evaluate again")
    for key, inner in required.items():
        if key not in content:
            raise ValueError(f"{path} lacks {prefix}{key}: evaluate again to rewrite it")
        value = content[key]
        if isinstance(inner, Mapping):
            _check(value, inner, path, f"{prefix}{key}.", exact)
        elif not isinstance(value, inner) or isinstance(value, bool):
            raise ValueError(f"{path}: {prefix}{key} must be {_KINDS[inner]}, got {_short(value)}: evaluate again")
        elif isinstance(value, _NUMBER) and not abs(value) <= _LARGEST:  # NaN is not
            raise ValueError(f"{path}: {prefix}{key} must be a finite number, got {_short(value)}: evaluate again")
    unknown = [key for key in content if exact and key not in required]
    if unknown:
        raise ValueError(f"{path} has {prefix}{_short(unknown[0])}, which other rows lack: evaluate again")


def _check_lists(results: Mapping[str, Any], path: Path) -> None:
    """Raise an error where a list or a mapping of the run's choice holds what tables and cards cannot print."""
    protocol = results["protocol"]
    for name in ("snr_db", "low_snr_db"):
        values = dict(enumerate(protocol[name]))
        _check(values, dict.fromkeys(values, _NUMBER), path, f"protocol.{name}.")
        if not protocol[name]:
            raise ValueError(f"{path}: protocol.{name} lists no SNR: evaluate again")
    if not protocol["clips"]:
        raise ValueError(f"{path}: protocol.clips names no machine type: evaluate again")
    for machine, counts in protocol["clips"].items():
        _check(
            counts, dict.fromkeys(counts if isinstance(counts, dict) else (), int), path, f"protocol.clips.{machine}."
        )
    datasets = dict(enumerate(results["data"].get("datasets") or []))
    _check(datasets, dict.fromkeys(datasets, str), path, "data.datasets.")
    parts = dict(enumerate(results["model"].get("average_of") or []))
    _check(parts, {index: {"name": str, "differs": {}} for index in parts}, path, "model.average_of.")


def _check_rows(results: Mapping[str, Any], path: Path) -> None:
    """Raise an error where a row is not as the first one or holds no scores; add the keys that older files lack."""
    rows = results.get("rows")
    if not isinstance(rows, list) or not rows:
        raise ValueError(f"{path} lacks rows with scores: evaluate again to rewrite it")
    snrs = [f"{snr_db:g}" for snr_db in results["protocol"]["snr_db"]]
    per_cell = {"official_score": _NUMBER}
    for index, row in enumerate(rows):
        place = f"rows[{index}]"
        _check(row, _ROW, path, f"{place}.")
        row.setdefault("key", _KEYS_OF_OLD_LABELS.get(row["name"]))
        if not isinstance(row["key"], str):
            raise ValueError(f"{path} lacks {place}.key, and {row['name']!r} is not a known system: evaluate again")
        subsets = list(rows[0]["scores"])
        cells = dict.fromkeys(subsets, dict.fromkeys(snrs, _NUMBER))
        _check(row["scores"], cells, path, f"{place}.scores.", exact=True)
        machines = dict.fromkeys(results["protocol"]["clips"], per_cell)
        by_machine = dict.fromkeys(subsets, dict.fromkeys(snrs, machines))
        _check(row["per_machine"], by_machine, path, f"{place}.per_machine.")
        unknown = [subset for subset in row["per_machine"] if subset not in subsets]
        if unknown:
            raise ValueError(f"{path} has {place}.per_machine.{_short(unknown[0])} without scores: evaluate again")
        values = [
            row["hmean_low"],
            row["hmean_all"],
            *(v for by_snr in row["scores"].values() for v in by_snr.values()),
        ]
        if not all(0 <= value <= 100 for value in values):
            raise ValueError(f"{path}: a score of {place} ({row['name']}) is not a number in [0, 100]")
    if compared_systems.TRAINED_MODEL not in [row["key"] for row in rows]:
        raise ValueError(
            f"{path} has no row with the key {compared_systems.TRAINED_MODEL!r}, the model that the card describes: "
            "evaluate again"
        )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."


def _commit() -> str | None:
    """Return the commit of the checkout that the code runs from; None for an installed package."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    found = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=False)
    return found.stdout.strip() or None


def run_record(
    evaluation: Sequence[MachineBenchmark],
    protocol: BenchmarkProtocol,
    rows: Sequence[Mapping[str, Any]],
    *,
    model: Any,
    name: str,
    base_model: str | None,
    average_of: Sequence[Mapping[str, Any]] | None = None,
    data: Mapping[str, Any],
    settings: Mapping[str, Any],
    durations: Mapping[str, float],
    command: str,
) -> dict[str, Any]:
    """Return the record of a training run, as `results.json` holds it.

    Args:
        evaluation: the machines that the rows are scored on.
        protocol: of the evaluation.
        rows: of the table, as `result_row` makes them.
        model: the trained encoder.
        name: of the model, for its card.
        base_model: folder or Hub name of the encoder that the training started from; None: trained by the same run.
        average_of: `name`, `weights_sha256` and `differs` (settings of its own) of each model whose mean of weights it
            is; None: it is no mean.
        data: statistics of the training data.
        settings: options of the method and of the training.
        durations: seconds of every stage.
        command: that makes the same run again.
    """
    return {
        **environment_record(),
        "command": command,
        "protocol": protocol_record(
            protocol,
            {machine.machine_type: machine.counts() for machine in evaluation},
            sum(machine.reused_segments for machine in evaluation),
            domains=domains_of_tests(evaluation),
            rules=evaluation[0].rules,
        ),
        "data": dict(data),
        "settings": dict(settings),
        "model": {
            "name": name,
            "num_parameters": model.num_parameters(),
            "embedding_layer": embedding_layer(model.config),
            "base_model": base_model,
            "average_of": None if average_of is None else [dict(part) for part in average_of],
        },
        "duration_seconds": {stage: round(seconds, 1) for stage, seconds in durations.items()},
        "peak_memory_gib": round(peak_memory_gib(), 2),
        "rows": list(rows),
    }


def peak_memory_gib() -> float:
    """Return the largest resident memory that this process has had, in GiB.

    psutil knows a peak on Windows alone, and the standard library's `resource` exists everywhere else.
    """
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset / 2**30
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # in KiB on Linux, in bytes on macOS
    return peak / 2 ** (30 if sys.platform == "darwin" else 20)

"""`results.json`: everything that a reader needs to judge a number, and to make it again."""

import json
import math
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
import torch

from modeling_retainmix.atomic import whole_file
from modeling_retainmix.data.benchmark import BenchmarkProtocol
from modeling_retainmix.detection.settings import DetectorSettings
from modeling_retainmix.evaluation.scores import NEAREST_REFERENCE, BenchmarkScores
from modeling_retainmix.hub.run_record import FORMAT_VERSION


def result_row(name: str, scores: BenchmarkScores, layer: int | None = None) -> dict[str, Any]:
    """One row of the table: official scores in %, per subset and SNR, their means, and the parts per machine type."""
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
    """The protocol, the clips really used, how they are scored and the detector, as tables and cards print them."""
    return {
        **asdict(protocol),
        "k": settings.k,
        "normalization": settings.normalization,
        "mix_support": settings.mix_support,
        "clips": {machine: dict(roles) for machine, roles in counts.items()},
        "noise_segments_reused": reused_segments,
        "domains": list(domains),
        "rules": rules,
    }


def environment_record() -> dict[str, Any]:
    """Hardware and versions of the run."""
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
    """Writes `results.json`; an interrupted run leaves the old one whole."""
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps({"format_version": FORMAT_VERSION, **results}, indent=2) + "\n")


def _commit() -> str | None:
    """Commit of the checkout that the code runs from; None for an installed package."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    found = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=False)
    return found.stdout.strip() or None

"""`results.json`: everything that a reader needs to judge a number, and to make it again."""

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
from typing import Any

import psutil
import torch

from modeling_retainmix.data.benchmark import BenchmarkProtocol, MachineBenchmark, domains_of_tests
from modeling_retainmix.detection.embedder import chosen_layers
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
    """Writes `results.json` by a temporary file, so that an interrupted run leaves the old one whole."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".json.tmp")
    temporary.write_text(json.dumps({"format_version": FORMAT_VERSION, **results}, indent=2) + "\n")
    temporary.replace(path)


def _commit() -> str | None:
    """Commit of the checkout that the code runs from; None for an installed package."""
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
            "embedding_layer": chosen_layers(None, model.config)[0],
            "base_model": base_model,
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

"""Scored rows as JSON files, one per row and seed: what the tables are made of, in any number of runs."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from modeling_retainmix.evaluation.bootstrap import bootstrap_replicates
from modeling_retainmix.evaluation.compared_systems import BY_KEY
from modeling_retainmix.evaluation.results import FORMAT_VERSION, result_row, write_results
from modeling_retainmix.evaluation.scores import BenchmarkScores, ClipScores
from modeling_retainmix.json_files import read_json

# Rows of one folder are compared: these entries of their protocols must agree.
_SAME = ("name", "snr_db", "low_snr_db", "clip_seconds", "k", "normalization", "mix_support", "domains")


@dataclass(frozen=True)
class ScoredRow:
    """A row of one seed.

    Attributes:
        key: of the system (`compared_systems`).
        seed: of the training and of the benchmark's data.
        layer: index into `hidden_states`; None: the row has no layer.
        benchmark: hash of the benchmark's samples.
        protocol: as `results.protocol_record` makes it.
        scores: {subset: {SNR in dB: official score in %}}.
        per_machine: {subset: {SNR in dB: {machine type: official score in %}}}.
        clips: scores of the test clips.
        recordings: whether these are recordings, which other seeds share; each seed has other procedural machines.
    """

    key: str
    seed: int
    layer: int | None
    benchmark: str
    protocol: Mapping[str, Any]
    scores: Mapping[str, Mapping[float, float]]
    per_machine: Mapping[str, Mapping[float, Mapping[str, float]]]
    clips: ClipScores
    recordings: bool

    @cached_property
    def bootstrap_replicates(self) -> dict[tuple[str, float], np.ndarray]:
        """{(subset, snr_db): official scores of bootstrap replicates, fractions}."""
        return bootstrap_replicates(self.clips, self.benchmark)


def write_row(
    folder: str | os.PathLike[str],
    key: str,
    seed: int,
    layer: int | None,
    scores: BenchmarkScores,
    context: Mapping[str, Any],
) -> None:
    """Write `<folder>/<key>_seed<seed>.json`; a row of the same name is replaced.

    Args:
        folder: of the rows.
        key, seed, layer: as in `ScoredRow`.
        scores: of the row.
        context: `benchmark`, `protocol`, `recordings`, and whatever else a reader needs to make the number again.
    """
    clips = scores.clips
    record = {
        **context,
        "key": key,
        "seed": seed,
        **result_row(BY_KEY[key].label, scores, layer),
        "clip_scores": {
            "machine_types": clips.machine_types.tolist(),
            "is_anomaly": clips.is_anomaly.tolist(),
            "is_target": clips.is_target_domain.tolist(),
            "rules": clips.rules,
            "scores": [[subset, snr_db, values.tolist()] for (subset, snr_db), values in clips.scores.items()],
        },
    }
    write_results(Path(folder) / f"{key}_seed{seed}.json", record)


def read_rows(folder: str | os.PathLike[str]) -> list[ScoredRow]:
    """Read all rows of a folder, in the order of their file names.

    Raises:
        FileNotFoundError: the folder holds no rows.
        ValueError: a file is broken, or of another protocol or other machine types than the first one, or of other
            clips than the first one of its seed.
    """
    paths = sorted(Path(folder).glob("*.json"))
    if not paths:
        raise FileNotFoundError(f"{folder} holds no rows: score some, with --teacher")
    rows = [_read_row(path) for path in paths]
    for path, row in zip(paths, rows, strict=True):
        for (name, value), first in zip(_compared(row).items(), _compared(rows[0]).values(), strict=True):
            if value != first:
                raise ValueError(
                    f"{path} was scored with {name} {value}, {paths[0].name} with {first}: give one of the two "
                    "another --output_dir"
                )
    by_seed: dict[int, tuple[Path, str]] = {}
    for path, row in zip(paths, rows, strict=True):
        first, benchmark = by_seed.setdefault(row.seed, (path, row.benchmark))
        if row.benchmark != benchmark:
            raise ValueError(
                f"{path} was scored on other clips than {first.name}: file one of the two under another --seed, "
                "or give it another --output_dir"
            )
    return rows


def _compared(row: ScoredRow) -> dict[str, Any]:
    """Return what all rows of a folder must share, so that means are over comparable data."""
    return {
        **{name: row.protocol.get(name) for name in _SAME},
        "machine types": sorted(row.protocol["clips"]),
        "rules": row.clips.rules,
    }


def _read_row(path: Path) -> ScoredRow:
    try:
        record = read_json(path)
        if record["format_version"] != FORMAT_VERSION:
            raise ValueError(f"its format_version is {record['format_version']}, this release reads {FORMAT_VERSION}")
        clips = record["clip_scores"]
        return ScoredRow(
            key=record["key"],
            seed=record["seed"],
            layer=record["layer"],
            benchmark=record["benchmark"],
            protocol=record["protocol"],
            scores={subset: _by_snr(cells) for subset, cells in record["scores"].items()},
            per_machine={
                subset: _by_snr(
                    {
                        snr_db: {machine: parts["official_score"] for machine, parts in machines.items()}
                        for snr_db, machines in cells.items()
                    }
                )
                for subset, cells in record["per_machine"].items()
            },
            clips=ClipScores(
                np.asarray(clips["machine_types"]),
                np.asarray(clips["is_anomaly"], dtype=bool),
                np.asarray(clips["is_target"], dtype=bool),
                {(subset, float(snr_db)): np.asarray(values) for subset, snr_db, values in clips["scores"]},
                clips.get("rules", 2023),
            ),
            recordings=record.get("recordings", False),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is not a valid row of a table ({error}): remove it and score again") from error


def _by_snr(cells: Mapping[str, Any]) -> dict[float, Any]:
    return {float(snr_db): value for snr_db, value in cells.items()}

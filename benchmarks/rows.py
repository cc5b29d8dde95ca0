"""What the benchmarks share: sizes of the encoder, a separate process per row, peak memory, the table and its CSV."""

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from modeling_retainmix import csv_files

SAMPLING_RATE = 16_000
SIZES: dict[str, dict[str, int]] = {
    "base": {},
    "tiny": {"hidden_size": 192, "num_hidden_layers": 4, "num_attention_heads": 3, "intermediate_size": 768},
}


def run_script(script: str, *arguments: str) -> dict[str, Any]:
    """Run a script in a separate process and return what it prints as JSON in its last line."""
    command = [sys.executable, script, *arguments]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(output.splitlines()[-1])


def peak_gib(device: str) -> float:
    """Return the peak memory of this process; on a GPU, that of the GPU."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def synchronise(device: torch.device | str) -> None:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()


def describe(device: str) -> str:
    return torch.cuda.get_device_name() if device == "cuda" else f"{torch.get_num_threads()} threads of the CPU"


def report(rows: list[dict[str, str]], output: Path | None) -> None:
    """Print a table, and write it as CSV."""
    widths = {key: max(len(key), *(len(row[key]) for row in rows)) for key in rows[0]}
    for line in [{key: key for key in widths}, *rows]:
        print("  ".join(line[key].ljust(width) for key, width in widths.items()))
    if output is not None:
        csv_files.write_records(output, rows)

"""The benchmark of training, run as its users run it, at tiny size."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "training.py"


@pytest.mark.slow
def test_when_run_then_every_row_is_measured(tmp_path):
    output = tmp_path / "training.csv"
    options = ["--size=tiny", "--batch_size=2", "--seconds=1", "--steps=1", "--rounds=1"]
    subprocess.run([sys.executable, str(SCRIPT), *options, "--output", str(output)], check=True)
    with output.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["training"] for row in rows] == ["plain loop, float32", "trainer, float32", "trainer, bfloat16"]
    assert rows[0]["speed_of_plain_loop"] == "1.00"
    for row in rows:
        assert float(row["clips_per_s"]) > 0
        assert float(row["peak_memory_gib"]) > 0.1

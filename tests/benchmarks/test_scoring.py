"""The benchmark of scoring, run as its users run it, at tiny size."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "scoring.py"


@pytest.mark.slow
def test_when_run_then_pipelines_agree_and_every_row_is_measured(tmp_path):
    output = tmp_path / "scoring.csv"
    options = ["--size=tiny", "--files=8", "--seconds=1", "--sampling_rate=22050", "--format=wav", "--rounds=1"]
    subprocess.run([sys.executable, str(SCRIPT), *options, "--output", str(output)], check=True)
    with output.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["pipeline"], row["files"]) for row in rows] == [
        ("plain pipeline, float32", "8"),
        ("AnomalyDetector, float32", "8"),
        ("AnomalyDetector, bfloat16", "8"),
        ("AnomalyDetector, float32", "2"),
    ]
    assert rows[0]["speed_of_plain_pipeline"] == "1.00"
    assert float(rows[1]["largest_relative_difference"]) < 1e-4
    for row in rows:
        assert float(row["clips_per_s"]) > 0
        assert 0 < float(row["s_outside_encoder"]) < float(row["s_in_all"])
        assert float(row["peak_memory_gib"]) > 0.1


def test_when_scores_disagree_then_error_names_the_row(monkeypatch):
    monkeypatch.syspath_prepend(SCRIPT.parent)
    import scoring

    assert scoring.largest_difference(scoring.FLOAT32, [1.0, 2.001], [1.0, 2.0]) == pytest.approx(5e-4)
    with pytest.raises(ValueError, match=r"'AnomalyDetector, float32' differ by up to 1\.0e-01"):
        scoring.largest_difference(scoring.FLOAT32, [1.1, 2.0], [1.0, 2.0])

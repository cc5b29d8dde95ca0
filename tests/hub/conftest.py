"""The record of an invented run as a folder holds it."""

import json
from pathlib import Path

import pytest
from results_of_a_run import results  # noqa: F401


@pytest.fixture
def checkpoint_folder(tmp_path: Path, results: dict) -> Path:  # noqa: F811
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    (folder / "results.json").write_text(json.dumps(results))
    return folder

"""The notebook: executed, it prints what it shows."""

import re
import shutil
from pathlib import Path

import nbclient
import nbformat
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def text_outputs(notebook) -> list[str]:
    """What each code cell prints and returns as text; progress and warnings go to standard error."""
    outputs = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            shown = [output for output in cell.outputs if output.get("name") != "stderr"]
            outputs.append("".join(output.get("text") or output["data"]["text/plain"] for output in shown))
    return outputs


@pytest.mark.system
def test_when_the_notebook_is_executed_then_it_prints_what_it_shows(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("PYTHONPATH", str(EXAMPLES.parent))
    for name in ("quickstart.ipynb", "factory_clips.py"):
        shutil.copy(EXAMPLES / name, tmp_path)
    notebook = nbformat.read(tmp_path / "quickstart.ipynb", as_version=4)
    shown = text_outputs(notebook)
    nbclient.NotebookClient(notebook, timeout=1800, resources={"metadata": {"path": str(tmp_path)}}).execute()
    printed = text_outputs(notebook)
    assert any("ANOMALY" in text for text in shown)
    assert [NUMBER.sub("#", " ".join(text.split())) for text in shown] == [
        NUMBER.sub("#", " ".join(text.split())) for text in printed
    ]
    numbers = ([float(number) for text in texts for number in NUMBER.findall(text)] for texts in (shown, printed))
    for one, other in zip(*numbers, strict=True):  # on another processor the last digit may differ
        assert one == pytest.approx(other, rel=0.02, abs=0.11)

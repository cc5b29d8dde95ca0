"""What is printed: strict JSON, and an environment in which libraries are silent."""

import json
from pathlib import Path

from retainmix_cli import output


def test_when_a_record_holds_paths_and_numbers_that_are_infinite_then_it_is_strict_json():
    record = {"file": Path("a.wav"), "score": float("nan"), "events": ({"hz": float("inf")}, 1.5)}
    found = json.loads(output.json_line(record))
    assert found == {"file": "a.wav", "score": None, "events": [{"hz": None}, 1.5]}


def test_when_libraries_are_silenced_then_what_the_user_has_set_stays(monkeypatch):
    for name in output._SILENT:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TRANSFORMERS_VERBOSITY", "info")
    output.silence_libraries()
    assert output.chatty_environment()["TRANSFORMERS_VERBOSITY"] == "info"
    assert output.os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] == "1"
    assert "HF_HUB_DISABLE_PROGRESS_BARS" not in output.chatty_environment()

"""What kind of folder goes up as what; the upload itself is tested beside `push_folder`."""

import pytest

from modeling_retainmix import AnomalyDetector
from modeling_retainmix.hub import push as hub_push


@pytest.fixture
def pushed(monkeypatch):
    """Calls of `push_folder` and of a detector's push."""
    calls = []
    monkeypatch.setattr(hub_push, "push_folder", lambda *arguments: calls.append(arguments) or "https://hub/commit")
    monkeypatch.setattr(
        AnomalyDetector, "push_to_hub", lambda self, *arguments, **how: calls.append((arguments, how)) or "https://d"
    )
    return calls


def test_when_a_folder_is_pushed_then_its_content_says_what_it_is(fitted, command, pushed, tmp_path):
    assert command("push", fitted, "org/fan", "--private", "--license", "mit")[1] == [{"commit": "https://d"}]
    assert pushed.pop() == (("org/fan", True), {"license": "mit"})
    (tmp_path / "README.md").write_text("---\ntitle: x\n---\nsdk: gradio")
    assert command("push", tmp_path, "org/encoder")[0] == 0
    assert pushed.pop() == (tmp_path, "org/encoder", False, "model")
    assert command("metric", "write", tmp_path / "metric")[0] == 0
    assert command("push", tmp_path / "metric", "org/dcase_score")[0] == 0
    assert pushed.pop() == (tmp_path / "metric", "org/dcase_score", False, "space")
    status, _, errors = command("push", tmp_path, "org/encoder", "--license", "mit")
    assert status == 3 and "--license belongs to a detector" in errors


def test_when_the_metric_is_installed_then_its_file_is_named(command):
    status, (record,), _ = command("metric", "install")
    assert status == 0 and record["metric"].endswith("dcase_score.py")

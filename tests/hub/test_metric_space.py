"""The metric's Space folder, and the metric under its bare name without a network."""

import filecmp
import os
import re
import runpy
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml
from hub_server import HubServer

import modeling_retainmix.hub.metric_space as metric_space
from modeling_retainmix.hub.metric_space import SPACE_FILES, write_metric_space
from modeling_retainmix.metrics.dcase_score import dcase_score

ROOT = Path(__file__).parents[2]
SPACE = ROOT / "hub_cards" / "dcase_score"


def run_python(code: str, cwd: Path, hf_home: Path) -> subprocess.CompletedProcess:
    """Runs code in a process that has no package."""
    environment = {**os.environ, "HF_HOME": str(hf_home), "HF_EVALUATE_OFFLINE": "1"}
    code = f"import sys\nsys.modules['modeling_retainmix'] = None\n{code}"
    return subprocess.run([sys.executable, "-P", "-c", code], cwd=cwd, env=environment, capture_output=True, text=True)


def test_space_in_the_checkout_equals_what_the_package_writes(tmp_path):
    write_metric_space(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(SPACE_FILES)
    different = [name for name in SPACE_FILES if not filecmp.cmp(tmp_path / name, SPACE / name, shallow=False)]
    assert not different, "run `retainmix metric write hub_cards/dcase_score`"


def test_space_front_matter_has_what_a_gradio_space_of_a_metric_needs():
    front_matter = yaml.safe_load(re.match(r"---\n(.*?)\n---\n", (SPACE / "README.md").read_text(), re.DOTALL)[1])
    assert front_matter["sdk"] == "gradio" and (SPACE / front_matter["app_file"]).is_file()
    assert {"evaluate", "metric"} <= set(front_matter["tags"])


def test_card_begins_with_the_step_that_makes_the_metric_load():
    blocks = re.findall(r"^```(\w+)\n(.*?)^```", (SPACE / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    assert blocks[0] == ("bash", "retainmix metric install\n")
    assert blocks[1][1].splitlines()[:2] == [">>> import evaluate", '>>> metric = evaluate.load("dcase_score")']


@pytest.mark.slow
def test_space_loads_by_its_folder_on_a_machine_without_the_package(tmp_path):
    code = (
        "import evaluate; print(evaluate.load('hub_cards/dcase_score').compute(predictions=[0, 1], references=[0, 1]))"
    )
    done = run_python(code, ROOT, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "'official_score': 1.0" in done.stdout


def test_test_cases_of_the_space_hold():
    cases = runpy.run_path(str(SPACE / "tests.py"))["test_cases"]
    assert cases
    for case in cases:
        expected = case.pop("result")
        score = dcase_score(**case)
        assert {name: score[name] for name in expected} == pytest.approx(expected, abs=1e-12)


@pytest.mark.slow
def test_after_install_the_card_example_runs_from_any_directory_even_when_processes_race(tmp_path):
    code = f"""
import doctest, runpy
runpy.run_path({metric_space.__file__!r})["install_metric"]()
print(doctest.testfile({str(SPACE / "README.md")!r}, module_relative=False))
"""
    with ThreadPoolExecutor(2) as pool:
        racing = list(pool.map(lambda _: run_python(code, tmp_path, tmp_path / "home"), range(2)))
    for done in racing:
        assert (done.returncode, done.stdout) == (0, "TestResults(failed=0, attempted=5)\n"), done.stdout + done.stderr
    assert not list((tmp_path / "home").rglob("*.staged"))


@pytest.mark.slow
def test_a_newer_version_of_the_metric_wins_over_an_older_one(tmp_path):
    code = f"""
import runpy
install_metric = runpy.run_path({metric_space.__file__!r})["install_metric"]
old = install_metric().parent.parent / ("0" * 64) / "dcase_score.py"
old.parent.mkdir()
old.write_text("raise RuntimeError('the old version was loaded')")
install_metric()
import evaluate
print(evaluate.load("dcase_score").name)
"""
    done = run_python(code, tmp_path, tmp_path / "home")
    assert (done.returncode, done.stdout) == (0, "dcase_score\n"), done.stderr


@pytest.mark.slow
def test_space_loads_by_its_hub_name_on_a_machine_without_the_package(tmp_path):
    code = """
import sys
sys.modules["modeling_retainmix"] = None
import evaluate
print(evaluate.load("acme/dcase_score").compute(predictions=[0, 1], references=[0, 1])["official_score"])
"""
    with HubServer() as hub:
        hub.add_repository("acme/dcase_score", SPACE, kind="space")
        done = subprocess.run(
            [sys.executable, "-P", "-c", code],
            cwd=tmp_path,
            env=hub.environment(tmp_path / "home"),
            capture_output=True,
            text=True,
        )
    assert (done.returncode, done.stdout) == (0, "1.0\n"), done.stderr

"""The metric's Space folder, and the metric under its bare name without a network."""

import doctest
import filecmp
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml
from hub_server import HubServer

from modeling_retainmix.hub.metric_space import SPACE_FILES, write_metric_space

ROOT = Path(__file__).parents[2]
SPACE = ROOT / "hub_cards" / "dcase_score"


def run_python(code: str, cwd: Path, hf_home: Path, with_package: bool = True) -> subprocess.CompletedProcess:
    environment = {**os.environ, "HF_HOME": str(hf_home), "HF_EVALUATE_OFFLINE": "1"}
    if not with_package:
        code = "import sys; sys.modules['modeling_retainmix'] = None\n" + code
    return subprocess.run([sys.executable, "-P", "-c", code], cwd=cwd, env=environment, capture_output=True, text=True)


def test_space_in_the_checkout_equals_what_the_package_writes(tmp_path):
    write_metric_space(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(SPACE_FILES)
    different = [name for name in SPACE_FILES if not filecmp.cmp(tmp_path / name, SPACE / name, shallow=False)]
    assert not different, "run `python -m modeling_retainmix.hub.metric_space hub_cards/dcase_score`"


def test_space_front_matter_has_what_a_gradio_space_of_a_metric_needs():
    front_matter = yaml.safe_load(re.match(r"---\n(.*?)\n---\n", (SPACE / "README.md").read_text(), re.DOTALL)[1])
    assert front_matter["sdk"] == "gradio" and (SPACE / front_matter["app_file"]).is_file()
    assert {"evaluate", "metric"} <= set(front_matter["tags"])


def test_space_loads_by_its_folder_on_a_machine_without_the_package(tmp_path):
    code = (
        "import evaluate; print(evaluate.load('hub_cards/dcase_score').compute(predictions=[0, 1], references=[0, 1]))"
    )
    done = run_python(code, ROOT, tmp_path, with_package=False)
    assert done.returncode == 0, done.stderr
    assert "'official_score': 1.0" in done.stdout


def test_test_cases_of_the_space_hold(tmp_path):
    code = """
import math
from dcase_score import dcase_score
from tests import test_cases
for case in test_cases:
    for name, value in case.pop("result").items():
        assert math.isclose(dcase_score(**case)[name], value, abs_tol=1e-12), name
"""
    done = run_python(
        f"import sys; sys.path.insert(0, {str(SPACE)!r})\n{code}", tmp_path, tmp_path, with_package=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_after_install_the_bare_name_loads_from_any_directory_even_when_processes_race(tmp_path):
    code = (
        "from modeling_retainmix.hub.metric_space import install_metric; install_metric()\n"
        "import evaluate; print(evaluate.load('dcase_score').compute(predictions=[0, 1], references=[0, 1])['auc'])"
    )
    with ThreadPoolExecutor(3) as pool:
        racing = list(pool.map(lambda _: run_python(code, tmp_path, tmp_path / "home"), range(3)))
    for done in racing:
        assert (done.returncode, done.stdout) == (0, "1.0\n"), done.stderr
    examples = doctest.DocTestParser().get_examples((SPACE / "README.md").read_text())
    assert examples
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    card = f"import doctest; assert doctest.testfile({str(SPACE / 'README.md')!r}, module_relative=False).failed == 0"
    done = run_python(card, elsewhere, tmp_path / "home", with_package=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not list((tmp_path / "home").rglob("*.staged"))


def test_a_newer_version_of_the_metric_wins_over_an_older_one(tmp_path):
    code = """
import os
from modeling_retainmix.hub.metric_space import install_metric
old = install_metric().parent.parent / ("0" * 64) / "dcase_score.py"
old.parent.mkdir()
old.write_text("raise RuntimeError('the old version was loaded')")
installed = install_metric()
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

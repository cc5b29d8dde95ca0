"""What is built is installed into empty environments, and runs there from empty folders.

An environment holds what the wheel declares as its dependencies, and nothing else: links to what is installed here, so
that nothing is downloaded.
"""

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
import soundfile
from packaging.requirements import Requirement
from tiny_scorer import RATE, ramp, write_scorer

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = {"retainmix": ROOT, "retainmix-score": ROOT / "retainmix_score"}  # of the pyproject.toml of each

# A factory, a teacher and a student of the smallest size that goes through every stage of the recipe.
TINY_RUN = [
    *(
        "--factory_config",
        json.dumps(
            {
                "instances_per_type": 2,
                "clips_per_instance": 1,
                "clips_per_noise_class": 2,
                "source_references": 4,
                "target_references": 2,
                "tests_per_cell": 5,
                "segments_per_kind": 26,
            }
        ),
    ),
    *(
        "--encoder_config",
        json.dumps(
            {
                "hidden_size": 32,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "intermediate_size": 64,
                "patch_embed_size": 16,
            }
        ),
    ),
    *(
        "--clip_seconds",
        "1.0",
        "--teacher_clip_seconds",
        "1.0",
        "--teacher_steps",
        "3",
        "--teacher_batch_size",
        "4",
        "--max_steps",
        "3",
    ),
    *("--per_device_train_batch_size", "4", "--embedding_layer", "1", "--disable_tqdm", "True", "--use_cpu", "True"),
    *("--cpu_threads", "1", "--data_workers", "1"),  # several would wait for each other on a busy computer
]


@pytest.fixture(scope="module")
def dist(tmp_path_factory):
    """Both distributions, each as sdist, and as the wheel that is made of it."""
    place = tmp_path_factory.mktemp("dist")
    for folder in FOLDERS.values():
        build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(place), str(folder)]
        subprocess.run(build, check=True, capture_output=True)
    return place


@pytest.fixture(scope="module")
def installed(dist, tmp_path_factory):
    return install(dist, "retainmix", tmp_path_factory.mktemp("retainmix"))


@pytest.fixture(scope="module")
def scorer_alone(dist, tmp_path_factory):
    return install(dist, "retainmix-score", tmp_path_factory.mktemp("score"))


def install(dist, name, place):
    """Install a wheel by pip into an environment of its dependencies; return the environment's folder of programs."""
    venv.create(place / "env", symlinks=True)
    paths = {"base": str(place / "env"), "platbase": str(place / "env")}
    site = Path(sysconfig.get_path("purelib", "venv", vars=paths))
    project = tomllib.loads((FOLDERS[name] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found: dict[str, Distribution] = {}
    for requirement in project["dependencies"]:
        collect(Requirement(requirement), found)
    for package in found.values():
        for top in {file.parts[0] for file in package.files or () if file.parts[0] not in ("..", "__pycache__")}:
            if not (site / top).exists():  # several packages share the folder nvidia
                (site / top).symlink_to(package.locate_file(top))
    (wheel,) = dist.glob(f"{name.replace('-', '_')}-*.whl")
    programs = Path(sysconfig.get_path("scripts", "venv", vars=paths))
    pip = [sys.executable, "-m", "pip", "--python", str(programs / "python"), "install", "--quiet", "--no-index"]
    subprocess.run([*pip, str(wheel)], check=True, capture_output=True)
    return programs


def collect(requirement, found):
    """Add the distribution of a requirement, with its extras, and all that it needs."""
    package = distribution(requirement.name)
    key = f"{requirement.name.lower()} {sorted(requirement.extras)}"
    if key not in found:
        found[key] = package
        for line in package.requires or ():
            needed = Requirement(line)
            if needed.marker is None or any(
                needed.marker.evaluate({"extra": extra}) for extra in ("", *requirement.extras)
            ):
                collect(needed, found)


def run_installed(programs, cwd, program, *arguments):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["HF_HOME"] = str(programs.parents[1] / "hf_home")
    command = [str(programs / program), *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_when_distributions_are_built_then_they_hold_what_they_read_and_nothing_else(dist):
    wheels = {path.name.split("-")[0]: set(zipfile.ZipFile(path).namelist()) for path in dist.glob("*.whl")}
    assert {
        "modeling_retainmix/py.typed",
        "modeling_retainmix/training/recipes/demo.yaml",
        "modeling_retainmix/hub/templates/model_card.md",
        "modeling_retainmix/reports/templates/report.html",
        "modeling_retainmix/reports/templates/figures.html",
        "modeling_retainmix/reports/templates/report.css",
        "modeling_retainmix/reports/templates/report.js",
        "modeling_retainmix/watching/templates/trend.html",
        "modeling_retainmix/metrics/dcase_score/dcase_score.py",
        "retainmix_cli/app.py",
    } <= wheels["retainmix"]
    shipped = "modeling_retainmix/shipped_models/retainmix-beats-tiny/"
    held = {file.removeprefix(shipped) for file in wheels["retainmix"] if file.startswith(shipped)}
    assert held == {"config.json", "model.safetensors", "preprocessor_config.json"}
    tops = {name: {file.split("/")[0] for file in files} for name, files in wheels.items()}
    assert {top for top in tops["retainmix"] if "dist-info" not in top} == {"modeling_retainmix", "retainmix_cli"}
    assert {top for top in tops["retainmix_score"] if "dist-info" not in top} == {"retainmix_score"}
    source = sorted(path.name for path in (ROOT / "retainmix_score").glob("*.py"))
    assert sorted(Path(file).name for file in wheels["retainmix_score"] if file.endswith(".py")) == source
    for path in dist.glob("*.tar.gz"):
        with tarfile.open(path) as archive:
            names = {name.partition("/")[2] for name in archive.getnames()}
        assert {"pyproject.toml", "README.md", "LICENSE"} <= names


def test_both_distributions_have_one_version_and_one_licence():
    texts = [(folder / "pyproject.toml").read_text(encoding="utf-8") for folder in FOLDERS.values()]
    assert len({tomllib.loads(text)["project"]["version"] for text in texts}) == 1
    assert (ROOT / "LICENSE").read_text() == (ROOT / "retainmix_score" / "LICENSE").read_text()


@pytest.mark.slow
def test_when_the_scorer_is_installed_alone_then_it_scores_and_there_is_no_torch(scorer_alone, tmp_path):
    detector = write_scorer(tmp_path / "exported")
    soundfile.write(tmp_path / "loud.wav", 0.75 * ramp(1000), RATE)
    run = run_installed(scorer_alone, tmp_path, "retainmix-score", detector, "loud.wav")
    assert run.returncode == 1 and run.stdout.startswith("file,score,threshold,anomalous\nloud.wav,0.7"), run.stderr
    assert run_installed(scorer_alone, tmp_path, "python", "-c", "import torch").returncode == 1
    assert run_installed(scorer_alone, tmp_path, "python", "-m", "retainmix_score", detector, "x.wav").returncode == 2


@pytest.mark.slow
def test_when_the_package_is_installed_then_its_dependencies_load_and_its_extras_are_missing(installed, tmp_path):
    run = run_installed(installed, tmp_path, "retainmix", "doctor", "--json")
    assert run.returncode == 0, run.stdout + run.stderr
    findings = {finding["name"]: finding for finding in map(json.loads, run.stdout.splitlines())}
    assert findings["torch"]["status"] == "ok" and findings["[onnx]"]["status"] == "note"
    assert findings["[onnx]"]["cure"] == "pip install 'retainmix[onnx]'"


@pytest.mark.system
def test_when_a_pc_has_no_internet_then_a_folder_of_wheels_installs_the_scorer(tmp_path):
    """As docs/install.md says."""
    pip = [sys.executable, "-m", "pip"]
    if subprocess.run([*pip, "download", "-q", "--no-deps", "-d", tmp_path / "try", "soxr"], check=False).returncode:
        pytest.skip("no package index can be reached")
    wheels = tmp_path / "wheels"
    subprocess.run([*pip, "wheel", "--quiet", "--wheel-dir", wheels, ROOT / "retainmix_score"], check=True)
    venv.create(tmp_path / "env", symlinks=True)
    programs = tmp_path / "env" / "bin"
    install = [*pip, "--python", programs / "python", "install", "--quiet"]
    subprocess.run([*install, "--no-index", "--find-links", wheels, "retainmix-score"], check=True)
    soundfile.write(tmp_path / "quiet.wav", 0.25 * ramp(1000), RATE)
    detector = write_scorer(tmp_path / "exported")
    assert run_installed(programs, tmp_path, "retainmix-score", detector, "quiet.wav").returncode == 0


@pytest.mark.slow
def test_when_demo_recipe_runs_from_an_empty_folder_then_every_stage_leaves_its_result(installed, tmp_path):
    run = run_installed(installed, tmp_path, "retainmix", "train", *TINY_RUN)
    assert run.returncode == 0, run.stderr[-3000:]
    assert "| RetainMix | 1 |" in run.stdout
    output = tmp_path / "outputs" / "demo"
    for name in ("model.safetensors", "config.json", "preprocessor_config.json", "results.json", "README.md"):
        assert (output / name).exists()
    rows = json.loads((output / "results.json").read_text())["rows"]
    assert len(rows) == 18
    assert "retainmix-beats-tiny, joined" in [row["name"] for row in rows]  # which comes with the package

    load = (
        "import modeling_retainmix\n"
        "from transformers import AutoFeatureExtractor, AutoModel, AutoModelForAudioClassification\n"
        "model = AutoModel.from_pretrained('outputs/demo')\n"
        "head = AutoModelForAudioClassification.from_pretrained('outputs/demo')\n"
        "AutoFeatureExtractor.from_pretrained('outputs/demo')\n"
        "print(type(model).__name__, type(head).__name__, model.config.embedding_layer, modeling_retainmix.__file__)\n"
    )
    loaded = run_installed(installed, tmp_path, "python", "-c", load)
    *names, place = loaded.stdout.split()
    assert names == ["BeatsModel", "BeatsForAudioClassification", "1"], loaded.stderr[-3000:]
    assert place.startswith(str(installed.parent))

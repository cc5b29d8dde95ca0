"""The built wheel, installed into an empty place, runs the demo recipe from an empty working directory."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

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
]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    place = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(place), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = place.glob("*.whl")
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--target",
        str(place / "site"),
        str(wheel),
    ]
    subprocess.run(install, check=True, capture_output=True)
    return place


def run_installed(place, cwd, *arguments):
    environment = os.environ | {"PYTHONPATH": str(place / "site"), "HF_HOME": str(place / "hf_home")}
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_when_wheel_is_installed_then_it_holds_what_the_package_reads(installed):
    (wheel,) = installed.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {
        "modeling_retainmix/py.typed",
        "modeling_retainmix/training/recipes/demo.yaml",
        "modeling_retainmix/hub/templates/model_card.md",
        "modeling_retainmix/watching/templates/trend.html",
        "modeling_retainmix/metrics/dcase_score/dcase_score.py",
    } <= names
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/", "examples/"))]


@pytest.mark.slow
def test_when_demo_recipe_runs_from_an_empty_folder_then_every_stage_leaves_its_result(installed, tmp_path):
    where = run_installed(installed, tmp_path, "-c", "import modeling_retainmix; print(modeling_retainmix.__file__)")
    assert where.stdout.startswith(str(installed / "site"))
    launch = ("-m", "accelerate.commands.launch", "-m", "modeling_retainmix.training.main")
    run = run_installed(installed, tmp_path, *launch, *TINY_RUN)
    assert run.returncode == 0, run.stderr[-3000:]
    assert "| RetainMix | 1 |" in run.stdout
    output = tmp_path / "outputs" / "demo"
    for name in ("model.safetensors", "config.json", "preprocessor_config.json", "results.json", "README.md"):
        assert (output / name).exists()
    rows = json.loads((output / "results.json").read_text())["rows"]
    assert len(rows) == 8

    load = (
        "import modeling_retainmix\n"
        "from transformers import AutoFeatureExtractor, AutoModel, AutoModelForAudioClassification\n"
        "model = AutoModel.from_pretrained('outputs/demo')\n"
        "head = AutoModelForAudioClassification.from_pretrained('outputs/demo')\n"
        "AutoFeatureExtractor.from_pretrained('outputs/demo')\n"
        "print(type(model).__name__, type(head).__name__, model.config.embedding_layer, head.config.num_labels)\n"
    )
    loaded = run_installed(installed, tmp_path, "-c", load)
    assert loaded.stdout.split()[:3] == ["BeatsModel", "BeatsForAudioClassification", "1"], loaded.stderr[-3000:]

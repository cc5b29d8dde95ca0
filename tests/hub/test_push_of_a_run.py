"""`--push_to_hub` of the main job: one commit of the folder, by one process of two; a bad token ends it early."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hub_server import TOKEN, Fault, HubServer
from huggingface_hub import ModelCard

ROOT = Path(__file__).parents[2]
FACTORY = {
    "instances_per_type": 2,
    "clips_per_instance": 1,
    "clips_per_noise_class": 2,
    "source_references": 3,
    "target_references": 1,
    "tests_per_cell": 1,
    "segments_per_kind": 8,
}
ENCODER = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "patch_embed_size": 8,
}
SECONDS = ("--clip_seconds", "1.0", "--teacher_clip_seconds", "1.0")
STEPS = ("--train_teacher", "True", "--teacher_steps", "1", "--teacher_batch_size", "2", "--max_steps", "1")
STUDENT = ("--per_device_train_batch_size", "2", "--embedding_layer", "1", "--cpu_threads", "1", "--use_cpu", "True")
PUSH = ("--push_to_hub", "True", "--hub_private_repo", "True", "--output_dir", "outputs/press")


def launch(hub: HubServer, place: Path, *options: str, token: str = TOKEN) -> subprocess.CompletedProcess:
    sizes = ("--factory_config", json.dumps(FACTORY), "--encoder_config", json.dumps(ENCODER))
    processes = ("--multi_gpu", "--num_processes", "2", "--main_process_port", "0")
    return subprocess.run(
        [
            *(sys.executable, "-m", "accelerate.commands.launch", *processes, str(ROOT / "train_accelerate.py")),
            *(*sizes, *SECONDS, *STEPS, *STUDENT, *PUSH, *options),
        ],
        cwd=place,
        env=hub.environment(place / "home", token) | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
def test_two_processes_push_the_finished_folder_as_one_commit_without_the_token(tmp_path):
    with HubServer() as hub:
        hub.faults.append(Fault("PUT", "/lfs/", "cut", times=1))
        done = launch(hub, tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    (((kind, name), repository),) = hub.repositories.items()
    assert (kind, name, repository.private) == ("model", "acme/press", True)  # the folder's name, of the token's owner
    assert len(repository.commits) == 2  # the empty repository, and the push
    files = repository.commits[-1].files
    kept = {path.name for path in (tmp_path / "outputs" / "press").iterdir() if path.is_file()}
    assert set(files) == kept | {".gitattributes"}
    assert {"README.md", "config.json", "model.safetensors", "modeling_beats.py", "preprocessor_config.json"} <= kept
    assert 'from_pretrained("acme/press")' in ModelCard(files["README.md"].decode()).text
    written = [path for path in (tmp_path / "outputs").rglob("*") if path.is_file()]
    assert not [path for path in written if TOKEN.encode() in path.read_bytes()]
    assert TOKEN not in done.stdout + done.stderr


@pytest.mark.slow
def test_when_the_token_is_wrong_then_the_run_ends_before_the_training(tmp_path):
    token = "hf_WrongTokenOfSomebodyElse"
    with HubServer() as hub:
        done = launch(hub, tmp_path, token=token)
    assert done.returncode != 0
    assert "error: press: the Hub refused the access token (status 401)" in done.stderr
    assert hub.repositories == {} and not (tmp_path / "outputs").exists()
    assert token not in done.stdout + done.stderr

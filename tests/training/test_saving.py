"""Checkpoints: whole or absent, without pickled arguments, resumable after a kill, a full disk told from others."""

import json
import os
import platform
import resource
import subprocess
import sys
import traceback
from pathlib import Path

import pytest
import torch
from huggingface_hub import ModelCard
from safetensors.torch import load_file
from tiny_training import logged, make_trainer
from transformers.trainer_utils import get_last_checkpoint

from modeling_retainmix.encoders import BeatsForAudioClassification
from modeling_retainmix.training import saving

SAVING = {"save_strategy": "steps", "save_steps": 2, "max_steps": 6}
# Every source of chance is on: SNR, masks, layers and (streamed, hence part of the saved random state) dropout.
CHANCE = {
    "snr_db": [-5.0, 5.0],
    "gradient_accumulation_steps": 2,
    "config": {"layerdrop": 0.3, "hidden_dropout": 0.1},
    "warmup_steps": 2,
}


def run_until_killed(**request):
    script = Path(__file__).with_name("tiny_training.py")
    env = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    process = subprocess.run([sys.executable, script, json.dumps(request)], env=env, capture_output=True)
    assert process.returncode == -9, process.stderr.decode()


@pytest.mark.slow
@pytest.mark.parametrize("kill_in_save", [False, True], ids=["in a step", "in a save"])
def test_when_run_is_killed_then_resumed_losses_equal_those_of_an_unbroken_run(tmp_path, kill_in_save):
    options = {**SAVING, **CHANCE, "max_steps": 8}
    unbroken = make_trainer(tmp_path / "unbroken", **options)
    unbroken.train()
    # An epoch has 24 // 8 = 3 steps: step 5 lies in the middle of the second one.
    run_until_killed(output_dir=str(tmp_path / "killed"), kill_at=5, kill_in_save=kill_in_save, **options)
    newest = get_last_checkpoint(str(tmp_path / "killed"))
    assert newest.endswith("checkpoint-4")
    assert (tmp_path / "killed" / saving.STAGING_NAME).exists() == kill_in_save
    resumed = make_trainer(tmp_path / "killed", **options)
    resumed.train(resume_from_checkpoint=newest)
    names = ("loss", "loss_tagging", "loss_mixture", "snr_db", "grad_norm", "learning_rate", "epoch")
    assert logged(resumed, *names) == logged(unbroken, *names)
    assert not (tmp_path / "killed" / saving.STAGING_NAME).exists()


def test_when_model_is_saved_then_arguments_are_json_without_the_token(tmp_path):
    trainer = make_trainer(tmp_path, **SAVING, hub_token="hf_secret")
    trainer.train()
    trainer.save_model()
    for folder in (tmp_path, tmp_path / "checkpoint-6"):
        content = (folder / "training_args.json").read_text()
        assert json.loads(content)["snr_db"] == [0.0]
        assert "hf_secret" not in content
        assert not (folder / "training_args.bin").exists()


def test_when_number_of_checkpoints_is_limited_then_the_oldest_go(tmp_path):
    make_trainer(tmp_path, **SAVING, save_total_limit=2).train()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-4", "checkpoint-6"]


def test_when_checkpoint_of_a_step_exists_then_it_is_replaced(tmp_path):
    make_trainer(tmp_path, **SAVING).train()
    first = load_file(tmp_path / "checkpoint-6" / "model.safetensors")
    make_trainer(tmp_path, **SAVING, learning_rate=1e-3).train()
    second = load_file(tmp_path / "checkpoint-6" / "model.safetensors")
    assert any(not torch.equal(first[name], second[name]) for name in first)
    assert not (tmp_path / saving.STAGING_NAME).exists()


@pytest.mark.parametrize("limit", [4096, 100_000], ids=["model", "optimiser state"])
def test_when_file_cannot_be_written_then_error_names_step_folder_and_last_checkpoint(tmp_path, limit):
    trainer = make_trainer(tmp_path, **SAVING)
    save = trainer._save_checkpoint
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def save_on_a_full_disk(model, trial):
        if trainer.state.global_step == 4:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        try:
            save(model, trial)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    trainer._save_checkpoint = save_on_a_full_disk
    with pytest.raises(
        OSError, match=rf"step 4 in {tmp_path} \(\d+ MiB free\).*{tmp_path}/checkpoint-2, which is whole"
    ):
        trainer.train()
    resumed = make_trainer(tmp_path, **SAVING)
    resumed.train(resume_from_checkpoint=True)
    assert resumed.state.global_step == 6


def test_when_a_model_is_loaded_during_a_save_then_it_is_the_former_one(tmp_path):
    make_trainer(tmp_path, learning_rate=1e-3).save_model()
    former = load_file(tmp_path / "model.safetensors")
    trainer = make_trainer(tmp_path)
    trainer.train()
    save, loaded = trainer.model.save_pretrained, []

    def save_and_load(*args, **kwargs):
        save(*args, **kwargs)
        loaded.append(BeatsForAudioClassification.from_pretrained(tmp_path).state_dict())

    trainer.model.save_pretrained = save_and_load
    trainer.save_model()
    (during,) = loaded
    assert all(torch.equal(value, during[name]) for name, value in former.items())
    after = load_file(tmp_path / "model.safetensors")
    assert all(torch.equal(value, after[name]) for name, value in trainer.model.state_dict().items())
    assert any(not torch.equal(value, after[name]) for name, value in former.items())
    names = {path.name for path in tmp_path.iterdir()}
    code = {name for name in names if name.endswith(".py")}
    assert "modeling_beats.py" in code
    assert names - code == {"config.json", "model.safetensors", "preprocessor_config.json", "training_args.json"}


def test_when_a_killed_run_left_staging_folders_then_the_next_start_removes_them(tmp_path):
    ended = f".making-{platform.node()}-{os.getpid()}-1-{'0' * 32}"  # this process started later
    for name in (saving.STAGING_NAME, ended):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_bytes(b"half")
    (tmp_path / "notes").mkdir()
    trainer = make_trainer(tmp_path, max_steps=1)
    trainer.train()
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]


class Payload:
    """Makes a folder when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


STATES = ["optimizer.pt", "scheduler.pt", "rng_state.pth"]


@pytest.fixture
def checkpoint(tmp_path):
    make_trainer(tmp_path, **SAVING).train()
    return tmp_path / "checkpoint-4"


def resume(checkpoint):
    make_trainer(checkpoint.parent, **SAVING).train(resume_from_checkpoint=str(checkpoint))


@pytest.mark.parametrize("name", STATES)
def test_when_a_state_is_a_hostile_pickle_then_it_is_refused_and_not_run(checkpoint, name):
    marker = checkpoint.parent / "marker"
    torch.save({"state": Payload(marker)}, checkpoint / name)
    with pytest.raises(ValueError, match=rf"{name} holds more than tensors .* \(posix\.mkdir\)") as raised:
        resume(checkpoint)
    assert "weights_only" not in "".join(traceback.format_exception(raised.value))
    assert not marker.exists()


@pytest.mark.parametrize("name", STATES)
def test_when_a_state_is_cut_off_then_its_file_is_named(checkpoint, name):
    content = (checkpoint / name).read_bytes()
    (checkpoint / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=rf"^{checkpoint / name} (is damaged|holds more than).*: resume from another"):
        resume(checkpoint)


def test_when_the_random_state_is_something_else_then_its_file_is_named(checkpoint):
    torch.save(torch.zeros(3), checkpoint / "rng_state.pth")
    with pytest.raises(ValueError, match=r"rng_state\.pth holds something else than the state of a training"):
        resume(checkpoint)


def test_when_the_weights_of_a_checkpoint_are_a_hostile_pickle_then_they_are_not_run(checkpoint):
    marker = checkpoint.parent / "marker"
    (checkpoint / "model.safetensors").unlink()
    torch.save({"classifier.weight": Payload(marker)}, checkpoint / "pytorch_model.bin")
    with pytest.raises(ValueError, match=r"pytorch_model\.bin holds more than tensors and plain values"):
        resume(checkpoint)
    assert not marker.exists()


@pytest.fixture
def pushes(monkeypatch):
    """Arguments of the pushes that were asked for, none of which leaves this process."""
    asked = []
    monkeypatch.setattr(saving, "push_folder", lambda *args, **kwargs: asked.append((args, kwargs)) or "commit")
    monkeypatch.setattr(saving, "repository_name", lambda name, token: name)
    return asked


def test_when_pushed_then_the_folder_holds_source_and_card_and_no_pickle(tmp_path, pushes):
    trainer = make_trainer(tmp_path, hub_model_id="plant/model", hub_private_repo=True)
    trainer.train()
    assert trainer.push_to_hub() == "commit"
    assert pushes[0][0] == (str(tmp_path), "plant/model")
    assert pushes[0][1]["private"]
    names = {path.name for path in tmp_path.iterdir()}
    assert {"model.safetensors", "modeling_beats.py", "training_args.json"} <= names
    assert not {name for name in names if name.endswith((".bin", ".pt", ".pth"))}
    card = ModelCard.load(tmp_path / "README.md")
    assert "Not yet measured: `" in card.text
    assert "| max_steps | 3 |" in card.text and "| training_machine_clips | 24 |" in card.text
    assert 'AnomalyDetector.from_pretrained("plant/model")' in card.text
    assert card.data.eval_results is None


def test_when_weights_change_then_scores_and_card_of_the_former_ones_go(tmp_path, pushes):
    trainer = make_trainer(tmp_path, hub_model_id="plant/model")
    trainer.save_model()
    for name in ("results.json", "README.md"):
        (tmp_path / name).write_text("scores of these weights")
    trainer.push_to_hub()
    assert {(tmp_path / name).read_text() for name in ("results.json", "README.md")} == {"scores of these weights"}
    trainer.train()
    trainer.push_to_hub()
    assert not (tmp_path / "results.json").exists()
    assert "Not yet measured" in (tmp_path / "README.md").read_text()


def test_when_every_node_saves_then_only_the_first_process_of_all_pushes(tmp_path, pushes, monkeypatch):
    trainer = make_trainer(tmp_path, save_on_each_node=True)
    monkeypatch.setattr(type(trainer.args), "process_index", 2)
    monkeypatch.setattr(type(trainer.args), "local_process_index", 0)
    assert trainer.args.should_save and trainer.push_to_hub() is None
    assert pushes == []


def test_when_push_asks_for_a_revision_then_it_is_refused(tmp_path):
    with pytest.raises(ValueError, match="revision"):
        make_trainer(tmp_path).push_to_hub(revision="side")

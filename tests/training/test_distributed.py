"""Two processes (gloo, on the CPU) against one with the same global batch."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny_training import logged, make_trainer, record_batches

pytestmark = pytest.mark.slow

# Everything that could differ between one process and two is on; AdamW would turn the rounding of the gradients of
# the key biases, which are zero in exact arithmetic, into steps.
COMMON = {
    "snr_db": [-5.0, 5.0],
    "config": {"layerdrop": 0.3},
    "gradient_checkpointing": True,
    "gradient_accumulation_steps": 2,
    "optim": "sgd",
    "learning_rate": 0.1,
    "max_steps": 4,
}
# Without checkpointing, the processes must not have to look for parameters that a method leaves without a gradient.
METHODS = {
    "tagging": {"beta": 0.0},
    "mixture": {"alpha": 0.0, "gradient_checkpointing": False},
    "both": {},
    "both at layer 1": {"mixture_layer": 1, "gradient_checkpointing": False},
    "two heads": {"separate_heads": True, "lam_from_snr": True, "pooled_weight": 1.0, "gradient_checkpointing": False},
}
# 7 clips for two processes with batches of 2: the last batch of one of them is filled up with clips seen before.
VALIDATED = {**COMMON, "validation_share": 0.3, "max_steps": 1, "per_device_eval_batch_size": 2}
SAVING = {"save_strategy": "steps", "save_steps": 2, "max_steps": 6}


def one_process(output_dir, **options):
    options["per_device_train_batch_size"] = 2 * options.get("per_device_train_batch_size", 2)
    trainer = make_trainer(output_dir, **options)
    batches = record_batches(trainer)
    trainer.train()
    return trainer, batches


@pytest.fixture(scope="module")
def output_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("processes")


@pytest.fixture(scope="module")
def reports(output_dir):
    """What each of the two processes saw, for every case; all cases run in one launch."""
    cases = {name: COMMON | options for name, options in METHODS.items()}
    cases["validated"] = VALIDATED
    cases["apart"] = {**COMMON, **SAVING, "max_steps": 2, "own_folder": True}
    cases["saved"] = {**COMMON, **SAVING}
    # 24 // 8 = 3 steps are an epoch: step 4 lies within the second.
    cases["resumed"] = {**COMMON, **SAVING, "resume_from_checkpoint": "saved/checkpoint-4"}
    for options in cases.values():
        options["per_device_train_batch_size"] = 2
    request = json.dumps({"cases": cases, "output_dir": str(output_dir)})
    script = Path(__file__).with_name("tiny_training.py")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", script, request]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.run(command, env=env, capture_output=True)
    assert process.returncode == 0, process.stderr.decode()
    return [json.loads((output_dir / f"report-{rank}.json").read_text()) for rank in range(2)]


@pytest.mark.parametrize("method", METHODS)
def test_when_two_processes_train_then_losses_gradients_and_weights_are_those_of_one(method, reports, tmp_path):
    trainer, _ = one_process(tmp_path, **COMMON | METHODS[method])
    for report in reports:
        assert report[method]["world_size"] == 2
        seen = torch.tensor(report[method]["losses"])
        assert torch.allclose(seen, torch.tensor(logged(trainer, "loss", "grad_norm")), atol=1e-5, rtol=0)
        for name, weight in trainer.model.state_dict().items():
            ours = torch.tensor(report[method]["weights"][name])
            assert torch.allclose(ours, weight.flatten(), atol=1e-5, rtol=0), name


def test_when_two_processes_draw_then_their_clips_are_disjoint_and_together_those_of_one(reports, tmp_path):
    _, whole = one_process(tmp_path, **COMMON)
    first, second = ([tuple(clip) for batch in report["both"]["batches"] for clip in batch] for report in reports)
    positions = [{clip[0] for clip in clips} for clips in (first, second)]
    assert not positions[0] & positions[1]
    assert len({clip[2] for clip in first + second}) == len(first + second)  # no SNR is drawn twice
    assert sorted(first + second) == sorted(clip for batch in whole for clip in batch)


def test_when_two_processes_validate_then_every_clip_counts_once(reports, tmp_path):
    trainer, _ = one_process(tmp_path, **VALIDATED)
    metrics = trainer.evaluate()
    assert len(trainer.eval_dataset) % 4 != 0
    for report in reports:
        for name in ("eval_loss", "eval_loss_tagging", "eval_loss_mixture", "eval_macro_average_precision"):
            assert report["validated"]["metrics"][name] == pytest.approx(metrics[name], abs=1e-5), name


def test_when_two_processes_save_then_the_second_writes_its_random_state_alone(reports, output_dir):
    main = {path.name for path in (output_dir / "apart-0" / "checkpoint-2").iterdir()}
    # On a disk that both see, as is usual, the main process would have moved this file along with its own.
    other = [path.name for path in (output_dir / "apart-1").rglob("*") if path.is_file()]
    assert {"model.safetensors", "optimizer.pt", "trainer_state.json", "rng_state_0.pth"} <= main
    assert other == ["rng_state_1.pth"]


def test_when_two_processes_save_into_one_folder_then_the_checkpoint_holds_the_random_state_of_both(
    reports, output_dir
):
    names = {path.name for path in (output_dir / "saved" / "checkpoint-4").iterdir()}
    assert {"model.safetensors", "rng_state_0.pth", "rng_state_1.pth"} <= names


def test_when_two_processes_resume_within_a_later_epoch_then_losses_go_on_as_unbroken(reports):
    for report in reports:
        assert report["resumed"]["losses"] == report["saved"]["losses"]
        assert report["resumed"]["batches"] == report["saved"]["batches"][8:]

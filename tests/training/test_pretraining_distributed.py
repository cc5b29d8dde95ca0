"""Pre-training in two processes (gloo, on the CPU) against one with the same global batch."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny_pretraining import logged, make_pretraining

pytestmark = pytest.mark.slow

# AdamW would turn the rounding of the gradients of the key biases, which are zero in exact arithmetic, into steps.
OPTIONS = {"optim": "sgd", "learning_rate": 0.1, "gradient_accumulation_steps": 2, "clip_level": [-0.3, 0.0]}


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    folder = tmp_path_factory.mktemp("processes")
    request = json.dumps({"output_dir": str(folder), "per_device_train_batch_size": 2, **OPTIONS})
    script = Path(__file__).with_name("tiny_pretraining.py")
    command = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.run([*command, "--main_process_port", "0", script, request], env=env, capture_output=True)
    assert process.returncode == 0, process.stderr.decode()
    return [json.loads((folder / f"report-{rank}.json").read_text()) for rank in range(2)], folder


def test_when_two_processes_train_then_losses_and_average_are_those_of_one(reports, tmp_path):
    trainer = make_pretraining(tmp_path, per_device_train_batch_size=4, **OPTIONS)
    trainer.train()
    for report in reports[0]:
        assert report["world_size"] == 2
        assert torch.allclose(torch.tensor(report["losses"]), torch.tensor(logged(trainer)), atol=1e-5, rtol=0)
        for name, values in trainer.average.state_dict().items():
            ours = torch.tensor(report["average"][name])
            assert torch.allclose(ours, values.flatten().to(ours.dtype), atol=1e-5, rtol=0), name


def test_when_two_processes_train_then_the_log_has_a_line_for_every_step(reports):
    lines = [json.loads(line) for line in (reports[1] / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == [1, 2, 3, 4]

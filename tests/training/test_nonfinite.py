"""A loss that is not finite: the step and the clips are named, the batch is saved, nothing is trained further."""

import json

import pytest
import torch
from safetensors import safe_open
from tiny_training import make_pairs, make_trainer
from transformers import TrainerCallback
from transformers.trainer_utils import get_last_checkpoint


def break_clip(trainer, position):
    """Makes the features of one clip NaN, whenever it is drawn."""
    build = trainer.build_batch

    def broken(inputs, augment=True):
        batch = build(inputs, augment)
        batch.student_features[inputs["position"] == position] = torch.nan
        return batch

    trainer.build_batch = broken


def test_when_one_clip_gives_nan_then_error_names_step_and_clip_and_saves_the_batch(tmp_path):
    trainer = make_trainer(tmp_path)
    break_clip(trainer, position=6)
    with pytest.raises(FloatingPointError) as raised:
        trainer.train()
    message = str(raised.value)
    assert "nan at step 2 for" in message
    path = tmp_path / "nonfinite_batch_step2_process0.safetensors"
    assert str(path) in message
    with safe_open(path, "pt") as saved:
        clips = json.loads(saved.metadata()["clips"])
        position = saved.get_tensor("position").tolist()
        rows = saved.get_tensor("machine_row"), saved.get_tensor("noise_row")
        machine = saved.get_tensor("machine")
    assert position == [4, 5, 6, 7]
    pairs = make_pairs()
    row = rows[0][2].item()
    assert clips == [pairs.describe(row, rows[1][2].item())]
    assert clips[0] in message
    assert clips[0].startswith(f"row {row} (fan/id_{row % 3}) with row ")
    assert machine[2].tolist() == pairs.machines[row]["audio"]
    assert trainer.state.global_step == 1


def test_when_every_clip_gives_nan_then_error_speaks_of_the_learning_rate(tmp_path):
    trainer = make_trainer(tmp_path)
    # Every logit is infinite while every weight is finite, on any processor: no rounding decides it.
    trainer.model.classifier.register_forward_hook(lambda module, inputs, logits: logits * torch.inf)
    with pytest.raises(FloatingPointError, match="every clip of the batch gives it: lower --learning_rate"):
        trainer.train()


def test_when_weights_are_nan_then_error_says_so_and_names_every_clip(tmp_path):
    trainer = make_trainer(tmp_path)
    with torch.no_grad():
        trainer.model.classifier.weight[0, 0] = torch.nan
    with pytest.raises(FloatingPointError, match=r"step 1 .*classifier\.weight.*lower --learning_rate") as raised:
        trainer.train()
    assert str(raised.value).count(" with row ") == 4


class RuinOnStep2(TrainerCallback):
    def on_optimizer_step(self, args, state, control, model, **kwargs):
        if state.global_step == 1:
            model.classifier.weight.data[0, 0] = torch.nan


def test_when_the_last_step_ruins_the_weights_then_they_are_not_saved(tmp_path):
    trainer = make_trainer(tmp_path, save_strategy="steps", save_steps=1, max_steps=2)
    trainer.add_callback(RuinOnStep2())
    with pytest.raises(FloatingPointError, match=r"not finite after step 2 \(classifier\.weight .*--learning_rate"):
        trainer.train()
    assert get_last_checkpoint(str(tmp_path)).endswith("checkpoint-1")

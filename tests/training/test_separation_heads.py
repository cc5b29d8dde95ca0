"""Heads that serve the training alone: the identity at first, in the checkpoints of the run, in no saved model."""

import shutil

import pytest
import torch
from safetensors.torch import load_file
from tiny_training import logged, make_trainer
from transformers import AutoModelForAudioClassification

from modeling_retainmix.training.separation_heads import (
    HEADS_NAME,
    SeparationHeads,
    load_separation_heads,
    separation_heads,
)

SAVING = {"separate_heads": True, "save_strategy": "steps", "save_steps": 2, "max_steps": 4}


def test_when_heads_are_made_then_they_are_the_identity():
    tokens = torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(0))
    machine, noise = SeparationHeads(8)(tokens)
    assert torch.equal(machine, tokens) and torch.equal(noise, tokens)


def test_when_trained_with_heads_then_they_move_and_the_saved_model_is_the_plain_student(tmp_path):
    trainer = make_trainer(tmp_path, **SAVING)
    trainer.train()
    trainer.save_model()
    heads = separation_heads(trainer.model)
    assert not torch.equal(heads.machine.weight, heads.noise.weight)
    names = {name for name in trainer.model.state_dict() if not name.startswith("separation_heads.")}
    for folder in (tmp_path, tmp_path / "checkpoint-4"):
        assert set(load_file(folder / "model.safetensors")) == names
    assert not (tmp_path / HEADS_NAME).exists()
    saved = load_file(tmp_path / "checkpoint-4" / HEADS_NAME)
    assert all(torch.equal(value, saved[name]) for name, value in heads.state_dict().items())
    loaded, report = AutoModelForAudioClassification.from_pretrained(tmp_path, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]
    assert separation_heads(loaded) is None


def test_when_a_run_with_heads_is_resumed_then_it_goes_on_as_unbroken(tmp_path):
    unbroken = make_trainer(tmp_path / "whole", **SAVING)
    unbroken.train()
    shutil.copytree(tmp_path / "whole" / "checkpoint-2", tmp_path / "broken" / "checkpoint-2")
    resumed = make_trainer(tmp_path / "broken", **SAVING)
    resumed.train(resume_from_checkpoint=str(tmp_path / "broken" / "checkpoint-2"))
    assert logged(resumed, "loss", "loss_mixture") == logged(unbroken, "loss", "loss_mixture")
    for name, value in unbroken.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name


def test_when_the_checkpoint_is_of_a_run_without_heads_then_the_missing_file_is_named(tmp_path):
    trainer = make_trainer(tmp_path, separate_heads=True)
    with pytest.raises(FileNotFoundError, match=rf"{HEADS_NAME} does not exist: .*--separate_heads"):
        load_separation_heads(trainer.model, tmp_path)

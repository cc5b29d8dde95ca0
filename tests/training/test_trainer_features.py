"""Features of the transformers Trainer that have to keep working: precision, memory, compilation, stopping, logs."""

import copy

import pytest
import torch
from safetensors.torch import load_file
from tiny_training import logged, make_trainer
from transformers import EarlyStoppingCallback

from modeling_retainmix.losses import mixture_loss, tagging_loss
from modeling_retainmix.training.sampler import SequentialPairSampler
from modeling_retainmix.training.tagging_metrics import macro_average_precision

LAYERDROP = {"layerdrop": 0.3}


def train(trainer):
    trainer.train()
    return logged(trainer, "loss", "grad_norm"), trainer.model.state_dict()


def test_when_gradients_are_checkpointed_then_losses_and_weights_are_the_same(tmp_path):
    plain_losses, plain = train(make_trainer(tmp_path, config=LAYERDROP))
    trainer = make_trainer(tmp_path, config=LAYERDROP, gradient_checkpointing=True)
    losses, weights = train(trainer)
    assert trainer.model.is_gradient_checkpointing
    assert losses == plain_losses
    assert all(torch.equal(plain[name], weights[name]) for name in plain)


def test_when_precision_is_bfloat16_then_losses_are_near_those_of_float32_and_weights_stay_float32(tmp_path):
    losses, _ = train(make_trainer(tmp_path))
    half, weights = train(make_trainer(tmp_path, bf16=True))
    assert half != losses
    assert torch.allclose(torch.tensor(half)[:, 0], torch.tensor(losses)[:, 0], rtol=0.03)
    assert {value.dtype for value in weights.values()} == {torch.float32}


def test_when_precision_is_bfloat16_then_teacher_computes_in_it_and_does_not_change(tmp_path):
    trainer = make_trainer(tmp_path, bf16=True)
    used = copy.deepcopy(trainer.teacher.state_dict())
    trainer.train()
    assert all(torch.equal(value, used[name]) for name, value in trainer.teacher.state_dict().items())
    assert trainer.teacher.dtype == torch.bfloat16


@pytest.mark.skipif(not torch.cuda.is_available(), reason="the gradient scaler of float16 needs a GPU")
def test_when_precision_is_float16_then_losses_are_near_those_of_float32(tmp_path):
    losses, _ = train(make_trainer(tmp_path, use_cpu=False))
    half, _ = train(make_trainer(tmp_path, use_cpu=False, fp16=True))
    assert torch.allclose(torch.tensor(half)[:, 0], torch.tensor(losses)[:, 0], rtol=0.03)


@pytest.mark.slow
def test_when_model_is_compiled_then_losses_are_the_same_and_the_checkpoint_loads_plainly(tmp_path):
    options = {"save_strategy": "steps", "save_steps": 3, "config": LAYERDROP}
    losses, _ = train(make_trainer(tmp_path / "plain", **options))
    trainer = make_trainer(tmp_path / "compiled", torch_compile=True, torch_compile_backend="aot_eager", **options)
    compiled, _ = train(trainer)
    assert torch.allclose(torch.tensor(compiled), torch.tensor(losses), rtol=1e-4)
    saved = [load_file(tmp_path / name / "checkpoint-3" / "model.safetensors") for name in ("plain", "compiled")]
    assert saved[0].keys() == saved[1].keys()


def test_when_tensorboard_is_asked_for_then_loss_parts_are_in_its_file(tmp_path):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    make_trainer(tmp_path, report_to="tensorboard").train()
    (event_file,) = (tmp_path / "runs").rglob("events.*")
    events = reader.EventAccumulator(str(event_file))
    events.Reload()
    assert {"train/loss_tagging", "train/loss_mixture", "train/snr_db", "train/grad_norm"} <= set(
        events.Tags()["scalars"]
    )
    assert len(events.Scalars("train/loss_mixture")) == 3


EVALUATING = {
    "validation_share": 0.25,
    "eval_strategy": "steps",
    "eval_steps": 1,
    "save_strategy": "steps",
    "save_steps": 1,
    "load_best_model_at_end": True,
    "metric_for_best_model": "loss",
    "greater_is_better": False,
}


def test_when_validation_does_not_improve_then_training_stops_early_at_the_best_checkpoint(tmp_path):
    trainer = make_trainer(tmp_path, **EVALUATING, max_steps=20)
    losses = iter([3.0, 1.0, 2.0, 2.0])  # the second evaluation is the best
    trainer.compute_metrics = lambda prediction: {"loss": next(losses)}
    trainer.add_callback(EarlyStoppingCallback(2))
    trainer.train()
    assert trainer.state.global_step == 4
    best = tmp_path / "checkpoint-2"
    assert trainer.state.best_model_checkpoint == str(best)
    saved, last = (load_file(folder / "model.safetensors") for folder in (best, tmp_path / "checkpoint-4"))
    assert any(not torch.equal(value, last[name]) for name, value in saved.items())
    assert all(torch.equal(value, saved[name]) for name, value in trainer.model.state_dict().items())


def test_when_validated_then_losses_and_average_precision_are_those_of_every_clip_once(tmp_path):
    trainer = make_trainer(tmp_path, validation_share=0.25, per_device_eval_batch_size=4, alpha=0.5, beta=2.0)
    metrics = trainer.evaluate()
    pairs = trainer.eval_dataset
    keys = list(SequentialPairSampler(len(pairs), pairs.noise_classes, trainer.args.seed))
    assert [key.machine for key in keys] == list(range(6))
    inputs = {name: torch.from_numpy(value) for name, value in pairs.__getitems__(keys).items()}
    batch = trainer.build_batch(inputs, augment=False)
    assert batch.layer_keep is None
    with torch.no_grad():
        outputs = trainer.model.eval()(batch.student_features)
        machine, noise = trainer.teacher(batch.teacher_features).last_hidden_state.chunk(2)
    tagging = tagging_loss(outputs.logits, batch.labels).item()
    mixture = mixture_loss(outputs.last_hidden_state, (machine + noise) / 2).item()
    assert metrics["eval_loss_tagging"] == pytest.approx(tagging, rel=1e-5)
    assert metrics["eval_loss_mixture"] == pytest.approx(mixture, rel=1e-5)
    assert metrics["eval_loss"] == pytest.approx(0.5 * tagging + 2.0 * mixture, rel=1e-5)
    precision = macro_average_precision(outputs.logits.numpy(), batch.labels.numpy())
    assert metrics["eval_macro_average_precision"] == pytest.approx(precision)


def test_when_tagging_is_off_then_no_average_precision_is_reported(tmp_path):
    metrics = make_trainer(tmp_path, validation_share=0.25, alpha=0.0).evaluate()
    assert "eval_macro_average_precision" not in metrics
    assert metrics["eval_loss"] == pytest.approx(metrics["eval_loss_mixture"])

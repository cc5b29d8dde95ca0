"""The clock of the steps, operations against a count by hand, and the rate of matrix products."""

import time

import pytest
import torch
from tiny_training import make_trainer

from modeling_retainmix.training.throughput import StepClock, forward_flops, matmul_rate


def test_when_pause_lies_between_steps_then_it_does_not_count(monkeypatch):
    readings = iter([10.0, 10.25, 99.0, 99.75])
    monkeypatch.setattr(time, "perf_counter", lambda: next(readings))
    clock = StepClock()
    assert clock.rate() is None
    for _ in range(2):
        clock.start()
        clock.stop()
    assert clock.rate() == 2.0
    assert clock.rate() is None


def test_when_model_is_a_linear_layer_then_operations_are_two_per_weight_and_row():
    model = torch.nn.Linear(3, 5).train()
    assert forward_flops(model, input=torch.zeros(7, 3)) == 2 * 7 * 3 * 5
    assert model.training


def test_when_encoder_runs_then_operations_are_those_counted_by_hand(tmp_path):
    trainer = make_trainer(tmp_path)
    batch = trainer.get_train_dataloader().__iter__().__next__()
    features = trainer.build_batch(batch).student_features[:1]
    assert features.shape[1:] == (38, 128)
    tokens, width = 2 * 8, 16
    patches = 2 * tokens * (16 * 16 * 8 + 8 * width)
    positions = 2 * tokens * width * (width // 16) * 128  # a convolution over 128 steps in 16 groups
    gate = 2 * tokens * 2 * 8 * 8  # 2 heads of width 8, 8 outputs
    layer = 2 * tokens * (4 * width**2 + 2 * width * 32) + 2 * 2 * tokens**2 * width + gate
    head = 2 * width * trainer.model.config.num_labels
    expected = patches + positions + 2 * layer + head
    assert forward_flops(trainer.model, input_values=features) == pytest.approx(expected, rel=0.02)


def test_when_rate_is_measured_then_the_fastest_product_counts_and_the_random_state_stays(monkeypatch):
    durations = iter([9.0, 3.0, 2.0, 0.5, 2.0, 3.0])
    readings = iter([reading for duration in durations for reading in (10.0, 10.0 + duration)])
    monkeypatch.setattr(time, "perf_counter", lambda: next(readings))
    matmul_rate.cache_clear()
    before = torch.get_rng_state()
    assert matmul_rate("cpu", torch.float32) == 2 * 1024**3 / 0.5
    assert torch.equal(torch.get_rng_state(), before)
    matmul_rate.cache_clear()


def test_when_step_is_logged_then_speed_and_utilisation_are_there(tmp_path):
    trainer = make_trainer(tmp_path, gradient_accumulation_steps=2)
    trainer.train()
    for line in (line for line in trainer.state.log_history if "loss" in line):
        assert line["clips_per_second"] > 0
        expected = line["clips_per_second"] * trainer.flops_per_example / matmul_rate("cpu", torch.float32)
        assert line["model_flop_utilisation"] == pytest.approx(expected)
        assert line["grad_norm"] > 0
    assert trainer.state.total_flos == pytest.approx(trainer.flops_per_example * 3 * 8, rel=1e-6)

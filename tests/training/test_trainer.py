"""The trainer: losses, the frozen teacher, gradient accumulation, what is saved, what is logged."""

import copy

import pytest
import torch
from safetensors.torch import load_file
from torch.utils.data import default_convert

from modeling_retainmix.data.training_pairs import PairKey
from modeling_retainmix.encoders import BeatsForAudioClassification
from modeling_retainmix.losses import mixture_loss, tagging_loss, teacher_target
from modeling_retainmix.training.trainer import RetainMixTrainer


def make_trainer(student, args, pairs, feature_extractor, teacher=None):
    return RetainMixTrainer(student, args, train_dataset=pairs, feature_extractor=feature_extractor, teacher=teacher)


def state_copy(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


@pytest.fixture
def batch(pairs):
    return default_convert(pairs.__getitems__([PairKey(position, position, position) for position in range(4)]))


def test_when_batch_is_scored_then_loss_is_equations_4_to_7(
    student, teacher, feature_extractor, make_args, pairs, batch
):
    student.eval()
    args = make_args(alpha=0.5, beta=2.0, lam=0.25)
    trainer = make_trainer(student, args, pairs, feature_extractor, teacher)
    loss = trainer.compute_loss(student, batch)
    features = trainer.build_batch(batch)
    outputs = student(features.student_features)
    machine, noise = (teacher(part).last_hidden_state for part in features.teacher_features.chunk(2))
    expected = 0.5 * tagging_loss(outputs.logits, features.labels)
    expected = expected + 2.0 * mixture_loss(outputs.last_hidden_state, teacher_target(machine, noise, 0.25))
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_when_mixture_layer_is_given_then_that_layer_is_compared(
    student, teacher, feature_extractor, make_args, pairs, batch
):
    student.eval()
    args = make_args(alpha=0.0, mixture_layer=1)
    trainer = make_trainer(student, args, pairs, feature_extractor, teacher)
    features = trainer.build_batch(batch)
    hidden = student(features.student_features, output_hidden_states=True).hidden_states[1]
    parts = teacher(features.teacher_features, output_hidden_states=True).hidden_states[1].chunk(2)
    expected = mixture_loss(hidden, teacher_target(*parts, 0.5))
    assert trainer.compute_loss(student, batch).item() == pytest.approx(expected.item(), rel=1e-5)


def test_when_layers_of_the_teacher_are_given_then_their_mean_is_the_target(
    student, teacher, feature_extractor, make_args, pairs, batch
):
    student.eval()
    trainer = make_trainer(student, make_args(alpha=0.0, teacher_layers=[2, 1]), pairs, feature_extractor, teacher)
    features = trainer.build_batch(batch)
    hidden = teacher(features.teacher_features, output_hidden_states=True).hidden_states
    machine, noise = ((hidden[1] + hidden[2]) / 2).chunk(2)
    expected = mixture_loss(student(features.student_features).last_hidden_state, teacher_target(machine, noise))
    assert trainer.compute_loss(student, batch).item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("heads", [False, True])
def test_when_all_extras_of_the_mixture_loss_are_on_then_training_and_validation_name_their_parts(
    teacher, feature_extractor, make_args, pairs, student, heads
):
    options = {"pooled_weight": 2.0, "teacher_layers": [1, 2], "lam_from_snr": True, "separate_heads": heads}
    args = make_args(alpha=2.0, beta=3.0, snr_db=[-10.0, 10.0], **options)
    trainer = make_trainer(student, args, pairs, feature_extractor, teacher)
    trainer.train()
    for line in (entry for entry in trainer.state.log_history if "loss" in entry):
        of_mixture = line["loss_mixture"] + 2 * line["loss_pooled"]
        assert line["loss"] == pytest.approx(2 * line["loss_tagging"] + 3 * of_mixture, rel=1e-3)
    metrics = trainer.evaluate(pairs)
    of_mixture = metrics["eval_loss_mixture"] + 2 * metrics["eval_loss_pooled"]
    assert metrics["eval_loss"] == pytest.approx(2 * metrics["eval_loss_tagging"] + 3 * of_mixture, rel=1e-5)


def test_when_training_ends_then_student_moved_and_teacher_did_not(
    student, teacher, feature_extractor, make_args, pairs
):
    before_student, before_teacher = state_copy(student), state_copy(teacher)
    trainer = make_trainer(student, make_args(), pairs, feature_extractor, teacher)
    trainer.train()
    assert any(not torch.equal(value, before_student[name]) for name, value in student.state_dict().items())
    assert all(torch.equal(value, before_teacher[name]) for name, value in teacher.state_dict().items())
    assert not teacher.training
    assert all(parameter.grad is None for parameter in teacher.parameters())


def test_when_checkpoint_is_saved_then_it_holds_the_student_alone(
    student, teacher, feature_extractor, make_args, pairs, tmp_path
):
    trainer = make_trainer(student, make_args(save_strategy="steps", save_steps=3), pairs, feature_extractor, teacher)
    trainer.train()
    saved = load_file(tmp_path / "run" / "checkpoint-3" / "model.safetensors")
    assert set(saved) == set(student.state_dict())
    assert (tmp_path / "run" / "checkpoint-3" / "preprocessor_config.json").exists()


def test_when_gradients_accumulate_then_step_equals_that_of_one_large_batch(
    student, teacher, feature_extractor, make_args, pairs
):
    weights = []
    for batch_size, accumulation in [(8, 1), (4, 2)]:
        args = make_args(
            per_device_train_batch_size=batch_size,
            gradient_accumulation_steps=accumulation,
            optim="sgd",
            learning_rate=0.1,
            max_steps=2,
        )
        model = copy.deepcopy(student)
        make_trainer(model, args, pairs, feature_extractor, teacher).train()
        weights.append(model.state_dict())
    for name, value in weights[0].items():
        assert torch.allclose(value, weights[1][name], atol=1e-6), name


def test_when_step_is_logged_then_both_losses_and_the_snr_are_named(
    student, teacher, feature_extractor, make_args, pairs
):
    trainer = make_trainer(student, make_args(alpha=2.0, beta=3.0), pairs, feature_extractor, teacher)
    trainer.train()
    for line in (entry for entry in trainer.state.log_history if "loss" in entry):
        assert line["snr_db"] == 0.0
        assert line["loss"] == pytest.approx(2 * line["loss_tagging"] + 3 * line["loss_mixture"], rel=1e-3)


def test_when_run_is_repeated_then_losses_are_equal(student, teacher, feature_extractor, make_args, pairs):
    losses = []
    for _ in range(2):
        trainer = make_trainer(copy.deepcopy(student), make_args(), pairs, feature_extractor, teacher)
        trainer.train()
        losses.append([entry["loss"] for entry in trainer.state.log_history if "loss" in entry])
    assert losses[0] == losses[1]


def test_when_beta_is_zero_then_no_teacher_is_needed(student, feature_extractor, make_args, pairs):
    trainer = make_trainer(student, make_args(beta=0.0), pairs, feature_extractor)
    trainer.train()
    assert trainer.teacher is None
    assert "loss_mixture" not in trainer.state.log_history[0]


def test_when_teacher_is_missing_then_error_names_both_cures(student, feature_extractor, make_args, pairs):
    with pytest.raises(ValueError, match=r"teacher=.*beta=0"):
        make_trainer(student, make_args(), pairs, feature_extractor)


def test_when_teacher_has_another_width_then_error_names_both(
    student, teacher, tiny_config, feature_extractor, make_args, pairs
):
    other = copy.deepcopy(tiny_config)
    other.hidden_size = 32
    with pytest.raises(ValueError, match=r"hidden_size is 16 but the teacher's 32"):
        make_trainer(student, make_args(), pairs, feature_extractor, type(teacher)(other))


def test_when_student_has_other_classes_then_error_names_the_number(tiny_config, feature_extractor, make_args, pairs):

    tiny_config.num_labels = 3
    with pytest.raises(ValueError, match=r"3 outputs but the training data 5 classes"):
        make_trainer(BeatsForAudioClassification(tiny_config), make_args(beta=0.0), pairs, feature_extractor)

"""Resuming: which checkpoint is taken, when a training has come to its end, and how patience counts on."""

import pytest
from tiny_training import make_arguments
from transformers.trainer_callback import TrainerState

from modeling_retainmix.training.resume import chosen_checkpoint, early_stopping, finished_weights, read_state

EVALUATING = {"eval_strategy": "steps", "eval_steps": 1, "save_strategy": "steps", "save_steps": 1}
STOPPING = {**EVALUATING, "metric_for_best_model": "loss", "early_stopping_patience": 2}


def write_checkpoint(folder, step, **state):
    folder = folder / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    TrainerState(global_step=step, **state).save_to_json(str(folder / "trainer_state.json"))
    return str(folder)


def waiting(evaluations):
    """The state of early stopping, as a checkpoint holds it."""
    return {"EarlyStoppingCallback": {"args": {}, "attributes": {"early_stopping_patience_counter": evaluations}}}


@pytest.mark.parametrize("value", [None, "False", "false"])
def test_when_nothing_is_to_be_resumed_then_there_is_no_checkpoint(tmp_path, value):
    write_checkpoint(tmp_path, 2)
    assert chosen_checkpoint(make_arguments(tmp_path, resume_from_checkpoint=value)) is None


def test_when_the_newest_is_asked_for_then_the_highest_step_is_taken(tmp_path):
    for step in (2, 10, 4):
        write_checkpoint(tmp_path, step)
    args = make_arguments(tmp_path, resume_from_checkpoint="True")
    assert chosen_checkpoint(args) == str(tmp_path / "checkpoint-10")


def test_when_a_folder_is_given_then_it_is_taken(tmp_path):
    folder = write_checkpoint(tmp_path / "elsewhere", 4)
    assert chosen_checkpoint(make_arguments(tmp_path / "run", resume_from_checkpoint=folder)) == folder


def test_when_the_newest_is_asked_for_and_there_is_none_then_a_new_run_is_announced(tmp_path, capsys):
    assert chosen_checkpoint(make_arguments(tmp_path / "run", resume_from_checkpoint="True")) is None
    assert capsys.readouterr().out == f"{tmp_path}/run holds no checkpoint to resume from: a new run begins\n"


def test_when_the_named_folder_is_no_checkpoint_then_error_names_it(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent: it has no trainer_state\.json, give the folder of a check"):
        chosen_checkpoint(make_arguments(tmp_path / "run", resume_from_checkpoint="absent"))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"no_such_field": 1}', "[" * 100_000, "\x00"])
def test_when_the_state_is_damaged_then_its_file_is_named(tmp_path, text):
    folder = write_checkpoint(tmp_path, 2)
    (tmp_path / "checkpoint-2" / "trainer_state.json").write_text(text)
    with pytest.raises(ValueError, match=r"checkpoint-2/trainer_state\.json is damaged .*: resume from another"):
        read_state(folder)


@pytest.mark.parametrize(("steps", "best", "expected"), [(2, False, "last"), (2, True, "best"), (3, True, None)])
def test_when_all_steps_are_done_then_the_weights_are_those_that_the_training_ends_with(
    tmp_path, steps, best, expected
):
    state = TrainerState(global_step=2, best_model_checkpoint=str(tmp_path / "best"))
    args = make_arguments(tmp_path, **EVALUATING, load_best_model_at_end=best, max_steps=steps)
    found = finished_weights(args, str(tmp_path / "last"), state)
    assert found == (expected and str(tmp_path / expected))


def test_when_patience_has_run_out_then_the_training_is_finished_before_its_last_step(tmp_path):
    folder = write_checkpoint(tmp_path, 3, stateful_callbacks=waiting(2))
    args = make_arguments(tmp_path, **STOPPING, max_steps=9)
    assert finished_weights(args, folder, read_state(folder)) == folder


def test_when_patience_has_not_run_out_then_it_counts_on(tmp_path):
    folder = write_checkpoint(tmp_path, 2, stateful_callbacks=waiting(1))
    args = make_arguments(tmp_path, **STOPPING, max_steps=9)
    assert finished_weights(args, folder, read_state(folder)) is None
    assert early_stopping(args, read_state(folder)).early_stopping_patience_counter == 1
    assert early_stopping(args, read_state(None)).early_stopping_patience_counter == 0

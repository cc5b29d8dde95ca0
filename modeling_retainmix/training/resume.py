"""Resuming a run: the checkpoint to resume from, and whether the training in it has come to its end."""

from pathlib import Path
from typing import Any

from transformers import EarlyStoppingCallback, TrainingArguments
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_callback import TrainerState
from transformers.trainer_utils import get_last_checkpoint

from modeling_retainmix.training.arguments import RetainMixTrainingArguments


def chosen_checkpoint(args: TrainingArguments) -> str | None:
    """Return the checkpoint to resume from, None for a new run.

    `--resume_from_checkpoint True` means the newest one of the output folder. Where there is none it means a new run,
    so that one command does for both; the first process says so.

    Raises:
        FileNotFoundError: the named folder is no checkpoint.
    """
    name = args.resume_from_checkpoint
    if name is None or name.lower() == "false":
        return None
    if name.lower() == "true":
        newest = get_last_checkpoint(args.output_dir) if Path(str(args.output_dir)).is_dir() else None
        if newest is None and args.process_index == 0:
            print(f"{args.output_dir} holds no checkpoint to resume from: a new run begins")
        return newest
    if not Path(name, TRAINER_STATE_NAME).is_file():
        raise FileNotFoundError(
            f"--resume_from_checkpoint {name}: it has no {TRAINER_STATE_NAME}, give the folder of a checkpoint"
        )
    return name


def read_state(checkpoint: str | None) -> TrainerState:
    """Read the Trainer's state of a checkpoint; None: that of a new run.

    Raises:
        ValueError: the file is damaged; the message names it.
    """
    if checkpoint is None:
        return TrainerState()
    path = Path(checkpoint, TRAINER_STATE_NAME)
    try:
        return TrainerState.load_from_json(str(path))
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path} is damaged ({error}): resume from another checkpoint") from error


def finished_weights(args: RetainMixTrainingArguments, checkpoint: str | None, state: TrainerState) -> str | None:
    """Return the folder of the weights that a training ended with; None: steps are left.

    The end is the last step, or an evaluation at which the patience ran out; the Trainer would train on after both.
    """
    out_of_patience = 0 < args.early_stopping_patience <= evaluations_without_improvement(state)
    if not (args.max_steps <= state.global_step or out_of_patience):
        return None
    return (state.best_model_checkpoint if args.load_best_model_at_end else None) or checkpoint


def early_stopping(args: RetainMixTrainingArguments, state: TrainerState) -> EarlyStoppingCallback:
    """Make the callback that stops at `early_stopping_patience`; in a resumed run it counts on."""
    callback = EarlyStoppingCallback(args.early_stopping_patience)
    callback.early_stopping_patience_counter = evaluations_without_improvement(state)
    return callback


def evaluations_without_improvement(state: TrainerState) -> int:
    """Return how many evaluations in a row were not better than the best one, as early stopping counts them."""
    callbacks: Any = state.stateful_callbacks
    stopping = callbacks.get(EarlyStoppingCallback.__name__)
    return stopping["attributes"]["early_stopping_patience_counter"] if stopping else 0

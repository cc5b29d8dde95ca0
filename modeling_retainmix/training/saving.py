"""Checkpoints and models that are whole or absent, training arguments as JSON, and one push of the finished folder."""

import hashlib
import json
import pickle
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import Trainer
from transformers.trainer import OPTIMIZER_NAME, SCHEDULER_NAME, TRAINER_STATE_NAME, TRAINING_ARGS_NAME
from transformers.trainer_pt_utils import safe_globals
from transformers.trainer_utils import get_last_checkpoint, rotate_checkpoints
from transformers.utils import SAFE_WEIGHTS_NAME, WEIGHTS_NAME

from modeling_retainmix.atomic import moved_into, remove_abandoned, replace_folder
from modeling_retainmix.detection.load_encoder import embedding_layer
from modeling_retainmix.hub.card import write_unscored_card
from modeling_retainmix.hub.push import push_folder, repository_name
from modeling_retainmix.hub.remote_code import add_remote_code
from modeling_retainmix.training.arguments import RetainMixTrainingArguments
from modeling_retainmix.training.nonfinite import nonfinite_weights

STAGING_NAME = ".checkpoint-staging"
ARGUMENTS_NAME = "training_args.json"
AVERAGE_NAME, DATA_NAME = "average.json", "training_data.json"  # see model_records
RESULTS_NAME, CARD_NAME = "results.json", "README.md"

# What torch raises for a file of saved state that is hostile, damaged, or holds something else.
_UNREADABLE = (pickle.UnpicklingError, OSError, RuntimeError, EOFError, KeyError, TypeError, IndexError)


class SafeSavingTrainer(Trainer):
    """A `transformers.Trainer` that saves aside and renames, so that a kill leaves whole checkpoints and models.

    A saved model comes with `training_args.json` (access tokens masked) in place of the Trainer's pickled
    `training_args.bin`. Scores and card that lie in its folder are removed where they were of other weights.
    """

    args: RetainMixTrainingArguments

    _staging: Path | None = None

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """As in the Trainer; what a killed run left half written in the output folder is removed first."""
        if self.args.local_process_index == 0:
            _remove_staging(Path(self.args.output_dir))
        return super().train(*args, **kwargs)

    def _get_output_dir(self, trial: Any) -> str:
        return super()._get_output_dir(trial) if self._staging is None else str(self._staging)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Save into a staging folder of the run, which becomes the checkpoint by a rename.

        Raises:
            OSError: the checkpoint cannot be written; the message names step, folder, free space and what is left.
        """
        run_dir = Path(self._get_output_dir(trial))
        staging = run_dir / STAGING_NAME
        checkpoint = run_dir / f"checkpoint-{self.state.global_step}"
        on_this_node = self.args.local_process_index == 0
        if on_this_node:
            shutil.rmtree(staging, ignore_errors=True)
        self.accelerator.wait_for_everyone()
        self._staging = staging
        try:
            with _named_write_errors(f"the checkpoint of step {self.state.global_step}", run_dir):
                super()._save_checkpoint(model, trial)
                if self.state.best_model_checkpoint == str(staging / checkpoint.name):
                    self.state.best_model_checkpoint = str(checkpoint)
                    if self.args.should_save:
                        self.state.save_to_json(str(staging / checkpoint.name / TRAINER_STATE_NAME))
        finally:
            self._staging = None
        self.accelerator.wait_for_everyone()  # every process has written its random state
        if self.args.should_save:
            _publish(staging, checkpoint)
            rotate_checkpoints(str(run_dir), self.args.save_total_limit, self.state.best_model_checkpoint)
        self.accelerator.wait_for_everyone()
        if on_this_node and staging.is_dir():  # another node, with another disk
            _publish(staging, checkpoint)

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        """As in the Trainer, with the arguments as JSON; a model that is loaded meanwhile is the former one.

        Raises:
            FloatingPointError: a weight is not finite: the last step ruined the model, and no loss has shown it yet.
            OSError: the model cannot be written; the message names folder and free space.
        """
        folder = Path(output_dir or self.args.output_dir)
        if broken := nonfinite_weights(self.model):
            raise FloatingPointError(
                f"the weights are not finite after step {self.state.global_step} ({broken[0]} and {len(broken) - 1} "
                "others) and are not saved: lower --learning_rate, and resume from a checkpoint or start again"
            )
        if self._staging is not None or not self.args.should_save:  # a checkpoint is renamed as a whole
            self._write(folder, state_dict)
            return
        with _named_write_errors("the model", folder), moved_into(folder) as staging:
            self._write(staging, state_dict)
            if _digest(folder / SAFE_WEIGHTS_NAME) != _digest(staging / SAFE_WEIGHTS_NAME):
                remove_records_of_other_weights(folder)
                (folder / AVERAGE_NAME).unlink(missing_ok=True)

    def _write(self, folder: Path, state_dict: dict[str, Any] | None) -> None:
        super()._save(str(folder), state_dict)
        if self.args.should_save:
            (folder / TRAINING_ARGS_NAME).unlink()
            # With what follows from options, launcher and number of processes.
            arguments = json.loads(self.args.to_json_string()) | self.args.step_settings()
            (folder / ARGUMENTS_NAME).write_text(json.dumps(arguments, indent=2) + "\n", encoding="utf-8")

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        with _refused_pickles(resume_from_checkpoint, WEIGHTS_NAME):
            super()._load_from_checkpoint(resume_from_checkpoint, model)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        with _refused_pickles(checkpoint, OPTIMIZER_NAME, SCHEDULER_NAME):
            super()._load_optimizer_and_scheduler(checkpoint)

    def _load_rng_state(self, checkpoint: str | None) -> None:
        names = f"rng_state_{self.args.process_index}.pth", "rng_state.pth"
        with _refused_pickles(checkpoint, *names):
            super()._load_rng_state(checkpoint)

    def push_to_hub(
        self,
        commit_message: str | None = None,
        blocking: bool = True,
        token: str | None = None,
        revision: str | None = None,
        private: bool | None = None,
        **kwargs: Any,
    ) -> str | None:
        """Save the model into the output folder, its source and card beside it, and upload it as one commit.

        The card is the one that a scored run wrote for these weights, else one without scores.

        Args:
            commit_message: title of the commit.
            blocking: has to stay True.
            token: access token; None: `args.hub_token`, else that of the environment.
            revision: has to stay None.
            private: None: `args.hub_private_repo`.
            kwargs: not taken.

        Returns:
            The address of the commit; None on every process but the main one.

        Raises:
            ValueError: an option that a push of one folder does not have, and as `push_folder` raises.
        """
        if kwargs or revision is not None or not blocking:
            raise ValueError("a push is one blocking commit on the main branch: leave out revision, blocking, ...")
        self.save_model(_internal_call=True)
        if self.args.process_index != 0:  # not `should_save`: with `save_on_each_node` that is one for every node
            return None
        token = token or self.args.hub_token
        name = repository_name(self.args.hub_model_id or Path(self.args.output_dir).name, token)
        add_remote_code(self.args.output_dir)
        if not Path(self.args.output_dir, RESULTS_NAME).is_file():
            write_unscored_card(self.args.output_dir, self._record(name))
        return push_folder(
            self.args.output_dir,
            name,
            private=bool(self.args.hub_private_repo if private is None else private),
            token=token,
            commit_message=commit_message or "End of training",
        )

    def _record(self, name: str) -> dict[str, Any]:
        """Return what the card of a model of this name says without scores."""
        pairs, config = self.train_dataset, self.model.config
        return {
            "settings": self.args.method_settings(),
            "data": {
                "training_machine_clips": len(pairs.machines),
                "training_noise_clips": len(pairs.noise),
                "classes": len(pairs.class_names),
            },
            "model": {
                "name": name,
                "num_parameters": self.model.num_parameters(),
                "embedding_layer": embedding_layer(config),
                "base_model": config.name_or_path or None,
            },
        }


def remove_records_of_other_weights(folder: Path) -> None:
    """Remove what a folder whose weights are replaced says of their training and scores, with the card of these."""
    (folder / DATA_NAME).unlink(missing_ok=True)
    if (folder / RESULTS_NAME).is_file():
        (folder / RESULTS_NAME).unlink()
        (folder / CARD_NAME).unlink(missing_ok=True)


def _publish(staging: Path, checkpoint: Path) -> None:
    """Rename the staged checkpoint into place; one of the same step, of an earlier run, gives way."""
    replace_folder(staging / checkpoint.name, checkpoint)
    shutil.rmtree(staging)


def _remove_staging(folder: Path) -> None:
    """Remove what a killed run left half written; a run has its output folder for itself."""
    shutil.rmtree(folder / STAGING_NAME, ignore_errors=True)
    remove_abandoned(folder)


def _digest(path: Path) -> str | None:
    """Return the SHA-256 of a file; None: the file does not exist."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _named_write_errors(what: str, folder: Path) -> Iterator[None]:
    """Turn the errors of a full disk, which seldom name a file, into one that says what, where and what is left."""
    try:
        yield
    except (OSError, SafetensorError, RuntimeError) as error:  # torch.save raises RuntimeError
        place, last = "", None
        if folder.is_dir():
            place = f" ({shutil.disk_usage(folder).free / 2**20:.0f} MiB free)"
            last = get_last_checkpoint(str(folder))
        cure = f"resume from {last}, which is whole" if last else "start again"
        raise OSError(f"cannot save {what} in {folder}{place}: {error}. Make room and {cure}") from error


@contextmanager
def _refused_pickles(checkpoint: str | None, *names: str) -> Iterator[None]:
    """Turn the error of a state that cannot be read into one that names its file.

    torch's message about a pickle with more than tensors advises to load it all the same, which runs what is in it.

    Args:
        checkpoint: folder of the states.
        names: files of states; those that exist are tried in their order.

    Raises:
        ValueError: a file holds more than tensors and plain values, or is damaged.
    """
    try:
        yield
    except _UNREADABLE as error:
        paths = [path for path in (Path(str(checkpoint), name) for name in names) if path.is_file()]
        faults = [f"{path} {fault}" for path in paths if (fault := _fault(path))]
        if not faults and isinstance(error, (KeyError, TypeError, IndexError)):
            faults = [f"{path} holds something else than the state of a training" for path in paths]
        if faults:
            raise ValueError(f"{faults[0]}: resume from another checkpoint, or start again") from None
        raise


def _fault(path: Path) -> str | None:
    """Return what is wrong with a file of saved state; None: it can be read."""
    try:
        with safe_globals():  # what the random state of NumPy consists of
            torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        unsupported = re.search(r"GLOBAL (\S+)", str(error))
        content = unsupported[1] if unsupported else "a pickle"
        return f"holds more than tensors and plain values ({content}), so that reading it could run code"
    except _UNREADABLE as error:
        return f"is damaged ({str(error).splitlines()[0] if str(error) else type(error).__name__})"
    return None

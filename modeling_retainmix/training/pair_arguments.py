"""`PairTrainingArguments`: the options that all trainers of this package share, and the Trainer's that none takes."""

from dataclasses import dataclass, field, fields
from typing import Any

from accelerate.utils import parse_flag_from_env
from transformers import TrainingArguments

_PRECISIONS = {"no": "float32", "bf16": "bfloat16", "fp16": "float16"}
# What `accelerate launch` sets for its processes, by its own options or the file of `accelerate config`.
_SHARDING = ("ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED")


@dataclass
class PairTrainingArguments(TrainingArguments):
    """Training arguments of a `PairTrainer`.

    Raises:
        ValueError: an option of the Trainer that these trainings cannot take; the message names it and the cure.
    """

    ddp_find_unused_parameters: bool | None = field(
        default=False, metadata={"help": "Look at every step for parameters without a gradient; none is without."}
    )
    ddp_timeout: int = field(
        default=6 * 3600,
        metadata={"help": "Seconds that processes wait for each other, at first for one of them to make the data."},
    )
    logging_nan_inf_filter: bool = field(
        default=False, metadata={"help": "Must stay off: a loss that is not finite ends the training."}
    )
    # The dataset's columns (clips, lengths, positions) are not arguments of the model's forward, and have to be kept.
    remove_unused_columns: bool = field(
        default=False, metadata={"help": "Must stay off: clips become features later."}
    )

    def __post_init__(self) -> None:
        # First, since the Trainer's own check of DeepSpeed imports it.
        if self.fsdp or self.deepspeed or any(parse_flag_from_env(name) for name in _SHARDING):
            raise ValueError(
                "FSDP and DeepSpeed do not fit models of this size: train with several processes (DDP), without "
                "--use_fsdp, --use_deepspeed or a configuration of accelerate that names them"
            )
        super().__post_init__()
        if self.logging_nan_inf_filter:
            raise ValueError("logging_nan_inf_filter must stay off: a loss that is not finite ends the training")
        if self.remove_unused_columns:
            raise ValueError("remove_unused_columns must stay off: the clips would be dropped before they are mixed")
        if self.max_steps < 1:
            raise ValueError(f"max_steps must be at least 1, got {self.max_steps}: epochs are not counted here")
        if self.num_train_epochs != _default("num_train_epochs"):
            raise ValueError(
                f"num_train_epochs is {self.num_train_epochs:g}, but epochs are not counted here: give max_steps"
            )

    def step_settings(self) -> dict[str, Any]:
        """Return what a step computes: its clips over all processes, and in what the matrix products are computed."""
        clips = self.train_batch_size * self.gradient_accumulation_steps * self.world_size
        return {"clips_per_step": clips, "precision": _PRECISIONS[self.mixed_precision]}


def _default(name: str) -> Any:
    return next(one.default for one in fields(TrainingArguments) if one.name == name)

"""`RunArguments`: which data, which starting encoder and which evaluation a run of `train_accelerate.py` uses."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modeling_retainmix.data.benchmark_arguments import BenchmarkArguments, json_object


@dataclass(kw_only=True)
class RunArguments(BenchmarkArguments):
    """Options of a run beside those of the benchmark and of the training itself (`RetainMixTrainingArguments`)."""

    _argument_group_name = "data, starting encoder and evaluation"  # the heading in --help

    model: str | None = field(
        default=None,
        metadata={
            "help": "Encoder to start from: folder, Hub name or original .pt; default: the small BEATs of the recipe, "
            "which a checkout holds in hub_cards/retainmix-beats-tiny-teacher, and which is trained first elsewhere."
        },
    )
    teacher: str | None = field(
        default=None, metadata={"help": "The frozen teacher, named as --model; default: the encoder started from."}
    )
    encoder_config: dict | str | None = field(
        default=None,
        metadata={"help": "Configuration of the small encoder to start from where no --model is given (JSON)."},
    )
    train_teacher: bool = field(
        default=False, metadata={"help": "Train that encoder even where the checkout holds it trained."}
    )
    teacher_clip_seconds: float | None = field(
        default=None, metadata={"help": "Length of a clip in that training, in seconds; default: as in training."}
    )
    teacher_steps: int = field(default=0, metadata={"help": "Optimizer steps of that training."})
    teacher_learning_rate: float = field(default=1e-3, metadata={"help": "Peak learning rate of that training."})
    teacher_batch_size: int = field(default=32, metadata={"help": "Pairs of clips of one step of that training."})
    train_data: list[str] | None = field(
        default=None,
        metadata={
            "help": "Machine sounds to train on: the references of folders in a layout of DCASE Task 2 or with a "
            "metadata.csv, or of data sets on the Hub; default: the procedural factory."
        },
    )
    train_noise: str | None = field(
        default=None,
        metadata={"help": "Noise to train on with --train_data, a folder or a data set on the Hub; default: --noise."},
    )
    train_license: str | None = field(
        default=None,
        metadata={
            "help": "Licence of --train_data and --train_noise, an identifier of the Hub such as cc-by-nc-sa-4.0. The "
            "model card states it, and gives it to the model."
        },
    )
    train_on_references: bool = field(
        default=False,
        metadata={"help": "Add the references of the evaluation and their noise to the training data (Table 5)."},
    )
    validation_share: float = field(
        default=0.0,
        metadata={
            "help": "Share of the training clips of each class that is set aside for --eval_strategy, in [0, 1)."
        },
    )
    eval_clip_seconds: float | None = field(
        default=None, metadata={"help": "Length of an evaluation clip in seconds; default: as in training."}
    )
    also_score: str | None = field(
        default=None,
        metadata={
            "help": "Encoder to score beside the trained one, at its own layer, named as --model: the table gets its "
            "rows. retainmix-beats-tiny is the one that comes with the package."
        },
    )
    best_layer: bool = field(
        default=False,
        metadata={
            "help": "With --eval_data: score the teacher's best layer too, which is chosen on validation machines of "
            "the procedural factory (generated for it, about a minute, once). Without --eval_data it is always scored."
        },
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.encoder_options = json_object("encoder_config", self.encoder_config)
        if self.train_teacher and self.model is not None:
            raise ValueError("--train_teacher trains the encoder to start from, and --model names one: leave one out")
        if self.train_data and self.noise is None and self.train_noise is None:
            raise ValueError("--train_data and --noise belong together: give noise to mix the machine sounds with")
        if not self.train_data and self.train_noise is not None:
            raise ValueError("--train_noise and --train_data belong together: give the machine sounds too")
        if not self.train_data and self.train_license is not None:
            raise ValueError("--train_license is that of --train_data: procedural sounds have none, leave it out")
        if self.noise is not None and not self.train_data and self.eval_data is None:
            raise ValueError("--noise belongs to --train_data or --eval_data: give one of the two")
        if not 0.0 <= self.validation_share < 1.0:
            raise ValueError(f"--validation_share must be in [0, 1), got {self.validation_share}")

    def starting_settings(self) -> dict[str, Any]:
        """Return where the encoders came from, by name, as the model card prints it."""
        if self.model is not None:
            return {"model": Path(self.model).name, "teacher": Path(self.teacher or self.model).name}
        fields = ("teacher_clip_seconds", "teacher_steps", "teacher_learning_rate", "teacher_batch_size")
        return {"encoder_config": self.encoder_options} | {name: getattr(self, name) for name in fields}

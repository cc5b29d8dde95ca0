"""`RetainMixTrainingArguments`: the options of the method beside those of the Trainer."""

from dataclasses import dataclass, field, fields
from typing import Literal

from transformers.trainer_utils import HubStrategy

from modeling_retainmix.mixing import check_snr
from modeling_retainmix.training.pair_arguments import PairTrainingArguments


@dataclass(kw_only=True)
class MethodArguments:
    """The options of the method, which every model card lists; the defaults are the paper's (section 4.2).

    Beyond the paper, and off by default: `lam_from_snr`, `separate_heads`, `teacher_layers`, `pooled_weight`,
    `faulty_share` and `foreign_share`.
    """

    alpha: float = field(default=1.0, metadata={"help": "Weight of the tagging loss (Eq. 7)."})
    beta: float = field(default=1.0, metadata={"help": "Weight of the mixture loss (Eq. 7); 0 needs no teacher."})
    lam: float = field(default=0.5, metadata={"help": "Weight of the machine sound in the teacher's average (Eq. 5)."})
    lam_from_snr: bool = field(
        default=False,
        metadata={
            "help": "Let the weight in the teacher's average follow the SNR of each mixture: the machine's share of "
            "the amplitude, lam at 0 dB (`losses.amplitude_share`)."
        },
    )
    separate_heads: bool = field(
        default=False,
        metadata={
            "help": "Two linear heads predict the teacher's tokens of the machine sound and of the noise apart, in "
            "place of their average (Eq. 5). They serve the training alone: no saved model holds them."
        },
    )
    teacher_layers: list[int] | None = field(
        default=None,
        metadata={
            "help": "Layers of the teacher whose mean stands for its tokens (Eq. 5, 6); default: the one of "
            "--mixture_layer."
        },
    )
    pooled_weight: float = field(
        default=0.0,
        metadata={
            "help": "Weight, within the mixture loss, of the same error after the mean over time, which is what a "
            "detector compares; 0: none."
        },
    )
    faulty_share: float = field(
        default=0.0,
        metadata={
            "help": "Share of faulty machines among the classes of the procedural training sounds, so that the "
            "student keeps deviations."
        },
    )
    foreign_share: float = field(
        default=0.0,
        metadata={"help": "Share of sounds unlike any machine among the classes of the procedural training sounds."},
    )
    snr_db: list[float] = field(
        default_factory=lambda: [0.0],
        metadata={"help": "SNR of training mixtures in dB: one value, or the bounds of a uniform draw per clip."},
    )
    level: Literal["unit_noise", "target"] = field(
        default="target",
        metadata={
            "help": "Level of the mixture: 'unit_noise' (Eq. 3 as written) or 'target' (same SNR, the machine sound "
            "keeps its recorded level).",
        },
    )
    teacher_inputs: Literal["mixture_level", "recorded"] = field(
        default="mixture_level",
        metadata={
            "help": "What the teacher hears: the two sources as they stand in the mixture ('mixture_level'), or as "
            "they were recorded ('recorded').",
        },
    )
    tag_noise: bool = field(
        default=True,
        metadata={"help": "Label the noise too (Eq. 4); False: the machines alone (Eq. 1, the denoising baseline)."},
    )
    mixup: Literal["none", "linear", "snr"] = field(
        default="none",
        metadata={
            "help": "Mixture of two noisy mixtures: 'linear' (soft labels) or 'snr' (Eq. 3, union of the labels). "
            "For tagging without a teacher."
        },
    )
    mixup_alpha: float = field(
        default=0.2, metadata={"help": "Linear mixup: the ratio is drawn from Beta(mixup_alpha, mixup_alpha)."}
    )
    mixture_layer: int | None = field(
        default=None, metadata={"help": "Layer at which student and teacher are compared (Eq. 6); default: the last."}
    )
    embedding_layer: int | None = field(
        default=None,
        metadata={"help": "Layer that the detector reads, written into the model's configuration; default: the last."},
    )
    time_mask_width: int = field(
        default=192, metadata={"help": "SpecAugment: largest width of the time mask, in frames of 10 ms; 0: none."}
    )
    frequency_mask_width: int = field(
        default=48, metadata={"help": "SpecAugment: largest width of the frequency mask, in mel bands; 0: none."}
    )
    clip_seconds: float = field(
        default=10.0,
        metadata={"help": "Length of a training clip in seconds; longer clips are cut at a random start."},
    )


@dataclass(kw_only=True)
class AddedArguments(MethodArguments):
    """Everything that this package adds to `transformers.TrainingArguments`."""

    early_stopping_patience: int = field(
        default=0,
        metadata={"help": "Stop after so many evaluations without a better metric_for_best_model; 0: never."},
    )


@dataclass
class RetainMixTrainingArguments(PairTrainingArguments, AddedArguments):
    """Training arguments of RetainMix; the defaults are the paper's where it gives a value (section 4.2).

    Raises:
        ValueError: options that do not fit together; the message names them.
    """

    _argument_group_name = "method, then transformers.TrainingArguments"  # the heading in --help

    METHOD_FIELDS = tuple(field.name for field in fields(MethodArguments))
    OPTIMIZATION_FIELDS = ("learning_rate", "weight_decay", "lr_scheduler_type", "warmup_steps", "max_steps", "seed")
    # The names of `method_settings`.
    SETTINGS = (*METHOD_FIELDS, *OPTIMIZATION_FIELDS, "clips_per_step", "precision")

    # The paper's optimization, where the Trainer's defaults differ (section 4.2).
    learning_rate: float = field(default=1e-4, metadata={"help": "Peak learning rate of AdamW."})
    weight_decay: float = field(default=1e-3, metadata={"help": "Weight decay of AdamW."})
    lr_scheduler_type: str = field(default="cosine", metadata={"help": "Schedule of the learning rate."})
    warmup_steps: float = field(default=200, metadata={"help": "Optimizer steps of linear warm-up."})
    max_steps: int = field(default=20_000, metadata={"help": "Optimizer steps."})
    per_device_train_batch_size: int = field(default=64, metadata={"help": "Clips of one forward on one device."})
    gradient_accumulation_steps: int = field(default=2, metadata={"help": "Forwards per optimiser step."})

    hub_strategy: str = field(
        default="end", metadata={"help": "Must stay 'end': a push is one commit of the finished folder."}
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.alpha < 0 or self.beta < 0 or self.alpha + self.beta == 0:
            raise ValueError(f"alpha and beta must be >= 0 and not both 0, got alpha={self.alpha}, beta={self.beta}")
        if not 0.0 <= self.lam <= 1.0:
            raise ValueError(f"lam must be in [0, 1], got {self.lam}")
        check_snr(self.snr_db)
        if self.teacher_layers is not None and (
            not self.teacher_layers
            or len(set(self.teacher_layers)) < len(self.teacher_layers)
            or min(self.teacher_layers) < 1
        ):
            raise ValueError(f"teacher_layers takes layers from 1 on, each once, got {self.teacher_layers}")
        if self.pooled_weight < 0:
            raise ValueError(f"pooled_weight must not be negative, got {self.pooled_weight}")
        of_mixture_loss = ("lam_from_snr", "separate_heads", "teacher_layers", "pooled_weight")
        if self.beta == 0 and (given := [name for name in of_mixture_loss if getattr(self, name)]):
            raise ValueError(f"{', '.join(given)} belong to the mixture loss: give beta > 0, or leave them out")
        if self.mixup not in ("none", "linear", "snr"):
            raise ValueError(f"mixup must be 'none', 'linear' or 'snr', got {self.mixup!r}")
        if self.mixup_alpha <= 0:
            raise ValueError(f"mixup_alpha must be positive, got {self.mixup_alpha}")
        if self.mixup != "none" and (self.beta > 0 or self.per_device_train_batch_size % 2):
            raise ValueError(
                f"mixup={self.mixup!r} has no teacher's average for the mixture loss and joins clips in pairs: set "
                f"beta=0 and an even per_device_train_batch_size, got beta={self.beta} and "
                f"{self.per_device_train_batch_size}"
            )
        if self.early_stopping_patience > 0 and (self.eval_strategy == "no" or self.metric_for_best_model is None):
            raise ValueError(
                f"early_stopping_patience={self.early_stopping_patience} counts evaluations: give eval_strategy "
                "('steps' or 'epoch') and metric_for_best_model (say 'loss'), or leave it out"
            )
        if self.push_to_hub and HubStrategy(self.hub_strategy) != HubStrategy.END:
            raise ValueError(
                f"hub_strategy must be 'end', got {self.hub_strategy}: a push is one commit of the finished folder"
            )
        if self.clip_seconds <= 0:
            raise ValueError(f"clip_seconds must be positive, got {self.clip_seconds}")

    def method_settings(self) -> dict[str, object]:
        """Return the options that make the method, by name, as the model card prints them."""
        settings = {name: getattr(self, name) for name in (*self.METHOD_FIELDS, *self.OPTIMIZATION_FIELDS)}
        settings["lr_scheduler_type"] = str(getattr(self.lr_scheduler_type, "value", self.lr_scheduler_type))
        return settings | self.step_settings()

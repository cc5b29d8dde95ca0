"""Options of self-supervised pre-training: the method and its extras in one class, the data in another."""

from dataclasses import dataclass, field
from typing import Any, Literal

from modeling_retainmix.data.benchmark_arguments import BenchmarkArguments, json_object
from modeling_retainmix.training.pair_arguments import PairTrainingArguments

# About 2.1 million parameters.
ENCODER = {
    "hidden_size": 192,
    "num_hidden_layers": 4,
    "num_attention_heads": 3,
    "intermediate_size": 768,
    "patch_embed_size": 192,
    "layerdrop": 0.0,
    "layer_wise_gradient_decay_ratio": 1.0,
    "padding_rule": "conv",
}


@dataclass
class PretrainingArguments(PairTrainingArguments):
    """Training arguments of masked patch prediction; the fields of METHOD_FIELDS are those of the method."""

    encoder_config: dict | str | None = field(
        default=None, metadata={"help": "Configuration of the encoder where it differs from the small one (JSON)."}
    )
    clip_seconds: float = field(default=4.0, metadata={"help": "Length of a clip in seconds."})
    source_shares: list[float] = field(
        default_factory=lambda: [0.25, 0.25, 0.5],
        metadata={"help": "Shares of machine clips, noise clips and mixtures of both among the examples."},
    )
    snr_db: list[float] = field(
        default_factory=lambda: [-10.0, 20.0],
        metadata={"help": "SNR of the mixtures in dB: one value, or the bounds of a uniform draw per clip."},
    )
    gain_db: float = field(
        default=10.0, metadata={"help": "Recordings are made louder or softer by up to so many dB, drawn per clip."}
    )
    clip_level: list[float] | None = field(
        default_factory=lambda: [-0.15],
        metadata={
            "help": "Mean of a clip's normalized log-mel features: one value, which the saved feature extractor has, "
            "or the bounds of a uniform draw per clip, after which clips are heard as recorded. No value: as recorded."
        },
    )
    mask_ratio: float = field(default=0.75, metadata={"help": "Share of the patches that the encoder does not see."})
    num_codes: int = field(default=1024, metadata={"help": "Code vectors of a codebook of the tokenizer."})
    code_size: int = field(default=256, metadata={"help": "Dimensions of a code vector."})
    num_codebooks: int = field(default=1, metadata={"help": "Codes of a patch, each with its projection."})
    calibration_clips: int = field(
        default=256, metadata={"help": "Training clips whose mean and deviation standardize all targets."}
    )
    predictor_layers: int = field(default=1, metadata={"help": "Transformer layers of the predictor."})
    predictor_size: int = field(default=192, metadata={"help": "Width of the predictor."})
    statistics_weight: float = field(
        default=0.0,
        metadata={
            "help": "Weight of the regression of mean, deviation and deviation of frame differences of every mel bin "
            "of the unmasked clip from the mean of the visible tokens; 0: none."
        },
    )
    statistics_pool: Literal["clip", "band"] = field(
        default="clip", metadata={"help": "Mean of all visible tokens, or of those of each row of patches."}
    )
    tokenizer_model: str | None = field(
        default=None,
        metadata={
            "help": "Second iteration: folder, Hub name or original .pt of the encoder whose tokens become codes."
        },
    )
    tokenizer_layer: int | None = field(
        default=None, metadata={"help": "Layer of it that is read; default: the one that its configuration names."}
    )
    ema_decay: float = field(
        default=0.9995, metadata={"help": "Decay per step of the average of the weights, which is what is saved."}
    )
    probe_steps: int = field(
        default=2000, metadata={"help": "Score the average on the probe's machines every so many steps; 0: never."}
    )
    probe_backend: Literal["knn", "mahalanobis"] = field(
        default="mahalanobis", metadata={"help": "By whose score at its best layer the best weights are chosen."}
    )

    # Small batches of many steps; a constant rate, whose run can be prolonged at any time: the average takes the place
    # of a decay.
    learning_rate: float = field(default=1e-3, metadata={"help": "Learning rate of AdamW after the warm-up."})
    weight_decay: float = field(default=1e-2, metadata={"help": "Weight decay of AdamW."})
    adam_beta2: float = field(default=0.98, metadata={"help": "Second beta of AdamW; BEATs has 0.98."})
    lr_scheduler_type: str = field(default="constant_with_warmup", metadata={"help": "Schedule of the learning rate."})
    warmup_steps: float = field(default=500, metadata={"help": "Steps of linear warm-up."})
    max_steps: int = field(default=100_000, metadata={"help": "Optimizer steps."})
    per_device_train_batch_size: int = field(default=32, metadata={"help": "Clips of one forward on one device."})
    logging_steps: float = field(default=100, metadata={"help": "Steps between two lines of the log."})
    save_steps: float = field(default=1000, metadata={"help": "Steps between two checkpoints."})
    save_total_limit: int | None = field(default=2, metadata={"help": "Checkpoints that are kept."})

    METHOD_FIELDS = (
        "clip_seconds",
        "source_shares",
        "snr_db",
        "gain_db",
        "clip_level",
        "mask_ratio",
        "num_codes",
        "code_size",
        "num_codebooks",
        "calibration_clips",
        "predictor_layers",
        "predictor_size",
        "statistics_weight",
        "statistics_pool",
        "tokenizer_model",
        "tokenizer_layer",
        "ema_decay",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.encoder_options = ENCODER | json_object("encoder_config", self.encoder_config)
        if not 0 < self.mask_ratio < 1:
            raise ValueError(f"mask_ratio must be between 0 and 1, got {self.mask_ratio}")
        if len(self.source_shares) != 3 or min(self.source_shares) < 0 or sum(self.source_shares) <= 0:
            raise ValueError(f"source_shares takes three shares (machine, noise, mixture), got {self.source_shares}")
        for name in ("snr_db", "clip_level"):
            bounds = getattr(self, name)
            if bounds is not None and (not 1 <= len(bounds) <= 2 or bounds[0] > bounds[-1]):
                raise ValueError(f"{name} takes one value, or a lower and an upper bound, got {bounds}")
        for name in ("clip_seconds", "num_codes", "code_size", "num_codebooks", "calibration_clips"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        if not 0 <= self.ema_decay < 1:
            raise ValueError(f"ema_decay must be in [0, 1), got {self.ema_decay}")
        if self.gain_db < 0 or self.statistics_weight < 0 or self.probe_steps < 0:
            raise ValueError(
                "gain_db, statistics_weight and probe_steps must not be negative, got "
                f"{self.gain_db}, {self.statistics_weight} and {self.probe_steps}"
            )
        if self.statistics_pool not in ("clip", "band"):
            raise ValueError(f"statistics_pool must be 'clip' or 'band', got {self.statistics_pool!r}")
        if self.gradient_checkpointing:
            raise ValueError(
                "gradient_checkpointing is not of a pre-training, whose encoder sees the visible patches alone: lower "
                "per_device_train_batch_size and raise gradient_accumulation_steps"
            )
        if self.push_to_hub:
            raise ValueError(
                "push_to_hub is not of a pre-training: call `retainmix push OUTPUT_DIR/best NAME` when it has ended"
            )

    @property
    def use_level(self) -> float | None:
        """Return the clip level of probe and saved feature extractor: the training's fixed one; None: as recorded."""
        return self.clip_level[0] if self.clip_level is not None and len(self.clip_level) == 1 else None

    def method_settings(self) -> dict[str, Any]:
        """Return the options that make the method, by name."""
        optimization = ("learning_rate", "weight_decay", "warmup_steps", "max_steps", "seed")
        settings = {name: getattr(self, name) for name in (*self.METHOD_FIELDS, *optimization)}
        settings["encoder_config"] = self.encoder_options
        return settings | self.step_settings()


@dataclass(kw_only=True)
class PretrainingData(BenchmarkArguments):
    """Which sounds are learned from, and which machines the probe scores (the benchmark of `BenchmarkArguments`)."""

    allow_noise_reuse: bool = field(
        default=True,
        metadata={"help": "Mix a noise segment into more than one clip of the probe where it must."},
    )
    train_data: list[str] | None = field(
        default=None,
        metadata={
            "help": "Folders of sounds or data sets on the Hub to learn from, in any layout or in none; default: the "
            "training machines of the procedural factory."
        },
    )
    train_noise: list[str] | None = field(
        default=None,
        metadata={"help": "Noise for --train_data, alike; default: the sounds are mixed with one another."},
    )
    probe_machines: int = field(
        default=3, metadata={"help": "Validation machines of the procedural factory that the probe scores; 0: all."}
    )
    probe_snr_db: float = field(default=0.0, metadata={"help": "SNR of the probe in dB."})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.train_noise and not self.train_data:
            raise ValueError("--train_noise belongs to --train_data: give the sounds too")
        if self.probe_machines < 0:
            raise ValueError(f"--probe_machines must not be negative, got {self.probe_machines}")

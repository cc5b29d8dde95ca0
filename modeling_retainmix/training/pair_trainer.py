"""What the trainers of this package share: the sampler, the collation and the logging of named loss parts."""

from typing import Any

import torch
from torch.utils.data import Sampler, default_convert
from transformers import PreTrainedModel, Trainer

from modeling_retainmix.data.training_pairs import TrainingPairs
from modeling_retainmix.training.arguments import RetainMixTrainingArguments
from modeling_retainmix.training.sampler import PairSampler


class PairTrainer(Trainer):
    """A `transformers.Trainer` over `TrainingPairs`; subclasses compute the loss from a batch of int16 clips.

    Args:
        model: the model to train.
        args: training arguments.
        train_dataset: the pairs.
        feature_extractor: saved with every checkpoint.
        kwargs: further arguments of `transformers.Trainer`.
    """

    args: RetainMixTrainingArguments

    # compute_loss returns the mean over the batch at hand: the Trainer has to divide it under gradient accumulation.
    loss_is_scaled_for_ga = False

    def __init__(
        self,
        model: PreTrainedModel,
        args: RetainMixTrainingArguments,
        train_dataset: TrainingPairs,
        feature_extractor: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            model=model,
            args=args,
            train_dataset=train_dataset,
            data_collator=default_convert,  # __getitems__ of the dataset returns whole batches already
            processing_class=feature_extractor,
            **kwargs,
        )
        self._parts: dict[str, list[torch.Tensor]] = {}

    def _get_train_sampler(self, train_dataset: TrainingPairs | None = None) -> Sampler:
        pairs = train_dataset if train_dataset is not None else self.train_dataset
        clips_per_step = self.args.train_batch_size * self.args.gradient_accumulation_steps * self.args.world_size
        # Whole optimiser steps only: an epoch then means the same for any number of processes.
        num_samples = max(len(pairs) // clips_per_step, 1) * clips_per_step
        return PairSampler(pairs.machine_classes, pairs.noise_classes, num_samples, self.args.seed)

    def record_parts(self, **parts: torch.Tensor) -> None:
        """Adds scalars to the averages that the next log line shows beside the loss."""
        for name, value in parts.items():
            self._parts.setdefault(name, []).append(value.detach().float())

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Logs as the Trainer does, with the loss parts averaged over the steps and processes since the last line."""
        if "loss" in logs and self._parts:
            names = sorted(self._parts)
            means = torch.stack([torch.stack(self._parts[name]).mean() for name in names])
            means = self.accelerator.reduce(means, reduction="mean")
            logs = {**logs, **dict(zip(names, means.tolist(), strict=True))}
            self._parts = {}
        super().log(logs, start_time)

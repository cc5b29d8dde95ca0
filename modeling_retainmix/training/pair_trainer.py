"""`PairTrainer`: what the trainers of this package share: sampler, named loss parts, speed, and the stop at a NaN."""

from typing import Any

import torch
from torch.utils.data import Sampler, default_convert
from transformers import PreTrainedModel, TrainerCallback

from modeling_retainmix.data.training_pairs import TrainingPairs
from modeling_retainmix.training.arguments import RetainMixTrainingArguments
from modeling_retainmix.training.nonfinite import stop_at_nonfinite_loss
from modeling_retainmix.training.sampler import PairSampler, SequentialPairSampler
from modeling_retainmix.training.saving import SafeSavingTrainer
from modeling_retainmix.training.throughput import StepClock, matmul_rate
from modeling_retainmix.training.time_estimate import TimeEstimate


class PairTrainer(SafeSavingTrainer):
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

    # Floating-point operations of one example, forward and backward; None where the subclass does not count them.
    flops_per_example: float | None = None

    _sampler: PairSampler

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
        self._clock = StepClock()
        self.add_callback(_StepCallback(self))
        self.add_callback(TimeEstimate())

    def _get_train_sampler(self, train_dataset: TrainingPairs | None = None) -> Sampler:
        pairs = train_dataset if train_dataset is not None else self.train_dataset
        # Whole optimizer steps only: an epoch then means the same for any number of processes.
        num_samples = max(len(pairs) // self._examples_per_step, 1) * self._examples_per_step
        self._sampler = PairSampler(pairs.machine_classes, pairs.noise_classes, num_samples, self.args.seed)
        return self._sampler

    def _get_eval_sampler(self, eval_dataset: TrainingPairs) -> Sampler:
        return SequentialPairSampler(len(eval_dataset), eval_dataset.noise_classes, self.args.seed)

    @property
    def _examples_per_step(self) -> int:
        return self.args.train_batch_size * self.args.gradient_accumulation_steps * self.args.world_size

    def get_batch_samples(self, *args: Any, **kwargs: Any) -> Any:
        """As in the Trainer; a step, and its time, begin with the reading of its clips."""
        self._clock.start()
        return super().get_batch_samples(*args, **kwargs)

    def training_step(
        self, model: torch.nn.Module, inputs: dict[str, Any], num_items_in_batch: torch.Tensor | int | None = None
    ) -> torch.Tensor:
        """As in the Trainer.

        Raises:
            FloatingPointError: the loss is not finite; the message names step, clips and the file of the batch.
        """
        loss = super().training_step(model, inputs, num_items_in_batch)
        if not torch.isfinite(loss):
            with torch.no_grad():
                inputs = self._prepare_inputs(inputs)
                _, outputs = self.compute_loss(self.model, inputs, return_outputs=True)
            stop_at_nonfinite_loss(
                loss.item(), self.state.global_step + 1, inputs, outputs, self.model, self.train_dataset, self.args
            )
        return loss

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        """Count the operations of one forward and backward of a batch; the Trainer sums them up in its state."""
        return round((self.flops_per_example or 0) * len(inputs["position"]))

    def record_parts(self, **parts: torch.Tensor) -> None:
        """Add scalars to the averages that the next log line shows beside the loss."""
        for name, value in parts.items():
            self._parts.setdefault(name, []).append(value.detach().float())

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log as the Trainer does; a line with a loss also holds its parts and the speed since the last such line.

        The parts are averaged over steps and processes. `clips_per_second` counts the machine clips of all processes,
        `model_flop_utilisation` is the share of the rate that plain matrix products reach on this device; both leave
        out evaluation and saving.
        """
        if "loss" in logs and self._parts:
            names = sorted(self._parts)
            means = torch.stack([torch.stack(self._parts[name]).mean() for name in names])
            means = self.accelerator.reduce(means, reduction="mean")
            logs = {**logs, **dict(zip(names, means.tolist(), strict=True))}
            self._parts = {}
        if "loss" in logs and (steps_per_second := self._clock.rate()) is not None:
            logs["clips_per_second"] = steps_per_second * self._examples_per_step
            if self.flops_per_example is not None:
                flops = self.flops_per_example * logs["clips_per_second"] / self.args.world_size
                logs["model_flop_utilisation"] = flops / matmul_rate(self.args.device.type, self.compute_dtype)
        super().log(logs, start_time)

    @property
    def compute_dtype(self) -> torch.dtype:
        """The dtype of the matrix products: bfloat16 or float16 under mixed precision."""
        return {"bf16": torch.bfloat16, "fp16": torch.float16}.get(self.accelerator.mixed_precision, torch.float32)


class _StepCallback(TrainerCallback):
    """Move the sampler to its epoch, and stop the clock before evaluation and saving.

    Accelerate sets a sampler's epoch, but not through the two wrappers of a resumed run of several processes.
    """

    def __init__(self, trainer: PairTrainer) -> None:
        self.trainer = trainer

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.trainer._sampler.set_epoch(int(state.epoch or 0))

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.trainer._clock.stop()

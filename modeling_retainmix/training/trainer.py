"""`RetainMixTrainer`: a transformers Trainer whose student hears mixtures; its frozen teacher hears their sources."""

from pathlib import Path
from typing import Any

import torch
from transformers import EvalPrediction, PreTrainedModel

from modeling_retainmix.data.training_pairs import TrainingPairs
from modeling_retainmix.losses import retainmix_loss, tagging_loss
from modeling_retainmix.training.arguments import RetainMixTrainingArguments
from modeling_retainmix.training.frozen_teacher import freeze_teacher
from modeling_retainmix.training.mixture_batch import MixtureBatch, MixtureBatchBuilder
from modeling_retainmix.training.pair_trainer import PairTrainer
from modeling_retainmix.training.separation_heads import (
    add_separation_heads,
    load_separation_heads,
    save_separation_heads,
    separation_heads,
)
from modeling_retainmix.training.tagging_metrics import macro_average_precision
from modeling_retainmix.training.throughput import forward_flops
from modeling_retainmix.training.token_alignment import TokenAlignment


class RetainMixTrainer(PairTrainer):
    """Train a student to tag both sources of a mixture and to land on the teacher's average (Eq. 3 to 7).

    Args:
        model: the student, an audio classification model with one output per class of `train_dataset`.
        args: training arguments; `alpha`, `beta`, `lam`, `snr_db` and the others of the method.
        teacher: a frozen encoder, or the folder or Hub name of one; not needed with `beta=0`. It stays outside the
            student: it is neither saved, nor optimised, nor wrapped, only moved to the device, in the dtype of the
            matrix products (a copy where its dtype differs).
        train_dataset: pairs of machine clips and noise clips.
        eval_dataset: pairs for validation, with the same classes (`TrainingPairs.split`). `evaluate` gives the losses
            and, where tagging is on, the macro average precision, without masks, mixup or dropped layers.
        feature_extractor: turns waveforms into the features of both encoders.
        kwargs: further arguments of `transformers.Trainer`.

    Raises:
        ValueError: a teacher is missing, or its patch grid or width differs from the student's, or the student's
            number of outputs differs from the number of classes.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        args: RetainMixTrainingArguments,
        *,
        train_dataset: TrainingPairs,
        feature_extractor: Any,
        teacher: PreTrainedModel | str | None = None,
        eval_dataset: TrainingPairs | None = None,
        **kwargs: Any,
    ) -> None:
        num_classes = len(train_dataset.class_names)
        if model.config.num_labels != num_classes:
            raise ValueError(
                f"the student has {model.config.num_labels} outputs but the training data {num_classes} classes: "
                f"load it with num_labels={num_classes} and ignore_mismatched_sizes=True"
            )
        if args.separate_heads:
            add_separation_heads(model)
        super().__init__(
            model,
            args,
            train_dataset,
            feature_extractor,
            eval_dataset=eval_dataset,
            compute_metrics=self._validation_metrics,
            **kwargs,
        )
        self.teacher: Any = None
        if args.beta > 0:
            depth = max(args.teacher_layers) if args.teacher_layers else args.mixture_layer
            self.teacher = freeze_teacher(teacher, model.config, depth, self.accelerator.device, self.compute_dtype)
        self.align = TokenAlignment(args, model.config)
        self.build_batch = MixtureBatchBuilder(
            feature_extractor,
            args,
            num_classes=num_classes,
            num_machine_classes=len(train_dataset.machine_class_names),
            num_layers=model.config.num_hidden_layers,
            layerdrop=model.config.layerdrop,
        )

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """Return Eq. 7 for a batch of `TrainingPairs`; both losses come from one forward of the wrapped student."""
        args = self.args
        batch = self.build_batch(inputs)
        if self.flops_per_example is None:
            self.flops_per_example = self._count_flops(batch)
        outputs = self._forward(model, batch)
        tagging = tagging_loss(outputs.logits, batch.labels)
        mixture = tagging.new_zeros(())
        if batch.teacher_features is not None:
            losses = self._mixture_losses(outputs, batch)
            mixture = self.align.total(losses)
            self.record_parts(**losses)
        self.record_parts(loss_tagging=tagging, snr_db=batch.snr_db.mean())
        loss = retainmix_loss(tagging, mixture, args.alpha, args.beta)
        return (loss, outputs) if return_outputs else loss

    @torch.no_grad()
    def prediction_step(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        prediction_loss_only: bool,
        ignore_keys: list[str] | None = None,
    ) -> tuple[None, tuple[torch.Tensor, ...], torch.Tensor]:
        """Return logits, tagging losses and (with a teacher) losses of the mixture of every clip, and the labels.

        The losses are not averaged here, since the last batch of several processes repeats clips, which the Trainer
        drops after it has gathered the rows.
        """
        batch = self.build_batch(self._prepare_inputs(inputs), augment=False)
        outputs = self._forward(model, batch)
        predictions = [outputs.logits.float(), tagging_loss(outputs.logits, batch.labels, per_clip=True)]
        if batch.teacher_features is not None:
            predictions += self._mixture_losses(outputs, batch, per_clip=True).values()
        return None, tuple(predictions), batch.labels

    def _validation_metrics(self, prediction: EvalPrediction) -> dict[str, float]:
        logits, tagging, *mixture = prediction.predictions
        names = ("loss_tagging", "loss_mixture", "loss_pooled")
        parts = {name: float(values.mean()) for name, values in zip(names, (tagging, *mixture), strict=False)}
        of_mixture = parts.get("loss_mixture", 0.0) + self.args.pooled_weight * parts.get("loss_pooled", 0.0)
        loss = self.args.alpha * parts["loss_tagging"] + self.args.beta * of_mixture
        if self.args.alpha > 0:
            parts["macro_average_precision"] = macro_average_precision(logits, prediction.label_ids)
        return {"loss": loss, **parts}

    def _forward(self, model: torch.nn.Module, batch: MixtureBatch) -> Any:
        return model(
            input_values=batch.student_features,
            layer_keep=batch.layer_keep,
            output_hidden_states=self.args.mixture_layer is not None,
        )

    def _count_flops(self, batch: MixtureBatch) -> float:
        """Count for one example: forward and backward of the student, forward of the teacher on both sources."""
        flops = 3.0 * forward_flops(self.model, input_values=batch.student_features[:1])
        if batch.teacher_features is not None:
            flops += 2.0 * forward_flops(self.teacher, input_values=batch.teacher_features[:1])
        return flops

    def _tokens(self, outputs: Any) -> torch.Tensor:
        layer = self.args.mixture_layer
        return outputs.last_hidden_state if layer is None else outputs.hidden_states[layer]

    def _mixture_losses(self, outputs: Any, batch: MixtureBatch, per_clip: bool = False) -> dict[str, torch.Tensor]:
        machine, noise = self._teacher_tokens(batch.teacher_features)
        heads = separation_heads(self.model)
        return self.align(self._tokens(outputs).float(), machine, noise, batch.snr_db, heads, per_clip)

    @torch.no_grad()
    def _teacher_tokens(self, features: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        """Return the teacher's tokens of machine sounds and noises, from one pass over both."""
        layers = self.args.teacher_layers
        wanted: Any = layers or self.args.mixture_layer is not None
        outputs = self.teacher(input_values=features, output_hidden_states=wanted)
        if layers is None:
            return self._tokens(outputs).float().chunk(2)
        return torch.stack([outputs.hidden_states[layer].float() for layer in layers]).mean(dim=0).chunk(2)

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        super()._save(output_dir, state_dict)
        if output_dir is not None and self._staging is not None and self.args.should_save:
            save_separation_heads(self.model, Path(output_dir))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: torch.nn.Module | None = None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        load_separation_heads(self.model, Path(resume_from_checkpoint))

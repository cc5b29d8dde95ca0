"""Train a small encoder from scratch by tagging clean machine sounds and noises, one source at a time.

The paper starts from a self-supervised encoder. Where none is at hand, as in the demo, this stage makes a teacher
whose embeddings separate machines.
"""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import set_seed

from modeling_retainmix.atomic import moved_into
from modeling_retainmix.data.clips import to_waveform
from modeling_retainmix.data.training_pairs import TrainingPairs
from modeling_retainmix.encoders import BeatsConfig, BeatsFeatureExtractor, BeatsForAudioClassification
from modeling_retainmix.losses import tagging_loss
from modeling_retainmix.training.arguments import RetainMixTrainingArguments
from modeling_retainmix.training.pair_trainer import PairTrainer
from modeling_retainmix.training.run_arguments import RunArguments

# What a checkout holds trained; a wheel leaves it out.
TINY_TEACHER = Path(__file__).resolve().parents[2] / "hub_cards" / "retainmix-beats-tiny-teacher"


def starting_encoder(run_args: RunArguments) -> str | None:
    """Return the encoder that a run starts from: `--model`, else the trained one of this checkout.

    Args:
        run_args: of the run; `encoder_options` is the configuration of the small encoder that it asks for.

    Returns:
        Folder or Hub name; None where the run has to train the encoder first: `--train_teacher` asks for it, there is
        no checkout, or the encoder in it is of another configuration.
    """
    if run_args.model is not None or run_args.train_teacher:
        return run_args.model
    if not run_args.encoder_options or not (TINY_TEACHER / "config.json").is_file():
        return None
    config = BeatsConfig.from_pretrained(TINY_TEACHER)
    same = all(getattr(config, name) == value for name, value in run_args.encoder_options.items())
    return str(TINY_TEACHER) if same else None


class SourceTaggingTrainer(PairTrainer):
    """Train a classifier on the two clips of each pair apart: no mixing, one label each (Eq. 4 without a mixture).

    Clips keep their recorded level. The model's outputs are the classes of the data set, machines before noise.
    """

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """Return the binary cross-entropy over all classes, mean over the 2 * batch clips."""
        with torch.no_grad():
            waveforms = to_waveform(
                torch.cat([inputs["machine"], inputs["noise"]]),
                torch.cat([inputs["machine_scale"], inputs["noise_scale"]]),
            )
            features = self.processing_class.extract_features(waveforms)
        classes = torch.cat([inputs["machine_class"], inputs["noise_class"]])
        outputs = model(input_values=features)
        labels = torch.nn.functional.one_hot(classes, outputs.logits.shape[-1])
        loss = tagging_loss(outputs.logits, labels)
        accuracy = (outputs.logits.argmax(dim=-1) == classes).float().mean()
        self.record_parts(accuracy=accuracy)
        return (loss, outputs) if return_outputs else loss


def train_teacher(
    run_args: RunArguments, args: RetainMixTrainingArguments, machines: Dataset, noise: Dataset, output_dir: str
) -> None:
    """Train a small BEATs by source tagging and saves it, with its feature extractor.

    Args:
        run_args: configuration of the encoder; clip length, steps, learning rate and batch size.
        args: everything else of the training: devices, precision, seed, logging.
        machines, noise: tables of training clips.
        output_dir: folder of the saved teacher.
    """
    set_seed(args.seed)
    pairs = TrainingPairs(machines, noise, run_args.teacher_clip_seconds or args.clip_seconds, seed=args.seed)
    labels = dict(enumerate(pairs.class_names))
    config = BeatsConfig(
        **run_args.encoder_options,
        id2label=labels,
        label2id={name: index for index, name in labels.items()},
        problem_type="multi_label_classification",
    )
    model = BeatsForAudioClassification(config)
    # Every class is rare: start at its frequency, so that the first steps are not spent on learning that.
    torch.nn.init.constant_(model.classifier.bias, -math.log(len(labels) - 1))
    changes: dict[str, Any] = {
        "output_dir": output_dir,
        "max_steps": run_args.teacher_steps,
        "learning_rate": run_args.teacher_learning_rate,
        "warmup_steps": run_args.teacher_steps // 10,
        "per_device_train_batch_size": max(run_args.teacher_batch_size // args.world_size, 1),
        "gradient_accumulation_steps": 1,
        "save_strategy": "no",
        "eval_strategy": "no",
        "early_stopping_patience": 0,
        "load_best_model_at_end": False,
        "mixup": "none",
    }
    trainer = SourceTaggingTrainer(model, replace(args, **changes), pairs, BeatsFeatureExtractor())
    trainer.train()
    if args.should_save:
        with moved_into(output_dir) as staging:
            model.save_pretrained(staging)
            trainer.processing_class.save_pretrained(staging)
    trainer.accelerator.wait_for_everyone()

"""Training data, encoders and a trainer of a size that trains in a second; run as a script by the tests of processes.

python tiny_training.py OPTIONS_AS_JSON
"""

import json
import os
import signal
import sys
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset, Features, List, Value

from modeling_retainmix.data.training_pairs import TrainingPairs
from modeling_retainmix.encoders import BeatsConfig, BeatsFeatureExtractor, BeatsForAudioClassification, BeatsModel
from modeling_retainmix.training.arguments import RetainMixTrainingArguments
from modeling_retainmix.training.trainer import RetainMixTrainer

CLIP_SECONDS = 0.4


def make_table(rows):
    features = {name: Value("string") for name in rows[0] if name != "audio"} | {"audio": List(Value("int16"))}
    return Dataset.from_list(rows, features=Features(features))


def make_pairs(label_noise=True):
    generator = np.random.default_rng(0)
    time = np.arange(int(CLIP_SECONDS * 16000)) / 16000

    def clip(frequency):
        tone = 4000 * np.sin(2 * np.pi * frequency * time)
        return (tone + 300 * generator.standard_normal(len(time))).astype(np.int16)

    machines = make_table(
        [
            {"audio": clip(300 * (1 + index % 3)), "machine_type": "fan", "attributes": f"id_{index % 3}"}
            for index in range(24)
        ]
    )
    noise = make_table(
        [{"audio": clip(3000 + 500 * (index % 2)), "noise_class": f"hall_{index % 2}"} for index in range(8)]
    )
    return TrainingPairs(machines, noise, CLIP_SECONDS, label_noise=label_noise)


def make_config(pairs, **options):
    labels = dict(enumerate(pairs.class_names))
    return BeatsConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        patch_embed_size=8,
        id2label=labels,
        label2id={name: index for index, name in labels.items()},
        problem_type="multi_label_classification",
        **options,
    )


def make_arguments(output_dir, **options):
    defaults = {
        "output_dir": str(output_dir),
        "clip_seconds": CLIP_SECONDS,
        "max_steps": 3,
        "warmup_steps": 0,
        "per_device_train_batch_size": 4,
        "gradient_accumulation_steps": 1,
        "learning_rate": 1e-2,
        "time_mask_width": 8,
        "frequency_mask_width": 16,
        "logging_steps": 1,
        "save_strategy": "no",
        "disable_tqdm": True,
        "use_cpu": True,
        "ddp_timeout": 600,  # ends a test whose processes wait for each other
    }
    return RetainMixTrainingArguments(**defaults | options)


def make_trainer(output_dir, validation_share=0.0, trainer_class=RetainMixTrainer, config=None, **options):
    """A trainer whose student and teacher have the same weights at every call."""
    args = make_arguments(output_dir, **options)
    pairs, validation = make_pairs(args.tag_noise), None
    if validation_share > 0:
        pairs, validation = pairs.split(validation_share, seed=0)
    config = make_config(pairs, **config or {})
    torch.manual_seed(1)
    student, teacher = BeatsForAudioClassification(config), BeatsModel(config)
    return trainer_class(
        student,
        args,
        train_dataset=pairs,
        eval_dataset=validation,
        teacher=teacher if args.beta > 0 else None,
        feature_extractor=BeatsFeatureExtractor(),
    )


def logged(trainer, *names):
    """The values of the named entries in every log line of a step."""
    return [[line[name] for name in names] for line in trainer.state.log_history if "loss" in line]


class KilledTrainer(RetainMixTrainer):
    """Kills its own process without warning after step `kill_at`: in the next step, or in the next save."""

    kill_at = 0
    kill_in_save = False

    def training_step(self, *args, **kwargs):
        if not self.kill_in_save and self.state.global_step == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().training_step(*args, **kwargs)

    def _save_rng_state(self, output_dir):
        if self.kill_in_save and self.state.global_step > self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        super()._save_rng_state(output_dir)


def record_batches(trainer):
    """Lists position, noise row and SNR of every clip that this process mixes."""
    batches = []
    build = trainer.build_batch

    def recording(inputs, augment=True):
        batch = build(inputs, augment)
        if augment:
            rows = zip(inputs["position"].tolist(), inputs["noise_row"].tolist(), batch.snr_db.tolist(), strict=True)
            batches.append(list(rows))
        return batch

    trainer.build_batch = recording
    return batches


def run_in_processes(cases, output_dir):
    """Trains every case in this process group; each process writes what it saw."""
    rank = int(os.environ["RANK"])
    report = {}
    for name, options in cases.items():
        options = dict(options)
        # A folder for each process shows what each of them writes.
        folder = f"{name}-{rank}" if options.pop("own_folder", False) else name
        resume = options.pop("resume_from_checkpoint", None)
        trainer = make_trainer(Path(output_dir) / folder, **options)
        batches = record_batches(trainer)
        trainer.train(resume_from_checkpoint=resume and str(Path(output_dir) / resume))
        report[name] = {
            "world_size": trainer.args.world_size,
            "losses": logged(trainer, "loss", "grad_norm"),
            "batches": batches,
            "metrics": trainer.evaluate() if trainer.eval_dataset is not None else {},
            "weights": {key: value.flatten().tolist() for key, value in trainer.model.state_dict().items()},
        }
    (Path(output_dir) / f"report-{rank}.json").write_text(json.dumps(report))
    trainer.end()


if __name__ == "__main__":
    request = json.loads(sys.argv[1])
    if "cases" in request:
        run_in_processes(**request)
    else:
        KilledTrainer.kill_at = request.pop("kill_at")
        KilledTrainer.kill_in_save = request.pop("kill_in_save", False)
        make_trainer(trainer_class=KilledTrainer, **request).train()

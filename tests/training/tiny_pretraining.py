"""A pre-training of seconds; run as a script by the test of two processes.

python tiny_pretraining.py OPTIONS_AS_JSON
"""

import json
import os
import sys
from pathlib import Path

import numpy as np
from tiny_training import CLIP_SECONDS, make_pairs, make_table

from modeling_retainmix.data.training_pairs import TrainingPairs
from modeling_retainmix.training.pretraining import make_trainer
from modeling_retainmix.training.pretraining_arguments import PretrainingArguments

ENCODER = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "patch_embed_size": 16,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
}


def make_arguments(output_dir, **options):
    defaults = {
        "output_dir": str(output_dir),
        "encoder_config": ENCODER,
        "clip_seconds": CLIP_SECONDS,
        "num_codes": 16,
        "code_size": 8,
        "calibration_clips": 16,
        "predictor_size": 16,
        "statistics_weight": 0.5,
        "max_steps": 4,
        "warmup_steps": 0,
        "per_device_train_batch_size": 4,
        "learning_rate": 3e-3,
        "ema_decay": 0.9,
        "probe_steps": 0,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": True,
        "ddp_timeout": 600,  # ends a test whose processes wait for each other
    }
    return PretrainingArguments(**defaults | options)


def make_pretraining(output_dir, probe=None, pairs=None, **options):
    """A trainer with the same weights at every call."""
    return make_trainer(pairs or make_pairs(), make_arguments(output_dir, **options), probe)


def make_colored_pairs():
    """Machines of four kinds, noise with one or the other half of its octaves, with or without pauses."""
    generator = np.random.default_rng(0)
    samples = int(CLIP_SECONDS * 16000)
    octave = np.log2(np.fft.rfftfreq(samples, 1 / 16000).clip(40) / 40).astype(int)  # 0 to 7

    def clip(kind):
        loud = octave % 2 == kind % 2
        sound = np.fft.irfft(np.where(loud, 1.0, 0.03) * np.fft.rfft(generator.standard_normal(samples)), n=samples)
        if kind > 1:
            sound *= np.where(np.arange(samples) // 1000 % 2, 1.0, 0.01)
        return (3000 * sound / sound.std()).astype(np.int16)

    machines = [{"audio": clip(n % 4), "machine_type": f"kind_{n % 4}", "attributes": ""} for n in range(24)]
    noise = [{"audio": clip(n % 4), "noise_class": f"kind_{n % 4}"} for n in range(8)]
    return TrainingPairs(make_table(machines), make_table(noise), CLIP_SECONDS)


def logged(trainer):
    """Loss, its parts and norm of the gradient at every step."""
    names = ("loss", "loss_codes", "loss_statistics", "grad_norm")
    return [[line[name] for name in names] for line in trainer.state.log_history if "loss" in line]


def run_in_processes(output_dir, **options):
    """Trains in this process group; each process writes what it saw."""
    trainer = make_pretraining(Path(output_dir) / "run", **options)
    trainer.train()
    report = {
        "world_size": trainer.args.world_size,
        "losses": logged(trainer),
        "average": {name: value.flatten().tolist() for name, value in trainer.average.state_dict().items()},
    }
    (Path(output_dir) / f"report-{os.environ['RANK']}.json").write_text(json.dumps(report))
    trainer.end()


if __name__ == "__main__":
    run_in_processes(**json.loads(sys.argv[1]))

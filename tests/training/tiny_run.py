"""A main job of seconds: tiny tables, a tiny encoder, and recordings of a plant."""

import json

import numpy as np
import soundfile

from modeling_retainmix.training.main import main

RATE = 16000
FACTORY = {
    "instances_per_type": 2,
    "clips_per_instance": 1,
    "clips_per_noise_class": 2,
    "source_references": 3,
    "target_references": 1,
    "tests_per_cell": 1,
    "segments_per_kind": 8,
}
ENCODER = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "patch_embed_size": 16,
}


def write(path, seconds=1.2, rate=RATE, level=0.1, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, level * np.random.default_rng(seed).standard_normal(int(seconds * rate)), rate)


def options_of(tmp_path, cache_dir, *options):
    return [
        *("--cache_dir", str(cache_dir), "--output_dir", str(tmp_path / "out"), "--data_workers", "1"),
        *("--factory_config", json.dumps(FACTORY), "--encoder_config", json.dumps(ENCODER)),
        *("--clip_seconds", "1", "--teacher_clip_seconds", "1", "--teacher_steps", "2", "--max_steps", "2"),
        *("--teacher_batch_size", "2", "--per_device_train_batch_size", "2", "--embedding_layer", "1"),
        *("--disable_tqdm", "True", "--use_cpu", "True", "--cpu_threads", "1"),
        *map(str, options),
    ]


def run(tmp_path, cache_dir, *options):
    main(options_of(tmp_path, cache_dir, *options))

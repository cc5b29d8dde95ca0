"""The example that pre-trains an encoder, run as its users run it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from transformers import AutoModel

SCRIPT = Path(__file__).parents[2] / "examples" / "pretrain_beats.py"
SHORT = ["--max_steps", "2", "--warmup_steps", "0", "--per_device_train_batch_size", "2", "--calibration_clips", "4"]


def run(tmp_path, *options):
    places = ["--output_dir", str(tmp_path / "out"), "--cache_dir", str(tmp_path / "cache")]
    command = [sys.executable, str(SCRIPT), *places, "--use_cpu", "True", "--probe_steps", "0", *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_when_run_on_a_folder_of_sounds_then_an_encoder_of_two_million_parameters_is_written(tmp_path):
    (tmp_path / "sounds").mkdir()
    for seed in range(2):
        sound = np.random.default_rng(seed).normal(0, 0.1, 24000)
        soundfile.write(tmp_path / "sounds" / f"{seed}.wav", sound, 16000)
    done = run(tmp_path, "--train_data", str(tmp_path / "sounds"), "--clip_seconds", "1", "--bf16", "True", *SHORT)
    assert done.returncode == 0, done.stderr
    encoder = AutoModel.from_pretrained(tmp_path / "out" / "last")
    assert 2e6 < encoder.num_parameters() < 4e6


@pytest.mark.slow
def test_when_folder_is_missing_then_one_line_says_so(tmp_path):
    done = run(tmp_path, "--train_data", str(tmp_path / "nowhere"))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"error: {tmp_path / 'nowhere'} does not exist")

"""Training data and encoders of a size that trains in a second."""

import numpy as np
import pytest
from datasets import Dataset, Features, List, Value

from modeling_retainmix.data.training_pairs import TrainingPairs
from modeling_retainmix.encoders import BeatsConfig, BeatsFeatureExtractor, BeatsForAudioClassification, BeatsModel
from modeling_retainmix.training.arguments import RetainMixTrainingArguments

CLIP_SECONDS = 0.4


def _table(rows):
    features = {name: Value("string") for name in rows[0] if name != "audio"} | {"audio": List(Value("int16"))}
    return Dataset.from_list(rows, features=Features(features))


@pytest.fixture(scope="session")
def pairs():
    generator = np.random.default_rng(0)
    time = np.arange(int(CLIP_SECONDS * 16000)) / 16000

    def clip(frequency):
        return (4000 * np.sin(2 * np.pi * frequency * time) + 300 * generator.standard_normal(len(time))).astype(
            np.int16
        )

    machines = _table(
        [
            {"audio": clip(300 * (1 + index % 3)), "machine_type": "fan", "attributes": f"id_{index % 3}"}
            for index in range(24)
        ]
    )
    noise = _table(
        [{"audio": clip(3000 + 500 * (index % 2)), "noise_class": f"hall_{index % 2}"} for index in range(8)]
    )
    return TrainingPairs(machines, noise, CLIP_SECONDS)


@pytest.fixture
def tiny_config(pairs):
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
    )


@pytest.fixture
def student(tiny_config):
    return BeatsForAudioClassification(tiny_config)


@pytest.fixture
def teacher(tiny_config):
    return BeatsModel(tiny_config)


@pytest.fixture
def feature_extractor():
    return BeatsFeatureExtractor()


@pytest.fixture
def make_args(tmp_path):
    def make(**options):
        defaults = {
            "output_dir": str(tmp_path / "run"),
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
        }
        return RetainMixTrainingArguments(**defaults | options)

    return make

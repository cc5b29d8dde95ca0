"""Detector and trainer take any encoder family through the Auto classes."""

import numpy as np
import pytest
import torch
from datasets import Dataset, Features, List, Value
from families import FAMILIES
from transformers import AutoFeatureExtractor, AutoModel, AutoModelForAudioClassification

from modeling_retainmix.data.training_pairs import TrainingPairs
from modeling_retainmix.detection.detector import AnomalyDetector
from modeling_retainmix.training.arguments import RetainMixTrainingArguments
from modeling_retainmix.training.trainer import RetainMixTrainer


@pytest.fixture(params=FAMILIES)
def checkpoint(request, tmp_path):
    """A saved classifier with four outputs, and its feature extractor."""
    family = FAMILIES[request.param]
    family.classifier(num_labels=4, problem_type="multi_label_classification").save_pretrained(tmp_path / "model")
    family.extractor_class().save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def hum(seed: int, frequency: float = 200.0) -> np.ndarray:
    time = np.arange(16_000) / 16_000
    noise = np.random.default_rng(seed).standard_normal(16_000)
    return (0.2 * np.sin(2 * np.pi * frequency * time) + 0.02 * noise).astype(np.float32)


def test_detector_scores_another_sound_higher_than_the_one_it_knows(checkpoint):
    detector = AnomalyDetector.from_pretrained(checkpoint, layer=2)
    detector.fit(np.stack([hum(seed) for seed in range(8)]), sampling_rate=16_000)
    known, other = detector.score(np.stack([hum(100), hum(101, 1900.0)]), sampling_rate=16_000)
    assert 0 < known < other


def test_trainer_trains_a_student_against_a_teacher_of_its_family(checkpoint, tmp_path):
    def table(column, names):
        rows = [
            {"audio": (hum(seed, 300.0 * (1 + seed % 2)) * 32767).astype(np.int16), column: name, "attributes": ""}
            for seed, name in enumerate(names)
        ]
        types = {name: Value("string") for name in (column, "attributes")} | {"audio": List(Value("int16"))}
        return Dataset.from_list(rows, features=Features(types))

    pairs = TrainingPairs(table("machine_type", ["fan", "pump"] * 4), table("noise_class", ["hall", "yard"] * 2), 1.0)
    student = AutoModelForAudioClassification.from_pretrained(checkpoint)
    before = {name: value.clone() for name, value in student.state_dict().items()}
    args = RetainMixTrainingArguments(
        output_dir=str(tmp_path / "run"), max_steps=2, per_device_train_batch_size=4, report_to="none", use_cpu=True
    )
    trainer = RetainMixTrainer(
        student,
        args,
        train_dataset=pairs,
        feature_extractor=AutoFeatureExtractor.from_pretrained(checkpoint),
        teacher=AutoModel.from_pretrained(checkpoint),
    )
    assert np.isfinite(trainer.train().training_loss)
    moved = [name for name, value in student.state_dict().items() if not torch.equal(value, before[name])]
    assert len(moved) > len(before) // 2

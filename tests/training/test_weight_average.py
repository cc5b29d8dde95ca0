"""The mean of the weights of several students: against a plain mean, and what has none."""

import json
import shutil

import numpy as np
import pytest
import torch
from huggingface_hub import ModelCard
from safetensors.torch import load_file, save_file
from tiny_run import run
from tiny_training import make_trainer
from transformers import AutoFeatureExtractor, AutoModel

from modeling_retainmix import AnomalyDetector
from modeling_retainmix.encoders import BeatsConfig, BeatsFeatureExtractor, BeatsForAudioClassification, BeatsModel
from modeling_retainmix.evaluation.results import read_results
from modeling_retainmix.training.model_records import read_average, write_training_data
from modeling_retainmix.training.weight_average import average_models


@pytest.fixture(scope="module")
def students(tmp_path_factory):
    """Three students of one start, trained for three steps with seeds of their own."""
    folders = [tmp_path_factory.mktemp("students") / f"student-{seed}" for seed in range(3)]
    for seed, folder in enumerate(folders):
        trainer = make_trainer(folder, seed=seed)
        trainer.train()
        trainer.save_model()
    return folders


def test_every_tensor_is_the_mean_of_those_of_the_parts_and_heads_are_left_out(students, tmp_path):
    returned = average_models(students, tmp_path / "mean")
    parts = [load_file(folder / "model.safetensors") for folder in students]
    weights = load_file(tmp_path / "mean" / "model.safetensors")
    assert {f"beats.{name}" for name in weights} == {name for name in parts[0] if name.startswith("beats.")}
    moved = 0.0
    for name, tensor in weights.items():
        expected = torch.stack([part[f"beats.{name}"].double() for part in parts]).mean(dim=0)
        torch.testing.assert_close(tensor.double(), expected, rtol=0, atol=1e-6)
        moved += (tensor - parts[0][f"beats.{name}"]).abs().max().item()
    assert moved > 0.1  # the parts differ
    loaded = AutoModel.from_pretrained(tmp_path / "mean")
    assert (loaded.config.num_labels, loaded.config.problem_type) == (2, None)  # as of a model without a head
    assert loaded.config.embedding_layer == 2
    clip = AutoFeatureExtractor.from_pretrained(tmp_path / "mean")(
        torch.randn(8000).numpy(), sampling_rate=16000, return_tensors="pt"
    )
    twin = BeatsModel(loaded.config).eval()
    twin.load_state_dict({name: sum(part[f"beats.{name}"] for part in parts) / 3 for name in weights})
    with torch.no_grad():
        torch.testing.assert_close(loaded(**clip)[0], twin(**clip)[0], rtol=0, atol=1e-5)
        torch.testing.assert_close(loaded(**clip)[0], returned(**clip)[0], rtol=0, atol=0)


def test_the_folder_says_which_models_it_is_made_of(students, tmp_path):
    average_models(students[:2], tmp_path / "mean")
    records = read_average(tmp_path / "mean")
    names = [(part["name"], part["settings"]["seed"], part["settings"]["max_steps"]) for part in records]
    assert names == [("student-0", 0, 3), ("student-1", 1, 3)]
    assert len({part["weights_sha256"] for part in records}) == 2
    assert read_average(students[0]) is None


def test_what_each_part_was_trained_on_goes_into_the_record_of_the_mean(students, tmp_path):
    copies = [shutil.copytree(folder, tmp_path / folder.name) for folder in students[:2]]
    data = {"training": "plant with noise of hall", "training_license": "cc-by-4.0"}
    write_training_data(copies[1], data)
    average_models(copies, tmp_path / "mean")
    assert [part["training_data"] for part in read_average(tmp_path / "mean")] == [{}, data]


def test_what_lies_in_the_folder_of_other_weights_is_removed_and_of_these_is_kept(students, tmp_path):
    mean = shutil.copytree(students[2], tmp_path / "mean")
    for name in ("results.json", "README.md", "training_data.json", "notes.txt"):
        (mean / name).write_text("of student 2")
    average_models(students[:2], mean)
    left = {path.name for path in mean.iterdir()}
    assert {"average.json", "notes.txt"} <= left
    assert not {"results.json", "README.md", "training_args.json", "training_data.json"} & left
    write_training_data(mean, {})
    trainer = make_trainer(mean, seed=9)  # a training into the same folder
    trainer.save_model()
    assert read_average(mean) is None and (mean / "training_args.json").is_file()
    assert not (mean / "training_data.json").exists()


def test_when_a_part_is_a_mean_then_its_parts_are_asked_for(students, tmp_path):
    average_models(students[:2], tmp_path / "mean")
    with pytest.raises(ValueError, match="mean is a mean itself: name the models that it is made of"):
        average_models([students[2], tmp_path / "mean"], tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_when_a_detector_of_a_student_is_given_beside_it_then_their_weights_are_the_same(students, tmp_path):
    detector = AnomalyDetector.from_pretrained(students[0], layer=2, backend="knn")
    detector.fit(np.random.default_rng(0).normal(0, 0.1, (4, 16000)), sampling_rate=16000)
    detector.save_pretrained(tmp_path / "detector")
    with pytest.raises(ValueError, match="detector have the same weights"):
        average_models([students[0], tmp_path / "detector"], tmp_path / "mean")


def test_when_a_tensor_holds_no_part_then_nothing_is_written(students, tmp_path):
    weights = load_file(students[1] / "model.safetensors")
    del weights["beats.layers.0.feed_forward.fc1.weight"]
    broken = tmp_path / "broken"
    broken.mkdir()
    for name in ("config.json", "preprocessor_config.json"):
        (broken / name).write_bytes((students[1] / name).read_bytes())
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"broken lack the tensor layers\.0\.feed_forward\.fc1\.weight"):
        average_models([students[0], broken], tmp_path / "mean")
    assert not (tmp_path / "mean").exists()


@pytest.mark.parametrize(
    ("choose", "message"),
    [
        (lambda students, _: students[:1], r"a mean takes two or more models, got .*student-0: name their folders"),
        (lambda students, _: [], "a mean takes two or more models, got none"),
        (lambda students, _: [*students[:2], students[0]], "student-0 and .*student-0 have the same weights"),
        (lambda students, saved: [students[0], saved(seed=7)], "cosine similarity of -?0.*did not start from one enc"),
        (lambda students, saved: [students[0], saved(hidden_size=32)], "has hidden_size=16 and .* has 32"),
        (lambda students, saved: [students[0], saved(embedding_layer=1)], "has embedding_layer=2 and .* has 1"),
        (lambda students, saved: [students[0], saved(clip_level=-30.0)], "different feature extractors"),
        (lambda students, saved: [students[0], "missing-model"], "missing-model"),
        (lambda students, saved: [students[0], saved().rename(saved().with_name("mean"))], "holds one of the models"),
    ],
)
def test_models_without_a_mean_are_refused_by_name(students, tmp_path, pairs, choose, message):
    def saved(seed=1, clip_level=None, **changes):
        config = BeatsConfig.from_pretrained(students[0], **changes)
        torch.manual_seed(seed)
        BeatsForAudioClassification(config).save_pretrained(tmp_path / "other")
        extractor = BeatsFeatureExtractor() if clip_level is None else BeatsFeatureExtractor(clip_level=clip_level)
        extractor.save_pretrained(tmp_path / "other")
        return tmp_path / "other"

    with pytest.raises((ValueError, FileNotFoundError), match=message):
        average_models(choose(students, saved), tmp_path / "mean")
    assert not (tmp_path / "mean" / "average.json").exists()


@pytest.mark.slow
def test_when_a_mean_is_scored_into_its_own_folder_then_its_card_names_the_parts(
    tmp_path, cache_dir, recordings, noise
):
    options = ("--train_data", recordings, "--noise", noise, "--do_eval", "False", "--train_license", "cc-by-sa-4.0")
    run(tmp_path, cache_dir, *options, "--output_dir", tmp_path / "one")
    start = tmp_path / "one-teacher"
    run(tmp_path, cache_dir, *options, "--model", start, "--output_dir", tmp_path / "two", "--seed", "5")
    mean = tmp_path / "mean"
    average_models([tmp_path / "one", tmp_path / "two"], mean)
    scored = ("--eval_data", recordings, "--noise", noise, "--do_train", "False")
    run(tmp_path, cache_dir, *scored, "--model", mean, "--teacher", start, "--output_dir", mean)
    results = read_results(mean / "results.json")
    assert [part["name"] for part in results["model"]["average_of"]] == ["one", "two"]
    assert "seed" not in results["settings"] and results["settings"]["max_steps"] == 2
    assert results["model"]["base_model"] == str(start)
    told = f"that of each of the models it is the mean of: {recordings.name} with noise of {noise.name}"
    assert results["data"]["training"] == told and results["data"]["training_machine_clips"] > 0
    card = ModelCard.load(mean / "README.md")
    assert card.data.license == results["data"]["training_license"] == "cc-by-sa-4.0"
    text = card.text
    assert "the mean of those of 2 models, tensor by tensor:\n`one` (`seed=0`), `two` (`seed=5`)." in text
    assert "Started from `one-teacher`" in text and json.loads((mean / "average.json").read_text())["average_of"]

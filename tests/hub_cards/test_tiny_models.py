"""The trained models of the repository: complete, small, and with the code of this package beside them."""

import filecmp
import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from huggingface_hub import ModelCard
from safetensors import safe_open
from transformers import AutoFeatureExtractor, AutoModel, AutoModelForAudioClassification, AutoProcessor, pipeline

from modeling_retainmix import AnomalyDetector, BeatsConfig, BeatsFeatureExtractor, BeatsModel
from modeling_retainmix.evaluation.results import read_results
from modeling_retainmix.hub.card import model_card
from modeling_retainmix.hub.pretrained_card import pretrained_card
from modeling_retainmix.hub.remote_code import add_remote_code
from modeling_retainmix.training.model_records import data_of_parts, read_average, settings_of_parts

HUB_CARDS = Path(__file__).parents[2] / "hub_cards"
STUDENT = HUB_CARDS / "retainmix-beats-tiny"
TEACHER = HUB_CARDS / "retainmix-beats-tiny-teacher"
FOLDERS = [STUDENT, TEACHER]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_model_loads_by_its_folder_and_hears_sound(folder):
    extractor = AutoFeatureExtractor.from_pretrained(folder)
    features = extractor(torch.randn(16000).numpy(), sampling_rate=16000, return_tensors="pt")
    tokens = AutoModel.from_pretrained(folder)(**features).last_hidden_state
    assert tokens.shape == (1, 6 * 8, 192) and tokens.isfinite().all()


def test_the_student_is_the_mean_that_its_card_tells_and_has_no_head():
    parts = read_average(STUDENT)
    _, described = settings_of_parts({}, parts)
    results = read_results(STUDENT / "results.json")
    assert results["model"]["average_of"] == described and data_of_parts(parts).items() <= results["data"].items()
    with safe_open(STUDENT / "model.safetensors", "pt") as weights:
        assert not [name for name in weights.offset_keys() if "classifier" in name]


def test_no_clip_depends_on_the_clips_beside_it():
    clips = [torch.sin(torch.arange(samples) * 0.1).numpy() for samples in (48_000, 16_000, 3_000)]
    extractor = AutoFeatureExtractor.from_pretrained(STUDENT)
    head = {"num_labels": 7, "problem_type": "multi_label_classification"}  # of random weights
    model = AutoModelForAudioClassification.from_pretrained(STUDENT, **head).eval()
    with torch.no_grad():
        together = model(**extractor(clips, sampling_rate=16_000)).logits.sigmoid()
        apart = [model(**extractor(clip, sampling_rate=16_000)).logits.sigmoid()[0] for clip in clips]
    torch.testing.assert_close(together, torch.stack(apart), atol=1e-5, rtol=0)
    classify = pipeline("audio-classification", model=model, feature_extractor=extractor, device="cpu")
    recordings = [{"raw": clip, "sampling_rate": 16_000} for clip in clips]
    for answer, probabilities in zip(classify(recordings, batch_size=3, top_k=5), apart, strict=True):
        best = probabilities.topk(5).values.tolist()
        assert [entry["score"] for entry in answer] == pytest.approx(best, abs=1e-5)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_processor_is_the_feature_extractor_and_runs_no_code_of_the_folder(folder, monkeypatch):
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked to run the code of the folder"))
    assert type(AutoProcessor.from_pretrained(folder)) is BeatsFeatureExtractor


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_weights_are_float32_and_at_most_16_megabytes(folder):
    assert (folder / "model.safetensors").stat().st_size <= 16e6
    with safe_open(folder / "model.safetensors", "pt") as weights:
        assert {weights.get_tensor(name).dtype for name in weights.offset_keys()} == {torch.float32}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_code_beside_the_weights_is_that_of_the_package(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / folder.name)
    add_remote_code(copy)
    names = sorted(path.name for path in copy.iterdir() if path.suffix in (".py", ".json"))
    assert names == sorted(path.name for path in folder.iterdir() if path.suffix in (".py", ".json"))
    different = [name for name in names if not filecmp.cmp(copy / name, folder / name, shallow=False)]
    assert not different, f"call modeling_retainmix.hub.remote_code.add_remote_code({folder.name!r}) in hub_cards"


def test_card_of_the_student_is_what_the_results_of_its_run_make():
    expected = model_card(read_results(STUDENT / "results.json"), name="hub_cards/retainmix-beats-tiny")
    assert ModelCard.load(STUDENT / "README.md").content == expected.content
    assert (STUDENT / "scores.png").is_file()


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_python_of_the_card_runs_as_it_stands_in_the_root_of_a_checkout(folder, monkeypatch, capsys):
    monkeypatch.chdir(HUB_CARDS.parent)
    blocks = re.findall(r"^```python\n(.*?)^```$", (folder / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    assert len(blocks) == 2
    for block in blocks:
        exec(block, {})
    score, threshold = capsys.readouterr().out.split("\n")[:2]
    assert float(score.strip("[]")) > float(threshold)


def test_card_of_the_teacher_is_what_its_record_makes():
    record = json.loads((TEACHER / "pretraining.json").read_text())
    expected = pretrained_card(record, f"hub_cards/{TEACHER.name}")
    assert ModelCard.load(TEACHER / "README.md").content == expected.content
    model = BeatsModel.from_pretrained(TEACHER)
    assert record["model"] == {"num_parameters": model.num_parameters(), "embedding_layer": 3}
    assert AnomalyDetector.from_pretrained(TEACHER).embedder.indices == [3]


def test_card_of_the_base_size_model_is_that_of_its_record_and_claims_no_number():
    folder = HUB_CARDS / "retainmix-beats"
    record = json.loads((folder / "record.json").read_text())
    expected = model_card({**record, "rows": []}, "unknown")
    text = ModelCard.load(folder / "README.md").content
    assert text == expected.content
    assert "weights are not here yet" in text and "Not yet measured" in text and "model-index" not in text
    with torch.device("meta"):
        assert sum(one.numel() for one in BeatsModel(BeatsConfig()).parameters()) == record["model"]["num_parameters"]


def test_student_reads_the_layer_that_it_was_trained_for():
    detector = AnomalyDetector.from_pretrained(STUDENT)
    assert detector.embedder.layers == [4, "recorded", "change-4", "change-recorded"]

"""A saved detector whose files disagree is refused by a message that says where."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from modeling_retainmix import AnomalyDetector
from modeling_retainmix.detection.saved_detector import REFERENCES_FILE, SETTINGS_FILE

RATE = 16000


@pytest.fixture
def folder(tiny_checkpoint, tmp_path):
    """A saved detector of four references, 8 patches times 24 values each."""
    noise = np.random.default_rng(0).normal(0, 0.1, (4, 8000)).astype(np.float32)
    AnomalyDetector.from_pretrained(tiny_checkpoint, device="cpu").fit(noise, RATE).save_pretrained(tmp_path)
    return tmp_path


def load(folder) -> AnomalyDetector:
    return AnomalyDetector.from_pretrained(folder, device="cpu")


def change_json(folder, change) -> None:
    content = json.loads((folder / SETTINGS_FILE).read_text())
    change(content)
    (folder / SETTINGS_FILE).write_text(json.dumps(content))


def test_untouched_folder_loads_with_its_references(folder):
    assert load(folder).reference_names == [f"clip {index}" for index in range(4)]


@pytest.mark.parametrize("pooling", ["mean", "frequency_mean"])
def test_folder_of_another_pooling_loads(tiny_checkpoint, tmp_path, pooling):
    noise = np.random.default_rng(0).normal(0, 0.1, (3, 8000)).astype(np.float32)
    detector = AnomalyDetector.from_pretrained(tiny_checkpoint, device="cpu", layer=(1, 2), pooling=pooling)
    detector.fit(noise, RATE).save_pretrained(tmp_path)
    np.testing.assert_allclose(load(tmp_path).score(noise, RATE), detector.score(noise, RATE), rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensors: tensors.pop("is_target"), "lacks is_target"),
        (lambda tensors: tensors.update(vectors=tensors["vectors"].double()), "vectors as torch.float64"),
        (lambda tensors: tensors.update(vectors=tensors["vectors"][:, :-24].clone()), r"vectors of shape \[4, 168\]"),
        (lambda tensors: tensors.update(vectors=tensors["vectors"][:3].clone()), r"vectors of shape \[3, 192\]"),
        (lambda tensors: tensors["vectors"].fill_(torch.nan), "not finite"),
        (lambda tensors: tensors.update(is_target=tensors["is_target"][:3].clone()), r"is_target of shape \[3\]"),
        (lambda tensors: tensors.update(level_moments=torch.zeros(4, 5, 2)), r"level_moments of shape \[4, 5, 2\]"),
        (lambda tensors: tensors.update(recording=torch.zeros(4, 1).long()), r"recording of shape \[4, 1\]"),
        (lambda tensors: tensors["recording"].add_(1), "numbered"),
        (lambda tensors: tensors["recording"].fill_(-1), "numbered"),
        (lambda tensors: tensors["recording"].fill_(0), "1 recordings.* names 4"),
    ],
)
def test_when_tensors_do_not_fit_then_error_names_the_file_and_what_it_holds(folder, change, message):
    tensors = load_file(folder / REFERENCES_FILE)
    change(tensors)
    save_file(tensors, folder / REFERENCES_FILE)
    with pytest.raises(ValueError, match=rf"references\.safetensors .*{message}.*save it again"):
        load(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content["references"].pop(), "4 recordings.* names 3"),
        (lambda content: content["references"].append("further.wav"), "4 recordings.* names 5"),
        (lambda content: content["settings"].update(layer=[1, 2]), "an encoder that gives 384 values"),
        (lambda content: content["settings"].update(pooling="mean"), "an encoder that gives 24 values"),
        (lambda content: content["settings"].update(layer=[3]), "layer=3: .* has 2 layers"),
        (lambda content: content["settings"].update(backend="knn", k=5), "4 references, fewer than k=5"),
        (lambda content: content["settings"].update(k=0), "k=0: use at least 1"),
        (lambda content: content["settings"].update(neighbours=2), r"detector\.json .*'neighbours'"),
        (lambda content: content.pop("references"), r"detector\.json lacks 'references'"),
        (lambda content: content.update(references="clip"), r"detector\.json has references that are no list"),
        (lambda content: content.update(settings=None), r"detector\.json does not hold"),
    ],
)
def test_when_settings_do_not_fit_then_error_says_so(folder, change, message):
    change_json(folder, change)
    with pytest.raises(ValueError, match=message):
        load(folder)


def test_when_a_file_is_damaged_or_missing_then_error_names_it(folder):
    whole = (folder / REFERENCES_FILE).read_bytes()
    (folder / REFERENCES_FILE).write_bytes(whole[:-10])
    with pytest.raises(ValueError, match=r"references\.safetensors is damaged"):
        load(folder)
    (folder / REFERENCES_FILE).unlink()
    with pytest.raises(OSError, match=r"references\.safetensors"):
        load(folder)
    (folder / SETTINGS_FILE).write_text("{")
    with pytest.raises(ValueError, match=r"detector\.json does not hold a detector's settings"):
        load(folder)

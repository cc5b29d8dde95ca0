"""A saved detector whose files disagree is refused by a message that says where."""

import json
import math

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from modeling_retainmix import AnomalyDetector, EatConfig
from modeling_retainmix.detection.saved_detector import REFERENCES_FILE, SETTINGS_FILE, read_unchanged
from modeling_retainmix.detection.settings import DetectorSettings

RATE = 16000


@pytest.fixture
def folder(tiny_checkpoint, tmp_path):
    """A saved detector of four references, 8 patches times 24 values each."""
    noise = np.random.default_rng(0).normal(0, 0.1, (4, 8000)).astype(np.float32)
    AnomalyDetector.from_pretrained(tiny_checkpoint, device="cpu", layer=2).fit(noise, RATE).save_pretrained(tmp_path)
    return tmp_path


def load(folder) -> AnomalyDetector:
    return AnomalyDetector.from_pretrained(folder, device="cpu")


def change_json(folder, change) -> None:
    content = json.loads((folder / SETTINGS_FILE).read_text())
    change(content)
    (folder / SETTINGS_FILE).write_text(json.dumps(content))


def test_untouched_folder_loads_with_its_references(folder):
    assert load(folder).reference_names == [f"clip {index}" for index in range(4)]


def test_when_it_was_saved_before_layers_were_named_then_it_reads_the_layer_alone(folder):
    change_json(folder, lambda content: content["settings"].update(layer=None))
    assert load(folder).settings.layer == 2 and load(folder).embedder.layers == [2]


@pytest.mark.parametrize("pooling", ["mean", "frequency_mean", "time_mean_std", "time_generalized_mean", "time_rdp"])
def test_folder_of_another_pooling_loads(tiny_checkpoint, tmp_path, pooling):
    noise = np.random.default_rng(0).normal(0, 0.1, (3, 8000)).astype(np.float32)
    detector = AnomalyDetector.from_pretrained(tiny_checkpoint, device="cpu", layer=(1, 2), pooling=pooling)
    detector.fit(noise, RATE).save_pretrained(tmp_path)
    np.testing.assert_allclose(load(tmp_path).score(noise, RATE), detector.score(noise, RATE), rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensors: tensors.pop("is_target_domain"), "lacks is_target_domain"),
        (lambda tensors: tensors.update(vectors=tensors["vectors"].double()), "vectors as torch.float64"),
        (lambda tensors: tensors.update(vectors=tensors["vectors"][:, :-24].clone()), r"vectors of shape \[4, 168\]"),
        (lambda tensors: tensors.update(vectors=tensors["vectors"][:3].clone()), r"vectors of shape \[3, 192\]"),
        (lambda tensors: tensors["vectors"].fill_(torch.nan), "not finite"),
        (
            lambda tensors: tensors.update(is_target_domain=tensors["is_target_domain"][:3].clone()),
            r"is_target_domain of shape \[3\]",
        ),
        (lambda tensors: tensors.update(level_moments=torch.zeros(4, 5, 2)), r"level_moments of shape \[4, 5, 2\]"),
        (lambda tensors: tensors.update(cell_levels=torch.zeros(4, 8, 4)), r"cell_levels of shape \[4, 8, 4\], not"),
        (
            lambda tensors: tensors.update(recording_index=torch.zeros(4, 1).long()),
            r"recording_index of shape \[4, 1\]",
        ),
        (lambda tensors: tensors["recording_index"].add_(1), "numbered"),
        (lambda tensors: tensors.update(traits=torch.zeros(4, 5)), r"traits of shape \[4, 5\], not \[4, 9\]"),
        (lambda tensors: tensors.update(fingerprints=torch.zeros(3, 64)), r"fingerprints of shape \[3, 64\]"),
        (lambda tensors: tensors.update(traits=torch.zeros(4, 9).double()), r"traits as torch\.float64"),
        (lambda tensors: tensors["recording_index"].fill_(-1), "numbered"),
        (lambda tensors: tensors["recording_index"].fill_(0), "1 recordings.* names 4"),
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
        (lambda content: content["settings"].update(k=0), r"detector\.json .*k=0 is not valid: use at least 1"),
        (lambda content: content["settings"].update(k=True), r"detector\.json .*k=True is not valid"),
        (lambda content: content["settings"].update(far_weight=math.nan), r"detector\.json .*far_weight=nan is not"),
        (lambda content: content["settings"].update(hop_seconds=1e-4), r"detector\.json .*hop_seconds=0\.0001 is not"),
        (lambda content: content["settings"].update(window_seconds=math.inf), r"json .*window_seconds=inf is not"),
        (lambda content: content["settings"].update(hop_seconds=1e-9), r"detector\.json .*hop_seconds=1e-09 is not"),
        (lambda content: content["settings"].update(window_seconds=1e6), r"json .*window_seconds=1000000\.0 is not"),
        (lambda content: content["settings"].update(shrinkage=1e-300), r"detector\.json .*shrinkage=1e-300 is not"),
        (lambda content: content["settings"].update(max_frequency=1e9), r"json .*max_frequency=1000000000\.0 is not"),
        (
            lambda content: content["settings"].update(max_frequency=True),
            r"detector\.json .*max_frequency=True is not",
        ),
        (lambda content: content["settings"].update(layer=10**30), "layer=10+: .* has 2 layers"),
        (lambda content: content["settings"].update(layer=[]), r"detector\.json .*layer=\(\) is not valid"),
        (lambda content: content["settings"].update(window_seconds="10"), r"json .*window_seconds='10' is not"),
        (lambda content: content["settings"].update(shrinkage=1e-9), r"detector\.json .*shrinkage=1e-09 is not"),
        (lambda content: content["settings"].update(neighbors=2), r"detector\.json .*'neighbors'"),
        (lambda content: content.pop("references"), r"detector\.json lacks 'references'"),
        (lambda content: content.update(references="clip"), r"detector\.json has references that are not a list"),
        (lambda content: content.update(settings=None), r"detector\.json does not hold"),
        (lambda content: content.update(settings=[]), r"detector\.json does not hold"),
    ],
)
def test_when_settings_do_not_fit_then_error_says_so(folder, change, message):
    change_json(folder, change)
    with pytest.raises(ValueError, match=message):
        load(folder)


OLD_SETTINGS = {  # all fields of a detector that was saved by version 0.1
    "layer": [1, 2],
    "pooling": "time_mean",
    "backend": "knn",
    "shrinkage": 0.1,
    "variance": 0.9,
    "density_neighbours": 3,
    "k": 2,
    "metric": "cosine",
    "normalization": "none",
    "mix_support": 2,
    "mix_alpha": 0.8,
    "view": "residual",
    "far_weight": 0.2,
    "window_seconds": 0.5,
    "hop_seconds": 0.25,
    "reduce": "mean",
    "pad": None,
}


def test_detector_saved_under_old_names_loads_and_scores_as_before(tiny_checkpoint, tmp_path):
    noise = np.random.default_rng(1).normal(0, 0.1, (8, 8000)).astype(np.float32)
    near, far, domains = noise[:4], noise[4:], ["source", "source", "target", "target"]
    settings = DetectorSettings(
        layer=(1, 2),
        backend="knn",
        explained_variance=0.9,
        density_neighbors=3,
        k=2,
        metric="cosine",
        normalization="none",
        memmixup_neighbors=2,
        memmixup_alpha=0.8,
        microphones="residual",
        far_weight=0.2,
        window_seconds=0.5,
        hop_seconds=0.25,
        reduce="mean",
    )
    current = AnomalyDetector.from_pretrained(tiny_checkpoint, device="cpu", **settings.to_dict())
    current.fit(near, RATE, domains, far=far).save_pretrained(tmp_path)
    change_json(tmp_path, lambda content: content.update(settings=OLD_SETTINGS))
    tensors = load_file(tmp_path / REFERENCES_FILE)
    old_names = {"recording_index": "recording", "is_target_domain": "is_target"}
    save_file({old_names.get(name, name): value for name, value in tensors.items()}, tmp_path / REFERENCES_FILE)
    loaded = load(tmp_path)
    assert loaded.settings == settings
    tests = noise[::-1].copy()
    np.testing.assert_array_equal(loaded.score(tests, RATE, far=noise), current.score(tests, RATE, far=noise))


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


def test_when_json_is_nested_without_end_then_error_names_the_file(folder):
    (folder / SETTINGS_FILE).write_text("[" * 100_000)
    with pytest.raises(ValueError, match=r"detector\.json .*nested too deeply"):
        load(folder)


def test_a_detector_without_traits_loads_and_warns_of_nothing(folder, recwarn):
    tensors = load_file(folder / REFERENCES_FILE)
    assert tensors.pop("traits").shape == (4, 9) and tensors.pop("fingerprints").shape == (4, 64)
    save_file(tensors, folder / REFERENCES_FILE)
    change_json(folder, lambda content: content.pop("thresholds"))
    noise = np.random.default_rng(0).normal(0, 1e-4, (1, 80000)).astype(np.float32)
    load(folder).score(noise, RATE)
    assert not [warning for warning in recwarn if issubclass(warning.category, UserWarning)]
    load(folder).add_references(noise, RATE).save_pretrained(folder / "grown")
    assert load(folder / "grown").score(noise, RATE)[0] < 1e6


def test_a_detector_with_the_first_traits_compares_those(folder):
    tensors = load_file(folder / REFERENCES_FILE)
    tensors["traits"] = tensors["traits"][:, :6].clone()
    save_file(tensors, folder / REFERENCES_FILE)
    noise = np.random.default_rng(0).normal(0, 0.1, (1, 80000)).astype(np.float32)
    with pytest.warns(UserWarning, match="Length 5 s, references 0.5 s") as warned:
        load(folder).score(noise * np.resize([1, 0], 80000), RATE)
    assert "without sound" not in str(warned[0].message)


def test_when_files_change_while_they_are_read_then_they_are_read_again(tmp_path):
    (tmp_path / "a").write_text("0")
    reads = []

    def read(changes):
        reads.append(len(reads))
        if len(reads) <= changes:
            (tmp_path / "new").write_text(str(len(reads)))
            (tmp_path / "new").replace(tmp_path / "a")
            if len(reads) % 2:
                raise ValueError("do not belong together")
        (tmp_path / f"downloaded-{len(reads)}").write_text("")
        return (tmp_path / "a").read_text()

    assert read_unchanged(tmp_path, lambda: read(3)) == "3"
    assert len(reads) == 4
    with pytest.raises(ValueError, match="changed while it was read, 10 times: load it after they are saved"):
        read_unchanged(tmp_path, lambda: read(100))

    def fail():
        raise ValueError("damaged")

    with pytest.raises(ValueError, match="damaged"):
        read_unchanged(tmp_path, fail)


@pytest.mark.parametrize("rename", [False, True])
def test_when_weights_are_missing_then_error_names_the_first(folder, tiny_checkpoint, rename):
    tensors = load_file(folder / "model.safetensors")
    lost = sorted(tensors)[::2]
    kept = {
        f"x.{name}" if name in lost else name: value for name, value in tensors.items() if rename or name not in lost
    }
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        ValueError, match=rf"the weights of .* lack the tensor .* and {len(lost) - 1} others of a retain"
    ):
        load(folder)


def test_when_the_model_type_is_another_one_then_error_says_that_weights_are_missing(folder):
    EatConfig(hidden_size=24, num_hidden_layers=2, num_attention_heads=2).save_pretrained(folder)
    with pytest.raises(ValueError, match=r"the weights of .* (lack|hold) the tensor"):
        load(folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "wav2vec2"}))
    with pytest.raises(ValueError, match="is a 'wav2vec2' model without num_mel_patches: use an encoder"):
        load(folder)

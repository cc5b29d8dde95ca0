"""The detector through a folder or the Hub into another process."""

import subprocess
import sys

import numpy as np
import pytest
import soundfile as sf
from hub_server import HubServer

from modeling_retainmix import AnomalyDetector
from modeling_retainmix.detection import scoring_detector

RATE = 16000
DOMAINS = ["source"] * 5 + ["target"] * 3


def saved(folder):
    return AnomalyDetector.from_pretrained(folder, device="cpu")


def load(checkpoint, **settings):
    return AnomalyDetector.from_pretrained(checkpoint, device="cpu", **({"backend": "knn"} | settings))


@pytest.mark.slow
def test_when_saved_then_another_process_gives_the_same_scores(tiny_checkpoint, references, tests, tmp_path):
    detector = load(tiny_checkpoint, layer=1, k=2, memmixup_neighbors=2).fit(references, RATE, DOMAINS)
    detector.save_pretrained(tmp_path / "detector")
    np.save(tmp_path / "tests.npy", tests)
    program = (
        "import sys, numpy as np; from modeling_retainmix import AnomalyDetector; "
        "detector = AnomalyDetector.from_pretrained(sys.argv[1] + '/detector', device='cpu'); "
        "scores = detector.score(np.load(sys.argv[1] + '/tests.npy'), 16000); "
        "np.save(sys.argv[1] + '/scores.npy', np.append(scores, detector.threshold()))"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True)
    expected = np.append(detector.score(tests, RATE), detector.threshold())
    np.testing.assert_allclose(np.load(tmp_path / "scores.npy"), expected, rtol=1e-5)
    # the last are the code of the encoder, for use without this package
    assert {path.suffix for path in (tmp_path / "detector").iterdir()} == {".json", ".safetensors", ".py"}


@pytest.mark.parametrize("layer", [None, (0, "level")])
def test_saved_statistics_are_small_and_give_the_same_scores(references, tests, tmp_path, layer):
    detector = load("log-mel", layer=layer).fit(references, RATE, DOMAINS)
    detector.save_pretrained(tmp_path)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 200_000
    np.testing.assert_array_equal(saved(tmp_path).score(tests, RATE), detector.score(tests, RATE))


def test_saved_joined_blocks_give_the_same_scores(tiny_checkpoint, references, tests, tmp_path):
    detector = load(tiny_checkpoint, layer=(1, "log-mel", "level")).fit(references, RATE, DOMAINS)
    detector.save_pretrained(tmp_path)
    assert saved(tmp_path).settings.layer == (1, "log-mel", "level")
    np.testing.assert_array_equal(saved(tmp_path).score(tests, RATE), detector.score(tests, RATE))


@pytest.mark.slow
def test_when_pushed_then_it_loads_by_its_name_and_gives_the_same_scores(tiny_checkpoint, references, tests, tmp_path):
    detector = load(tiny_checkpoint).fit(references, RATE, DOMAINS)
    detector.save_pretrained(tmp_path / "detector")
    np.save(tmp_path / "tests.npy", tests)
    program = (
        "import sys, numpy as np; from modeling_retainmix import AnomalyDetector; "
        "detector = AnomalyDetector.from_pretrained(sys.argv[1] + '/detector', device='cpu'); "
        "commit = detector.push_to_hub('acme/fan').split('/')[-1]; "
        "detector = AnomalyDetector.from_pretrained('acme/fan', revision=commit, device='cpu'); "
        "np.save(sys.argv[1] + '/scores.npy', detector.score(np.load(sys.argv[1] + '/tests.npy'), 16000))"
    )
    with HubServer() as hub:
        environment = hub.environment(tmp_path / "home")
        subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, env=environment)
    commits = hub.repositories["model", "acme/fan"].commits
    assert len(commits) == 2  # the empty repository, and the push
    card = commits[-1].files["README.md"].decode()
    assert 'AnomalyDetector.from_pretrained("acme/fan")' in card and "| source | 5 |" in card
    assert not [name for name, content in commits[-1].files.items() if str(tmp_path).encode() in content]
    np.testing.assert_allclose(np.load(tmp_path / "scores.npy"), detector.score(tests, RATE), rtol=1e-6)


def test_when_saved_then_folder_names_reference_files_without_their_paths(tiny_checkpoint, references, tmp_path):
    sf.write(tmp_path / "normal.wav", references[0], RATE)
    load(tiny_checkpoint).fit(tmp_path).save_pretrained(tmp_path / "detector")
    content = (tmp_path / "detector" / "detector.json").read_text()
    assert "normal.wav" in content
    assert str(tmp_path) not in content


def test_when_a_saved_detector_is_loaded_then_references_can_be_added(tiny_checkpoint, references, tests, tmp_path):
    load(tiny_checkpoint).fit(references[:6], RATE).save_pretrained(tmp_path)
    grown = saved(tmp_path).add_references(references[6:], RATE)
    whole = load(tiny_checkpoint).fit(references, RATE)
    np.testing.assert_allclose(grown.score(tests, RATE), whole.score(tests, RATE), rtol=1e-4)


def test_when_settings_are_given_for_a_saved_detector_then_error_names_them(tiny_checkpoint, references, tmp_path):
    load(tiny_checkpoint).fit(references, RATE).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="is a saved detector, which has its settings: leave out k"):
        AnomalyDetector.from_pretrained(tmp_path, device="cpu", k=3)


def test_when_a_setting_is_unknown_then_error_lists_those_that_exist(tiny_checkpoint):
    for name, message in (
        ("layr", "did you mean layer[?] Use layer, change_weight, "),
        ("depth", "use layer, change_weight, "),
    ):
        with pytest.raises(ValueError, match=f"{name} is not a setting: {message}"):
            AnomalyDetector.from_pretrained(tiny_checkpoint, device="cpu", **{name: 1})


def test_when_a_setting_has_a_new_name_then_error_gives_it(tiny_checkpoint):
    with pytest.raises(ValueError, match="the setting view has a new name: use microphones="):
        AnomalyDetector.from_pretrained(tiny_checkpoint, device="cpu", view="residual")
    with pytest.raises(ValueError, match="recording is not a setting"):
        AnomalyDetector.from_pretrained(tiny_checkpoint, device="cpu", recording=0)


@pytest.mark.parametrize("counts", [(3, 8), (8, 3), (4, 4)])
def test_when_a_detector_is_saved_while_it_is_loaded_then_one_of_both_is_loaded(
    references, tests, tmp_path, monkeypatch, counts
):
    former, later = load("log-mel"), load("log-mel").fit(references[: counts[1]], RATE)
    former.fit(references[-counts[0] :], RATE)
    former.save_pretrained(tmp_path)
    calls, load_encoder = [], scoring_detector.load_encoder

    def save_meanwhile(*args):  # the settings are read, the references are not
        calls.append(args)
        if len(calls) == 1:
            later.save_pretrained(tmp_path)
        return load_encoder(*args)

    monkeypatch.setattr(scoring_detector, "load_encoder", save_meanwhile)
    loaded = saved(tmp_path)
    assert len(calls) == 2 and loaded.reference_names == later.reference_names
    np.testing.assert_array_equal(loaded.score(tests, RATE), later.score(tests, RATE))


def test_when_a_detector_is_being_written_then_the_former_one_is_loaded(references, tests, tmp_path, monkeypatch):
    former = load("log-mel").fit(references[:3], RATE)
    former.save_pretrained(tmp_path)
    loaded, write = [], scoring_detector.write_detector

    def load_meanwhile(*args):
        write(*args)
        loaded.append(saved(tmp_path))

    monkeypatch.setattr(scoring_detector, "write_detector", load_meanwhile)
    load("log-mel").fit(references, RATE).save_pretrained(tmp_path)
    np.testing.assert_array_equal(loaded[0].score(tests, RATE), former.score(tests, RATE))
    assert len(saved(tmp_path).reference_names) == len(references)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_when_a_save_fails_then_the_former_detector_stays_and_nothing_half_is_left(references, tmp_path, monkeypatch):
    detector = load("log-mel").fit(references, RATE)
    detector.save_pretrained(tmp_path / "a")
    files = {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()}

    def fail(*args):
        raise OSError("No space left on device")

    monkeypatch.setattr("modeling_retainmix.detection.saved_detector.save_file", fail)
    for folder in ("a", "b"):
        with pytest.raises(OSError, match="No space left"):
            load("log-mel").fit(references[:3], RATE).save_pretrained(tmp_path / folder)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()} == files


def test_when_there_is_nothing_to_save_then_error_says_so(tiny_checkpoint, tmp_path):
    with pytest.raises(ValueError, match="call fit"):
        load(tiny_checkpoint).save_pretrained(tmp_path / "detector")
    assert not (tmp_path / "detector").exists()

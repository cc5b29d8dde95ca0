"""`pipeline("anomaly-detection")`: the detector's verdicts, of a saved detector by Hub name and of an encoder."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hub_server import HubServer
from transformers import pipeline

from modeling_retainmix import AnomalyDetector, BeatsConfig, BeatsFeatureExtractor, BeatsModel
from modeling_retainmix.encoders import LogMelConfig, LogMelModel

RATE = 16_000
JUDGE = """
import json, sys
{prologue}
from transformers import pipeline
judge = pipeline("anomaly-detection", model="acme/fan", trust_remote_code=True, device="cpu")
print(json.dumps(judge(sys.argv[1:], false_alarm_rate=0.2)))
"""


def write(path: Path, seed: int, gain: float = 0.01) -> str:
    soundfile.write(path, gain * np.random.default_rng(seed).standard_normal(RATE), RATE)
    return str(path)


@pytest.fixture(scope="module")
def healthy(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("healthy")
    for seed in range(6):
        write(folder / f"{seed}.wav", seed)
    return folder


@pytest.fixture(scope="module")
def tests(tmp_path_factory) -> list[str]:
    """A recording as the references are, and one with a tone."""
    folder = tmp_path_factory.mktemp("tests")
    paths = [write(folder / "same.wav", 50), str(folder / "tone.wav")]
    samples, _ = soundfile.read(paths[0])
    soundfile.write(paths[1], samples + 0.3 * np.sin(np.arange(RATE) * 0.4), RATE)
    return paths


@pytest.fixture(scope="module")
def detector(healthy) -> AnomalyDetector:
    options = {"backend": "whitened", "normalization": "none", "device": "cpu"}
    return AnomalyDetector.from_pretrained("log-mel", **options).fit(healthy)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("encoder")
    LogMelModel(LogMelConfig()).save_pretrained(folder)
    BeatsFeatureExtractor(clip_level=0.0).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def judge(encoder, healthy):
    return pipeline("anomaly-detection", model=str(encoder), references=healthy, device="cpu")


def run_judge(hub: HubServer, home: Path, tests: list[str], prologue: str) -> subprocess.CompletedProcess:
    code = JUDGE.format(prologue=prologue)
    environment = hub.environment(home) | {"PYTHONPATH": str(Path(__file__).parents[1])}
    arguments = [sys.executable, "-P", "-c", code, *tests]
    return subprocess.run(arguments, env=environment, capture_output=True, text=True)


@pytest.mark.slow
def test_saved_detector_is_loaded_by_hub_name_and_judges_as_itself(detector, tests, tmp_path):
    detector.save_pretrained(tmp_path / "fan")
    with HubServer() as hub:
        hub.add_repository("acme/fan", tmp_path / "fan")
        done = run_judge(hub, tmp_path / "home", tests, "")
        without = run_judge(hub, tmp_path / "home", tests, "sys.modules['modeling_retainmix'] = None")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [one["label"] for one in told] == ["normal", "anomalous"]
    np.testing.assert_allclose([one["score"] for one in told], detector.score(tests), rtol=1e-5)
    np.testing.assert_allclose([one["threshold"] for one in told], detector.threshold(0.2), rtol=1e-5)
    assert without.returncode != 0
    last = without.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: the pipeline anomaly-detection needs the package retainmix")
    assert "pip install retainmix" in last


def test_encoder_with_references_judges_as_a_detector_that_was_fitted_to_them(judge, encoder, healthy, tests):
    detector = AnomalyDetector.from_pretrained(encoder, device="cpu").fit(healthy)
    told = judge(tests, false_alarm_rate=0.2)
    np.testing.assert_allclose([one["score"] for one in told], detector.score(tests), rtol=1e-6)
    assert told[0]["threshold"] == pytest.approx(detector.threshold(0.2))
    assert [one["label"] == "anomalous" for one in told] == detector.decide(tests, false_alarm_rate=0.2).tolist()


def test_forms_of_one_recording_have_one_score(judge, tests, tmp_path):
    samples, _ = soundfile.read(tests[1], dtype="float32")
    stereo = str(tmp_path / "stereo.wav")
    soundfile.write(stereo, np.stack([samples, np.zeros_like(samples)], axis=1), RATE, subtype="FLOAT")
    forms = (tests[1], Path(tests[1]), samples, {"array": samples, "sampling_rate": RATE})
    scores = [*(judge(clip)["score"] for clip in forms), judge(stereo, channel=0)["score"]]
    np.testing.assert_allclose(scores, scores[0], rtol=1e-5)


def test_saved_pipeline_is_the_detector(judge, tests, tmp_path):
    judge.save_pretrained(tmp_path)
    loaded = AnomalyDetector.from_pretrained(tmp_path, device="cpu")
    assert loaded.score(tests[0])[0] == pytest.approx(judge(tests[0])["score"])
    entry = json.loads((tmp_path / "config.json").read_text())["custom_pipelines"]["anomaly-detection"]
    module, name = entry["impl"].split(".")
    assert f"import {name}" in (tmp_path / f"{module}.py").read_text()


def test_when_a_folder_is_given_then_it_is_refused_before_anything_is_scored(judge, tests, monkeypatch):
    monkeypatch.setattr(judge.detector, "score", lambda *arguments, **options: pytest.fail("scored"))
    with pytest.raises(ValueError, match="pass them as a list of files"):
        judge(str(Path(tests[0]).parent))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda judge, path: judge(str(path.parent)), "holds 6 recordings: pass them as a list"),
        (lambda judge, path: judge({"array": np.zeros(RATE)}), "has array: it needs array and sampling_rate"),
        (lambda judge, path: judge(str(path), top_k=5), "top_k: the pipeline takes false_alarm_rate=, channel="),
        (lambda judge, path: judge("nowhere.wav"), "nowhere.wav"),
    ],
)
def test_when_a_recording_cannot_be_judged_then_error_says_why(judge, healthy, call, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        call(judge, healthy / "0.wav")


def test_when_references_are_missing_or_there_are_two_kinds_then_error_says_so(encoder, detector, healthy, tmp_path):
    with pytest.raises(ValueError, match="is an encoder and no saved detector: pass references="):
        pipeline("anomaly-detection", model=str(encoder), device="cpu")
    detector.save_pretrained(tmp_path)
    config = BeatsConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, patch_embed_size=8,
        num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2, name_or_path=str(tmp_path),
    )  # fmt: skip
    model = BeatsModel(config)
    with pytest.raises(ValueError, match=r"is a saved detector, which has its references: leave out references="):
        pipeline("anomaly-detection", model=model, references=healthy, device="cpu")


def test_when_the_references_are_too_few_for_the_rate_then_there_is_no_verdict(encoder, healthy, tests):
    few = [str(path) for path in sorted(healthy.iterdir())[:3]]
    judge = pipeline("anomaly-detection", model=str(encoder), references=few, device="cpu")
    told = judge(tests[1])
    assert (told["label"], told["threshold"]) == ("no verdict", None) and told["score"] > 0
    assert judge(tests[1], false_alarm_rate=0.3)["label"] == "anomalous"

"""Exported detectors, run by `retainmix_score`, against the detectors that they come from."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from modeling_retainmix import AnomalyDetector
from modeling_retainmix.export import onnx_files
from retainmix_score import Scorer

CARD = Path(__file__).parents[2] / "hub_cards/retainmix-beats-tiny"
DOMAINS = ["source"] * 6 + ["target"] * 3
CASES = {  # encoder, settings, domains
    "log-mel, nearest": ("log-mel", {"backend": "knn"}, None),
    "log-mel, cosine": ("log-mel", {"backend": "knn", "metric": "cosine", "k": 2, "reduce": "mean"}, None),
    "log-mel, whitened": ("log-mel", {"backend": "whitened", "pad": "waveform", "window_seconds": 2.0}, DOMAINS),
    "shipped": (CARD, {"backend": "mahalanobis"}, None),
    "shipped, joined": (
        CARD,
        {"backend": "whitened", "layer": (1, "log-mel", "change-2", "change-recorded")},
        DOMAINS,
    ),
    "level": ("beats", {"backend": "knn", "pooling": "time_rdp", "layer": (0, 2), "max_frequency": 6000}, None),
    "eat": ("eat", {"backend": "mahalanobis", "covariance": "shared", "layer": (2, "log-mel", "level")}, DOMAINS),
}
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def detector(encoders, references):
    return AnomalyDetector.from_pretrained("log-mel", device="cpu", backend="knn").fit(references, 16_000)


def too_short(scorer, clip):
    return len(clip) < scorer.description["shortest_samples"]


@pytest.mark.slow
@pytest.mark.parametrize(("encoder", "settings", "domains"), CASES.values(), ids=CASES)
def test_when_a_detector_is_exported_then_ten_clips_score_the_same(
    encoders, references, clips, tmp_path, encoder, settings, domains
):
    settings = {"window_seconds": 8.0, "hop_seconds": 2.0, **settings}
    detector = AnomalyDetector.from_pretrained(encoders.get(encoder, encoder), device="cpu", **settings)
    detector.fit(references, 16_000, domains=domains)
    detector.export_onnx(tmp_path)
    scorer = Scorer(tmp_path, threads=1)
    long_enough = [clip for clip in clips if settings.get("pad") or not too_short(scorer, clip)]
    assert len(long_enough) == (9 if encoder == "eat" else 10)
    expected = detector.score(long_enough, 16_000)
    # Standardized scores may be near 0: theirs are standard deviations.
    np.testing.assert_allclose(scorer.score(long_enough, 16_000), expected, rtol=1e-4, atol=1e-4 if domains else 0)
    clear = abs(expected - detector.threshold()) > 1e-3
    np.testing.assert_array_equal(
        scorer.decide(long_enough, 16_000)[clear], detector.decide(long_enough, 16_000)[clear]
    )
    if len(long_enough) < len(clips):
        for model in (detector, scorer):
            with pytest.raises(ValueError, match=r"clip 0 is 0\.0375 s long; at least"):
                model.score(clips[0], 16_000)
    provenance = scorer.description["provenance"]
    assert 0 <= provenance["largest_deviation"] <= onnx_files.TOLERANCE
    assert not re.search(re.escape(str(Path(encoders["beats"]).parent)), json.dumps(scorer.description))


@pytest.mark.slow
def test_when_weights_are_int8_then_the_file_is_smaller_and_scores_are_near(references, clips, tmp_path):
    detector = AnomalyDetector.from_pretrained(CARD, device="cpu", backend="knn", layer=2)
    detector.fit(references, 16_000)
    for int8 in (False, True):
        detector.export_onnx(tmp_path / str(int8), int8=int8)
    large, small = (Scorer(tmp_path / str(int8), threads=1) for int8 in (False, True))
    sizes = [(tmp_path / str(int8) / "scorer.onnx").stat().st_size for int8 in (False, True)]
    saved = 2 * (4 * 192**2 + 2 * 192 * 768) * 3  # four and two matrices in each of two layers, 3 bytes a weight
    assert 0.9 * saved < sizes[0] - sizes[1] < 1.2 * saved
    scores = detector.score(clips, 16_000)
    deviation = abs(small.score(clips, 16_000) / scores - 1).max()
    assert 1e-4 < deviation < 0.1
    assert small.description["provenance"]["int8"] and not large.description["provenance"]["int8"]
    assert 1e-4 < small.description["provenance"]["largest_deviation"] < 0.1


@pytest.mark.slow
def test_when_a_log_mel_detector_is_exported_then_it_is_small_and_says_where_it_comes_from(detector, tmp_path):
    detector.export_onnx(tmp_path)
    assert (tmp_path / "scorer.onnx").stat().st_size < 500_000
    description = json.loads((tmp_path / "scorer.json").read_text())
    assert description["settings"]["backend"] == "knn" and description["settings"]["layer"] == [0]
    assert description["provenance"]["encoder"] == "log-mel"
    assert description["provenance"]["references"] == detector.reference_names
    assert description["thresholds"]["by_windows"]["1"] == pytest.approx(detector.threshold(0.1))


@pytest.mark.slow
def test_when_the_graph_differs_from_the_detector_then_the_export_says_so_and_writes_nothing(
    detector, tmp_path, monkeypatch
):
    monkeypatch.setattr(onnx_files, "TOLERANCE", -1.0)
    with pytest.raises(ValueError, match=r"scores of the graph differ by .* from the detector's"):
        detector.export_onnx(tmp_path)
    assert not (tmp_path / "scorer.json").exists()
    assert not list(tmp_path.iterdir())


def test_when_there_is_nothing_to_export_then_the_error_says_what_is_missing(detector, encoders, references, tmp_path):
    with pytest.raises(ValueError, match="int8=True needs an encoder"):
        detector.export_onnx(tmp_path, int8=True)
    with pytest.raises(ValueError, match="no references"):
        AnomalyDetector.from_pretrained("log-mel", device="cpu").export_onnx(tmp_path)
    half = AnomalyDetector.from_pretrained(encoders["beats"], device="cpu").fit(references, 16_000)
    half.embedder.model.to(torch.bfloat16)
    with pytest.raises(ValueError, match="bfloat16 cannot be exported: load it in float32"):
        half.export_onnx(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_when_the_extra_is_not_installed_then_the_error_says_what_brings_it(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "modeling_retainmix.export.onnx_files", None)
    with pytest.raises(ImportError, match=r"an ONNX file needs onnx and onnxruntime .*'retainmix\[onnx\]'"):
        AnomalyDetector.from_pretrained("log-mel").export_onnx(tmp_path)

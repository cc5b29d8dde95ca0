"""The module that is traced, run by torch, against the detector."""

import numpy as np
import pytest
import torch

from modeling_retainmix import AnomalyDetector
from modeling_retainmix.detection.domain_scores import DomainScores
from modeling_retainmix.export.window_scorer import WindowScorer

REFUSED = {
    "backend='pca'": {"backend": "pca"},
    "backend='varmin'": {"backend": "varmin"},
    "microphones='residual'": {"backend": "knn", "microphones": "residual"},
    "normalization='test'": {"backend": "knn", "normalization": "test"},
    "pooling='frequency_mean'": {"backend": "knn", "pooling": "frequency_mean"},
}


def scorer(detector, references):
    settings, embedder = detector.settings, detector.embedder
    vectors = torch.cat([embedder.join(embedder.embed(torch.from_numpy(clip)[None])) for clip in references])
    recordings = torch.arange(len(vectors))
    return WindowScorer(
        settings, embedder, DomainScores(settings, vectors, recordings, recordings > 5, embedder.layout)
    )


@pytest.mark.parametrize("pooling", ["time_mean", "time_mean_std", "time_generalized_mean", "time_rdp", "mean"])
@pytest.mark.parametrize("name", ["log-mel", "beats", "eat"])
def test_when_a_window_is_scored_then_the_detector_gives_the_same(encoders, references, clips, name, pooling):
    layer = None if name == "log-mel" else (1, "log-mel", "level", "recorded", "change-2", "change-recorded")
    detector = AnomalyDetector.from_pretrained(
        encoders[name], device="cpu", layer=layer, pooling=pooling, backend="whitened", max_frequency=6000
    )
    domains = ["source"] * 6 + ["target"] * 3
    expected = detector.fit(references, 16_000, domains=domains).score(clips[4:7], 16_000)
    module = scorer(detector, references)
    with torch.no_grad():
        actual = np.concatenate([module(torch.from_numpy(clip)[None]).numpy() for clip in clips[4:7]])
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("named", "options"), REFUSED.items(), ids=REFUSED)
def test_when_settings_cannot_be_exported_then_the_error_names_them_and_the_cure(references, named, options):
    detector = AnomalyDetector.from_pretrained("log-mel", device="cpu", **options)
    far = references if "microphones" in options else None
    detector.fit(references, 16_000, far=far)
    with pytest.raises(ValueError, match=rf"^{named} cannot be exported: fit the detector with "):
        WindowScorer(detector.settings, detector.embedder, detector._fitted().scores)

"""A detector's path from the samples of a window to its score, as one module that can be exported."""

from typing import Any

import torch
from torch import nn

from modeling_retainmix.detection.domain_scores import DomainScores
from modeling_retainmix.detection.embedder import Embedder
from modeling_retainmix.detection.pooling import keeps_bands, pool_tokens
from modeling_retainmix.detection.settings import DetectorSettings
from modeling_retainmix.export.distances import distance_module

_BACKENDS = ("knn", "whitened", "mahalanobis")


class WindowScorer(nn.Module):
    """Filter bank, encoder, pooling, distances and their normalization, with the references as constants.

    Args:
        settings: of the detector.
        embedder: of the detector.
        scores: of its references.

    Raises:
        ValueError: a backend, pooling, normalization or number of microphones that cannot be exported; the message
            names it.
    """

    def __init__(self, settings: DetectorSettings, embedder: Embedder, scores: DomainScores) -> None:
        super().__init__()
        _check(settings)
        self.embedder, self.scores = embedder, scores
        self.encoder = embedder.model  # so that its parameters are those of this module
        modules: list[Any] = [distance_module(backend) for backend in scores.backends.values()]
        self.distances = nn.ModuleList(modules)
        self.statistics = scores.statistics

    def forward(self, waveforms: torch.Tensor) -> torch.Tensor:
        """Score windows of one length: [batch] float64 of [batch, samples] float32 in [-1, 1]."""
        embedder, size = self.embedder, self.encoder.config.patch_size
        is_real = embedder.frame_mask(waveforms.shape[1])
        recorded = embedder.feature_extractor.log_mel(waveforms) if embedder.reads_recorded else None
        features = embedder.features(waveforms, is_real, recorded=recorded)
        hidden = embedder.hidden(features, is_real, recorded)
        # A column is real if its last frame is; a view by columns would tie the graph to lengths that they divide.
        last = torch.arange(features.shape[1] // size) * size + size - 1
        mask = is_real[:, last].expand(waveforms.shape[0], -1)
        options = (embedder.pooling, mask, embedder.pooling_p, embedder.rdp_gamma)
        num_freq = self.encoder.config.num_mel_patches
        vectors = embedder.join({layer: pool_tokens(tokens, num_freq, *options) for layer, tokens in hidden.items()})
        vectors = self.scores.scaled(vectors)
        distances = torch.stack([distance(vectors) for distance in self.distances], dim=1)
        if self.statistics is not None:
            mean, std = (torch.tensor(values) for values in zip(*self.statistics, strict=True))
            distances = (distances - mean) / std
        return distances.amin(dim=1).double()


def _check(settings: DetectorSettings) -> None:
    problem = None
    if settings.backend not in _BACKENDS:
        problem = f"backend={settings.backend!r}", f"one of {', '.join(map(repr, _BACKENDS))}"
    elif settings.microphones != "near":
        problem = f"microphones={settings.microphones!r}", "'near'"
    elif settings.normalization == "test":
        problem = "normalization='test'", "'references' or 'none'"
    elif not keeps_bands(settings.pooling) and settings.pooling != "mean":
        problem = f"pooling={settings.pooling!r}", "a mode over time, or 'mean'"
    if problem is not None:
        raise ValueError(f"{problem[0]} cannot be exported: fit the detector with {problem[1]}")

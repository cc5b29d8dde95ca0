"""Modules of distances against the backends that they stand for."""

import pytest
import torch

from modeling_retainmix.detection.backends.base import References
from modeling_retainmix.detection.backends.build import build_backend
from modeling_retainmix.detection.settings import DetectorSettings
from modeling_retainmix.export.distances import distance_module

CASES = {
    "nearest": {"backend": "knn"},
    "three nearest": {"backend": "knn", "k": 3},
    "cosine": {"backend": "knn", "metric": "cosine", "k": 2},
    "mixed": {"backend": "knn", "memmixup_neighbors": 2},
    "whitened": {"backend": "whitened", "k": 2},
    "a Gaussian each": {"backend": "mahalanobis"},
    "a shared covariance": {"backend": "mahalanobis", "covariance": "shared"},
}


def references(count, width=40, copies=False):
    vectors = torch.randn(1 if copies else count, width, generator=torch.Generator().manual_seed(0))
    return References(
        vectors.expand(count, -1).clone(), torch.arange(count), torch.arange(count) >= max(count - 3, count // 2)
    )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("options", CASES.values(), ids=CASES)
@pytest.mark.parametrize(("count", "copies"), [(60, False), (8, False), (1, False), (4, True)])
def test_when_queries_are_measured_then_the_module_agrees_with_the_backend(options, count, copies):
    known, settings = references(count, copies=copies), DetectorSettings(**options)
    queries = torch.randn(5, 40, generator=torch.Generator().manual_seed(1)) * torch.logspace(-1, 2, 5)[:, None]
    for domain in known.domains:
        backend = build_backend(settings.backend, known, domain, settings.to_dict())
        module = distance_module(backend)
        torch.testing.assert_close(module(queries), backend.distance(queries), rtol=1e-5, atol=1e-6)


def test_when_a_backend_has_no_module_then_there_is_none():
    known, settings = references(8), DetectorSettings(backend="pca")
    assert distance_module(build_backend("pca", known, "source", settings.to_dict())) is None

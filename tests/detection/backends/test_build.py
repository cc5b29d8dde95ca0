"""Names choose the backend, and settings reach it under their names."""

import inspect

import pytest
import torch

from modeling_retainmix.detection.backends.base import References
from modeling_retainmix.detection.backends.build import BACKENDS, backend_options, build_backend
from modeling_retainmix.detection.backends.density import DensityBackend
from modeling_retainmix.detection.backends.fusion import FusionBackend
from modeling_retainmix.detection.backends.knn import KnnBackend
from modeling_retainmix.detection.backends.mahalanobis import MahalanobisBackend
from modeling_retainmix.detection.backends.pca import PcaBackend
from modeling_retainmix.detection.backends.subband import SubbandBackend
from modeling_retainmix.detection.settings import DetectorSettings

GENERATOR = torch.Generator().manual_seed(0)
VECTORS = torch.randn(18, 6, generator=GENERATOR)
QUERIES = torch.randn(5, 6, generator=GENERATOR)
REFERENCES = References(VECTORS, torch.arange(18), torch.arange(18) >= 10, num_bands=3)


@pytest.mark.parametrize("domain", ["source", "target"])
@pytest.mark.parametrize(
    ("backend", "options", "expected"),
    [
        ("knn", {"k": 2, "metric": "cosine"}, KnnBackend),
        ("knn", {"memmixup_neighbors": 3, "memmixup_alpha": 0.6}, KnnBackend),
        ("subband", {"k": 2}, SubbandBackend),
        ("density", {"k": 2, "metric": "cosine", "density_neighbors": 3}, DensityBackend),
        ("mahalanobis", {"shrinkage": 0.4}, MahalanobisBackend),
        ("pca", {"explained_variance": 0.5}, PcaBackend),
        ("fusion", {"shrinkage": 0.4, "explained_variance": 0.5, "density_neighbors": 3}, FusionBackend),
    ],
)
def test_backend_is_that_of_the_settings(backend, options, expected, domain):
    settings = DetectorSettings(backend=backend, **options)
    built = build_backend(settings.backend, REFERENCES, domain, settings.to_dict())
    direct = expected(REFERENCES, domain, **options)
    assert type(built) is expected
    assert torch.equal(built.distance(QUERIES), direct.distance(QUERIES))
    assert torch.equal(built.reference_distances(), direct.reference_distances())


def test_each_option_changes_the_distances():
    changed = {
        "k": 3,
        "metric": "cosine",
        "memmixup_neighbors": 4,
        "memmixup_alpha": 0.3,
        "shrinkage": 0.9,
        "explained_variance": 0.2,
        "density_neighbors": 2,
    }
    for name in BACKENDS:
        defaults = DetectorSettings(backend=name).to_dict()
        if name == "knn":
            defaults["memmixup_neighbors"] = 2  # else its alpha is not read
        reference = build_backend(name, REFERENCES, "target", defaults).distance(QUERIES)
        for option in backend_options(name):
            other = build_backend(name, REFERENCES, "target", defaults | {option: changed[option]})
            if (name, option) != ("fusion", "density_neighbors"):  # the smallest of four may be another one
                assert not torch.equal(other.distance(QUERIES), reference), (name, option)


@pytest.mark.parametrize("name", BACKENDS)
def test_defaults_of_a_backend_are_those_of_the_settings(name):
    settings = DetectorSettings().to_dict()
    parameters = inspect.signature(BACKENDS[name]).parameters
    assert {option: parameters[option].default for option in backend_options(name)} == {
        option: settings[option] for option in backend_options(name)
    }


def test_every_backend_describes_its_method():
    assert len({backend.method for backend in BACKENDS.values()}) == len(BACKENDS)

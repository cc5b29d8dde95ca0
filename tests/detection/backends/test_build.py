"""Names choose the backend, settings reach it under their names, and small domains are pooled."""

import inspect
import warnings

import pytest
import torch

from modeling_retainmix.detection.backends.base import References
from modeling_retainmix.detection.backends.build import BACKENDS, backend_options, build_backend, pool_domains
from modeling_retainmix.detection.backends.density import DensityBackend
from modeling_retainmix.detection.backends.fusion import FusionBackend
from modeling_retainmix.detection.backends.knn import KnnBackend
from modeling_retainmix.detection.backends.mahalanobis import MahalanobisBackend
from modeling_retainmix.detection.backends.pca import PcaBackend
from modeling_retainmix.detection.backends.subband import SubbandBackend
from modeling_retainmix.detection.backends.varmin import VarMinBackend
from modeling_retainmix.detection.backends.whitened import WhitenedBackend
from modeling_retainmix.detection.settings import DetectorSettings
from modeling_retainmix.detection.vector_layout import VectorLayout

THREE_BANDS = VectorLayout(num_bands=3)

GENERATOR = torch.Generator().manual_seed(0)
VECTORS = torch.randn(18, 6, generator=GENERATOR)
QUERIES = torch.randn(5, 6, generator=GENERATOR)
REFERENCES = References(VECTORS, torch.arange(18), torch.arange(18) >= 10, layout=THREE_BANDS)


@pytest.mark.parametrize("domain", ["source", "target"])
@pytest.mark.parametrize(
    ("backend", "options", "expected"),
    [
        ("knn", {"k": 2, "metric": "cosine"}, KnnBackend),
        ("knn", {"memmixup_neighbors": 3, "memmixup_alpha": 0.6}, KnnBackend),
        ("whitened", {"k": 2}, WhitenedBackend),
        ("whitened", {"left_out_covariance": "held"}, WhitenedBackend),
        ("subband", {"k": 2}, SubbandBackend),
        ("varmin", {"density_neighbors": 2}, VarMinBackend),
        ("density", {"k": 2, "metric": "cosine", "density_neighbors": 3}, DensityBackend),
        ("mahalanobis", {"shrinkage": 0.4}, MahalanobisBackend),
        ("mahalanobis", {"covariance": "shared"}, MahalanobisBackend),
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


def test_each_option_changes_the_distances_or_those_of_references():
    changed = {
        "k": 3,
        "metric": "cosine",
        "memmixup_neighbors": 4,
        "memmixup_alpha": 0.3,
        "shrinkage": 0.9,
        "covariance": "shared",
        "left_out_covariance": "held",
        "explained_variance": 0.2,
        "density_neighbors": 2,
    }
    for name in BACKENDS:
        defaults = DetectorSettings(backend=name).to_dict()
        if name == "knn":
            defaults["memmixup_neighbors"] = 2  # else its alpha is not read
        reference = build_backend(name, REFERENCES, "target", defaults)
        for option in backend_options(name):
            other = build_backend(name, REFERENCES, "target", defaults | {option: changed[option]})
            if (name, option) != ("fusion", "density_neighbors"):  # the smallest of four may be another one
                left_out = option == "left_out_covariance"
                found, unchanged = (
                    backend.reference_distances() if left_out else backend.distance(QUERIES)
                    for backend in (other, reference)
                )
                assert not torch.equal(found, unchanged), (name, option)


@pytest.mark.parametrize("name", BACKENDS)
def test_defaults_of_a_backend_are_those_of_the_settings(name):
    settings = DetectorSettings().to_dict()
    parameters = inspect.signature(BACKENDS[name]).parameters
    assert {option: parameters[option].default for option in backend_options(name)} == {
        option: settings[option] for option in backend_options(name)
    }


def test_every_backend_describes_its_method():
    assert len({backend.method for backend in BACKENDS.values()}) == len(BACKENDS)


def references_of(num_source, num_target):
    rows = torch.cat([torch.arange(num_source), 10 + torch.arange(num_target)])
    return References(VECTORS[rows], rows, rows >= 10, layout=THREE_BANDS)


@pytest.mark.parametrize(
    ("backend", "options", "needed"),
    [
        ("knn", {"k": 1}, 1),
        ("knn", {"k": 4}, 4),
        ("whitened", {"k": 1}, 1),
        ("subband", {"k": 2}, 2),
        ("density", {}, 3),
        ("mahalanobis", {}, 3),
        ("mahalanobis", {"covariance": "shared"}, 1),
        ("pca", {}, 3),
        ("fusion", {}, 3),
        ("knn", {"microphones": "fusion"}, 3),
    ],
)
def test_a_domain_with_fewer_recordings_than_the_backend_needs_is_pooled(backend, options, needed):
    settings = DetectorSettings(backend=backend, **options).to_dict()
    enough = references_of(5, needed)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert pool_domains(enough, settings) is enough
    if needed == 1:
        return
    message = f"needs {needed} of each domain .the target domain has {needed - 1}.: both domains are pooled"
    with pytest.warns(UserWarning, match=message) as caught:
        pooled = pool_domains(references_of(5, needed - 1), settings)
    assert len(caught) == 1
    assert pooled.domains == ["source"] and len(pooled.vectors) == 4 + needed and pooled.layout == THREE_BANDS


@pytest.mark.parametrize(
    ("counts", "options", "is_advised"),
    [
        ((5, 1), {"backend": "mahalanobis"}, True),
        ((2, 1), {"backend": "pca"}, True),
        ((1, 1), {"backend": "mahalanobis"}, False),  # no covariance either
        ((5, 3), {"backend": "knn", "k": 4}, False),  # as many neighbors
        ((5, 1), {"backend": "whitened", "k": 2}, False),
        ((5, 2), {"backend": "knn", "microphones": "fusion"}, False),
    ],
)
def test_whitened_distances_are_advised_where_they_would_keep_the_domains_apart(counts, options, is_advised):
    with pytest.warns(UserWarning, match="both domains are pooled, add references") as caught:
        pool_domains(references_of(*counts), DetectorSettings(**options).to_dict())
    assert str(caught[0].message).endswith(" or use backend='whitened'") == is_advised
    if is_advised:
        apart = references_of(*counts)
        assert pool_domains(apart, {**DetectorSettings(**options).to_dict(), "backend": "whitened"}) is apart


def test_windows_of_a_recording_count_as_one():
    windows = References(VECTORS[:10], torch.tensor([0, 1, 2, 3, 4, 5, 5, 5, 6, 6]), torch.arange(10) >= 5)
    with pytest.warns(UserWarning, match="the target domain has 2"):
        assert pool_domains(windows, DetectorSettings(backend="pca").to_dict()).domains == ["source"]


def test_pooled_references_are_of_the_larger_domain():
    settings = DetectorSettings(backend="mahalanobis").to_dict()
    with pytest.warns(UserWarning, match="the source domain has 1"):
        assert pool_domains(references_of(1, 5), settings).domains == ["target"]
    with pytest.warns(UserWarning, match="the source domain has 2, the target domain has 2"):
        assert pool_domains(references_of(2, 2), settings).domains == ["source"]


@pytest.mark.parametrize(
    "settings", [DetectorSettings(backend="varmin"), DetectorSettings(backend="knn", bank="shared")]
)
def test_when_one_bank_serves_both_domains_then_they_are_pooled_without_a_warning(settings, recwarn):
    assert pool_domains(REFERENCES, settings.to_dict()).domains == ["source"]
    assert not recwarn


def test_references_of_one_domain_stay_as_they_are(recwarn):
    one = references_of(1, 0)
    assert pool_domains(one, DetectorSettings(backend="mahalanobis", bank="shared").to_dict()) is one
    assert not recwarn

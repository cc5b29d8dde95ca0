"""Settings survive JSON, and values of another type or out of bounds are named."""

import json
import re
from dataclasses import fields
from math import inf, nan

import pytest

from modeling_retainmix.detection import settings as settings_module
from modeling_retainmix.detection.settings import DetectorSettings
from modeling_retainmix.detection.windows import Windows


def test_when_settings_pass_through_json_then_they_are_equal():
    settings = DetectorSettings(layer=(2, 3), backend="knn", k=2, normalization="none", reduce="mean", pad="waveform")
    assert DetectorSettings(**json.loads(json.dumps(settings.to_dict()))) == settings


@pytest.mark.parametrize(
    ("backend", "unused"),
    [
        ("mahalanobis", {"k": 2, "memmixup_neighbors": 3}),
        ("pca", {"metric": "cosine"}),
        ("fusion", {"k": 2}),
        ("subband", {"metric": "cosine"}),
        ("density", {"memmixup_neighbors": 3}),
        ("whitened", {"metric": "cosine"}),
        ("varmin", {"k": 2}),
        ("knn", {"covariance": "shared"}),
        ("mahalanobis", {"left_out_covariance": "held"}),
    ],
)
def test_when_a_setting_is_not_read_by_the_backend_then_error_names_both(backend, unused):
    with pytest.raises(ValueError, match=f"backend='{backend}' does not read {', '.join(unused)}"):
        DetectorSettings(backend=backend, **unused)


def test_error_names_the_backends_that_read_the_setting():
    with pytest.raises(ValueError, match=r"does not read covariance: leave it out, or use 'mahalanobis'$"):
        DetectorSettings(backend="knn", covariance="shared")
    with pytest.raises(ValueError, match=r"does not read metric: leave it out, or use 'knn' or 'density'$"):
        DetectorSettings(backend="pca", metric="cosine")


@pytest.mark.parametrize("backend", ["whitened", "knn", "mahalanobis", "pca"])
def test_without_a_normalization_it_is_that_of_the_backend(backend):
    settings = DetectorSettings(backend=backend)
    assert settings.normalization == ("none" if backend == "whitened" else "references")
    assert DetectorSettings(backend=backend, normalization="test").normalization == "test"


@pytest.mark.parametrize("backend", ["subband", "varmin"])
@pytest.mark.parametrize("pooling", ["mean", "frequency_mean"])
def test_when_bands_are_not_kept_apart_by_pooling_then_error_says_so(backend, pooling):
    message = f"backend='{backend}' needs pooling='time_mean' or another mode over time, not pooling='{pooling}'"
    with pytest.raises(ValueError, match=message):
        DetectorSettings(backend=backend, pooling=pooling)


@pytest.mark.parametrize("pooling", ["time_mean", "time_mean_std", "time_generalized_mean", "time_rdp"])
def test_bands_may_be_pooled_over_time_in_any_way(pooling):
    assert DetectorSettings(backend="varmin", pooling=pooling).pooling == pooling


def test_windows_are_those_of_the_settings():
    settings = DetectorSettings(window_seconds=4.0, hop_seconds=1.0, reduce="first", pad="waveform")
    assert settings.windows == Windows(4.0, 1.0, "first", pad=True)


def test_when_the_hop_is_longer_than_the_window_then_error_names_both():
    with pytest.raises(ValueError, match=r"hop_seconds=5\.0 is above window_seconds=4"):
        DetectorSettings(window_seconds=4)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("layer", [-1, "2", (), (1, -1), True, 1.0, [1, None]]),
        ("pooling", ["median", None]),
        ("pooling_p", [0.5, 101, nan, "3", True]),
        ("rdp_gamma", [-1.0, 101, nan, inf]),
        ("bank", ["joint", None]),
        ("covariance", ["full", None]),
        ("left_out_covariance", ["kept", True]),
        ("backend", ["svm", None, ["knn"]]),
        ("shrinkage", [0.0, 1e-7, 1.1, nan, "0.1", True]),
        ("explained_variance", [0.0, 1.0, nan]),
        ("density_neighbors", [0, 2.0, True]),
        ("k", [0, 1.5, True, None]),
        ("metric", ["l1"]),
        ("normalization", ["all", 1]),
        ("memmixup_neighbors", [0, 1.5, False]),
        ("memmixup_alpha", [-0.1, 2.0, nan]),
        ("microphones", ["far", None]),
        ("far_weight", [0.0, -1.0, 1e3, inf, nan, "a"]),
        ("change_weight", [0.0, -1.0, 1e3, inf, nan, "a"]),
        ("window_seconds", [0.0, -1.0, 601.0, inf, nan, "10"]),
        ("hop_seconds", [0.0, 0.009, 20.0, inf, nan]),
        ("reduce", ["median"]),
        ("pad", ["mirror", True]),
    ],
)
def test_when_a_value_is_not_valid_then_error_names_field_and_value(name, values):
    for value in values:
        shown = tuple(value) if name == "layer" and isinstance(value, list) else value
        with pytest.raises(ValueError, match=re.escape(f"{name}={shown!r} is ")):
            DetectorSettings(**{name: value})


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"normalization": "reference"}, "did you mean 'references'? Use 'references', 'test', 'none' or None"),
        ({"backend": "mahalonobis"}, "did you mean 'mahalanobis'? Use 'knn', 'whitened', 'subband', "),
        ({"metric": "Cosine"}, "did you mean 'cosine'? Use 'euclidean' or 'cosine'"),
        ({"metric": "l1"}, "use 'euclidean' or 'cosine'"),
        ({"backend": 3}, "use 'knn', 'whitened', "),
        ({"pad": "mirror"}, "use 'waveform' or None"),
        ({"k": 1.5}, "use a whole number"),
        ({"k": 0}, "use at least 1"),
        ({"max_frequency": "all"}, "use a number or None"),
        (
            {"layer": "loglmel"},
            "did you mean 'log-mel'? Use 'log-mel', 'level', 'recorded', 'change-recorded', 'change-K', a whole "
            "number, several of these or None",
        ),
    ],
)
def test_errors_list_the_valid_values_and_guess_what_was_meant(value, message):
    ((name, given),) = value.items()
    with pytest.raises(ValueError, match=rf"^{re.escape(f'{name}={given!r} is not valid: {message}')}"):
        DetectorSettings(**value)


def test_every_number_has_bounds():
    numbers = {field.name for field in fields(DetectorSettings) if "int" in str(field.type)}
    assert numbers == set(settings_module._BOUNDS)


def test_settings_cannot_be_changed_after_they_were_checked():
    with pytest.raises(AttributeError):
        DetectorSettings().k = 2

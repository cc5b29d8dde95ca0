"""Settings survive JSON, and values out of range are named."""

import json

import pytest

from modeling_retainmix.detection.settings import DetectorSettings
from modeling_retainmix.detection.windows import Windows


def test_when_settings_pass_through_json_then_they_are_equal():
    settings = DetectorSettings(layer=(2, 3), backend="knn", k=2, normalization="none", reduce="mean", pad="waveform")
    assert DetectorSettings(**json.loads(json.dumps(settings.to_dict()))) == settings


@pytest.mark.parametrize(
    ("backend", "unused"),
    [
        ("mahalanobis", {"k": 2, "mix_support": 3}),
        ("pca", {"metric": "cosine"}),
        ("fusion", {"k": 2}),
        ("subband", {"metric": "cosine"}),
        ("density", {"mix_support": 3}),
    ],
)
def test_when_a_setting_is_not_read_by_the_backend_then_error_names_both(backend, unused):
    with pytest.raises(ValueError, match=f"backend='{backend}' does not read {', '.join(unused)}"):
        DetectorSettings(backend=backend, **unused)


def test_when_bands_are_not_kept_apart_by_pooling_then_error_says_so():
    with pytest.raises(ValueError, match="backend='subband' needs pooling='time_mean', not pooling='mean'"):
        DetectorSettings(backend="subband", pooling="mean")


def test_windows_are_those_of_the_settings():
    settings = DetectorSettings(window_seconds=4.0, hop_seconds=1.0, reduce="first", pad="waveform")
    assert settings.windows == Windows(4.0, 1.0, "first", pad=True)


@pytest.mark.parametrize(
    "arguments",
    [
        {"layer": -1},
        {"layer": "2"},
        {"layer": ()},
        {"layer": (1, -1)},
        {"pooling": "median"},
        {"k": 0},
        {"k": 1.5},
        {"mix_support": 0},
        {"mix_alpha": 2.0},
        {"metric": "l1"},
        {"normalization": "all"},
        {"normalization": None},
        {"pad": "mirror"},
        {"hop_seconds": 20.0},
        {"backend": "svm"},
        {"shrinkage": 0.0},
        {"variance": 1.0},
        {"density_neighbours": 0},
    ],
)
def test_when_a_value_is_out_of_range_then_error_names_it(arguments):
    (name,) = arguments
    with pytest.raises(ValueError, match=f"{name}="):
        DetectorSettings(**arguments)

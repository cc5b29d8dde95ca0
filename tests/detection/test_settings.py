"""Settings survive JSON, and values out of range are named."""

import json

import pytest

from modeling_retainmix.detection.settings import DetectorSettings
from modeling_retainmix.detection.windows import Windows


def test_when_settings_pass_through_json_then_they_are_equal():
    settings = DetectorSettings(layer=(2, 3), k=2, normalization=None, reduce="mean", pad="waveform")
    assert DetectorSettings(**json.loads(json.dumps(settings.to_dict()))) == settings


def test_when_a_backend_without_neighbours_is_given_some_then_error_says_so():
    with pytest.raises(ValueError, match="backend='mahalanobis' has no neighbours"):
        DetectorSettings(backend="mahalanobis", k=2)


def test_windows_are_those_of_the_settings():
    settings = DetectorSettings(window_seconds=4.0, hop_seconds=1.0, reduce="first", pad="waveform")
    assert settings.windows == Windows(4.0, 1.0, "first", pad=True)


@pytest.mark.parametrize(
    "arguments",
    [
        {"k": 0},
        {"metric": "l1"},
        {"normalization": "all"},
        {"pad": "mirror"},
        {"hop_seconds": 20.0},
        {"backend": "svm"},
        {"shrinkage": 0.0},
    ],
)
def test_when_a_value_is_out_of_range_then_error_names_it(arguments):
    (name,) = arguments
    with pytest.raises(ValueError, match=f"{name}="):
        DetectorSettings(**arguments)

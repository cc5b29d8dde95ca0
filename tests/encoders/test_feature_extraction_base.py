"""What the feature extractors need of transformers is still there, and `pad` takes sound and features alike.

The first tests fail on the day on which transformers replaces feature extractors by audio processors. They import
nothing of this package first, as that import may be what fails.
"""

import inspect
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

BASE = "modeling_retainmix/encoders/feature_extraction_base.py"
PACKAGE = Path(__file__).parents[2] / "modeling_retainmix"
CURE = (
    f"mend {BASE}, which alone names the class: derive FeatureExtractorBase from what replaces it (BaseAudioProcessor "
    "in pull request 48115), set feature_size, sampling_rate, padding_value, padding_side and return_attention_mask "
    "there, and refresh hub_cards/ by modeling_retainmix.hub.remote_code.add_remote_code. Until then, bound "
    "transformers in pyproject.toml below this version"
)
METHODS = ("from_pretrained", "from_dict", "get_feature_extractor_dict", "save_pretrained", "to_dict")


def what_changed(base: type | None) -> list[str]:
    """Say in what a base class is not what this package builds on; nothing: it is."""
    if base is None:
        return ["is gone"]
    changes = [f"has no {name}" for name in (*METHODS, "register_for_auto_class") if not hasattr(base, name)]
    parameters = list(inspect.signature(base.__init__).parameters)[1:4]
    if parameters != ["feature_size", "sampling_rate", "padding_value"]:
        return [*changes, f"takes {parameters} first"]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            made = base(feature_size=128, sampling_rate=16_000, padding_value=0.0, padding_side="left")
        except Exception as error:
            return [*changes, f"cannot be made: {error}"]
    changes += [f"warns: {warning.message}" for warning in caught]
    expected = {"feature_size": 128, "sampling_rate": 16_000, "padding_value": 0.0, "padding_side": "left"}
    for name, value in (expected | {"return_attention_mask": True}).items():
        if getattr(made, name, None) != value:
            changes.append(f"has {name}={getattr(made, name, None)!r}")
    return changes


def test_base_class_of_transformers_is_what_the_package_builds_on():
    changes = what_changed(getattr(transformers, "SequenceFeatureExtractor", None))
    message = f"transformers {transformers.__version__}: SequenceFeatureExtractor {', '.join(changes)}: {CURE}"
    assert not changes, message


class Renamed:
    """A base class that takes other arguments."""

    def __init__(self, audio_config=None):
        pass


class Warning_(transformers.SequenceFeatureExtractor):
    """A base class that is deprecated, and forgets the side of padding."""

    def __init__(self, feature_size, sampling_rate, padding_value, padding_side="right"):
        super().__init__(feature_size, sampling_rate, padding_value)
        warnings.warn("use an audio processor", FutureWarning, stacklevel=2)


@pytest.mark.parametrize(
    ("base", "told"),
    [
        (None, "is gone"),
        (Renamed, "has no from_pretrained.*takes .'audio_config'. first"),
        (Warning_, "warns: use an audio processor.*has padding_side='right'"),
    ],
)
def test_when_the_base_class_is_gone_or_changed_then_the_test_above_says_how(base, told):
    assert re.search(told, ", ".join(what_changed(base)))


def test_no_other_file_of_the_package_names_the_base_class():
    naming = [path for path in PACKAGE.rglob("*.py") if "SequenceFeatureExtractor" in path.read_text(encoding="utf-8")]
    assert [path.relative_to(PACKAGE.parent).as_posix() for path in naming] == [BASE]


@pytest.fixture
def extractor():
    from modeling_retainmix.encoders import BeatsFeatureExtractor

    return BeatsFeatureExtractor()


@pytest.fixture
def features(extractor):
    """Features of two clips of 1 s and 0.5 s, each extracted alone, with a label."""
    clips = [0.1 * np.random.default_rng(length).standard_normal(length) for length in (16_000, 8_000)]
    alone = [extractor(clip, sampling_rate=16_000) for clip in clips]
    return [
        {"input_values": one["input_values"][0], "attention_mask": one["attention_mask"][0], "label": index}
        for index, one in enumerate(alone)
    ]


def test_sound_is_padded_as_sound(extractor):
    clips = [np.ones(3, dtype=np.float32), np.ones(5, dtype=np.float32)]
    for given in (clips, {"input_values": clips}, [{"input_values": clip} for clip in clips]):
        padded = extractor.pad(given, pad_to_multiple_of=4, return_tensors="np")
        np.testing.assert_array_equal(padded["input_values"], [[1] * 3 + [0] * 5, [1] * 5 + [0] * 3])
        np.testing.assert_array_equal(padded["attention_mask"], padded["input_values"] != 0)
    assert extractor.pad(np.ones((2, 7), dtype=np.float32))["attention_mask"].shape == (2, 7)
    cut = extractor.pad(clips, padding="max_length", max_length=4, truncation=True)["input_values"]
    assert cut.tolist() == [[1, 1, 1, 0], [1, 1, 1, 1]]


def test_features_are_padded_behind_their_end_with_their_masks_and_labels(extractor, features):
    batch = extractor.pad(features)
    assert batch["input_values"].shape == (2, 98, 128) and batch["label"].tolist() == [0, 1]
    for row, one in enumerate(features):
        frames = len(one["input_values"])
        torch.testing.assert_close(batch["input_values"][row, :frames], one["input_values"])
        assert not batch["input_values"][row, frames:].any() and not batch["attention_mask"][row, frames:].any()
        torch.testing.assert_close(batch["attention_mask"][row, :frames], one["attention_mask"])
    cut = extractor.pad(features, padding="max_length", max_length=60, truncation=True, return_attention_mask=False)
    assert cut["input_values"].shape == (2, 60, 128) and "attention_mask" not in cut


def test_default_collator_of_the_trainer_gives_what_a_batch_gives(extractor, features):
    batch = transformers.DataCollatorWithPadding(extractor)(features)
    assert batch["labels"].tolist() == [0, 1] and batch["input_values"].dtype == torch.float32


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        ({"values": [[0.0]]}, {}, "have values, and no 'input_values'"),
        ([{"input_values": np.zeros((n, 2))} for n in (3, 5)], {"padding": False}, "lengths from 3 to 5 frames"),
        (
            [{"input_values": np.zeros((5, 2))}],
            {"padding": "max_length", "max_length": 4},
            "clip 0 has 5 frames, more than max_length=4",
        ),
        ([np.array([0.0, np.nan])], {}, "clip 0 holds NaN"),
    ],
)
def test_when_clips_cannot_be_padded_then_error_says_why(extractor, given, options, message):
    with pytest.raises(ValueError, match=message):
        extractor.pad(given, **options)

"""Tests that differ from all references in what is not the machine's are named, with what to do."""

import re

import numpy as np
import pytest

from modeling_retainmix.detection.recording_traits import Traits
from modeling_retainmix.detection.trait_differences import describe_differences, find_differences
from modeling_retainmix.detection.windows import Windows

USUAL = Traits(16000, 1, 10, 8000, 0, -20, 0, 5, 0)


def describe(tests, references=(USUAL,), windows=None, max_frequency=None):
    names = [f"{index}.wav" for index in range(len(tests))]
    return describe_differences(np.asarray(tests), np.asarray(references), names, windows or Windows(), max_frequency)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"sampling_rate": 8000},
            r"Sampling rate 8000 Hz, references 16000 Hz \(1\.wav\): to compare what all hold, fit again with "
            r"max_frequency=3400 \(retainmix fit \.\.\. --setting max_frequency=3400\)",
        ),
        ({"sampling_rate": 48000}, "Sampling rate 48000 Hz, references 16000 Hz .*: record all at one sampling rate"),
        ({"channels": 2}, "Channels 2, references 1 .*--channel 0"),
        (
            {"seconds": 2},
            r"Length 2 s, references 10 s .*window_seconds=2, hop_seconds=2 \(retainmix fit \.\.\. --setting "
            r"window_seconds=2 --setting hop_seconds=2\)",
        ),
        ({"seconds": 0.9}, "Length 0.9 s, references 10 s .*: leave out what is too short to hear the machine"),
        ({"seconds": 60}, "Length 60 s, references 10 s .*take the threshold for that length, as `retainmix score`"),
        ({"bandwidth": 4000}, "Bandwidth 4000 Hz, references 8000 Hz .*max_frequency=3400"),
        ({"bandwidth": 400}, "Bandwidth 400 Hz, references 8000 Hz .*: record all with one recorder"),
        ({"clipped_share": 0.05}, "Clipped samples 5 %, references 0 % .*turn the recording gain down"),
        ({"level": -41}, "Level -41 dB, references -20 dB .*one gain"),
        ({"level": 1}, "Level 1 dB, references -20 dB"),
        ({"bandwidth": 7250}, "Bandwidth 7250 Hz, references 8000 Hz .*max_frequency=6100"),
        ({"coding": 8}, "File format MP3, references lossless .*as the recorder wrote them"),
        ({"low_cut": 24}, "Loss of low frequencies 24 dB, references 5 dB .*filter for all, or none"),
        ({"empty_share": 0.04}, "Share without sound 4 %, references 0 % .*pauses"),
    ],
)
def test_what_lies_outside_all_references_is_named_with_file_and_cure(change, message):
    assert describe([USUAL]) is None
    text = describe([USUAL, USUAL._replace(**change)])
    assert text is not None
    with pytest.raises(AssertionError, match=rf"^1 clip differs from all references .*\. {message}") as raised:
        raise AssertionError(text)
    assert "(1.wav)" in str(raised.value) and "0.wav" not in text


@pytest.mark.parametrize("change", [{"seconds": 6}, {"seconds": 19}, {"level": -39}, {"low_cut": 14}])
def test_what_lies_near_the_references_is_not_named(change):
    assert describe([USUAL._replace(**change)]) is None


@pytest.mark.parametrize(
    ("trait", "reference", "near", "far"),
    [
        ("bandwidth", 7200, 6400, 8000),
        ("low_cut", 40, 31, 20),
        ("low_cut", 14, 23, 26),
        ("empty_share", 0.1, 0.06, 0.02),
        ("empty_share", 0.3, 0.6, 0.65),
        ("coding", 8, 8, 0),
    ],
)
def test_when_all_references_have_a_trait_then_tests_without_it_are_named(trait, reference, near, far):
    references = [USUAL._replace(**{trait: reference})]
    assert describe([USUAL._replace(**{trait: near})], references) is None
    assert "1 clip differs" in describe([USUAL._replace(**{trait: far})], references)


def test_one_reference_that_is_alike_suffices():
    assert describe([USUAL._replace(channels=2)], [USUAL, USUAL._replace(channels=2)]) is None


def test_each_trait_has_a_sentence_with_its_own_advice():
    text = describe([USUAL._replace(level=-50, channels=2), USUAL, USUAL._replace(level=-60)])
    first, channels, level = text.split(". ")
    assert first == (
        "2 clips differ from all references in how recordings were made, and may score high for that alone"
    )
    assert channels.startswith("Channels 2, references 1 (0.wav): take one channel")
    assert level.startswith("Level -60 to -50 dB, references -20 dB (0.wav, 2.wav): record all with one gain")


def test_rates_and_bandwidths_have_one_common_band_and_one_advice_where_the_same_clips_differ():
    tests = [USUAL._replace(sampling_rate=8000, bandwidth=4000), USUAL._replace(bandwidth=5000)]
    assert set(re.findall("max_frequency=([0-9]+)", describe(tests))) == {"3400"}
    text = describe(tests[:1])
    assert "Sampling rate 8000 Hz, references 16000 Hz; bandwidth 4000 Hz, references 8000 Hz (0.wav): to" in text
    assert text.count("fit again") == 1


def test_at_most_three_files_are_named_below_their_folder():
    names = [f"plant/pump/test/{name}" for name in ("a.wav", "b/c.wav", "d.wav", "e.wav", "f.wav")]
    tests = np.asarray([USUAL._replace(level=-50)] * 5)
    text = describe_differences(tests, np.asarray([USUAL]), names, Windows())
    assert "for that alone (in plant/pump/test). " in text and text.count("plant") == 1
    assert "(a.wav, b/c.wav, d.wav and 2 more): " in text
    mixed = describe_differences(tests, np.asarray([USUAL]), ["/x/a.wav", *names[1:]], Windows())
    assert "(/x/a.wav, plant/pump/test/b/c.wav, " in mixed


def test_one_clip_of_several_has_its_own_values_and_the_advice_for_all():
    tests = np.asarray([USUAL._replace(bandwidth=4000), USUAL, USUAL._replace(bandwidth=3000)])
    (found,) = find_differences(tests, np.asarray([USUAL]), Windows())
    assert found.fact() == "bandwidth 3000 to 4000 Hz, references 8000 Hz"
    assert found.fact(0) == "bandwidth 4000 Hz, references 8000 Hz"
    assert found.advice(0) == found.advice(2) and "max_frequency=2500" in found.advice()


def test_what_is_unknown_is_not_compared():
    unknown = Traits(*[np.nan] * len(Traits._fields))
    assert describe([USUAL], [unknown]) is None
    assert describe([unknown], [USUAL]) is None


def test_what_the_detector_does_not_read_is_not_compared():
    other = USUAL._replace(sampling_rate=8000, bandwidth=3900, empty_share=0.5)
    assert describe([other]) and describe([other], max_frequency=3700) is None
    longer = USUAL._replace(seconds=60)
    assert describe([longer]) and describe([longer], windows=Windows(reduce="first")) is None

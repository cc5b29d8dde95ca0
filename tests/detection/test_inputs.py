"""Clips come in pairs with two microphones; domains come from the user, or from DCASE file names."""

import numpy as np
import pytest

from modeling_retainmix.detection.inputs import clip_sources, reference_domains

NAMES = ["fan/section_00_source_train_normal_0000_a.wav", "fan/section_00_target_train_normal_0001_a.wav"]


def test_without_domains_they_are_those_of_dcase_names():
    assert reference_domains(NAMES, None) == ["source", "target"]


@pytest.mark.parametrize("other", ["clip 3", "hum.wav", "section_00_0000.wav"])
def test_when_one_name_has_no_domain_then_all_count_as_one(other):
    assert reference_domains([*NAMES, other], None) == ["source"] * 3


def test_when_domains_are_given_then_names_are_not_read():
    assert reference_domains(NAMES, ["target", "target"]) == ["target", "target"]


@pytest.mark.parametrize(
    ("domains", "message"),
    [
        (["source"], "1 domains for 2 references: pass one for each clip"),
        (["source", "Target"], r"normal_0001_a\.wav has domain 'Target': use 'source' or 'target'"),
        ([0, 1], "has domain 0: use"),
    ],
)
def test_when_domains_do_not_fit_the_clips_then_error_names_the_value(domains, message):
    with pytest.raises(ValueError, match=message):
        reference_domains(NAMES, domains)


@pytest.fixture(scope="module")
def clips():
    return np.random.default_rng(0).normal(0, 0.1, (3, 4000)).astype(np.float32)


def test_near_and_far_clips_are_loaded_side_by_side(clips):
    (source,) = clip_sources("residual", clips[:1], 16000, far=clips[1:2])
    np.testing.assert_array_equal(source.load(), np.stack([clips[0], clips[1]], axis=1))
    (near,) = clip_sources("near", clips[:1], 16000)
    np.testing.assert_array_equal(near.load(), clips[0])


@pytest.mark.parametrize(("counts", "message"), [((3, 2), "clip 2 has no far clip"), ((1, 3), "clip 1 has no near")])
def test_when_there_are_more_clips_of_one_microphone_then_error_names_the_first_without_partner(
    clips, counts, message
):
    with pytest.raises(ValueError, match=f"{counts[0]} near and {counts[1]} far clips: {message}"):
        clip_sources("fusion", clips[: counts[0]], 16000, far=clips[: counts[1]])

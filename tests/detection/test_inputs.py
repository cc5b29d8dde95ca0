"""Domains come from the user, or from file names where all of them tell."""

import pytest

from modeling_retainmix.detection.inputs import reference_domains

NAMES = ["fan/section_00_source_train_normal_0000_a.wav", "fan/section_00_target_train_normal_0001_a.wav"]


def test_without_domains_dcase_names_tell_them():
    assert reference_domains(NAMES, None) == ["source", "target"]


@pytest.mark.parametrize("other", ["clip 3", "hum.wav", "section_00_0000.wav"])
def test_when_one_name_tells_no_domain_then_all_count_as_one(other):
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

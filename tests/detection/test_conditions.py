"""Which conditions are the usual ones, and which have changed."""

import pytest

from modeling_retainmix.detection.conditions import domains_of_conditions

NAMES = [f"{index}.wav" for index in range(5)]


@pytest.mark.parametrize(
    ("conditions", "domains"),
    [
        ("aaabc", ["source", "source", "source", "target", "target"]),
        ("baccc", ["target", "target", "source", "source", "source"]),
        ("aaaaa", ["source"] * 5),
    ],
)
def test_the_most_frequent_condition_is_the_source(conditions, domains):
    assert domains_of_conditions(NAMES, list(conditions)) == domains


def test_when_conditions_are_called_as_domains_then_numbers_play_no_part():
    conditions = ["target", "target", "target", "source", "target"]
    assert domains_of_conditions(NAMES, conditions) == conditions
    assert domains_of_conditions(NAMES, ["target"] * 5) == ["target"] * 5


def test_when_two_conditions_are_as_frequent_then_error_names_both():
    with pytest.raises(ValueError, match="conditions b and a have 2 recordings each"):
        domains_of_conditions(NAMES, list("bbaac"))


def test_when_only_some_are_called_as_domains_then_error_names_a_recording():
    with pytest.raises(ValueError, match=r"3\.wav has the domain as its condition, and others have hot, usual"):
        domains_of_conditions(NAMES, ["usual", "usual", "usual", "target", "hot"])

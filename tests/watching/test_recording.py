"""What is told of a recording, and the key by which a receiver knows it again."""

import json

import pytest

from modeling_retainmix.watching.recording import Judgement, Recording, delivery

JUDGED = Judgement(3.0, 1, 2.0, 1.0, 0.1, "abc", ("other rate",))


def test_an_event_is_json_with_times_that_people_read():
    one = Recording("c0ffee", "a.wav", 0.0, 1.5, JUDGED, alarm="raised", number=7)
    sent = json.loads(delivery(one, "h", "hook").payload)
    assert sent.pop("key") == delivery(one, "h", "hook").key
    assert sent == {
        "number": 7,
        "recording": "a.wav",
        "content": "c0ffee",
        "recorded": "1970-01-01T00:00:00.000+00:00",
        "decided": "1970-01-01T00:00:01.500+00:00",
        "verdict": "anomalous",
        "alarm": "raised",
        "score": 3.0,
        "num_windows": 1,
        "threshold": 2.0,
        "upper_quartile": 1.0,
        "false_alarm_rate": 0.1,
        "detector": "abc",
        "warnings": ["other rate"],
    }


def test_an_unreadable_recording_tells_its_cause_and_no_score():
    event = Recording("c", "a.wav", 0.0, 1.0, None, "is cut").event()
    assert (event["verdict"], event["cause"]) == ("unreadable", "is cut") and "score" not in event


def test_the_key_is_that_of_content_outcome_and_hook_whenever_it_was_decided():
    one, later = (Recording("c", f"{n}.wav", n, n, JUDGED, number=n) for n in (1, 2))
    broken = Recording("c", "1.wav", 1, 1, None, "is cut")
    assert delivery(one, "h", "hook").key == delivery(later, "h", "hook").key
    assert len({delivery(one, "h", "x").key, delivery(one, "i", "x").key, delivery(broken, "h", "x").key}) == 3


@pytest.mark.parametrize(
    ("score", "confirmed", "verdict"), [(2.0, None, "normal"), (2.1, None, "anomalous"), (9, "a", "normal")]
)
def test_a_recording_is_anomalous_above_the_threshold_unless_a_person_said_otherwise(score, confirmed, verdict):
    one = Recording("c", "a.wav", 0, 0, JUDGED._replace(score=score), confirmed=confirmed)
    assert one.verdict == verdict

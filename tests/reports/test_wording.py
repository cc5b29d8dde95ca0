"""Sentences: counts, plurals, and what is left unsaid where there are no verdicts."""

from dataclasses import replace

import numpy as np
import pytest
from reports.conftest import RATE

from modeling_retainmix.detection.judgement import Judgement, ThresholdBasis
from modeling_retainmix.reports import wording
from modeling_retainmix.reports.findings import Detail, Findings, RecordingFindings


@pytest.fixture(scope="module")
def normal(detector):
    """Scores of 12 references."""
    return detector.threshold_basis().normal


@pytest.fixture
def findings(normal):
    """Build findings of recordings with these verdicts."""

    def build(*verdicts, unit="recordings", num_units=12, rate=0.1, has_groups=False):
        basis = ThresholdBasis(rate, unit, num_units, normal if num_units > 1 else None, "max")
        recordings = tuple(
            RecordingFindings(f"{index}.wav", Judgement("", 2.0, 0.3, 1.0, verdict, 1, 0.0), (), None)
            for index, verdict in enumerate(verdicts)
        )
        return Findings(recordings, (), basis, has_groups, 12, True, 8000.0, "log-mel", {})

    return build


def test_when_verdicts_are_counted_then_the_headline_says_it_in_plain_words(findings):
    assert wording.headline(findings(False, False)) == "None of 2 recordings is anomalous"
    assert wording.headline(findings(True, False)) == "1 of 2 recordings is anomalous"
    assert wording.headline(findings(True, True, False)) == "2 of 3 recordings are anomalous"
    assert wording.headline(findings(True)) == "The recording is anomalous"
    assert wording.headline(findings(False)) == "The recording is not anomalous"


def test_when_references_are_too_few_then_it_says_how_many_are_missing(findings):
    few = findings(None, None, unit="groups", num_units=8, has_groups=True)
    assert wording.headline(few) == "No verdict: 1 more session of the healthy machine is needed"
    assert "needs 9 sessions, and there are 8" in wording.lead(few)[1]
    sentence = wording.verdict_sentence(few.recordings[0].judgement, few.basis)
    assert "no verdict without 1 more session" in sentence and "threshold" not in sentence
    assert few.basis.num_units == 8 and "thresholds rest on 8 sessions." in wording.lead(few)[0]
    assert wording.headline(findings(None, num_units=1)).startswith("No verdict: 8 more recordings")


def test_when_all_are_anomalous_then_the_setup_is_to_be_checked_first(findings):
    assert "check that microphone" in " ".join(wording.lead(findings(*[True] * 5)))
    assert "check that microphone" not in " ".join(wording.lead(findings(True, True)))


def test_when_a_rate_is_chosen_then_it_says_how_many_false_alarms_to_expect(findings):
    assert "that would be about 2 of them" in wording.lead(findings(*[False] * 20))[-1]


def test_when_a_verdict_is_told_then_score_threshold_and_chance_are(findings):
    found = findings(True)
    judgement = found.recordings[0].judgement
    assert wording.verdict_sentence(judgement, found.basis) == (
        "The score 2.000 is above the threshold 1.000. About 30\u00a0% of healthy recordings would score as high."
    )
    rarest = judgement._replace(p_value=1 / 13)
    assert "None of the 12 recordings that thresholds rest on scored as high (p = 0.077" in wording.verdict_sentence(
        rarest, found.basis
    )


def test_when_numbers_stand_in_a_column_then_they_have_equally_many_digits():
    assert [wording.number(value) for value in (6.73, 6.771, 12, 1234.0)] == ["6.730", "6.771", "12.00", "1234"]
    assert [wording.p_value_text(value) for value in (0.2, 0.077, 1.0)] == ["0.20", "0.077", "1.0"]


def test_when_a_file_has_a_low_sampling_rate_then_it_says_where_its_sound_ends():
    detail = Detail(1.0, 0.0, np.zeros(RATE), np.zeros(RATE), (), 4000.0)
    assert wording.band_sentence(detail).startswith(
        "Its sampling rate of 8 kHz holds nothing above 4 kHz: a flat dashed"
    )
    assert wording.band_sentence(replace(detail, highest_hz=24000.0)) is None


def test_when_limits_are_told_then_they_fit_the_references(findings):
    plain = dict(wording.limits(findings(False)))
    named = dict(wording.limits(findings(False, has_groups=True, unit="groups", num_units=19, rate=0.05)))
    assert any("Name sessions" in sentence for sentence in plain.values())
    assert any("of 19 sessions" in sentence for sentence in named.values())
    assert "With 12 recordings it is 0.077 at best" in plain["A p-value cannot be smaller than the references allow."]
    assert not any(heading.startswith("Loudness") for heading in plain)
    deaf = wording.limits(replace(findings(False), hears_level=False, max_frequency=3500.0))
    assert deaf[-1][0].startswith("Loudness") and any("3.5 kHz" in heading for heading, _ in deaf)
    assert not any("p-value" in heading for heading, _ in wording.limits(findings(None, num_units=1)))

"""What the report says in sentences: the headline, the verdict of a recording, and what the numbers cannot say."""

import math

import numpy as np

from modeling_retainmix.audio import SAMPLING_RATE
from modeling_retainmix.detection.conformal import SMALLEST_P, normal_p_values
from modeling_retainmix.detection.judgement import Judgement, ThresholdBasis
from modeling_retainmix.detection.threshold import needed_units
from modeling_retainmix.reports.findings import Detail, Findings

_MANY = 5  # recordings, from which it is suspicious that all are anomalous


def headline(findings: Findings) -> str:
    """Say in a sentence how many recordings are anomalous."""
    count, total, basis = findings.num_anomalous, len(findings.recordings), findings.basis
    if not findings.has_verdicts:
        are = "is" if basis.num_missing == 1 else "are"
        return f"No verdict: {_count(basis.num_missing, f'more {basis.noun}')} of the healthy machine {are} needed"
    if total == 1:
        return f"The recording is {'anomalous' if count else 'not anomalous'}"
    if count == 0:
        return f"None of {total} recordings is anomalous"
    return f"{count} of {total} recordings {'is' if count == 1 else 'are'} anomalous"


def lead(findings: Findings) -> list[str]:
    """Say what the headline rests on."""
    basis, total, rate = findings.basis, len(findings.recordings), findings.basis.false_alarm_rate
    compared = f"Compared with {_count(findings.num_references, 'recording')} of the healthy machine"
    if findings.has_groups:
        compared += f"; thresholds rest on {_count(basis.num_units, 'session')}"
    if not findings.has_verdicts:
        there = f"there {'is' if basis.num_units == 1 else 'are'} {basis.num_units}"
        needed = _count(needed_units(rate), basis.noun)
        return [
            f"{compared}.",
            f"A rate of {_percent(rate)} false alarms needs {needed}, and {there}. The recordings are ranked by their "
            "scores all the same.",
        ]
    sentences = [f"{compared}. The threshold is set so that {_percent(rate)} of healthy ones are called anomalous."]
    if total > 1:
        sentences.append(
            f"If all {total} recordings here were healthy, that would be about {rate * total:.2g} of them."
        )
    if findings.num_anomalous == total >= _MANY:
        sentences.append(
            "All are anomalous: before you suspect the machine, check that microphone, place, load and recorder are "
            "those of the references."
        )
    return sentences


def verdict_word(judgement: Judgement) -> str:
    """Return the verdict in a word or two."""
    return {True: "Anomalous", False: "Normal", None: "No verdict"}[judgement.is_anomalous]


def verdict_sentence(judgement: Judgement, basis: ThresholdBasis) -> str:
    """Say why a recording has its verdict."""
    score = f"The score {number(judgement.score)}"
    if judgement.is_anomalous is None:
        sentence = f"{score} stands alone: no verdict without {_count(basis.num_missing, f'more {basis.noun}')}."
    else:
        side = "is above" if judgement.is_anomalous else "is not above"
        sentence = f"{score} {side} the threshold {number(judgement.threshold)}."
    if math.isnan(judgement.p_value):
        return sentence
    if judgement.p_value <= (least := _least_p_value(basis, judgement.num_windows)) + 1e-9:
        none = f"None of the {_count(basis.num_units, basis.noun)} that thresholds rest on scored as high"
        length = " a recording of this length" if least > 1 / (basis.num_units + 1) + 1e-9 else ""
        return f"{sentence} {none} (p = {p_value_text(judgement.p_value)}, the least that they can give{length})."
    return f"{sentence} About {_percent(judgement.p_value)} of healthy recordings would score as high."


def _least_p_value(basis: ThresholdBasis, num_windows: int) -> float:
    """Return the p-value of a recording of so many windows that scores higher than all normal ones."""
    assert basis.normal is not None  # there is no p-value else
    highest = np.asarray([np.inf])
    return float(normal_p_values(highest, basis.normal, num_windows, basis.reduce, SMALLEST_P)[0])


def excerpt_sentence(detail: Detail) -> str:
    """Say what part of a recording is shown and played."""
    length = detail.end_seconds - detail.start_seconds
    if length >= detail.seconds - 1e-6:
        return f"The whole recording, {detail.seconds:.1f} s"
    return (
        f"From {detail.start_seconds:.1f} to {detail.end_seconds:.1f} s of {detail.seconds:.1f} s, around the highest "
        "score"
    )


def band_sentence(detail: Detail) -> str | None:
    """Say where the sound of a file ends that had a low sampling rate; None: it holds all that is shown."""
    if detail.highest_hz >= SAMPLING_RATE / 2:
        return None
    return (
        f"Its sampling rate of {2 * detail.highest_hz / 1000:g} kHz holds nothing above {detail.highest_hz / 1000:g} "
        "kHz: a flat dashed box near that frequency most likely comes from the file, not from the machine"
    )


def limits(findings: Findings) -> list[tuple[str, str]]:
    """Say what the numbers cannot say: a heading and a sentence or two each."""
    basis, rate = findings.basis, _percent(findings.basis.false_alarm_rate)
    sessions = (
        f"The references are of {_count(basis.num_units, 'session')}. What another session changes that "
        "none of these did (place of the microphone, load, temperature) still counts as anomalous."
        if findings.has_groups
        else "No recording sessions are named, so each reference counts as one of its own. References of one session "
        "resemble each other more than tomorrow's recordings resemble them: then the real rate of false alarms is "
        f"several times {rate}. Name sessions when you fit the detector."
    )
    found = [
        (
            "A score is a distance.",
            "It says how unlike the references a recording is, not which fault it has, how severe it is, or how long "
            "the machine will run.",
        ),
        (f"{rate} of false alarms is a promise about recordings like the references.", sessions),
        (
            "Normal is not healthy.",
            "A fault that does not sound, or not while it was recorded, is not found. Look at recordings just below "
            "the threshold, too.",
        ),
        (
            "Marked events are not the reason of the score.",
            "They compare levels, cell by cell, with the references, once the gain of the whole recording is taken "
            "away. A recording without any may score high, and one with some may score low.",
        ),
        (
            f"Above {findings.max_frequency / 1000:g} kHz nothing is heard.",
            "The players hold what the detector hears, at 16 kHz sampling rate.",
        ),
    ]
    if basis.normal is not None:
        smallest = p_value_text(1 / (basis.num_units + 1))
        found.append(
            (
                "A p-value cannot be smaller than the references allow.",
                f"With {_count(basis.num_units, basis.noun)} it is {smallest} at best, whatever the fault.",
            )
        )
    if not findings.hears_level:
        found.append(
            (
                "Loudness alone does not count.",
                "All recordings are compared at one level, so that the recorder's gain does not matter; a machine "
                "that only becomes louder is not noticed.",
            )
        )
    return found


def number(value: float) -> str:
    """Return a score or threshold as text, always with four digits that count."""
    return f"{value:#.4g}".removesuffix(".")


def p_value_text(value: float) -> str:
    """Return a p-value as text; a dash where there is none."""
    return "–" if math.isnan(value) else f"{value:#.2g}"  # noqa: RUF001


def _percent(share: float) -> str:
    return f"{100 * share:.{2 if share < 0.995 else 3}g}\u00a0%"


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"

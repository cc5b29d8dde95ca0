"""What is wrong with a recording itself, whatever the machine: measured clip by clip, each with a sentence.

No detector is needed. With the traits of references a clip is also compared with these.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.signal import welch
from tqdm.auto import tqdm

from modeling_retainmix.audio import SAMPLING_RATE, AudioSource, Origin, audio_sources
from modeling_retainmix.detection.recording_traits import FULL_BAND, Traits, measure_traits
from modeling_retainmix.detection.trait_differences import TRAIT_LABELS, TraitDifference, find_differences
from modeling_retainmix.detection.windows import Windows
from modeling_retainmix.mixing import SilentClipError
from modeling_retainmix.resampling import resample

CLIPPED_SHARE = 0.001  # of the samples
DC_SHARE = 0.1  # of the root mean square of the rest
UNHEARD_SHARE = 0.01  # of the power

_SHORTEST_RUN = 0.01  # s of equal samples: a sine at 20 Hz in 8 bits has shorter ones, unless it is next to nothing
_SHORTEST_SILENCE = 0.1  # s; what is shorter is a dropout
_LOWEST_FREQUENCY = 20.0  # Hz; what is lower no encoder hears
_SPECTRUM_SECONDS = 0.05

_LABELS = {
    "clipping": "clipping",
    "dropouts": "dropouts",
    "dc_offset": "DC offset",
    "digital_silence": "digital silence",
    "unheard_energy": "energy that is not heard",
}


@dataclass(frozen=True)
class Finding:
    """One property of a recording.

    Attributes:
        measure: "clipping" (share of samples), "dropouts" (their number), "dc_offset" (share of full scale),
            "digital_silence" (seconds), "unheard_energy" (share of power), or a field of `Traits`, whose value it has.
        value: NaN: it cannot be measured.
        is_problem: something to look at before any score is believed.
        fact: what was found, in plain English.
        advice: what to do about it; empty: nothing.
    """

    measure: str
    value: float
    is_problem: bool
    fact: str
    advice: str = ""

    @property
    def label(self) -> str:
        """What is measured, in words."""
        return TRAIT_LABELS.get(self.measure) or _LABELS[self.measure]

    @property
    def sentence(self) -> str:
        """What was found, and what to do about it."""
        return f"{self.fact}: {self.advice}" if self.advice else self.fact


@dataclass(frozen=True)
class RecordingHealth:
    """All findings of one recording.

    Attributes:
        name: of the clip.
        findings: in the order of `Finding.measure`.
    """

    name: str
    findings: tuple[Finding, ...]

    @property
    def problems(self) -> list[Finding]:
        """The findings that are problems."""
        return [finding for finding in self.findings if finding.is_problem]


def recording_health(
    audio: Any,
    sampling_rate: int | None = None,
    channel: int | str | None = None,
    reference_traits: np.ndarray | None = None,
    windows: Windows | None = None,
    max_frequency: float | None = None,
) -> list[RecordingHealth]:
    """Examine recordings at the sampling rate of their files.

    Args:
        audio: clips in any form that `audio_sources` takes.
        sampling_rate: of arrays, in Hz.
        channel: what to take of files with several channels: an index from 0, or "mean".
        reference_traits: [references, traits] as in `Traits`; each clip is also compared with these, trait by trait,
            and the advice is one that fits all clips. None: clips are examined alone.
        windows: of the detector that has these references; None: the default ones.
        max_frequency: up to which the detector hears, in Hz; None: 8000.

    Returns:
        One for each clip. A clip whose samples are all equal has the one finding "digital_silence".

    Raises:
        FileNotFoundError, ValueError: a clip that cannot be read; the message names it.
    """
    band = FULL_BAND if max_frequency is None else max_frequency
    sources = tqdm(_at_own_rate(audio, sampling_rate, channel), desc="examining", unit="clip", disable=None, delay=2)
    examined = [_examine(source, origin, band) for source, origin in sources]
    if reference_traits is None or not examined:
        return [health for health, _ in examined]
    traits = np.array([traits for _, traits in examined], dtype=np.float64)
    found = find_differences(traits, reference_traits, windows or Windows(), max_frequency)
    return [
        replace(health, findings=(*health.findings, *_differences(row, traits[row], found)))
        for row, (health, _) in enumerate(examined)
    ]


def _at_own_rate(
    audio: Any, sampling_rate: int | None, channel: int | str | None
) -> Iterator[tuple[AudioSource, Origin]]:
    """Sources that load clips without resampling, and where each comes from."""
    sources = {SAMPLING_RATE: audio_sources(audio, sampling_rate, channel)}
    for index, source in enumerate(sources[SAMPLING_RATE]):
        origin = source.describe() or Origin(SAMPLING_RATE, 1, None)  # if unknown: loading says what is wrong
        rate = origin.sampling_rate
        if rate not in sources:
            sources[rate] = audio_sources(audio, sampling_rate, channel, target_rate=rate)
        yield sources[rate][index], origin


def _examine(source: AudioSource, origin: Origin, band: float) -> tuple[RecordingHealth, Traits]:
    """Examine a clip alone, and measure what is compared with references; NaN for a silent one."""
    rate = origin.sampling_rate
    try:
        waveform = source.load()
    except SilentClipError as error:
        silent = Finding("digital_silence", np.nan, True, str(error))
        return RecordingHealth(source.name, (silent,)), Traits(*[np.nan] * len(Traits._fields))
    traits = measure_traits(resample(waveform, rate, SAMPLING_RATE), *origin)
    runs = constant_runs(waveform, rate)
    findings = (
        _clipping(traits.clipped_share),
        _dropouts(runs, rate),
        _dc_offset(waveform),
        _digital_silence(runs, rate),
        _unheard_energy(waveform, rate, band),
    )
    return RecordingHealth(source.name, findings), traits


def constant_runs(waveform: np.ndarray, rate: int) -> list[tuple[int, int]]:
    """Find where samples stand still for 10 ms or longer.

    Runs at the largest magnitude of the clip are clipping, unless that is 0, and do not count.

    Args:
        waveform: [samples].
        rate: in Hz.

    Returns:
        First sample of each run, and the one behind its last.
    """
    moves = np.flatnonzero(np.diff(waveform)) + 1
    starts, ends = np.concatenate([[0], moves]), np.concatenate([moves, [len(waveform)]])
    peak = np.abs(waveform).max()
    is_run = (ends - starts >= max(_SHORTEST_RUN * rate, 2)) & (np.abs(waveform[starts]) < peak)
    return list(zip(starts[is_run].tolist(), ends[is_run].tolist(), strict=True))


def unheard_share(waveform: np.ndarray, rate: int, band: float = FULL_BAND) -> float:
    """Return the share of a clip's power above a frequency in Hz, of that above 20 Hz; NaN: it has none there."""
    size = min(round(_SPECTRUM_SECONDS * rate), len(waveform))
    frequencies, power = welch(waveform.astype(np.float64), rate, "hann", size, detrend="constant")
    total = power[frequencies >= _LOWEST_FREQUENCY].sum()
    return float(power[frequencies > max(band, _LOWEST_FREQUENCY)].sum() / total) if total > 0 else np.nan


def _clipping(share: float) -> Finding:
    if share < CLIPPED_SHARE:
        return Finding("clipping", share, False, "Not clipped")
    told = f"{100 * share:.2g} % of the samples are clipped"
    return Finding("clipping", share, True, told, "turn the recording gain down")


def _dropouts(runs: Sequence[tuple[int, int]], rate: int) -> Finding:
    short = [(start, end) for start, end in runs if end - start < _SHORTEST_SILENCE * rate]
    if not short:
        return Finding("dropouts", 0.0, False, "No dropout")
    seconds = sum(end - start for start, end in short) / rate
    number = "1 dropout" if len(short) == 1 else f"{len(short)} dropouts"
    told = (
        f"{number} of {seconds:.2g} s in all, the first at {short[0][0] / rate:.2f} s, where the samples stand still"
    )
    return Finding("dropouts", float(len(short)), True, told, "check cable, buffer and disk of the recorder")


def _dc_offset(waveform: np.ndarray) -> Finding:
    mean, deviation = float(waveform.mean(dtype=np.float64)), float(waveform.std(dtype=np.float64))
    if abs(mean) < DC_SHARE * deviation:
        return Finding("dc_offset", mean, False, "No DC offset")
    told = f"The mean is {mean:.2g} of full scale, {abs(mean) / max(deviation, 1e-300):.0%} of the sound"
    return Finding("dc_offset", mean, True, told, "check the input")


def _digital_silence(runs: Sequence[tuple[int, int]], rate: int) -> Finding:
    long = [(start, end) for start, end in runs if end - start >= _SHORTEST_SILENCE * rate]
    if not long:
        return Finding("digital_silence", 0.0, False, "No digital silence")
    seconds = sum(end - start for start, end in long) / rate
    told = f"{seconds:.2g} s of digital silence, the first at {long[0][0] / rate:.2f} s"
    advice = "check whether the recording was cut, gated or padded"
    return Finding("digital_silence", seconds, True, told, advice)


def _unheard_energy(waveform: np.ndarray, rate: int, band: float) -> Finding:
    share = unheard_share(waveform, rate, band)
    is_problem = share >= UNHEARD_SHARE
    told = f"{100 * share:.2g} % of the power lies above {band / 1000:g} kHz, which the encoder does not hear"
    heard = f"Next to no energy above {band / 1000:g} kHz, where the encoder hears nothing"
    return Finding("unheard_energy", share, is_problem, told if is_problem else heard)


def _differences(row: int, traits: np.ndarray, found: Sequence[TraitDifference]) -> Iterator[Finding]:
    """Compare each trait with those of the references, by the rules of the warning that `score` gives.

    Args:
        row: of the clip among all that are examined.
        traits: [traits] of the clip.
        found: in what these clips differ from the references.
    """
    differences = {difference.trait: difference for difference in found if difference.rows[row]}
    for measure, value in zip(Traits._fields, traits.tolist(), strict=True):
        if measure == "clipped_share":
            continue  # that is "clipping"
        if measure in differences:
            fact, advice = differences[measure].fact(row), differences[measure].advice(row)
        else:
            fact, advice = f"{TRAIT_LABELS[measure]} as in the references", ""
        yield Finding(measure, value, measure in differences, fact[0].upper() + fact[1:], advice)

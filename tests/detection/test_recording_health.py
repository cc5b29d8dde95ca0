"""Each fault of a recording is found where it is and only there, with and without references."""

import numpy as np
import pytest
import soundfile as sf

from modeling_retainmix import AnomalyDetector
from modeling_retainmix.audio import resample
from modeling_retainmix.detection.recording_health import constant_runs, recording_health, unheard_share

RATE = 16000


def noise(seconds=1.0, rate=RATE, seed=0):
    return np.random.default_rng(seed).normal(0, 0.05, round(seconds * rate)).astype(np.float32)


def silenced(clip, start, seconds, value=0.0, rate=RATE):
    changed = clip.copy()
    changed[round(start * rate) : round((start + seconds) * rate)] = value
    return changed


def findings(clip, rate=RATE):
    (health,) = recording_health(clip, rate)
    return {finding.measure: finding for finding in health.findings}


def problems(clip, rate=RATE):
    return {measure: finding for measure, finding in findings(clip, rate).items() if finding.is_problem}


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000])
def test_when_a_recording_is_sound_then_every_measure_says_so(rate):
    clip = noise(1.0, 8000) if rate == 8000 else resample(noise(1.0, 8000), 8000, rate)
    found = findings(clip, rate)
    assert list(found) == ["clipping", "dropouts", "dc_offset", "digital_silence", "unheard_energy"]
    assert not problems(clip, rate)
    assert found["clipping"].sentence == "Not clipped" and found["dropouts"].value == 0


def test_when_samples_are_clipped_then_their_share_is_told():
    loud = 20 * noise()
    (finding,) = problems(np.clip(loud, -1, 1)).values()
    assert finding.measure == "clipping"
    assert finding.value == pytest.approx(np.mean(np.abs(loud) >= 1), abs=0.05)
    assert finding.sentence.startswith(f"{100 * finding.value:.2g} % of the samples are clipped")


@pytest.mark.parametrize("rate", [16000, 44100])
@pytest.mark.parametrize("value", [0.0, 0.02, -0.01])
def test_when_samples_stand_still_for_a_moment_then_it_is_a_dropout(rate, value):
    clip = silenced(silenced(resample(noise(1.0, 8000), 8000, rate), 0.3, 0.02, value, rate), 0.6, 0.05, value, rate)
    (finding,) = problems(clip, rate).values()
    assert (finding.measure, finding.value) == ("dropouts", 2)
    assert finding.sentence.startswith("2 dropouts of 0.07 s in all, the first at 0.30 s")


@pytest.mark.parametrize(("start", "seconds"), [(0.0, 0.2), (0.4, 0.3), (0.8, 0.2)])
def test_when_a_part_is_digitally_silent_then_its_length_and_place_are_told(start, seconds):
    (finding,) = problems(silenced(noise(), start, seconds)).values()
    assert finding.measure == "digital_silence" and finding.value == pytest.approx(seconds, abs=1e-3)
    assert f"the first at {start:.2f} s" in finding.sentence


def test_when_the_whole_clip_is_silent_then_that_is_the_finding(tmp_path):
    sf.write(tmp_path / "silent.wav", np.zeros(RATE), RATE)
    (health,) = recording_health(tmp_path / "silent.wav")
    assert [finding.measure for finding in health.problems] == ["digital_silence"]
    assert "is silent" in health.problems[0].sentence and health.name.endswith("silent.wav")


@pytest.mark.parametrize(
    ("offset", "told"), [(-0.1, "-0.1 of full scale, 200% of"), (0.01, "0.01 of full scale, 20% of")]
)
def test_when_the_mean_is_not_zero_then_it_is_told(offset, told):
    centered = noise() - noise().mean()
    (finding,) = problems(0.05 * centered / centered.std() + np.float32(offset)).values()
    assert finding.measure == "dc_offset" and finding.value == pytest.approx(offset, abs=1e-5)
    assert told in finding.sentence


def test_when_energy_lies_above_what_is_heard_then_its_share_is_told():
    time = np.arange(48000) / 48000
    clip = (0.1 * np.sin(2 * np.pi * 1000 * time) + 0.1 * np.sin(2 * np.pi * 15000 * time)).astype(np.float32)
    (finding,) = problems(clip, 48000).values()
    assert finding.measure == "unheard_energy" and finding.value == pytest.approx(0.5, abs=0.01)
    assert finding.sentence == "50 % of the power lies above 8 kHz, which the encoder does not hear"
    assert unheard_share(clip, 48000, band=16000) < 0.01
    assert np.isnan(unheard_share(np.full(16000, 0.5, dtype=np.float32), RATE))


def test_when_clips_have_several_rates_then_each_is_read_at_its_own(tmp_path):
    for name, rate in (("a.wav", 48000), ("b.wav", 16000), ("c.wav", 44100)):
        sf.write(tmp_path / name, silenced(noise(1.0, rate), 0.5, 0.02, rate=rate), rate, subtype="FLOAT")
    healths = recording_health(tmp_path)
    assert [health.name[-5:] for health in healths] == ["a.wav", "b.wav", "c.wav"]
    shares = [health.findings[4].value for health in healths]
    np.testing.assert_allclose(shares, [2 / 3, 0, 1 - 8000 / 22050], atol=0.03)
    assert [health.findings[1].value for health in healths] == [1, 1, 1]


def test_when_a_clip_cannot_be_read_then_error_names_it(tmp_path):
    (tmp_path / "bad.wav").write_bytes(b"no sound")
    with pytest.raises(ValueError, match=r"bad\.wav cannot be decoded"):
        recording_health(tmp_path)


def naive_runs(waveform, rate):
    runs, start = [], 0
    for place in range(1, len(waveform) + 1):
        if place == len(waveform) or waveform[place] != waveform[start]:
            is_long = place - start >= 0.01 * rate
            if is_long and abs(waveform[start]) < np.abs(waveform).max():
                runs.append((start, place))
            start = place
    return runs


def test_when_samples_repeat_then_runs_are_those_of_a_loop():
    generator = np.random.default_rng(0)
    for _ in range(20):
        values = generator.integers(-3, 4, 200) / 10
        waveform = np.repeat(values, generator.integers(1, 30, 200)).astype(np.float32)
        runs = constant_runs(waveform, 2000)
        assert runs == naive_runs(waveform, 2000) and len(runs) > 10


def test_when_a_detector_is_fitted_then_what_differs_from_its_references_is_told_trait_by_trait(tiny_checkpoint):
    detector = AnomalyDetector.from_pretrained(tiny_checkpoint, device="cpu", backend="knn")
    narrow = 0.01 * resample(noise(1.0, 8000), 8000, RATE)
    (alone,) = detector.recording_health(narrow, RATE)
    assert alone.problems == []
    detector.fit([noise(seed=seed) for seed in range(4)], RATE)
    (health,) = detector.recording_health(narrow, RATE)
    told = {finding.measure: finding for finding in health.problems}
    assert list(told) == ["bandwidth", "level"]
    assert told["level"].value == pytest.approx(-66, abs=3)
    assert told["level"].sentence == f"Level {told['level'].value:.0f} dB, references -26 dB: {told['level'].advice}"
    assert told["bandwidth"].sentence.startswith("Bandwidth 4") and "max_frequency=3" in told["bandwidth"].sentence
    assert told["level"].advice.startswith("record all with one gain")
    narrower = resample(noise(1.0, 6000), 6000, RATE)
    both = detector.recording_health([narrow, narrower], RATE)
    facts, advice = zip(*[(one.fact, one.advice) for health in both for one in health.problems[:1]], strict=True)
    assert len(set(facts)) == 2 and len(set(advice)) == 1
    (same,) = detector.recording_health(noise(seed=9), RATE)
    assert same.problems == []
    by_measure = {finding.measure: finding for finding in same.findings}
    assert by_measure["sampling_rate"].sentence == "Sampling rate as in the references"


def test_when_the_detector_hears_a_lower_band_then_what_lies_above_is_told(tiny_checkpoint):
    detector = AnomalyDetector.from_pretrained(tiny_checkpoint, device="cpu", max_frequency=4000)
    (health,) = detector.recording_health(noise(), RATE)
    (finding,) = health.problems
    assert finding.value == pytest.approx(0.5, abs=0.02) and "above 4 kHz" in finding.sentence

"""Events lie where they were put, normal clips have none, and the rules are those of plain loops."""

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file, save_file
from scipy.signal import butter, sosfilt

from modeling_retainmix import AnomalyDetector
from modeling_retainmix.detection import events as module
from modeling_retainmix.detection.events import Event, level_rule, merged_cells
from modeling_retainmix.detection.saved_detector import REFERENCES_FILE
from modeling_retainmix.shipped import shipped_folder

RATE = 16000
BAND = (2000, 3000)


def machine(index, seconds=2.0):
    """A hum in noise; clips differ a little in level."""
    generator = np.random.default_rng(index)
    time = np.arange(round(seconds * RATE)) / RATE
    clip = 0.05 * np.sin(2 * np.pi * 200 * time + index) + generator.normal(0, 0.02, len(time))
    return (clip * generator.uniform(0.9, 1.1)).astype(np.float32)


def band_noise(seconds, level=0.2):
    noise = np.random.default_rng(0).normal(0, level, round(seconds * RATE))
    return sosfilt(butter(4, BAND, "bandpass", fs=RATE, output="sos"), noise).astype(np.float32)


def with_burst(clip, start, seconds=0.3):
    louder, first = clip.copy(), round(start * RATE)
    burst = band_noise(seconds)
    louder[first : first + len(burst)] += burst
    return louder


REFERENCES = [machine(index) for index in range(12)]
NORMAL = [machine(index) for index in range(100, 120)]


def fitted(name, **settings) -> AnomalyDetector:
    settings.setdefault("normalization", "none")
    return AnomalyDetector.from_pretrained(name, device="cpu", **settings).fit(REFERENCES, RATE)


@pytest.fixture(scope="module")
def spectrum():
    return fitted("log-mel")


def assert_burst(event, start, seconds=0.3):
    assert event.start_seconds == pytest.approx(start, abs=0.08)
    assert event.end_seconds == pytest.approx(start + seconds, abs=0.08)
    assert event.low_hz == pytest.approx(BAND[0], rel=0.3) and event.high_hz == pytest.approx(BAND[1], rel=0.3)
    assert event.strength > 4 and not event.lasts and not event.is_whole_clip


def test_when_a_burst_is_added_then_it_is_the_event_and_normal_clips_have_none(spectrum):
    ((event,),) = spectrum.events(with_burst(NORMAL[0], 0.8), RATE)
    assert_burst(event, 0.8)
    assert sum(bool(found) for found in spectrum.events(NORMAL, RATE)) <= 2


def test_when_sound_fades_away_then_the_event_has_less_energy(spectrum):
    clip = NORMAL[0].copy()
    clip[16_000:24_000] *= 0.01
    (found,) = spectrum.events(clip, RATE)
    assert found[0].strength < -4
    assert found[0].start_seconds == pytest.approx(1.0, abs=0.08)
    assert found[0].end_seconds == pytest.approx(1.5, abs=0.08)


def test_when_a_band_is_louder_all_the_time_then_the_event_lasts_and_none_is_in_time(spectrum):
    clip = NORMAL[0] + band_noise(2.0)
    (found,) = spectrum.events(clip, RATE)
    assert found and all(event.lasts and event.is_whole_clip for event in found)
    assert (found[0].start_seconds, found[0].end_seconds) == (0.0, 2.0)
    assert found[0].low_hz < 2500 < found[0].high_hz and found[0].strength > 4
    assert " through most of the clip, " in found[0].sentence and found[0].sentence.startswith("More energy from ")


def test_when_a_band_is_louder_most_of_the_time_then_its_pauses_are_no_events(spectrum):
    clip = NORMAL[0].copy()
    for start in range(0, 32_000, 8000):  # 0.35 of 0.5 s
        clip[start : start + 5600] += 0.3 * band_noise(0.35)
    (found,) = spectrum.events(clip, RATE)
    assert found and all(event.lasts and event.strength > 0 for event in found)


def test_when_a_gain_is_heard_then_it_lasts_and_without_the_level_it_is_no_event(tiny_checkpoint, spectrum):
    louder = 10 * NORMAL[0]
    for detector in (fitted(tiny_checkpoint), spectrum, fitted(shipped_folder())):
        ((event,),) = detector.events(louder, RATE)
        assert event.is_whole_clip and event.strength > 4 and event.low_hz < 100 and event.high_hz > 7800
        ((event,),) = detector.events(0.1 * NORMAL[0], RATE)
        assert event.is_whole_clip and event.strength < -4
    for detector in (fitted("log-mel", layer="log-mel"), fitted(shipped_folder(), layer=4)):
        assert detector.events(louder, RATE) == [[]]  # its clips have one level


def test_when_most_bands_are_louder_and_the_level_is_heard_then_the_others_are_not_quieter():
    hiss = np.random.default_rng(0).normal(0, 0.2, 2 * RATE)
    hiss = sosfilt(butter(6, 1500, "highpass", fs=RATE, output="sos"), hiss).astype(np.float32)
    for detector in (fitted("log-mel"), fitted(shipped_folder())):
        (found,) = detector.events(NORMAL[0] + hiss, RATE)
        assert found[0].low_hz == pytest.approx(1500, rel=0.3) and found[0].high_hz > 7800 and found[0].strength > 4
        assert all(event.lasts and event.strength > 0 for event in found)


@pytest.mark.parametrize("max_frequency", [4000, 7000])
def test_when_a_cell_is_read_in_part_then_a_gain_is_one_event_all_the_same(max_frequency):
    detector = fitted(shipped_folder(), max_frequency=max_frequency)
    ((event,),) = detector.events(10 * NORMAL[0], RATE)
    assert event.is_whole_clip and max_frequency - 600 < event.high_hz < max_frequency + 600


def test_when_a_short_clip_is_a_pause_then_it_is_no_gain():
    """A machine that pauses: all bands fall together, so that no number of them tells more of the level."""
    course = np.where(np.arange(32_000) % 8000 < 5000, 1.0, 0.1)
    clips = [machine(index) * course for index in range(60)]
    detector = AnomalyDetector.from_pretrained("log-mel", device="cpu").fit(clips, RATE)
    assert detector.events([clip[5600:7200] for clip in clips], RATE) == [[]] * 60


def test_when_half_of_a_long_clip_is_louder_then_that_half_is_the_event():
    clip = np.concatenate([(1 if index < 6 else 8) * sound for index, sound in enumerate(NORMAL[:12])])
    (found,) = fitted(shipped_folder()).events(clip, RATE)
    (lasting,) = (event for event in found if event.lasts)
    assert (lasting.start_seconds, lasting.end_seconds) == (pytest.approx(12, abs=1), 24.0)
    assert lasting.low_hz < 100 and lasting.high_hz > 7800 and not lasting.is_whole_clip


@pytest.mark.parametrize(
    "settings",
    [
        {"backend": "knn", "pooling": "mean"},
        {"backend": "knn", "pooling": "frequency_mean", "layer": (1, 2)},
        {"backend": "subband", "pooling": "time_rdp"},
        {"layer": (1, "log-mel", "level"), "backend": "whitened"},
        {"backend": "knn", "pad": "waveform"},
        {"backend": "knn", "max_frequency": 4000},
        {"backend": "knn", "normalization": "test"},
    ],
)
def test_when_encoder_pooling_or_backend_change_then_the_burst_is_found_as_before(tiny_checkpoint, settings):
    ((event, *_),) = fitted(tiny_checkpoint, **settings).events(with_burst(NORMAL[0], 0.8), RATE)
    assert_burst(event, 0.8)


def test_when_there_are_two_microphones_then_the_near_one_is_heard(tiny_checkpoint):
    detector = AnomalyDetector.from_pretrained(tiny_checkpoint, device="cpu", microphones="residual")
    detector.fit(REFERENCES, RATE, far=[0.1 * clip[::-1].copy() for clip in REFERENCES])
    ((event, *_),) = detector.events(with_burst(NORMAL[0], 0.8), RATE)
    assert_burst(event, 0.8)


def test_when_bins_are_not_read_then_nothing_happens_there(tiny_checkpoint):
    detector = fitted(tiny_checkpoint, max_frequency=1500, backend="knn")
    assert detector.events(with_burst(NORMAL[0], 0.8), RATE) == [[]]


@pytest.mark.parametrize("start", [0.1, 0.9, 2.6, 4.1, 6.4])
@pytest.mark.parametrize("batch_size", [1, 16])
def test_when_a_clip_has_many_windows_then_an_event_is_found_once_at_its_time(start, batch_size):
    windows = {"window_seconds": 2.0, "hop_seconds": 0.99}
    detector = AnomalyDetector.from_pretrained("log-mel", device="cpu", batch_size=batch_size, **windows)
    detector.fit(REFERENCES, RATE)
    ((event,),) = detector.events(with_burst(machine(7, seconds=7.1), start), RATE)
    assert_burst(event, start)


@pytest.mark.parametrize("cutoff", [3990, 1500])
def test_when_a_file_has_a_lower_rate_than_the_references_then_what_it_cannot_hold_is_no_event(
    spectrum, tmp_path, cutoff
):
    low_rate = sosfilt(butter(6, cutoff, fs=RATE, output="sos"), with_burst(NORMAL[0], 0.8) * 2)[::2]
    soundfile.write(tmp_path / "8k.wav", low_rate, RATE // 2)
    with pytest.warns(UserWarning, match="Sampling rate 8000 Hz, references 16000 Hz"):
        spectrum.score(tmp_path / "8k.wav")
    (found,) = spectrum.events(tmp_path / "8k.wav")
    assert found and max(event.high_hz for event in found) < 4000


def test_when_only_the_references_have_a_lower_rate_then_what_they_cannot_hold_is_no_event(tmp_path):
    for index, clip in enumerate(REFERENCES):
        low_rate = sosfilt(butter(6, 3900, fs=RATE, output="sos"), clip)[::2]
        soundfile.write(tmp_path / f"{index}.wav", low_rate, RATE // 2)
    detector = AnomalyDetector.from_pretrained("log-mel", device="cpu").fit(tmp_path)
    ((event,),) = detector.events(with_burst(NORMAL[0], 0.8), RATE)
    assert_burst(event, 0.8)


def test_when_only_the_first_window_is_read_then_later_events_are_not_found():
    detector = AnomalyDetector.from_pretrained("log-mel", window_seconds=2.0, hop_seconds=1.0, reduce="first")
    detector.fit(REFERENCES, RATE)
    assert detector.events(with_burst(machine(7, seconds=7.1), 4.1), RATE) == [[]]


def test_when_a_detector_was_saved_without_cells_then_patches_locate_the_burst(spectrum, tmp_path):
    spectrum.save_pretrained(tmp_path)
    clip = with_burst(NORMAL[0], 0.8)
    assert AnomalyDetector.from_pretrained(tmp_path, device="cpu").events(clip, RATE) == spectrum.events(clip, RATE)
    tensors = load_file(tmp_path / REFERENCES_FILE)
    del tensors["cell_levels"]
    save_file(tensors, tmp_path / REFERENCES_FILE)
    old = AnomalyDetector.from_pretrained(tmp_path, device="cpu")
    for detector in (old, old.add_references(NORMAL[1:3], RATE)):  # of which some have cells
        ((event, *_),) = detector.events(clip, RATE)
        assert event.start_seconds == pytest.approx(0.8, abs=0.17)
        assert event.end_seconds == pytest.approx(1.1, abs=0.17)
        assert event.low_hz < 2500 < event.high_hz


def test_when_there_is_one_reference_then_a_loud_burst_is_found():
    detector = AnomalyDetector.from_pretrained("log-mel", device="cpu").fit(REFERENCES[:1], RATE)
    ((event, *_),) = detector.events(with_burst(NORMAL[0], 0.8), RATE)
    assert_burst(event, 0.8)


def test_when_there_are_no_references_or_a_clip_is_too_short_then_error_says_so(tiny_checkpoint):
    with pytest.raises(ValueError, match="call fit"):
        AnomalyDetector.from_pretrained("log-mel").events(NORMAL[0], RATE)
    with pytest.raises(ValueError, match=r"clip 1 is 0\.01875 s long"):
        fitted(tiny_checkpoint).events([NORMAL[0], NORMAL[0][:300]], RATE)


def test_when_clips_are_much_shorter_than_the_references_then_they_have_no_more_events(spectrum):
    for seconds in (0.0625, 0.3):
        found = spectrum.events([clip[4000 : 4000 + round(seconds * RATE)] for clip in NORMAL], RATE)
        assert sum(map(bool, found)) <= 2


@pytest.mark.parametrize(
    ("event", "sentence"),
    [
        (
            Event(1.24, 1.54, 2100, 3400, 7.23, False, False),
            "0.3 s of more energy from 2.1 to 3.4 kHz, 7.2 standard deviations above the references, at 1.24 s",
        ),
        (
            Event(0, 12, 120, 640, -5, True, False),
            "12 s of less energy from 120 to 640 Hz, 5.0 standard deviations below the references, at 0.00 s",
        ),
        (
            Event(0, 4, 640, 1200, 5, True, True),
            "More energy from 640 Hz to 1.2 kHz through most of the clip, 5.0 standard deviations above the "
            "references",
        ),
    ],
)
def test_sentences(event, sentence):
    assert event.sentence == sentence


def naive_boxes(deviations, limit):
    """Flood fill from every cell that was not visited."""
    rows, bands = deviations.shape
    seen, boxes = set(), []
    for start in np.ndindex(rows, bands):
        if start in seen or deviations[start] < 0.5 * limit:
            continue
        group, waiting = [], [start]
        seen.add(start)
        while waiting:
            row, band = waiting.pop()
            group.append((row, band))
            for cell in np.ndindex(3, 3):
                near = (row + cell[0] - 1, band + cell[1] - 1)
                inside = 0 <= near[0] < rows and 0 <= near[1] < bands
                if inside and near not in seen and deviations[near] >= 0.5 * limit:
                    seen.add(near)
                    waiting.append(near)
        strongest = max(deviations[cell] for cell in group)
        if strongest >= limit:
            kept = [cell for cell in group if deviations[cell] >= 0.25 * strongest]
            r, b = [cell[0] for cell in kept], [cell[1] for cell in kept]
            boxes.append((min(r), max(r), min(b), max(b), strongest))
    return sorted(boxes)


@pytest.mark.parametrize("limit", [1.0, 2.0, 2.5, 9.0])
def test_when_cells_are_merged_then_boxes_are_those_of_a_flood_fill(limit):
    generator = np.random.default_rng(0)
    for _ in range(20):
        deviations = generator.normal(0, 1, (30, 12)) * generator.choice([1, 2], (30, 12))
        assert sorted(map(tuple, merged_cells(deviations, limit))) == naive_boxes(deviations, limit)


def naive_gain(deviations, hears_level):
    """What three quarters of the bands share, or the median."""
    low, middle, high = (np.quantile(deviations, share) for share in (0.25, 0.5, 0.75))
    if not hears_level:
        return middle
    return low if low > 0 else high if high < 0 else 0.0


def naive_rule(statistics, recordings, hears_level):
    """Take the gain of each window away, then refit without each recording in turn."""
    numbers = sorted(set(recordings.tolist()))
    levels = statistics[:, :, 0].copy()

    def mean_of(values):
        return np.mean([values[recordings == number].mean(axis=0) for number in numbers], axis=0)

    for window, level in enumerate(levels):
        statistics[window, :, 0] = level - naive_gain(level - mean_of(levels), hears_level)
    gains = np.asarray([naive_gain(level - mean_of(statistics[:, :, 0]), hears_level) for level in levels])

    def learn(kept, typical=None):
        medians = np.stack([statistics[recordings == number, :, 0].mean(axis=0) for number in kept])
        squares = np.stack([statistics[recordings == number, :, 1].mean(axis=0) for number in kept])
        spread = np.sqrt(squares.mean(axis=0))
        typical = np.median(spread[spread > 0]) if typical is None else typical
        count = len(kept)
        own_gains = np.stack([gains[recordings == number].mean() for number in kept])
        gain = own_gains.mean(), np.sqrt((typical**2 + count * own_gains.var()) / count * (1 + 1 / count))
        variance = (typical**2 + count * medians.var(axis=0)) / count
        scale = np.sqrt(variance * (1 + 1 / count))
        return medians.mean(axis=0), scale, np.maximum(spread, typical / 4), typical, gain

    center, scale, spread, typical, gain = learn(numbers)
    largest = []
    for number in numbers:
        own, its_gains = statistics[recordings == number], gains[recordings == number]
        c, s, w, _, (g, gs) = learn([other for other in numbers if other != number], typical)
        lasting = max(np.abs((own[:, :, 0] - c) / s).max(), hears_level * np.abs((its_gains - g) / gs).max())
        largest.append([(own[:, :, 3] / w).max(), (-own[:, :, 2] / w).max(), lasting])
    gumbel = []
    for values in np.asarray(largest).T:
        beta = np.sqrt(6 * values.var(ddof=1)) / np.pi
        mode = values.mean() - 0.5772156649 * beta - beta * np.log(len(recordings) / len(numbers))
        gumbel.append((mode - beta * np.log(-np.log(1 - module.EVENT_RATE)), beta))
    return center, scale, spread, np.asarray(gumbel), gain


def drawn_statistics(windows, bands=6, seed=0):
    generator = np.random.default_rng(seed)
    cells = generator.normal(0, 1, (windows, 40, bands)) * np.linspace(0.5, 2, bands) + generator.normal(
        0, 1, (windows, 1, bands)
    )
    return module.cell_statistics(torch.from_numpy(cells).float())


@pytest.mark.parametrize("hears_level", [True, False])
@pytest.mark.parametrize("per_recording", [1, 3])
def test_rule_is_that_of_references_left_out_one_by_one(per_recording, hears_level, monkeypatch):
    monkeypatch.setattr(module, "_LEAST_STRENGTH", 0.0)
    statistics = drawn_statistics(12 * per_recording)
    recordings = np.repeat(np.arange(12) * 2, per_recording)
    statistics[:, :, 0] += torch.randn(len(statistics), 1, generator=torch.Generator().manual_seed(0))
    rule = level_rule({"cell_levels": statistics}, recordings, 16, hears_level)
    center, scale, spread, gumbel, gain = naive_rule(statistics.double().numpy(), recordings, hears_level)
    np.testing.assert_allclose((rule.gain_center, rule.gain_scale), gain, rtol=1e-9)
    np.testing.assert_allclose(rule.center, center, rtol=1e-9)
    np.testing.assert_allclose(rule.center_scale, scale, rtol=1e-9)
    np.testing.assert_allclose(rule.spread, spread, rtol=1e-9)
    np.testing.assert_allclose(rule.limits, gumbel[:, 0], rtol=1e-9)
    np.testing.assert_allclose(rule.limits_of(5), gumbel[:, 0] + gumbel[:, 1] * np.log(5), rtol=1e-9)


def test_when_the_level_is_not_heard_then_a_gain_changes_no_rule_and_unread_bands_stay():
    statistics = drawn_statistics(12)
    statistics[:, 4] = 0
    gains = torch.randn(12, 1, generator=torch.Generator().manual_seed(0)) * 10
    louder = statistics.clone()
    louder[:, [0, 1, 2, 3, 5], 0] += gains
    plain, moved = (
        level_rule({"cell_levels": values}, np.arange(12), 16, hears_level=False) for values in (statistics, louder)
    )
    assert plain.heard.tolist() == [True, True, True, True, False, True]
    for name in ("center_scale", "spread", "limits", "growth"):
        before, after = getattr(plain, name), getattr(moved, name)
        np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-4)
    offset = (moved.center - plain.center)[plain.heard]
    np.testing.assert_allclose(offset, offset[0], rtol=1e-4)  # the zero of levels is free
    assert plain.center[4] == moved.center[4] == 0


def test_when_largest_deviations_are_gumbel_then_the_limit_is_exceeded_at_the_rate_for_any_number_of_windows():
    generator = np.random.default_rng(0)
    for windows in (1, 4):
        references = generator.gumbel(5, 0.5, (20_000, windows)).max(axis=1)
        limit, growth = module._gumbel_limit(references, windows)
        for tested in (1, 10):
            tests = generator.gumbel(5, 0.5, (20_000, tested)).max(axis=1)
            rate = np.mean(tests > limit + growth * np.log(tested))
            assert rate == pytest.approx(module.EVENT_RATE, abs=0.006)


def test_when_a_recording_is_given_twice_then_its_copy_does_not_vouch_for_it(monkeypatch):
    monkeypatch.setattr(module, "_LEAST_STRENGTH", 0.0)
    once = drawn_statistics(8)
    twice = torch.cat([once, once])
    apart = level_rule({"cell_levels": once}, np.arange(8), 16)
    copies = level_rule({"cell_levels": twice}, np.tile(np.arange(8), 2), 16)
    np.testing.assert_allclose(copies.spread, apart.spread)
    strangers = level_rule({"cell_levels": twice}, np.arange(16), 16)
    np.testing.assert_allclose(copies.center_scale, apart.center_scale)
    assert (strangers.center_scale < apart.center_scale).all()
    assert strangers.limits[2] < apart.limits[2]


def test_when_a_band_never_changes_then_nothing_is_divided_by_zero():
    statistics = drawn_statistics(8)
    statistics[:, 2] = 0
    rule = level_rule({"cell_levels": statistics}, np.arange(8), 16)
    assert (rule.spread > 0).all() and (rule.center_scale > 0).all() and np.isfinite(rule.limits).all()
    silent = level_rule({"cell_levels": torch.zeros(3, 4, 4)}, np.arange(3), 16)
    assert (silent.spread > 0).all() and (silent.center_scale > 0).all()

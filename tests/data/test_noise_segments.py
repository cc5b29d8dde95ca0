"""Segments hold every sample once, in one class, in an order that the seed decides."""

import numpy as np
import pytest
from datasets import Dataset, Features, List, Value

from modeling_retainmix.data import noise_segments
from modeling_retainmix.data.clips import read_clips, read_scales, to_int16, to_waveform
from modeling_retainmix.data.noise_segments import make_noise_segments

RATE = 1000  # a cross-fade is 10 samples
FEATURES = Features(
    {"audio": List(Value("int16")), **dict.fromkeys(("noise_class", "kind", "factory"), Value("string"))}
)


def noise_table(lengths: list[int], noise_class: str = "rain", kind: str = "stationary") -> Dataset:
    """Recordings of constant value: the value tells the recording."""
    rows = [
        {"audio": np.full(length, index + 1, np.int16), "noise_class": noise_class, "kind": kind, "factory": ""}
        for index, length in enumerate(lengths)
    ]
    return Dataset.from_list(rows, features=FEATURES)


def segments_of(table: Dataset) -> np.ndarray:
    return np.asarray(table["audio"][:])


def test_when_recordings_are_short_then_they_are_joined_and_none_is_used_twice():
    table = make_noise_segments(noise_table([250, 250, 250, 300]), 0.5, sampling_rate=RATE)
    segments = segments_of(table)
    assert segments.shape == (2, 500)
    assert table["num_recordings"][:] == [3, 2] or table["num_recordings"][:] == [2, 3]
    runs = np.flatnonzero(np.diff(segments.ravel())) + 1
    chain = [int(part[len(part) // 2]) for part in np.split(segments.ravel(), runs) if len(part) > 50]
    assert len(chain) == len(set(chain)) == 4


def test_when_segments_fill_several_chunks_then_they_are_the_same(monkeypatch):
    table = noise_table([5200])
    whole = make_noise_segments(table, 0.5, sampling_rate=RATE)
    monkeypatch.setattr(noise_segments, "_SAMPLES_PER_CHUNK", 1999)
    chunked = make_noise_segments(table, 0.5, sampling_rate=RATE)
    assert [len(chunk) for chunk in chunked.data.column("audio").chunks] == [3, 3, 3, 1]
    rows = [9, 2, 3]
    assert np.array_equal(read_clips(chunked, rows)[0], read_clips(whole, rows)[0])
    assert np.array_equal(segments_of(chunked), segments_of(whole))


def test_when_a_recording_is_long_then_it_is_cut_into_consecutive_segments():
    table = noise_table([1])
    table = Dataset.from_list([{**table[0], "audio": np.arange(1730, dtype=np.int16)}], features=FEATURES)
    segments = segments_of(make_noise_segments(table, 0.5, sampling_rate=RATE))
    np.testing.assert_array_equal(segments.ravel(), np.arange(1500))


def test_cross_fade_keeps_the_power_of_independent_recordings():
    generator = np.random.default_rng(0)
    rows = [
        {
            "audio": generator.normal(0, 3000, 40).astype(np.int16),
            "noise_class": "a",
            "kind": "stationary",
            "factory": "",
        }
        for _ in range(4000)
    ]
    table = make_noise_segments(Dataset.from_list(rows, features=FEATURES), 30.0 * 3998 / 1000, sampling_rate=RATE)
    chain = segments_of(table).ravel()[: 30 * 3998].reshape(-1, 30)  # joins every 30 samples, of which 10 are faded
    np.testing.assert_allclose(chain.std(axis=0), 3000, rtol=0.06)


def test_segments_never_mix_classes_or_kinds():
    tables = [noise_table([300, 300]), noise_table([300, 300], "press", "non_stationary")]
    rows = [row for table in tables for row in table]
    for row, value in zip(rows, (1, 1, 7, 7), strict=True):
        row["audio"] = np.full(300, value, np.int16)
    table = make_noise_segments(Dataset.from_list(rows, features=FEATURES), 0.5, sampling_rate=RATE)
    values = {row["kind"]: {row["audio"][index] for index in (0, 249, 499)} for row in table}
    assert values == {"stationary": {1}, "non_stationary": {7}}
    assert table["noise_class"][:] == ["press", "rain"]


def test_when_recordings_differ_in_scale_then_each_segment_has_its_own():
    waves = [np.sin(0.1 * np.arange(600)) * level for level in (40.0, 1e-4)]
    clips = [to_int16(wave.astype(np.float32)) for wave in waves]
    rows = [
        {"audio": clip.samples, "scale": clip.scale, "noise_class": "a", "kind": "stationary", "factory": ""}
        for clip in clips
    ]
    table = Dataset.from_list(rows, features=Features({**FEATURES, "scale": Value("float32")}))
    segments = make_noise_segments(table, 0.1, sampling_rate=RATE)
    assert {64.0, 2.0**-13} <= set(segments["scale"])
    waveforms = to_waveform(read_clips(segments, range(11))[0], read_scales(segments, range(11))).numpy()
    order = (0, 1) if np.abs(waveforms[0]).max() > 1 else (1, 0)
    first = waves[order[0]]
    np.testing.assert_allclose(waveforms[:5].ravel(), first[:500], atol=np.abs(first).max() * 1e-4)
    second = waves[order[1]]
    np.testing.assert_allclose(waveforms[7], second[110:210], atol=np.abs(second).max() * 1e-4)


def test_order_depends_on_the_seed_alone():
    noise = noise_table([300] * 6)
    first, again, other = (segments_of(make_noise_segments(noise, 0.5, seed, RATE)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_when_a_class_is_too_short_then_a_warning_names_it(caplog):
    rows = [*noise_table([600]), *noise_table([200], "whistle")]
    table = make_noise_segments(Dataset.from_list(rows, features=FEATURES), 0.5, sampling_rate=RATE)
    assert table["noise_class"][:] == ["rain"]
    assert "'whistle' (stationary) has 0.2 s" in caplog.text


def test_when_no_class_is_long_enough_then_error_says_what_to_add():
    with pytest.raises(ValueError, match=r"none of the 1 noise recordings.* 0\.5 s"):
        make_noise_segments(noise_table([200]), 0.5, sampling_rate=RATE)


def test_when_clip_is_shorter_than_ten_cross_fades_then_error_names_the_length():
    with pytest.raises(ValueError, match=r"clip_seconds=0\.05"):
        make_noise_segments(noise_table([200]), 0.05, sampling_rate=RATE)

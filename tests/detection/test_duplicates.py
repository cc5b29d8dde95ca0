"""Copies of a recording are found by their content, other recordings of the same machine are not."""

import io
import tracemalloc

import numpy as np
import pytest
import soundfile as sf

from modeling_retainmix.detection import duplicates
from modeling_retainmix.detection.duplicates import describe_copies, fingerprint, group_copies

RATE = 16000


def noise(seed=0, samples=16000):
    return np.random.default_rng(seed).normal(0, 0.1, samples).astype(np.float32)


def encoded(clip, subtype, format="WAV"):
    file = io.BytesIO()
    sf.write(file, clip, RATE, subtype=subtype, format=format)
    return sf.read(io.BytesIO(file.getvalue()), dtype="float32")[0]


@pytest.mark.parametrize(
    "copy",
    [
        lambda clip: clip,
        lambda clip: encoded(clip, "PCM_16"),
        lambda clip: encoded(clip, "PCM_24"),
        lambda clip: encoded(clip, "PCM_U8"),
        lambda clip: encoded(0.01 * clip, "PCM_16"),  # a quiet one
        lambda clip: encoded(clip, "PCM_16", "FLAC"),
        lambda clip: 0.5 * clip,
        lambda clip: -clip,
        lambda clip: clip.astype(np.float64),
    ],
)
def test_a_copy_is_found_in_any_sample_format_and_at_any_level(copy):
    clip = noise()
    prints = np.stack([fingerprint(noise(1)), fingerprint(clip), fingerprint(noise(2)), fingerprint(copy(clip))])
    assert group_copies(prints).tolist() == [0, 1, 2, 1]


def test_recordings_of_one_machine_are_not_copies():
    time = np.arange(16000) / RATE
    generator = np.random.default_rng(0)
    tones = [  # the same hum, begun at another moment, in noise 26 dB below
        np.sin(2 * np.pi * 120 * (time + generator.uniform(0, 1))) + 0.05 * generator.normal(size=len(time))
        for _ in range(100)
    ]
    assert group_copies(np.stack([fingerprint(tone) for tone in tones])).tolist() == list(range(100))
    halves = [noise()[:8000], noise()[8000:], noise()[4000:12000]]
    assert group_copies(np.stack([fingerprint(half) for half in halves])).tolist() == [0, 1, 2]


@pytest.mark.parametrize("decibels", [20, 40])
def test_recordings_of_one_hum_at_any_phase_are_not_copies(decibels):
    time, generator = np.arange(4 * RATE) / RATE, np.random.default_rng(0)
    clips = []
    for _ in range(40):
        hum = sum(np.sin(2 * np.pi * hertz * (time + generator.uniform(0, 1))) for hertz in (100, 200, 300))
        clips.append(0.03 * (hum + 10 ** (-decibels / 20) * generator.normal(size=len(time))))
    assert group_copies(np.stack([fingerprint(clip) for clip in clips])).tolist() == list(range(40))
    rounded = [encoded(clip, "PCM_16") for clip in clips[:2]]
    assert group_copies(np.stack([fingerprint(clip) for clip in [*clips[:2], *rounded]])).tolist() == [0, 1, 0, 1]


def test_a_constant_offset_makes_no_copies_and_hides_none():
    others = [noise(seed) * 0.2 + 0.4 for seed in range(10)]  # sigma 0.02 about 0.4
    assert group_copies(np.stack([fingerprint(clip) for clip in others])).tolist() == list(range(10))
    moved = [noise(0) * 0.2, others[0], noise(1)]
    assert group_copies(np.stack([fingerprint(clip) for clip in moved])).tolist() == [0, 0, 2]


def naive_groups(fingerprints):
    """The first recording that is reached over copies of copies."""
    first = list(range(len(fingerprints)))
    for _ in first:
        for index, one in enumerate(fingerprints):
            for other, another in enumerate(fingerprints):
                if min(np.linalg.norm(one - another), np.linalg.norm(one + another)) <= 0.1:
                    first[index] = first[other] = min(first[index], first[other])
    return first


@pytest.mark.parametrize("block", [1, 7, 1024])
def test_groups_are_those_of_a_comparison_one_by_one_however_many_are_compared_at_a_time(monkeypatch, block):
    generator = np.random.default_rng(0)
    originals = generator.normal(size=(12, 64))
    prints = originals[generator.integers(0, 12, 30)] + 0.01 * generator.normal(size=(30, 64))
    prints *= generator.choice([-1, 1], (30, 1)) / np.linalg.norm(prints, axis=1, keepdims=True)
    monkeypatch.setattr(duplicates, "_BLOCK", block)
    assert group_copies(prints.astype(np.float32)).tolist() == naive_groups(prints)


def test_memory_for_many_recordings_does_not_grow_with_the_square_of_their_number():
    prints = np.random.default_rng(0).normal(size=(6000, 64)).astype(np.float32)
    prints /= np.linalg.norm(prints, axis=1, keepdims=True)
    prints[5999] = -prints[3]
    tracemalloc.start()
    groups = group_copies(prints)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert groups[5999] == 3 and (groups[:5999] == np.arange(5999)).all()
    assert peak < 100 * 2**20  # 6000 x 6000 float64 are 288 MB


def test_unknown_fingerprints_are_copies_of_nothing():
    prints = np.stack([np.full(64, np.nan), fingerprint(noise()), np.full(64, np.nan), fingerprint(noise())])
    assert group_copies(prints).tolist() == [0, 1, 2, 1]
    assert group_copies(np.zeros((0, 64))).tolist() == []


def test_copies_are_named_in_one_message():
    names = list("abcdef")
    assert describe_copies(np.asarray([0, 1, 2, 3, 4, 5]), names) is None
    message = describe_copies(np.asarray([0, 1, 0, 3, 1, 0]), names)
    assert "among the references: a = c = f; b = e: copies count as one recording in thresholds" in message
    assert "a = c = f: copies" in describe_copies(np.asarray([0, 1, 0, 3, 1, 0]), names, since=5)


def test_clips_of_fewer_samples_than_values_have_a_fingerprint():
    assert np.isfinite(fingerprint(noise(samples=10))).all()

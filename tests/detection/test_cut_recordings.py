"""Files that are cut from one recording are told from files of other sessions."""

import tracemalloc

import numpy as np
import pytest

from modeling_retainmix.detection.cut_recordings import NUM_VALUES, describe_cuts, find_cuts, measure_seam

RATE = 16000


def recordings(count, seconds, seed=0):
    """Recordings of a machine: noise whose levels in 8 bands differ from one to the next."""
    generator = np.random.default_rng(seed)
    samples = round(seconds * RATE)
    bands = np.linspace(0, 7.999, samples // 2 + 1).astype(int)
    found = []
    for _ in range(count):
        levels = 3 * generator.normal(size=8) - np.linspace(0, 30, 8)
        spectrum = np.fft.rfft(generator.normal(0, 0.1, samples)) * 10 ** (levels[bands] / 20)
        found.append(np.fft.irfft(spectrum, samples).astype(np.float32))
    return found


def cut(waveforms, parts, gap=0):
    pieces = []
    for waveform in waveforms:
        size = len(waveform) // parts
        pieces += [waveform[index * size : (index + 1) * size - gap] for index in range(parts)]
    return pieces


def seams(clips):
    return np.stack([measure_seam(clip) for clip in clips])


@pytest.mark.parametrize("gap", [0, 2000])
def test_files_cut_from_recordings_are_found_and_told_apart(gap):
    runs = find_cuts(seams(cut(recordings(6, 4), 4, gap)))
    assert [(run[0], run[-1]) for run in runs] == [(4 * index, 4 * index + 3) for index in range(6)]


@pytest.mark.parametrize("seed", range(5))
def test_files_of_different_sessions_are_not_found(seed):
    clips = recordings(24, 1, seed)
    assert find_cuts(seams(clips)) == []
    shuffled = cut(recordings(12, 2, seed), 2)
    order = np.random.default_rng(seed).permutation(24)
    assert find_cuts(seams([shuffled[index] for index in order])) == []


def test_files_of_one_long_recording_are_found_by_their_ends_though_all_sound_alike():
    runs = find_cuts(seams(cut(recordings(1, 24), 24)))
    assert runs and find_cuts(seams(cut(recordings(1, 24), 24, gap=2000))) == []


def test_message_names_runs_in_the_order_of_numbers_and_says_what_to_do():
    clips = cut(recordings(4, 4), 4)
    names = [f"in/clip_{index}.wav" for index in range(16)]
    order = sorted(range(16), key=lambda index: names[index])  # clip_10 before clip_2
    message = describe_cuts(seams([clips[i] for i in order]), [names[i] for i in order], np.zeros(16, dtype=bool))
    assert "in/clip_0.wav to clip_3.wav (4 files); in/clip_4.wav to clip_7.wav (4 files)" in message
    assert "Say which files are of one session with groups= (--sessions on the command line)" in message
    assert message.endswith("such as 'rec ([0-9]+)-'")


def test_domains_are_compared_apart_and_silent_or_short_files_take_no_part():
    clips = recordings(16, 1)
    loud = [clip * 30 for clip in recordings(16, 1, seed=1)]  # far from the others
    names, is_target = [f"{index}.wav" for index in range(34)], np.arange(34) >= 17
    extra = [np.zeros(16000, dtype=np.float32), clips[0][:100]]
    values = seams([*clips, extra[0], *loud, extra[1]])
    assert np.isnan(values[16]).all() or np.isnan(values[16]).any()
    assert describe_cuts(values, names, is_target) is None
    assert find_cuts(values[:4]) == []


def test_many_files_are_compared_in_bounded_memory():
    spectra = np.random.default_rng(0).normal(size=(6000, NUM_VALUES)).astype(np.float32)
    tracemalloc.start()
    try:
        assert find_cuts(spectra) == []
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 200 * 2**20  # all distances of one value would take 290 MB, of all values 18 GB

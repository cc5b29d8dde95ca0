"""A file is taken when two looks find it alike and its header agrees with its size."""

import os
import struct

import pytest
import soundfile as sf
from watched import RATE, sound, write

from modeling_retainmix.watching.arrivals import Arrivals, FileState


@pytest.fixture
def arrivals(clock):
    return Arrivals(patience=60, clock=clock)


def touch(path, clock):
    os.utime(path, (clock.now, clock.now))
    return path


@pytest.mark.parametrize("suffix", [".part", ".TMP", ".wav.part", ".crdownload"])
def test_when_a_name_is_temporary_then_it_waits_until_it_is_renamed(folder, arrivals, suffix, clock):
    path = write(folder / "a.wav").rename(folder / f"a{suffix}")
    clock.now += 1000
    for _ in range(3):
        assert arrivals.look(path) is None
    assert "temporary" in arrivals.waiting[path]
    arrivals.keep_only([])
    assert arrivals.waiting == {}


def test_when_size_or_time_change_then_two_further_looks_are_needed(folder, arrivals):
    path = write(folder / "a.wav")
    assert arrivals.look(path) is None
    os.utime(path, ns=(1, 2_000_000_000))
    assert arrivals.look(path) is None
    assert arrivals.look(path) == FileState.of(path)
    assert FileState.of(path).changed == 2_000_000_000 and arrivals.waiting == {}


def unfinished_header(path):
    """As a recorder writes it first: it fills in the lengths when it stops."""
    whole = write(path).read_bytes()
    path.write_bytes(whole[:40] + struct.pack("<I", 0) + whole[44:])


def streamed_header(path):
    whole = write(path).read_bytes()
    path.write_bytes(whole[:40] + struct.pack("<I", 0xFFFFFFFF) + whole[44:])


def short_sound(path):
    whole = write(path).read_bytes()
    path.write_bytes(whole[:2000])


def last_bytes_missing(path):
    path.write_bytes(write(path).read_bytes()[:-17])


def no_sound_yet(path):
    path.write_bytes(write(path).read_bytes()[:44])


def no_header_yet(path):
    path.write_bytes(b"RIFF")


def empty(path):
    path.write_bytes(b"")


def mp3(path):
    sf.write(path, sound(0.1), RATE, format="MP3")


@pytest.mark.parametrize(
    "make",
    [unfinished_header, streamed_header, short_sound, last_bytes_missing, no_sound_yet, no_header_yet, empty, mp3],
)
def test_when_header_and_size_do_not_agree_then_it_waits_as_long_as_patience(folder, arrivals, clock, make):
    path = folder / "a.wav"
    make(path)
    touch(path, clock)
    for _ in range(3):
        assert arrivals.look(path) is None
        clock.now += 15
    assert arrivals.waiting[path] != "has just arrived or changed"
    clock.now += 15
    assert arrivals.look(path) == FileState.of(path)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".aiff"])
def test_when_a_whole_file_is_looked_at_twice_then_it_is_taken_without_patience(folder, arrivals, clock, suffix):
    path = touch(write(folder / f"a{suffix}"), clock)
    assert arrivals.look(path) is None
    assert arrivals.look(path) is not None


def test_when_a_file_is_of_the_future_then_patience_counts_from_the_first_look(folder, arrivals, clock):
    path = folder / "a.wav"
    short_sound(path)
    os.utime(path, (clock.now + 9999,) * 2)
    arrivals.look(path)
    clock.now += 59
    assert arrivals.look(path) is None
    clock.now += 1
    assert arrivals.look(path) is not None


def test_when_a_file_is_gone_then_it_is_forgotten(folder, arrivals):
    path = write(folder / "a.wav")
    arrivals.look(path)
    path.unlink()
    assert arrivals.look(path) is None and arrivals.waiting == {}

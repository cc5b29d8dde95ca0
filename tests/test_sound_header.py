"""A file that holds less or more sound than its header declares is named, in every container with a length."""

import io
import struct

import numpy as np
import pytest
import soundfile as sf

from modeling_retainmix.audio import read_audio
from modeling_retainmix.sound_header import Length, check_length

RATE = 16000
NOISE = np.random.default_rng(0).integers(-9999, 9999, 40000, dtype=np.int16)

# format: struct format and offset of the length from the beginning of the mark, and what is added to the length
CONTAINERS = {
    "WAV": ("<I", b"data", 4, 0),
    "AIFF": (">I", b"SSND", 4, 8),
    "AU": (">I", b".snd", 8, 0),
    "CAF": (">q", b"data", 4, 4),
    "W64": ("<q", b"data\xf3\xac\xd3\x11", 16, 24),
    "RF64": ("<Q", b"ds64", 16, 0),
    "SVX": (">I", b"BODY", 4, 0),
}


def encoded(container, samples=NOISE):
    buffer = io.BytesIO()
    sf.write(buffer, samples, RATE, format=container, subtype="PCM_16")
    return bytearray(buffer.getvalue())


def with_length(container, content, length):
    kind, mark, offset, extra = CONTAINERS[container]
    struct.pack_into(kind, content, content.index(mark) + offset, length + extra)
    return content


@pytest.mark.parametrize("container", [*CONTAINERS, "FLAC", "OGG", "MP3", "VOC", "NIST", "AVR", "PAF"])
def test_what_libsndfile_writes_is_whole(container):
    buffer = io.BytesIO()
    sf.write(buffer, NOISE, RATE, format=container)
    buffer.seek(0)
    assert check_length(buffer, "a.wav") is Length.DECLARED
    assert buffer.tell() == 0


@pytest.mark.parametrize("container", CONTAINERS)
def test_the_length_that_the_tests_change_is_that_of_the_sound(container):
    content = encoded(container)
    assert with_length(container, bytearray(content), 80000) == content


@pytest.mark.parametrize("container", CONTAINERS)
def test_when_a_copy_was_cut_then_error_tells_both_lengths(container):
    with pytest.raises(ValueError, match=r"^a\.wav is cut: .* 8000\d bytes of sound, and the file holds [34]\d{4} of"):
        check_length(io.BytesIO(encoded(container)[:40000]), "a.wav")


@pytest.mark.parametrize("container", ["WAV", "AIFF", "CAF", "W64", "RF64", "SVX"])
def test_when_the_file_grew_behind_its_header_then_error_tells_how_much_is_left(container):
    content = with_length(container, encoded(container), 320)
    with pytest.raises(ValueError, match=r"^a\.wav holds 79\d{3} bytes behind the sound that its header declares"):
        check_length(io.BytesIO(content), "a.wav")


@pytest.mark.parametrize("length", [0xFFFFFFFF, 0x7FFFF000, 0])
def test_when_a_wav_was_written_as_a_stream_then_its_length_is_unknown(length):
    assert check_length(io.BytesIO(with_length("WAV", encoded("WAV"), length)), "a.wav") is Length.UNKNOWN


def test_when_other_chunks_and_tags_follow_then_the_file_is_whole():
    content = encoded("WAV") + b"LIST" + struct.pack("<I", 6000) + bytes(6000) + b"TAG" + bytes(125)
    assert check_length(io.BytesIO(content), "a.wav") is Length.DECLARED


@pytest.mark.parametrize("container", ["NIST", "AVR", "VOC"])
def test_when_a_copy_in_a_rare_format_was_cut_then_error_names_it(tmp_path, container):
    content = encoded(container)
    for name, end in (("whole", len(content)), ("cut", len(content) // 2)):
        (tmp_path / name).write_bytes(content[:end])
    assert len(read_audio(tmp_path / "whole")) == 40000
    with pytest.raises(ValueError, match=r"cut is cut: "):
        read_audio(tmp_path / "cut")


def test_when_streams_follow_each_other_in_an_ogg_file_then_error_says_so():
    buffer = io.BytesIO()
    sf.write(buffer, NOISE, RATE, format="OGG")
    with pytest.raises(ValueError, match=r"^a\.ogg holds several streams one after the other"):
        check_length(io.BytesIO(buffer.getvalue() * 2), "a.ogg")


def test_when_an_ogg_stream_lacks_its_last_page_then_it_is_cut():
    buffer = io.BytesIO()
    sf.write(buffer, NOISE, RATE, format="OGG")
    content = buffer.getvalue()
    with pytest.raises(ValueError, match=r"^a\.ogg is cut: its last Ogg page is missing"):
        check_length(io.BytesIO(content[: content.rindex(b"OggS")]), "a.ogg")


@pytest.mark.parametrize(
    "content", [b"", b"RIFF", b"RIFF\0\0\0\0WAVE", b".snd", b"caff", b"riff" + bytes(36), b"text"]
)
def test_what_has_no_header_is_left_to_the_decoder(content):
    assert check_length(io.BytesIO(content), "a.wav") is Length.DECLARED

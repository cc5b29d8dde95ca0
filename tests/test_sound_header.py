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


ENDLESS = ("IRCAM", "PAF", "PVF", "XI")  # of XI libsndfile does not write the length
MONO = ("SDS", "SVX", "WVE", "XI", "HTK")
FORMATS = sorted(set(sf.available_formats()) - {"RAW", "SD2"})


def written(container, samples=NOISE, **options):
    buffer = io.BytesIO()
    sf.write(buffer, samples, 8000 if container == "WVE" else RATE, format=container, **options)
    return bytearray(buffer.getvalue())


@pytest.mark.parametrize(
    ("container", "channels"),
    [(container, channels) for container in FORMATS for channels in ((1,) if container in MONO else (1, 2))],
)
def test_what_libsndfile_writes_is_whole(container, channels):
    buffer = io.BytesIO(written(container, NOISE.reshape(-1, channels)))
    expected = Length.UNKNOWN if container in ENDLESS else Length.DECLARED
    assert check_length(buffer, "a.wav") is expected
    assert buffer.tell() == 0


@pytest.mark.parametrize("container", CONTAINERS)
def test_the_length_that_the_tests_change_is_that_of_the_sound(container):
    content = encoded(container)
    assert with_length(container, bytearray(content), 80000) == content


@pytest.mark.parametrize("container", CONTAINERS)
def test_when_a_copy_was_cut_then_error_tells_both_lengths(container):
    with pytest.raises(ValueError, match=r"^a\.wav is cut: .* 8000\d bytes of sound, and the file holds [34]\d{4} of"):
        check_length(io.BytesIO(encoded(container)[:40000]), "a.wav")


@pytest.mark.parametrize("container", [*CONTAINERS, "AVR", "MPC2K", "WVE", "NIST"])
def test_when_a_few_bytes_are_missing_then_it_is_short(container):
    content = written(container, NOISE[:1000])
    for missing in (2, 17, 40):
        assert check_length(io.BytesIO(content[:-missing]), "a") is Length.SHORT


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


@pytest.mark.parametrize("container", FORMATS)
@pytest.mark.parametrize("part", [0.5, 0.9])
def test_when_a_copy_was_cut_then_an_error_or_a_warning_names_it_in_every_format(tmp_path, caplog, container, part):
    content = written(container)
    for name, end in (("whole", len(content)), ("cut", int(len(content) * part))):
        (tmp_path / name).write_bytes(content[:end])
    whole = read_audio(tmp_path / "whole")
    assert bool(caplog.records) == (container in ENDLESS)
    caplog.clear()
    if container in ENDLESS:
        assert len(read_audio(tmp_path / "cut")) == pytest.approx(part * len(whole), rel=0.1)
        assert "cut does not say how long it is: the " in caplog.text
    else:
        with pytest.raises(ValueError, match=r"cut (is cut: |is damaged: |cannot be decoded)"):
            read_audio(tmp_path / "cut")


@pytest.mark.parametrize(
    ("container", "subtype"),
    [
        *(("SDS", subtype) for subtype in ("PCM_S8", "PCM_16", "PCM_24")),
        *(("MAT4", subtype) for subtype in ("DOUBLE", "FLOAT", "PCM_16", "PCM_32")),
        *(("MAT5", subtype) for subtype in ("DOUBLE", "FLOAT", "PCM_16", "PCM_32", "PCM_U8")),
        *(("AVR", subtype) for subtype in ("PCM_S8", "PCM_16")),
        ("MPC2K", "PCM_16"),
    ],
)
def test_when_one_tenth_of_any_sample_width_is_missing_then_error_tells_both_lengths(container, subtype):
    for channels in (1,) if container in MONO else (1, 2):
        for endian in ("LITTLE", "BIG") if container.startswith("MAT") else ("FILE",):
            content = written(container, NOISE.reshape(-1, channels), subtype=subtype, endian=endian)
            assert check_length(io.BytesIO(content), "a") is Length.DECLARED
            with pytest.raises(
                ValueError, match=r"^a is cut: its header declares \d+ bytes of sound, and the file hold"
            ):
                check_length(io.BytesIO(content[: len(content) * 9 // 10]), "a")


@pytest.mark.parametrize("container", ["SDS", "MPC2K", "WVE", "AVR", "AU", "NIST"])
def test_when_a_rare_format_goes_on_behind_its_length_then_error_tells_how_much(container):
    content = written(container) + bytes(10000)
    with pytest.raises(ValueError, match=r"^a holds 10\d{3} bytes behind the sound that its header declares"):
        check_length(io.BytesIO(content), "a")


def test_when_an_xi_file_gives_its_length_then_it_is_compared():
    content = written("XI")
    for count in (1, 2):
        lengths = [len(content) - 338 - 40 * (count - 1), *[0] * (count - 1)]
        struct.pack_into("<H", content, 296, count)
        for index, length in enumerate(lengths):
            struct.pack_into("<I", content, 298 + 40 * index, length)
        assert check_length(io.BytesIO(content), "a") is Length.DECLARED
        with pytest.raises(ValueError, match="a is cut: "):
            check_length(io.BytesIO(content[:40000]), "a")


@pytest.mark.parametrize("container", ENDLESS)
def test_when_a_file_without_a_length_has_no_sound_then_error_says_that_it_is_empty(tmp_path, container):
    header = len(written(container)) - len(NOISE) * {"PVF": 2, "IRCAM": 2, "PAF": 2, "XI": 2}[container]
    (tmp_path / "a").write_bytes(written(container)[:header])
    with pytest.raises(ValueError, match=r"a (is empty|cannot be decoded)"):
        read_audio(tmp_path / "a")


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
    "content",
    [
        *(
            b"",
            b"RIFF",
            b"RIFF\0\0\0\0WAVE",
            b".snd",
            b"caff",
            b"riff" + bytes(36),
            b"text",
            b"\x01\x04",
            b"\xf0\x7e\0\x01",
        ),
        *(b"Extended Instrument: ", b"MATLAB 5.0" + bytes(120), b"2BIT", b"ALawSoundFile**", b"\x64\xa3\x03\0"),
    ],
)
def test_what_has_no_header_is_left_to_the_decoder(content):
    assert check_length(io.BytesIO(content), "a.wav") is Length.DECLARED

"""Whatever is wrong with a sound file, it is an error with its name, in bounded memory."""

import io
import struct
import subprocess
import sys

import numpy as np
import pytest
import soundfile as sf

from modeling_retainmix import sound_file
from modeling_retainmix.audio import audio_sources, read_audio

RATE = 16000
NOISE = (0.1 * np.random.default_rng(0).standard_normal(20 * RATE)).astype(np.float32)


def encode(samples=NOISE, rate=RATE, **options):
    buffer = io.BytesIO()
    sf.write(buffer, samples, rate, **options)
    return bytearray(buffer.getvalue())


def with_flac_samples(content, count):
    """The same FLAC stream, whose header declares another number of samples."""
    (word,) = struct.unpack(">Q", content[18:26])
    content[18:26] = struct.pack(">Q", word >> 36 << 36 | count)
    return content


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG", "MP3", "CAF"])
def test_when_a_file_is_read_in_blocks_then_samples_are_those_of_one_read(tmp_path, monkeypatch, kind):
    (tmp_path / "a").write_bytes(encode(format=kind))
    expected = sf.read(tmp_path / "a", dtype="float32")[0]
    monkeypatch.setattr(sound_file, "_BLOCK", 1000)
    np.testing.assert_allclose(read_audio(tmp_path / "a"), expected, atol=1e-6)


@pytest.mark.parametrize("channel", [0, 2, "mean"])
def test_when_a_file_has_channels_then_blocks_join(tmp_path, monkeypatch, channel):
    stereo = NOISE[:48000].reshape(-1, 3)
    (tmp_path / "a.wav").write_bytes(encode(stereo, format="WAV", subtype="FLOAT"))
    monkeypatch.setattr(sound_file, "_BLOCK", 1000)
    expected = stereo.mean(axis=1) if channel == "mean" else stereo[:, channel]
    np.testing.assert_array_equal(read_audio(tmp_path / "a.wav", channel=channel), expected)


@pytest.mark.parametrize("rate", [RATE, 44100, 12207])
def test_when_a_part_is_wanted_then_no_more_is_read(tmp_path, monkeypatch, rate):
    (tmp_path / "a.flac").write_bytes(encode(rate=rate, format="FLAC"))
    whole, frames = read_audio(tmp_path / "a.flac"), []
    read = sf.SoundFile.read
    monkeypatch.setattr(sf.SoundFile, "read", lambda *args, out: frames.append(len(out)) or read(*args, out=out))
    part = read_audio(tmp_path / "a.flac", max_seconds=1.5)
    np.testing.assert_allclose(part, whole[:24000], atol=1e-5)
    assert sum(frames) < 1.7 * rate


def test_when_flac_does_not_say_its_length_then_it_is_read_and_a_warning_names_it(tmp_path, caplog):
    (tmp_path / "a.flac").write_bytes(with_flac_samples(encode(format="FLAC"), 0))
    np.testing.assert_allclose(read_audio(tmp_path / "a.flac"), NOISE, atol=1e-4)
    assert "a.flac does not say how long it is: the 20.0 s that are there are read" in caplog.text


def test_when_wav_was_written_as_a_stream_then_it_is_read_and_a_warning_names_it(tmp_path, caplog):
    content = encode(format="WAV")
    for riff, data in ((0xFFFFFFFF, 0xFFFFFFFF), (0x7FFFF024, 0x7FFFF000), (8, 0)):
        caplog.clear()
        struct.pack_into("<I", content, content.index(b"data") + 4, data)
        struct.pack_into("<I", content, 4, riff)
        (tmp_path / "a.wav").write_bytes(content)
        np.testing.assert_allclose(read_audio(tmp_path / "a.wav"), NOISE, atol=1e-4)
        assert "a.wav does not say how long it is: the 20.0 s" in caplog.text


def test_when_wav_declares_no_sound_and_goes_on_then_error_names_it(tmp_path):
    content = encode(format="WAV")
    struct.pack_into("<I", content, content.index(b"data") + 4, 0)
    (tmp_path / "bad.wav").write_bytes(content)
    with pytest.raises(ValueError, match=r"bad\.wav declares no sound, but more follows"):
        read_audio(tmp_path / "bad.wav")


def damaged(kind, how):
    content = encode(format=kind)
    middle = len(content) // 2
    if how == "cut":
        return content[:middle]
    content[middle : middle + (1 if how == "flipped" else 3000)] = bytes(1 if how == "flipped" else 3000)
    return content


@pytest.mark.parametrize(
    ("kind", "how"),
    [(kind, how) for kind in ("FLAC", "OGG", "MP3") for how in ("cut", "overwritten")]
    + [("FLAC", "flipped"), ("WAV", "cut")],
)
def test_when_a_stream_decodes_in_part_then_error_names_it(tmp_path, kind, how):
    (tmp_path / "bad").write_bytes(damaged(kind, how))
    with pytest.raises(ValueError, match=r"bad (is damaged: \d+ of \d+ samples|cannot be decoded \(.*\)|is cut: )"):
        read_audio(tmp_path / "bad")


def test_when_an_mp3_ends_in_its_first_frame_then_error_does_not_say_that_it_does_not_exist(tmp_path):
    (tmp_path / "bad.mp3").write_bytes(encode(format="MP3")[:700])
    with pytest.raises(ValueError, match=r"bad\.mp3 cannot be decoded \(it ends too early\)"):
        read_audio(tmp_path / "bad.mp3")


@pytest.mark.parametrize("count", [2**36 - 1, 2**35, 400_000])
def test_when_a_header_declares_more_samples_than_there_are_then_error_names_the_file(tmp_path, count):
    (tmp_path / "bad.flac").write_bytes(with_flac_samples(encode(format="FLAC"), count))
    with pytest.raises(ValueError, match=r"bad\.flac (is too long: |is damaged: 320000 of 400000 samples)"):
        read_audio(tmp_path / "bad.flac")


@pytest.mark.parametrize("rate", [1, 10, 999, 1_000_001, 2**31 - 1])
def test_when_a_header_declares_an_implausible_rate_then_error_names_it(tmp_path, rate):
    content = encode(NOISE[:16000], format="WAV")
    struct.pack_into("<I", content, 24, rate)
    (tmp_path / "bad.wav").write_bytes(content)
    with pytest.raises(ValueError, match=rf"bad\.wav has a sampling rate of {rate} Hz"):
        read_audio(tmp_path / "bad.wav")


def test_when_a_sample_is_huge_then_error_names_file_and_sample(tmp_path):
    for value, shown in ((1e15, r"the sample 1e\+15"), (-1e38, r"the sample -1e\+38"), (np.inf, "infinite samples")):
        samples = NOISE.copy()
        samples[7] = value
        (tmp_path / "bad.wav").write_bytes(encode(samples, format="WAV", subtype="FLOAT"))
        with pytest.raises(ValueError, match=rf"bad\.wav holds .*{shown}"):
            read_audio(tmp_path / "bad.wav")
    (source,) = audio_sources(np.array([0.0, 1e300]), RATE)
    with pytest.raises(ValueError, match="clip 0 holds NaN or infinite samples"):
        source.load()


@pytest.mark.parametrize(
    "error", [RuntimeError("odd"), MemoryError(), TypeError("odd"), PermissionError(13, "denied")]
)
def test_when_anything_goes_wrong_with_one_clip_then_it_is_a_value_error_with_its_name(tmp_path, monkeypatch, error):
    (tmp_path / "bad.wav").write_bytes(encode(format="WAV"))

    def fail(*args):
        raise error

    monkeypatch.setattr("modeling_retainmix.audio.decode", fail)
    with pytest.raises(ValueError, match=r"bad\.wav (cannot be|needs more memory)"):
        read_audio(tmp_path / "bad.wav")
    (source,) = audio_sources([{"bytes": b"", "path": "inside.wav"}])
    with pytest.raises(ValueError, match=r"^inside\.wav (cannot be|needs more memory)"):
        source.load()


KINDS = (
    {"format": "WAV"},
    {"format": "WAV", "subtype": "FLOAT"},
    {"format": "WAV", "subtype": "IMA_ADPCM"},
    {"format": "WAVEX", "subtype": "PCM_24"},
    {"format": "FLAC"},
    {"format": "OGG"},
    {"format": "MP3"},
    {"format": "AIFF"},
    {"format": "CAF"},
    {"format": "W64"},
    {"format": "AU"},
    {"format": "RF64"},
)


def mutated(seed):
    """A file of two seconds with up to eight bytes changed, most of them in its header."""
    generator = np.random.default_rng(seed)
    kind = KINDS[seed % len(KINDS)]
    content = encode(NOISE[:8000], **kind)
    for _ in range(generator.integers(1, 9)):
        end = 64 if generator.random() < 0.8 else len(content)
        content[generator.integers(0, end)] = generator.choice([0, 0xFF, 0x7F, 0x80, generator.integers(256)])
    return content


def test_when_headers_are_mutated_then_clips_are_read_or_named(tmp_path):
    outcomes = {"read": 0, "named": 0}
    for seed in range(360):
        path = tmp_path / f"mutated-{seed}"
        path.write_bytes(mutated(seed))
        try:
            waveform = read_audio(path, channel="mean")
        except ValueError as error:
            assert f"mutated-{seed}" in str(error), error
            outcomes["named"] += 1
        else:
            assert np.isfinite(waveform).all() and len(waveform) <= 16 * 8000 * 8
            outcomes["read"] += 1
    assert min(outcomes.values()) > 50


LIMITED = """
import resource, sys
import numpy as np
from modeling_retainmix import sound_file
from modeling_retainmix.audio import read_audio
import psutil
read_audio(sys.argv[1])  # everything is imported, threads have their stacks
sound_file.MAX_CLIP_BYTES = 64 * 2**20
limit = psutil.Process().memory_info().vms + 2 * sound_file.MAX_CLIP_BYTES
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
for path in sys.argv[2:]:
    try:
        print("read", len(read_audio(path)))
    except ValueError as error:
        print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space")
def test_when_headers_lie_then_the_stated_memory_suffices(tmp_path):
    """64 MiB in place of 4 GiB; under the limit a MemoryError would say 'needs more memory than is free'."""
    contents = {
        "good.flac": encode(format="FLAC"),
        "samples.flac": with_flac_samples(encode(format="FLAC"), 2**36 - 1),
        "unknown.flac": with_flac_samples(encode(np.zeros(12_000_000, np.int16), format="FLAC"), 0),
        "fits.flac": encode(np.tile(np.int16([3, -3]), 2_000_000), format="FLAC"),
        "long.flac": encode(np.tile(np.int16([3, -3]), 6_000_000), format="FLAC"),
        "slow.wav": encode(np.tile(np.int16([3, -3]), 1_000_000), 1000, format="WAV"),
        "wide.wav": encode(np.zeros((4000, 1024), np.int16), format="WAV"),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    paths = [str(tmp_path / name) for name in contents]
    done = subprocess.run([sys.executable, "-c", LIMITED, paths[0], *paths], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    good, samples, unknown, fits, long, slow, wide = done.stdout.splitlines()
    assert good == "read 320000" and fits == "read 4000000"
    for line in (samples, unknown, long, slow):
        assert "is too long: " in line and "more than the 0.0625 GiB that one file may take" in line
    assert "has 1024 channels" in wide

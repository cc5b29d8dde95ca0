"""Sound files, arrays and table columns come in as float32 waveforms, or with an error that names file and cure."""

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch
from datasets import Audio, Dataset, Features, List, Value, concatenate_datasets

from modeling_retainmix.audio import audio_sources, read_audio


def tone(frequency: float = 440.0, sampling_rate: int = 16000, seconds: float = 0.25) -> np.ndarray:
    time = np.arange(round(sampling_rate * seconds)) / sampling_rate
    return (0.5 * np.sin(2 * np.pi * frequency * time)).astype(np.float32)


def load(*args) -> list[np.ndarray]:
    return [source.load() for source in audio_sources(*args)]


def int16_tone() -> np.ndarray:
    return np.round(tone() * 32768).astype(np.int16)


def test_when_file_is_int16_then_samples_are_exact(tmp_path):
    sf.write(tmp_path / "a.flac", int16_tone(), 16000)
    waveform = read_audio(tmp_path / "a.flac")
    assert waveform.dtype == np.float32
    np.testing.assert_array_equal(waveform * 32768, int16_tone())


def test_when_rate_differs_then_tone_keeps_its_frequency(tmp_path):
    sf.write(tmp_path / "a.wav", tone(sampling_rate=48000, seconds=1.0), 48000)
    waveform = read_audio(tmp_path / "a.wav")
    assert waveform.shape == (16000,)
    np.testing.assert_allclose(waveform[500:-500], tone(seconds=1.0)[500:-500], atol=2e-3)


def test_when_file_is_missing_then_error_names_it(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent\.wav does not exist"):
        read_audio(tmp_path / "absent.wav")


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros(0, np.float32), "empty"),
        (np.zeros(4000, np.float32), "silent .all 4000 samples are 0"),
        (np.full(4000, 0.25, np.float32), "silent .all 4000 samples are 0.25"),
        (np.full(4000, np.nan, np.float32), "NaN"),
    ],
)
def test_when_samples_are_useless_then_error_names_the_file(tmp_path, samples, message):
    sf.write(tmp_path / "bad.wav", samples, 16000, subtype="FLOAT")
    with pytest.raises(ValueError, match=rf"bad\.wav .*{message}"):
        read_audio(tmp_path / "bad.wav")


def test_when_file_is_undecodable_then_error_names_it(tmp_path):
    (tmp_path / "bad.wav").write_bytes(b"this is not sound")
    with pytest.raises(ValueError, match=r"bad\.wav cannot be decoded"):
        read_audio(tmp_path / "bad.wav")


def test_when_file_has_several_channels_then_one_must_be_chosen(tmp_path):
    stereo = np.stack([tone(), -0.5 * tone()], axis=1)
    sf.write(tmp_path / "stereo.wav", stereo, 16000, subtype="FLOAT")
    message = (
        r"stereo\.wav has 2 channels: choose one with channel=0 or 1, or channel='mean' \(--channel on the command"
    )
    with pytest.raises(ValueError, match=message):
        read_audio(tmp_path / "stereo.wav")
    with pytest.raises(ValueError, match=r"stereo\.wav has 2 channels and no channel 2: choose one"):
        read_audio(tmp_path / "stereo.wav", channel=2)
    for channel in (1, np.int64(1)):
        np.testing.assert_array_equal(read_audio(tmp_path / "stereo.wav", channel=channel), stereo[:, 1])
    np.testing.assert_allclose(read_audio(tmp_path / "stereo.wav", channel="mean"), stereo.mean(axis=1), atol=1e-7)


def test_when_file_has_one_channel_then_a_choice_among_several_does_not_concern_it(tmp_path):
    sf.write(tmp_path / "mono.wav", tone(), 16000, subtype="FLOAT")
    for channel in (None, 1, "mean"):
        np.testing.assert_array_equal(read_audio(tmp_path / "mono.wav", channel=channel), tone().astype(np.float32))


@pytest.mark.parametrize("channel", ["left", "1", -1, 1.0, True])
def test_when_channel_is_mistyped_then_error_says_so_even_for_one_channel(tmp_path, channel):
    sf.write(tmp_path / "mono.wav", tone(), 16000)
    for read in (read_audio, audio_sources):
        with pytest.raises(
            ValueError, match=f"channel={channel!r} is not a valid channel: use an index from 0, or 'mean'"
        ):
            read(tmp_path / "mono.wav", channel=channel)


@pytest.mark.parametrize(("shape", "channel"), [((4000, 2), None), ((2, 4000), 0)])
def test_when_an_array_holds_channels_then_error_says_what_it_was_taken_for(shape, channel):
    clips, samples = shape
    with pytest.raises(ValueError, match=rf"\[{clips}, {samples}\], which is {clips} clips of {samples} samples: "):
        audio_sources(np.ones(shape, np.float32), 16000, channel)
    with pytest.raises(ValueError, match=rf"clip 0 has shape \[{clips}, {samples}\]: .*several channels pass one"):
        load([np.ones(shape, np.float32)], 16000, channel)


def test_when_the_same_sound_comes_in_any_form_then_waveforms_are_equal(tmp_path):
    sf.write(tmp_path / "a.wav", int16_tone(), 16000)
    path = str(tmp_path / "a.wav")
    expected = int16_tone() / np.float32(32768)
    table = Dataset.from_dict(
        {"audio": [int16_tone()], "path": [path]},
        features=Features({"audio": List(Value("int16")), "path": Value("string")}),
    )
    encoded = Dataset.from_list([{"sound": {"bytes": (tmp_path / "a.wav").read_bytes(), "path": None}}]).cast_column(
        "sound", Audio(decode=False)
    )
    forms = [
        (path, None),
        (tmp_path, None),
        ([tmp_path / "a.wav"], None),
        (int16_tone(), 16000),
        (expected[None], 16000),
        (torch.from_numpy(expected), 16000),
        ([expected], 16000),
        (table["audio"], 16000),
        (table["path"], None),
        (encoded["sound"], None),
    ]
    for audio, sampling_rate in forms:
        (waveform,) = load(audio, sampling_rate)
        assert waveform.dtype == np.float32
        np.testing.assert_array_equal(waveform, expected)


def test_when_array_has_no_sampling_rate_then_error_asks_for_it():
    with pytest.raises(ValueError, match=r"clip 0 is an array.*sampling_rate="):
        load(tone())


@pytest.mark.parametrize("sampling_rate", [0, -16000, 999, 1_000_001, 44100.5, "16000", float("nan")])
def test_when_sampling_rate_is_not_valid_then_error_names_it(sampling_rate):
    with pytest.raises(ValueError, match=rf"sampling_rate={sampling_rate} of clip 0 is not a whole number of Hz"):
        load(tone(), sampling_rate)


@pytest.mark.parametrize("dtype", [np.uint8, np.complex64, bool, object])
def test_when_array_has_another_dtype_then_error_names_it(dtype):
    with pytest.raises(ValueError, match=f"clip 0 has dtype {np.dtype(dtype)}: pass float"):
        load(np.abs(tone()).astype(dtype), 16000)


def test_when_whole_numbers_have_64_bits_then_error_asks_for_the_width_that_was_recorded():
    for audio in (int16_tone().astype(np.int64), [int16_tone().tolist()], torch.from_numpy(int16_tone()).long()):
        with pytest.raises(ValueError, match=r"clip 0 has dtype int64, .*: pass it as int16 or int32"):
            load(audio, 16000)
    np.testing.assert_allclose(load(int16_tone().astype(np.int32) * 65536, 16000)[0], tone(), atol=1e-4)


def test_when_array_has_another_rate_then_it_is_resampled():
    (waveform,) = load(tone(sampling_rate=8000, seconds=1.0), 8000)
    assert waveform.shape == (16000,)


def test_when_one_array_of_a_batch_is_silent_then_error_names_its_position():
    with pytest.raises(ValueError, match="clip 1 is silent"):
        load(np.stack([tone(), 0 * tone()]), 16000)


def test_clips_of_a_table_are_named_by_their_paths(tmp_path):
    paths = [str(tmp_path / name) for name in ("a.wav", "b.wav")]
    for path in paths:
        sf.write(path, tone(), 16000)
    content = [{"bytes": Path(path).read_bytes(), "path": path} for path in paths]
    named = Dataset.from_dict({"sound": paths}).cast_column("sound", Audio(decode=False))
    kind = Features({"sound": {"bytes": Value("binary"), "path": Value("string")}})
    for column in (
        Dataset.from_dict({"file": paths})["file"],
        named["sound"],
        named.cast_column("sound", Audio())["sound"],
        Dataset.from_dict({"sound": content}, features=kind)["sound"],
        content,
    ):
        sources = audio_sources(column)
        assert [source.name for source in sources] == paths
        assert sources[1].load().shape == (4000,)
    assert [source.name for source in audio_sources(named.select([1])["sound"])] == paths[1:]
    numbers = Dataset.from_dict({"number": [0, 1]})
    joined = concatenate_datasets([concatenate_datasets([named, numbers], axis=1)] * 2)
    assert [source.name for source in audio_sources(joined["sound"])] == paths * 2
    assert [source.name for source in audio_sources(joined.select([3, 0])["sound"])] == paths[::-1]
    nameless = [{"bytes": item["bytes"], "path": None} for item in content]
    assert [source.name for source in audio_sources(nameless)] == ["clip 0", "clip 1"]


def test_origin_is_that_of_the_file_and_of_the_channels_that_are_read(tmp_path):
    sf.write(tmp_path / "a.wav", np.stack([tone()] * 2, axis=1), 8000, subtype="ULAW")
    for channel, channels in ((1, 1), ("mean", 2)):
        for audio in (tmp_path / "a.wav", tmp_path, [tmp_path / "a.wav"]):
            (source,) = audio_sources(audio, channel=channel)
            assert source.describe() == (8000, channels, "ULAW")
    assert audio_sources(tone(), 16000)[0].describe() == (16000, 1, None)
    assert audio_sources([tmp_path / "absent.wav"])[0].describe() is None


@pytest.mark.parametrize("audio", [3, [0.1, 0.2], np.zeros((1, 2, 3)), [], None])
def test_when_form_is_unknown_then_error_says_what_to_pass(audio):
    with pytest.raises(ValueError, match=r"expected|pass"):
        audio_sources(audio, 16000)

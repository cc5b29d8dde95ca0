"""A microphone writes whole files of one length; a module stands for the sound card."""

import sys
import threading

import numpy as np
import pytest
import soundfile as sf

from modeling_retainmix.watching.microphone import Microphone


class SoundCard:
    """Plays blocks to the callback of a stream, each with a status that is true where samples were lost."""

    def __init__(self, blocks=(), rate=8000):
        self.blocks, self.rate, self.options = blocks, rate, {}
        self.played = threading.Event()

    def query_devices(self, device, kind):
        if device == "none":
            raise ValueError("No input device matching 'none'")
        return {"default_samplerate": float(self.rate)}

    def InputStream(self, callback, **options):
        self.options, card = options, self

        class Stream:
            def __enter__(self):
                reused = np.empty((max(map(len, (block for block, _ in card.blocks)), default=0), 1), np.int16)
                for block, status in card.blocks:
                    reused[: len(block), 0] = block
                    callback(reused[: len(block)], len(block), None, status)
                card.played.set()

            def __exit__(self, *error):
                pass

        return Stream()


def blocks(count, start=0, lost=()):
    return [(np.full(800, start + n, np.int16), n in lost) for n in range(count)]


def record(card, folder, num_files, **options):
    microphone = Microphone(folder, sounddevice=card, **options)
    microphone.start()
    card.played.wait(20)
    for _ in range(2000):
        if len([*folder.glob("*.wav")]) + microphone.num_lost >= num_files:
            break
        threading.Event().wait(0.01)
    microphone.stop()
    microphone.check()
    return microphone, sorted(folder.glob("*"))


def test_files_follow_each_other_without_a_gap_and_the_unfinished_one_is_left_out(folder):
    card = SoundCard(blocks(27))
    _, files = record(card, folder, 2, seconds=1.0, device=3)
    assert len(files) == 2 and all(file.suffix == ".wav" and file.name.endswith("Z.wav") for file in files)
    sounds = [sf.read(file, dtype="int16") for file in files]
    assert [rate for _, rate in sounds] == [8000, 8000]
    np.testing.assert_array_equal(np.concatenate([one for one, _ in sounds]), np.repeat(np.arange(20), 800))
    assert (card.options["device"], card.options["samplerate"], card.options["channels"]) == (3, 8000, 1)


def test_when_samples_are_lost_then_that_file_is_left_out(folder):
    microphone, files = record(SoundCard(blocks(30, lost=[12])), folder, 3, seconds=1.0)
    assert microphone.num_lost == 1
    assert [int(sf.read(file, dtype="int16")[0][0]) for file in files] == [0, 20]


def test_when_the_card_fails_then_check_raises(folder):
    card = SoundCard()
    card.InputStream = lambda **options: 1 / 0
    microphone = Microphone(folder, sounddevice=card)
    microphone.start()
    microphone.join(20)
    with pytest.raises(OSError, match="microphone has stopped"):
        microphone.check()


def test_when_device_or_length_are_not_valid_or_the_library_is_missing_then_error(folder, monkeypatch):
    with pytest.raises(ValueError, match="--microphone none: No input device"):
        Microphone(folder, device="none", sounddevice=SoundCard())
    with pytest.raises(ValueError, match="too short"):
        Microphone(folder, seconds=0.5, sounddevice=SoundCard())
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(ImportError, match=r"retainmix\[microphone\]"):
        Microphone(folder)

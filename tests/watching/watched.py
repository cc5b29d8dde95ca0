"""What stands for the world in tests of a watch: a clock, a judge that needs no encoder, hooks, sound files."""

import numpy as np
import soundfile as sf

from modeling_retainmix.audio import read_audio
from modeling_retainmix.watching.hooks import DeliveryError
from modeling_retainmix.watching.recording import Judgement

RATE = 16000
THRESHOLD, QUARTILE = 0.5, 0.2


class Clock:
    """Seconds since 1970 that pass when a test says so."""

    def __init__(self, now=2_000_000_000.0):
        self.now = now

    def __call__(self):
        return self.now


class PeakJudge:
    """A recording is anomalous when its highest sample is above one half of full scale."""

    def __init__(self, fingerprint="peak"):
        self.fingerprint = fingerprint
        self.judged = []

    def refresh(self):
        pass

    def judge(self, path):
        score = float(np.abs(read_audio(path)).max())
        self.judged.append(path.name)
        return Judgement(score, 1, THRESHOLD, QUARTILE, 0.1, self.fingerprint)


class FakeHook:
    """Keep what is sent; fail as often as `errors` says."""

    def __init__(self, name="fake", errors=()):
        self.id = self.name = name
        self.errors, self.sent = list(errors), []

    def send(self, key, payload):
        error = self.errors.pop(0) if self.errors else None
        if error is not None:
            raise error
        self.sent.append((key, payload))


def refused():
    return DeliveryError("status 500")


def unreachable():
    return DeliveryError("no answer", is_unreachable=True)


def sound(peak, seed=0, seconds=0.5):
    """Noise whose highest sample is `peak`; float64 [samples]."""
    waveform = np.random.default_rng(seed).normal(0, 1, round(seconds * RATE))
    return waveform * peak / np.abs(waveform).max()


def write(path, peak=0.1, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, sound(peak, seed), RATE)
    return path

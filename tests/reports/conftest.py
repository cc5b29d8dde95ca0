"""Recordings of a machine that hums, healthy and not, and a detector of it."""

import numpy as np
import pytest
import soundfile as sf

from modeling_retainmix import AnomalyDetector

RATE = 16000
UGLY = "<img src=x onerror=alert(1)> & 'more'.wav"


def draw_clip(seed, seconds=1.0, burst=False):
    """Draw a hum in noise; a burst from 0.4 to 0.6 s between 3 and 4 kHz is what a fault adds."""
    generator = np.random.default_rng(seed)
    time = np.arange(round(seconds * RATE)) / RATE
    clip = 0.02 * generator.normal(size=len(time)) + 0.05 * np.sin(2 * np.pi * 300 * time + seed)
    if burst:
        tones = sum(np.sin(2 * np.pi * hertz * time + hertz) for hertz in range(3000, 4000, 25))
        clip += 0.02 * tones * ((time >= 0.4) & (time < 0.6))
    return clip.astype(np.float32)


@pytest.fixture(scope="session")
def machine(tmp_path_factory):
    """A folder with `train` (12 recordings) and `test` (2 healthy, 2 faulty, 2 that cannot be read)."""
    root = tmp_path_factory.mktemp("machine")
    (root / "train").mkdir()
    (root / "test" / "night").mkdir(parents=True)
    for index in range(12):
        sf.write(root / "train" / f"{index:02}.wav", draw_clip(index), RATE)
    sf.write(root / "test" / "healthy_0.wav", draw_clip(100), RATE)
    sf.write(root / "test" / "night" / "healthy_1.wav", draw_clip(101), RATE)
    sf.write(root / "test" / "faulty_0.wav", draw_clip(102, burst=True), RATE)
    sf.write(root / "test" / UGLY, np.clip(8 * draw_clip(103, burst=True), -0.9, 0.9), RATE)
    sf.write(root / "test" / "silent.wav", np.zeros(RATE), RATE)
    (root / "test" / "broken.wav").write_bytes((root / "test" / "healthy_0.wav").read_bytes()[:30])
    return root


@pytest.fixture(scope="session")
def detector(machine):
    detector = AnomalyDetector.from_pretrained("log-mel", backend="whitened", normalization="none", device="cpu")
    return detector.fit(machine / "train")

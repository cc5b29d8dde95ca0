"""Fault mechanisms: what an anomaly adds to the sound of a machine, bound to the motion of its shaft."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from modeling_retainmix.data.factory import signals
from modeling_retainmix.data.factory.machines import Machine, Motion, shaft_tones
from modeling_retainmix.data.factory.sessions import Session
from modeling_retainmix.data.factory.signals import SAMPLING_RATE, decibels
from modeling_retainmix.data.factory.widths import Widths

SEVERITY_STD_DB = 2.0  # severity from clip to clip

FaultSynthesis = Callable[[Machine, Motion, np.random.Generator, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Mechanism:
    """A fault mechanism.

    Attributes:
        synthesize: (machine, motion, machine_rng, rng) -> [samples]; `machine_rng` is the same for all clips of
            a machine (where a fault sits), `rng` that of the clip (how it sounds today).
        severity_db: mean level relative to the machine.
    """

    synthesize: FaultSynthesis
    severity_db: float


def _tones(motion: Motion, rng: np.random.Generator, orders: np.ndarray, amplitudes: np.ndarray) -> np.ndarray:
    amplitudes = np.where(orders * motion.rotation_hz < 0.47 * SAMPLING_RATE, amplitudes, 0.0)
    return shaft_tones(motion.phase, orders, amplitudes, rng.uniform(0, 2 * np.pi, len(orders)))


def imbalance(
    machine: Machine, motion: Motion, machine_rng: np.random.Generator, rng: np.random.Generator
) -> np.ndarray:
    """Synthesize an eccentric rotor: the first harmonics of the rotation grow."""
    orders = np.arange(1, 17)
    tones = _tones(motion, rng, orders, decibels(-1.0 * (orders - 1) + rng.normal(0, 1.5, len(orders))))
    return tones * motion.envelope


def looseness(
    machine: Machine, motion: Motion, machine_rng: np.random.Generator, rng: np.random.Generator
) -> np.ndarray:
    """Synthesize a loose mount: many harmonics of half the rotation, unsteady in strength."""
    orders = np.arange(1, 49)
    amplitudes = orders**-0.4 * decibels(rng.normal(0, 3.0, len(orders)))
    half = Motion(motion.phase / 2, motion.rotation_hz / 2, motion.envelope, motion.freq)
    unsteady = decibels(signals.slow_curve(rng, len(motion.phase), 3.0, 0.2))
    return _tones(half, rng, orders, amplitudes) * unsteady * motion.envelope


def gear_wear(
    machine: Machine, motion: Motion, machine_rng: np.random.Generator, rng: np.random.Generator
) -> np.ndarray:
    """Synthesize worn teeth: wide side bands around the mesh of the gear and its multiples."""
    side = np.concatenate([np.arange(-9, 0), np.arange(1, 10)])
    side = side[np.abs(side) < machine.teeth]
    orders = np.concatenate([mesh * machine.teeth + side for mesh in (1, 2, 3, 4)])
    decay = np.concatenate([0.8 ** (mesh - 1) * 0.88 ** np.abs(side) for mesh in (1, 2, 3, 4)])
    amplitudes = decay * decibels(rng.normal(0, 2.0, len(orders)))
    return _tones(motion, rng, orders, amplitudes) * motion.envelope


def bearing(
    machine: Machine, motion: Motion, machine_rng: np.random.Generator, rng: np.random.Generator
) -> np.ndarray:
    """Synthesize a pitted race: impacts a few times per turn, not in step with it, that ring in the housing."""
    rate = machine_rng.uniform(2.6, 5.4)
    centers = 2 ** machine_rng.uniform(np.log2(900), np.log2(4500), 3)
    positions = signals.crossings(motion.phase * rate)
    positions = np.clip(positions + rng.integers(-12, 13, len(positions)), 0, len(motion.phase) - 1)
    strength = 1.0 + 0.5 * np.cos(2 * np.pi * motion.phase[positions]) + 0.2 * rng.standard_normal(len(positions))
    modes = signals.damped_modes(motion.freq, centers * decibels(rng.normal(0, 0.3, 3)), np.full(3, 0.002))
    return signals.ring(positions, strength, modes, len(motion.phase), motion.envelope)


def leak(machine: Machine, motion: Motion, machine_rng: np.random.Generator, rng: np.random.Generator) -> np.ndarray:
    """Synthesize escaping gas: a hiss whose band moves with the size of the hole."""
    low = machine_rng.uniform(600, 1500) * 2 ** rng.normal(0, 0.3)
    hiss = signals.shaped_noise(rng, signals.band(motion.freq, low, 3.0 * low), len(motion.phase))
    return hiss * decibels(signals.slow_curve(rng, len(hiss), 1.0, 0.3)) * motion.envelope


def squeal(machine: Machine, motion: Motion, machine_rng: np.random.Generator, rng: np.random.Generator) -> np.ndarray:
    """Synthesize a slipping belt or dry contact: a wandering tone and its octave that come and go."""
    length = len(motion.phase)
    center = machine_rng.uniform(1100, 2600) * 2 ** rng.normal(0, 0.15)
    wander = 2 ** (signals.slow_curve(rng, length, 0.04, 0.1))
    phase = 2 * np.pi * np.cumsum(center * wander) / SAMPLING_RATE
    gate = 1.0 / (1.0 + np.exp(-6.0 * signals.slow_curve(rng, length, 1.0, 0.25)))
    return (np.cos(phase) + 0.4 * np.cos(2 * phase)) * gate * motion.envelope


def rub(machine: Machine, motion: Motion, machine_rng: np.random.Generator, rng: np.random.Generator) -> np.ndarray:
    """Synthesize a rotor that touches its housing: scraping noise during a part of every turn."""
    low = machine_rng.uniform(400, 1200)
    noise = signals.shaped_noise(rng, signals.band(motion.freq, low, 2.5 * low), len(motion.phase))
    contact = np.maximum(np.cos(2 * np.pi * motion.phase), 0.0) ** machine_rng.uniform(2, 6)
    return noise * contact * motion.envelope


def cavitation(
    machine: Machine, motion: Motion, machine_rng: np.random.Generator, rng: np.random.Generator
) -> np.ndarray:
    """Synthesize collapsing bubbles: dense irregular crackle, only on the whole in step with the pump's strokes."""
    length = len(motion.phase)
    count = rng.poisson(machine_rng.uniform(300, 600) * length / SAMPLING_RATE)
    positions = rng.integers(0, length, count)
    strength = rng.exponential(1.0, count) * rng.choice([-1.0, 1.0], count)
    strength *= 1.0 + 0.7 * np.cos(2 * np.pi * motion.phase[positions])
    centers = 2 ** machine_rng.uniform(np.log2(700), np.log2(4500), 4)
    modes = signals.damped_modes(motion.freq, centers, np.full(4, 0.0008))
    return signals.ring(positions, strength, modes, length, motion.envelope)


def rattle(machine: Machine, motion: Motion, machine_rng: np.random.Generator, rng: np.random.Generator) -> np.ndarray:
    """Synthesize a loose cover: short irregular runs of knocks."""
    length = len(motion.phase)
    starts = rng.uniform(0, length, max(4, rng.poisson(3.0 * length / SAMPLING_RATE)))
    gaps = np.cumsum(rng.uniform(0.012, 0.035, (len(starts), 8)), axis=1) * SAMPLING_RATE
    positions = np.minimum(starts[:, None] + gaps, length - 1).astype(np.int64).ravel()
    strength = (decibels(rng.normal(0, 2.0, (len(starts), 1))) * 0.85 ** np.arange(8)).ravel()
    centers = 2 ** machine_rng.uniform(np.log2(500), np.log2(3000), 4)
    modes = signals.damped_modes(motion.freq, centers, np.full(4, 0.004))
    return signals.ring(positions, strength, modes, length, motion.envelope)


def hum(machine: Machine, motion: Motion, machine_rng: np.random.Generator, rng: np.random.Generator) -> np.ndarray:
    """Synthesize a shorted winding: multiples of twice the mains frequency, beating slowly; heard in pauses too."""
    length = len(motion.phase)
    mains = np.cumsum(np.full(length, 100.0 * (1.0 + 0.001 * rng.standard_normal()))) / SAMPLING_RATE
    orders = np.arange(1, 17)
    amplitudes = decibels(-1.0 * orders + machine_rng.normal(0, 3.0, len(orders)) + rng.normal(0, 2.0, len(orders)))
    tones = shaft_tones(mains, orders, amplitudes, rng.uniform(0, 2 * np.pi, len(orders)))
    return tones * decibels(signals.slow_curve(rng, length, 2.0, 0.4))


MECHANISMS = {
    "imbalance": Mechanism(imbalance, -3.0),
    "looseness": Mechanism(looseness, -3.0),
    "gear_wear": Mechanism(gear_wear, -5.0),
    "bearing": Mechanism(bearing, -5.0),
    "leak": Mechanism(leak, -5.5),
    "squeal": Mechanism(squeal, -6.0),
    "rub": Mechanism(rub, -3.0),
    "cavitation": Mechanism(cavitation, -3.5),
    "rattle": Mechanism(rattle, -3.0),
    "hum": Mechanism(hum, -5.0),
}


def fault_sound(
    mechanism: str,
    machine: Machine,
    motion: Motion,
    seed: int,
    rng: np.random.Generator,
    widths: Widths,
    session: Session | None = None,
) -> tuple[np.ndarray, float]:
    """Return the sound of a fault before the body filter, [samples], and its severity in this clip in dB."""
    machine_rng = signals.keyed_generator(seed, "fault", machine.name, mechanism)
    severity_db = MECHANISMS[mechanism].severity_db + SEVERITY_STD_DB * rng.standard_normal()
    severity_db += widths.severity_offset_db + (0.0 if session is None else session.severity_db)
    return MECHANISMS[mechanism].synthesize(machine, motion, machine_rng, rng), severity_db

"""Sounds of machines: a shaft with slow speed jitter drives tones, impacts and friction behind a fixed body filter."""

from dataclasses import dataclass

import numpy as np
from scipy import fft

from modeling_retainmix.data.factory import signals
from modeling_retainmix.data.factory.catalogue import MachineType
from modeling_retainmix.data.factory.sessions import Session
from modeling_retainmix.data.factory.signals import MARGIN, SAMPLING_RATE, decibels
from modeling_retainmix.data.factory.widths import Widths

SPEED_JITTER = 0.003  # slow jitter of the shaft within a clip
FLOOR_DB = -14.0  # noise floor relative to the sum of the parts
LEVEL_DBFS = (-32.0, 2.5)  # mean and standard deviation of the level of a finished clip
CREST_RANGE = (2.6, 3.2)  # peaks are clipped at a multiple of the RMS drawn from this range
TABLE_SIZE = 1 << 14

# What more load does to the level of each part, in dB
LOAD_DB = {"shaft": -1.0, "gear": 2.5, "blade": 1.0, "strokes": 1.5, "friction": 2.0}


PARTS = tuple(LOAD_DB)


@dataclass(frozen=True)
class Machine:
    """One machine: a type with its random details drawn.

    Attributes:
        name: of the type.
        rotation_hz: turns per second at speed 1.
        orders, amplitudes, phases: [lines] multiples of the rotation, their amplitudes, phases in radians; `groups`
            [lines] names the part of each.
        levels_db: level of each part.
        strokes: impacts per turn; stroke_modes_hz, stroke_decays: [4] the modes they excite and their decay in s.
        friction_hz: band of the friction noise; friction_depth: how strongly the rotation modulates it, 0 to 1.
        cycle_hz, cycle_duty: on/off cycles per second (0: none) and the share of the time that is on.
        teeth: of the gear; 0: none.
        body_hz, body_db, body_octaves: [6] peaks of the body filter; body_tilt: its slope in dB per octave.
        target_tilt: microphone of the target domain, dB per octave.
    """

    name: str
    rotation_hz: float
    orders: np.ndarray
    amplitudes: np.ndarray
    phases: np.ndarray
    groups: np.ndarray
    levels_db: dict[str, float]
    strokes: float
    stroke_modes_hz: np.ndarray
    stroke_decays: np.ndarray
    friction_hz: tuple[float, float]
    friction_depth: float
    cycle_hz: float
    cycle_duty: float
    teeth: int
    body_hz: np.ndarray
    body_db: np.ndarray
    body_octaves: np.ndarray
    body_tilt: float
    target_tilt: float


@dataclass(frozen=True)
class Motion:
    """What moves in one clip, the ground for machine and fault alike.

    Attributes:
        phase: [samples] turns of the shaft.
        rotation_hz: mean turns per second.
        envelope: [samples] 1 while the machine works, less in pauses.
        freq: [bins] frequencies of the real FFT of the clip with its margins, Hz.
    """

    phase: np.ndarray
    rotation_hz: float
    envelope: np.ndarray
    freq: np.ndarray


def draw_machine(machine_type: MachineType, seed: int, instance: int | None = None) -> Machine:
    """Draw the details of a machine.

    Args:
        machine_type: the type.
        seed: of the factory.
        instance: None: the one machine of a validation or evaluation type. A number: a training instance, whose
            speed, parts, levels and body differ from those of the other instances.
    """
    rng = signals.keyed_generator(seed, "machine", machine_type.name)
    orders, amplitudes, groups = _lines(machine_type, rng)
    body_hz = 2 ** rng.uniform(np.log2(150), np.log2(6500), 6)
    body_db = rng.uniform(4.0, 14.0, 6)
    body_octaves = rng.uniform(0.08, 0.3, 6)
    stroke_modes_hz = 2 ** rng.uniform(np.log2(300), np.log2(5500), 4)
    stroke_decays = rng.uniform(0.003, 0.02, 4)
    rotation_hz = machine_type.rotation_hz
    levels_db = {
        "shaft": machine_type.shaft_db,
        "gear": machine_type.gear_db,
        "blade": machine_type.blade_db,
        "strokes": machine_type.stroke_db,
        "friction": machine_type.friction_db,
    }
    friction_low, friction_high = machine_type.friction_hz
    depth, duty, tilt = rng.uniform(0.2, 0.7), rng.uniform(0.55, 0.75), rng.choice([-1.0, 1.0]) * rng.uniform(0.5, 0.8)
    body_tilt = rng.uniform(-4.5, -2.5)
    if instance is not None:
        rng = signals.keyed_generator(seed, "machine", machine_type.name, instance)
        rotation_hz *= 2 ** rng.uniform(-0.5, 0.5)
        amplitudes = amplitudes * decibels(rng.normal(0.0, 4.0, len(amplitudes)))
        body_hz = body_hz * 2 ** rng.normal(0.0, 0.25, 6)
        body_db = body_db + rng.normal(0.0, 2.5, 6)
        stroke_modes_hz = stroke_modes_hz * 2 ** rng.normal(0.0, 0.3, 4)
        levels_db = {part: level + rng.normal(0.0, 3.0) for part, level in levels_db.items()}
        friction_low, friction_high = friction_low * 2 ** rng.normal(0, 0.3), friction_high * 2 ** rng.normal(0, 0.3)
        body_tilt += rng.normal(0.0, 0.7)
    return Machine(
        name=machine_type.name,
        rotation_hz=rotation_hz,
        orders=orders,
        amplitudes=amplitudes,
        phases=rng.uniform(0.0, 2 * np.pi, len(orders)),
        groups=groups,
        levels_db=levels_db,
        strokes=machine_type.strokes,
        stroke_modes_hz=stroke_modes_hz,
        stroke_decays=stroke_decays,
        friction_hz=(friction_low, friction_high),
        friction_depth=depth,
        cycle_hz=machine_type.cycle_hz,
        cycle_duty=duty,
        teeth=machine_type.teeth,
        body_hz=body_hz,
        body_db=body_db,
        body_octaves=body_octaves,
        body_tilt=body_tilt,
        target_tilt=tilt,
    )


def _lines(machine_type: MachineType, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return orders, amplitudes and part names of all tones that are bound to the shaft."""
    orders = [np.arange(1, 17)]
    amplitudes = [np.arange(1, 17) ** -0.7]
    groups = ["shaft"] * 16
    if machine_type.teeth:
        for mesh in (1, 2, 3):
            orders.append(mesh * machine_type.teeth + np.arange(-3, 4))
            amplitudes.append(0.6 ** (mesh - 1) * 0.4 ** np.abs(np.arange(-3, 4)))
        groups += ["gear"] * 21
    if machine_type.blades:
        orders.append(machine_type.blades * np.arange(1, 7))
        amplitudes.append(np.arange(1, 7) ** -0.8)
        groups += ["blade"] * 6
    all_amplitudes = np.concatenate(amplitudes) * decibels(rng.normal(0.0, 4.0, len(groups)))
    return np.concatenate(orders), all_amplitudes, np.array(groups)


def draw_motion(
    machine: Machine,
    rng: np.random.Generator,
    speed: float,
    num_samples: int,
    widths: Widths,
    session: Session | None = None,
) -> Motion:
    """Draw the course of the shaft and of the on/off cycle of a clip with its margins.

    Args:
        machine: whose shaft it is.
        rng: of the clip.
        speed: factor of the machine's speed.
        num_samples: length of the clip.
        widths: how much clips differ.
        session: in which it is recorded.
    """
    length = signals.padded_length(num_samples)
    rotation_hz = machine.rotation_hz * speed * (1.0 + widths.clip_speed_std * rng.standard_normal())
    if session is not None:
        rotation_hz *= session.speed
    jitter = signals.slow_curve(rng, length, SPEED_JITTER, 0.25)
    phase = np.cumsum(rotation_hz * (1.0 + jitter)) / SAMPLING_RATE + rng.uniform()
    envelope = np.ones(length)
    if machine.cycle_hz:
        rate = machine.cycle_hz * speed * (1.0 + 0.02 * rng.standard_normal())
        position = (np.arange(length) / SAMPLING_RATE * rate + rng.uniform()) % 1.0
        edge = 0.03
        rise = np.minimum(position, machine.cycle_duty - position) / edge
        envelope = widths.idle + (1.0 - widths.idle) * np.clip(rise, 0.0, 1.0)
    return Motion(phase, rotation_hz, envelope, signals.frequencies(length))


def shaft_tones(phase: np.ndarray, orders: np.ndarray, amplitudes: np.ndarray, phases: np.ndarray) -> np.ndarray:
    """Read tones bound to a phase from a wavetable: sum over lines of a cos(2 pi order phase + phase0), [samples]."""
    spectrum = np.zeros(TABLE_SIZE // 2 + 1, dtype=np.complex128)
    np.add.at(spectrum, orders, amplitudes * np.exp(1j * phases))
    table = fft.irfft(spectrum, TABLE_SIZE) * (TABLE_SIZE / 2)
    return table[((phase % 1.0) * TABLE_SIZE).astype(np.int64) % TABLE_SIZE]


def machine_sound(
    machine: Machine,
    motion: Motion,
    rng: np.random.Generator,
    load: float,
    widths: Widths,
    session: Session | None = None,
) -> np.ndarray:
    """Return the machine without its body filter, with margins, [samples]; arguments as in `draw_motion`."""
    length, line_amplitudes = len(motion.phase), machine.amplitudes
    if session is not None:
        load, line_amplitudes = load + session.load, line_amplitudes * session.lines
    parts_db = {
        part: level + load * LOAD_DB[part] + widths.clip_level_std_db * rng.standard_normal()
        for part, level in machine.levels_db.items()
    }
    if session is not None:
        parts_db = {part: level + session.levels_db[part] for part, level in parts_db.items()}
    audible = machine.orders * motion.rotation_hz < 0.47 * SAMPLING_RATE
    amplitudes = np.where(audible, line_amplitudes, 0.0)
    for part in set(machine.groups.tolist()):
        lines = machine.groups == part
        power = np.sum(np.square(amplitudes[lines])) / 2
        amplitudes[lines] *= decibels(parts_db[part]) / np.sqrt(power)
    sound = shaft_tones(motion.phase, machine.orders, amplitudes, machine.phases)
    friction = signals.shaped_noise(rng, signals.band(motion.freq, *machine.friction_hz), length)
    friction *= 1.0 + machine.friction_depth * np.cos(2 * np.pi * motion.phase)
    sound += friction * decibels(parts_db["friction"])
    if machine.strokes:
        positions = signals.crossings(motion.phase * machine.strokes)
        modes = signals.damped_modes(motion.freq, machine.stroke_modes_hz, machine.stroke_decays)
        strength = decibels(rng.normal(0.0, 1.5, len(positions)))
        sound += signals.ring(positions, strength, modes, length) * decibels(parts_db["strokes"])
    return signals.unit_rms(sound * motion.envelope)


def body_response(machine: Machine, freq: np.ndarray) -> np.ndarray:
    """Return the amplitude response [bins] of the machine's body."""
    return signals.bumps(freq, machine.body_hz, machine.body_db, machine.body_octaves) * signals.tilt(
        freq, machine.body_tilt
    )


def finish_clip(
    machine: Machine,
    motion: Motion,
    rng: np.random.Generator,
    sound: np.ndarray,
    fault: np.ndarray | None,
    severity_db: float,
    is_target_domain: bool,
    num_samples: int,
    widths: Widths,
    session: Session | None = None,
) -> np.ndarray:
    """Return the clip as recorded: body, fault, noise floor, microphone, peaks and level.

    Args:
        machine, motion: what is heard.
        rng: of the clip.
        sound: [samples with margins] the machine before its body filter.
        fault: the same of the fault; None for a normal clip.
        severity_db: level of the fault relative to the machine, both as heard.
        is_target_domain: the clip is recorded by the microphone of the target domain.
        num_samples: length of the clip.
        widths: how much clips differ.
        session: in which the clip is recorded.

    Returns:
        int16 [num_samples]. Its level is drawn here, after the fault is in: it tells nothing.
    """
    length = len(sound)
    body = body_response(machine, motion.freq)
    spectrum = fft.rfft(sound) * body
    heard = signals.unit_rms(fft.irfft(spectrum, length))
    if fault is not None:
        heard += signals.unit_rms(fft.irfft(fft.rfft(fault) * body, length)) * decibels(severity_db)
    floor = signals.shaped_noise(rng, signals.tilt(motion.freq, -2.0), length)
    heard = heard + floor * decibels(FLOOR_DB if session is None else FLOOR_DB + session.floor_db)
    microphone = widths.clip_tilt_std * rng.standard_normal() + (machine.target_tilt if is_target_domain else 0.0)
    path = signals.tilt(motion.freq, microphone)
    heard = fft.irfft(fft.rfft(heard) * (path if session is None else path * session.path), length)
    clip = signals.limit_peaks(heard[MARGIN : MARGIN + num_samples], rng.uniform(*CREST_RANGE))
    mean, std = LEVEL_DBFS
    return signals.to_int16(clip * decibels(rng.normal(mean, std)))

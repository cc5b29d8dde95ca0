"""Recording sessions: what is set up once, and so offsets all clips of a session alike."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from modeling_retainmix.data.factory import rooms, signals
from modeling_retainmix.data.factory.signals import decibels
from modeling_retainmix.data.factory.widths import SessionWidths

COLOR_HZ = 2.0 ** np.arange(np.log2(62.5), np.log2(8000.0) + 0.1, 0.5)  # knots of the microphone's color


@dataclass(frozen=True)
class Session:
    """Offsets of a recording session.

    Attributes:
        speed: factor of the shaft's speed.
        load: added to the load.
        levels_db: added to the level of each part of the machine.
        lines: [lines] factors of the amplitudes of the tones.
        floor_db: added to the level of the noise floor.
        severity_db: added to the severity of faults.
        path: [bins] complex response from the machine to the microphone.
    """

    speed: float
    load: float
    levels_db: dict[str, float]
    lines: np.ndarray
    floor_db: float
    severity_db: float
    path: np.ndarray


def draw_session(
    widths: SessionWidths,
    seed: int,
    key: tuple[str | int, ...],
    factory: str,
    parts: Sequence[str],
    num_lines: int,
    length: int,
) -> Session:
    """Draw a session.

    Args:
        widths: how much sessions differ.
        seed: of the factory.
        key: name of the session.
        factory: where the machine stands; its room has one reverberation time.
        parts, num_lines: names of the machine's parts, and number of its tones.
        length: samples of a clip with its margins.
    """
    rng = signals.keyed_generator(seed, "session", *key)
    freq = signals.frequencies(length)
    color_db = rng.normal(0.0, widths.color_std_db, len(COLOR_HZ))
    octaves = np.log2(np.maximum(freq, 20.0))
    path = decibels(np.interp(octaves, np.log2(COLOR_HZ), color_db))
    path = path * signals.tilt(freq, widths.tilt_std * rng.standard_normal())
    reverb_seconds = rooms.draw_reverb_seconds(signals.keyed_generator(seed, "room", factory))
    reflections_db = widths.reflection_db + widths.reflection_std_db * rng.standard_normal(rooms.REFLECTIONS)
    tail_db = widths.tail_db + widths.tail_std_db * rng.standard_normal()
    return Session(
        speed=1.0 + widths.speed_std * rng.standard_normal(),
        load=widths.load_std * rng.standard_normal(),
        levels_db={part: widths.level_std_db * rng.standard_normal() for part in parts},
        lines=decibels(rng.normal(0.0, widths.line_std_db, num_lines)),
        floor_db=widths.floor_std_db * rng.standard_normal(),
        severity_db=widths.severity_std_db * rng.standard_normal(),
        path=path * rooms.room_response(rng, length, reverb_seconds, reflections_db, tail_db),
    )

"""How much clips of one machine, and segments of one factory's noise, differ: the widths of every version.

Those of version 4 were set by the spreads of real recordings (`evaluation/studies/realism.py`), before any method was
scored on it. Standard deviations are of normal distributions; levels are in dB.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class SessionWidths:
    """What differs from one recording session of a machine to another, and stays during a session.

    Attributes:
        speed_std: of the shaft, relative.
        load_std: of the load, which is 0 or 1 on average.
        level_std_db: of each part of the machine.
        line_std_db: of each tone.
        color_std_db: of the path to the microphone, at knots half an octave apart.
        tilt_std: of the microphone's position, dB per octave.
        floor_std_db: of the noise floor.
        severity_std_db: of the faults.
        reflection_db, reflection_std_db: level of each early reflection relative to the direct sound.
        tail_db, tail_std_db: level of the reverberation relative to the direct sound.
    """

    speed_std: float
    load_std: float
    level_std_db: float
    line_std_db: float
    color_std_db: float
    tilt_std: float
    floor_std_db: float
    severity_std_db: float
    reflection_db: float
    reflection_std_db: float
    tail_db: float
    tail_std_db: float


@dataclass(frozen=True)
class Widths:
    """What differs from clip to clip, and from session to session.

    Attributes:
        clip_speed_std: of the shaft, relative.
        clip_level_std_db: of each part of the machine.
        clip_tilt_std: of the microphone, dB per octave.
        idle: amplitude of a machine in the pauses of its on/off cycle.
        severity_offset_db: added to the mean severity of every fault mechanism.
        session: between sessions; None: there are none.
    """

    clip_speed_std: float
    clip_level_std_db: float
    clip_tilt_std: float
    idle: float
    severity_offset_db: float
    session: SessionWidths | None


WIDTHS = {
    3: Widths(
        clip_speed_std=0.008,
        clip_level_std_db=1.0,
        clip_tilt_std=0.25,
        idle=0.3,
        severity_offset_db=0.0,
        session=None,
    ),
    4: Widths(
        clip_speed_std=0.004,
        clip_level_std_db=0.6,
        clip_tilt_std=0.12,
        idle=0.5,
        severity_offset_db=4.0,
        session=SessionWidths(
            speed_std=0.01,
            load_std=0.2,
            level_std_db=1.5,
            line_std_db=1.5,
            color_std_db=1.2,
            tilt_std=0.4,
            floor_std_db=1.5,
            severity_std_db=1.0,
            reflection_db=-12.0,
            reflection_std_db=3.0,
            tail_db=-6.0,
            tail_std_db=2.0,
        ),
    ),
}

"""Fault mechanisms: every one sounds, changes the clip by its severity, and sits where the machine has it."""

import numpy as np
import pytest

from modeling_retainmix.data.factory import signals
from modeling_retainmix.data.factory.catalogue import MACHINE_TYPES
from modeling_retainmix.data.factory.faults import MECHANISMS, SEVERITY_STD_DB, fault_sound
from modeling_retainmix.data.factory.machines import draw_machine, draw_motion
from modeling_retainmix.data.factory.widths import WIDTHS

REDUCTION_GEAR = MACHINE_TYPES["validation"][1]


def _sound(mechanism, index, machine_type=REDUCTION_GEAR, speed=1.0, version=3):
    machine = draw_machine(machine_type, seed=0)
    rng = signals.keyed_generator(0, "test", index)
    motion = draw_motion(machine, rng, speed, 16000, WIDTHS[3])
    return (*fault_sound(mechanism, machine, motion, 0, rng, WIDTHS[version]), motion)


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_every_mechanism_is_heard_in_every_clip(mechanism):
    for index in range(3):
        sound, _, motion = _sound(mechanism, index)
        kept = sound[signals.MARGIN : signals.MARGIN + 16000]
        assert sound.shape == motion.phase.shape
        assert np.isfinite(sound).all()
        assert np.sqrt(np.mean(kept**2)) > 0.05 * np.sqrt(np.mean(sound**2))


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_severities_scatter_around_the_mean_of_the_mechanism(mechanism):
    severities = np.array([_sound(mechanism, index)[1] for index in range(30)])
    assert -7 <= MECHANISMS[mechanism].severity_db <= -3
    assert severities.mean() == pytest.approx(MECHANISMS[mechanism].severity_db, abs=4 * SEVERITY_STD_DB / np.sqrt(30))
    assert severities.std() == pytest.approx(SEVERITY_STD_DB, rel=0.5)


def test_worn_teeth_sound_around_the_mesh_and_follow_the_speed():
    for speed in (0.88, 1.3):
        sound, _, motion = _sound("gear_wear", 0, speed=speed)
        mesh = REDUCTION_GEAR.teeth * motion.rotation_hz
        power = np.abs(np.fft.rfft(sound)) ** 2
        near = np.abs(motion.freq - mesh) < 10 * motion.rotation_hz
        assert power[near].sum() > 0.3 * power.sum()


def test_the_hum_does_not_follow_the_speed():
    for speed in (0.88, 1.3):
        sound, _, motion = _sound("hum", 0, speed=speed)
        power = np.abs(np.fft.rfft(sound)) ** 2
        multiples = np.abs((motion.freq + 50) % 100 - 50) < 8
        assert power[multiples].sum() > 0.9 * power.sum()


def test_faults_of_version_4_are_louder_by_its_offset():
    earlier, later = (_sound("leak", 0, version=version)[1] for version in (3, 4))
    assert later - earlier == pytest.approx(WIDTHS[4].severity_offset_db)
    assert later > earlier

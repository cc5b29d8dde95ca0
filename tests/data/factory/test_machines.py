"""Machines: tones bound to the shaft, levels that tell nothing, differences between domains and instances."""

import numpy as np
import pytest

from modeling_retainmix.data.factory import machines, signals
from modeling_retainmix.data.factory.catalogue import MACHINE_TYPES
from modeling_retainmix.data.factory.faults import fault_sound
from modeling_retainmix.data.factory.machines import draw_machine, draw_motion, finish_clip, machine_sound
from modeling_retainmix.data.factory.sessions import draw_session
from modeling_retainmix.data.factory.widths import WIDTHS

SAMPLES = 16000


def _session(machine, name, widths=WIDTHS[4].session):
    length = signals.padded_length(SAMPLES)
    return draw_session(widths, 0, ("test", name), "hall", machines.PARTS, len(machine.orders), length)


def _clip(machine_type, index, fault="", is_target_domain=False, severity_db=None, session=None, version=4):
    machine = draw_machine(machine_type, seed=0)
    rng = signals.keyed_generator(0, "test", index)
    how = (WIDTHS[version], None if session is None else _session(machine, session))
    motion = draw_motion(machine, rng, 1.0, SAMPLES, *how)
    sound = machine_sound(machine, motion, rng, 0, *how)
    added, severity = fault_sound(fault, machine, motion, 0, rng, *how) if fault else (None, 0.0)
    severity = severity if severity_db is None else severity_db
    return finish_clip(machine, motion, rng, sound, added, severity, is_target_domain, SAMPLES, *how)


def _spectrum_db(clips):
    power = np.abs(np.fft.rfft(np.stack(clips).astype(float))) ** 2
    bands = np.add.reduceat(power.mean(axis=0), [10, 125, 250, 500, 1000, 2000, 4000])
    return 10 * np.log10(bands / bands.sum())


def test_wavetable_tones_equal_a_sum_of_cosines():
    phase = np.cumsum(np.full(4000, 20.0 / 16000)) + 0.3
    orders, amplitudes, phases = np.array([1, 3, 40]), np.array([1.0, 0.5, 0.25]), np.array([0.1, 2.0, 4.0])
    naive = sum(a * np.cos(2 * np.pi * o * phase + p) for o, a, p in zip(orders, amplitudes, phases, strict=True))
    # the table is read without interpolation: an error of at most one step of the phase
    tolerance = np.sum(amplitudes * 2 * np.pi * orders) / machines.TABLE_SIZE
    np.testing.assert_allclose(machines.shaft_tones(phase, orders, amplitudes, phases), naive, atol=tolerance)


@pytest.mark.parametrize("fault", ["", "rattle"])
def test_level_is_drawn_anew_after_the_fault(fault):
    piston_pump = MACHINE_TYPES["validation"][2]
    clips = np.stack([_clip(piston_pump, index, fault) for index in range(40)]).astype(float) / 32768
    level = 20 * np.log10(np.sqrt(np.mean(clips**2, axis=1)))
    assert level.mean() == pytest.approx(-32, abs=1.3)
    assert level.std() == pytest.approx(2.5, abs=0.8)


def test_crest_factor_is_bounded_even_for_single_impacts():
    for machine_type in MACHINE_TYPES["validation"]:
        clip = _clip(machine_type, 0, machine_type.faults[2], severity_db=0.0).astype(float)
        assert np.abs(clip).max() / np.sqrt(np.mean(clip**2)) < 1.15 * machines.CREST_RANGE[1]


def test_the_target_microphone_tilts_the_spectrum():
    fan = MACHINE_TYPES["validation"][0]
    slope = draw_machine(fan, 0).target_tilt
    source = _spectrum_db([_clip(fan, index) for index in range(12)])
    target = _spectrum_db([_clip(fan, index, is_target_domain=True) for index in range(12)])
    assert np.sign((target - source)[-1] - (target - source)[0]) == np.sign(slope)


def test_instances_differ_from_one_another_and_are_drawn_alike_each_time():
    machine_type = MACHINE_TYPES["train"][0]
    first, second, again = (draw_machine(machine_type, 0, instance) for instance in (0, 1, 0))
    assert first.rotation_hz == again.rotation_hz
    assert np.array_equal(first.body_hz, again.body_hz)
    assert first.rotation_hz != second.rotation_hz
    assert not np.array_equal(first.body_hz, second.body_hz)


def test_on_off_cycles_leave_pauses():
    machine = draw_machine(MACHINE_TYPES["validation"][3], seed=0)
    motion = draw_motion(machine, np.random.default_rng(0), 1.0, 4 * SAMPLES, WIDTHS[3])
    working = np.mean(motion.envelope > 0.5)
    assert machine.cycle_hz > 0
    assert 0.35 < working < 0.85


def test_speed_is_slowly_jittered_around_its_mean():
    machine = draw_machine(MACHINE_TYPES["validation"][0], seed=0)
    motion = draw_motion(machine, np.random.default_rng(0), 1.3, SAMPLES, WIDTHS[3])
    rotation = np.diff(motion.phase) * signals.SAMPLING_RATE
    assert motion.rotation_hz == pytest.approx(1.3 * machine.rotation_hz, rel=0.04)
    assert 0 < rotation.std() / rotation.mean() < 2 * machines.SPEED_JITTER


def test_clips_of_one_session_are_more_alike_than_those_of_several():
    fan = MACHINE_TYPES["validation"][0]
    within = np.stack([_spectrum_db([_clip(fan, index, session=0)]) for index in range(8)])
    between = np.stack([_spectrum_db([_clip(fan, index, session=index)]) for index in range(8)])
    assert within.std(axis=0).mean() < 0.6 * between.std(axis=0).mean()


def test_a_session_changes_speed_and_severity_alike_in_all_its_clips():
    fan = MACHINE_TYPES["validation"][0]
    machine, session = draw_machine(fan, 0), _session(draw_machine(fan, 0), "x")
    with_session, without = (
        draw_motion(machine, np.random.default_rng(0), 1.0, SAMPLES, WIDTHS[4], each) for each in (session, None)
    )
    assert with_session.rotation_hz == pytest.approx(session.speed * without.rotation_hz)
    severities = [
        fault_sound("rub", machine, without, 0, np.random.default_rng(0), WIDTHS[4], each)[1]
        for each in (session, None)
    ]
    assert severities[0] - severities[1] == pytest.approx(session.severity_db)
    assert session.severity_db != 0

"""Pairing of recordings and noise: counts, gains, reuse and the errors of pools that do not suffice."""

from dataclasses import replace

import numpy as np
import pytest
from datasets import Dataset, concatenate_datasets

from modeling_retainmix.data.benchmark import (
    KINDS,
    PROTOCOLS,
    SUBSETS,
    BenchmarkProtocol,
    build_benchmark,
    domains_of_tests,
)

RATE = 100
PROTOCOL = BenchmarkProtocol("tiny", 4, 2, 2, (-10, 0), (-10,), clip_seconds=0.5)


def clean_table(machine_types=("fan", "pump"), per_cell=3, factory=""):
    generator = np.random.default_rng(0)
    cells = [("train", domain, "normal", 6) for domain in ("source", "target")]
    cells += [("test", domain, label, per_cell) for domain in ("source", "target") for label in ("normal", "anomaly")]
    rows = [
        {
            "audio": generator.integers(-3000, 3000, RATE).astype(np.int16),
            "machine_type": machine_type,
            "split": split,
            "domain": domain,
            "label": label,
            "factory": factory,
        }
        for machine_type in machine_types
        for split, domain, label, count in cells
        for _ in range(count)
    ]
    return Dataset.from_list(rows)


def noise_table(per_kind=14, factories=("",)):
    generator = np.random.default_rng(1)
    return Dataset.from_list(
        [
            {"audio": generator.integers(-500, 500, RATE).astype(np.int16), "kind": kind, "factory": factory}
            for factory in factories
            for kind in KINDS
            for _ in range(per_kind)
        ]
    )


def build(clean, noise, protocol=PROTOCOL, **kwargs):
    return build_benchmark(clean, noise, protocol, sampling_rate=RATE, **kwargs)


def test_when_pools_suffice_then_counts_are_those_of_the_protocol():
    fan, pump = build(clean_table(), noise_table())
    assert (fan.machine_type, pump.machine_type) == ("fan", "pump")
    assert fan.counts() == {
        "source references": 4,
        "target references": 2,
        "normal tests": 4,
        "anomalous tests": 4,
    }


def test_when_segments_are_dealt_then_none_is_used_twice_within_a_kind():
    for machine in build(clean_table(), noise_table()):
        for kind in KINDS:
            rows = machine.noise_rows[kind]
            assert len(set(rows.tolist())) == len(rows) == 14
            assert set(machine.noise.select(rows)["kind"]) == {kind}


def test_when_mixture_is_made_then_snr_over_the_machine_type_is_the_target():
    (machine,) = build(clean_table(["fan"]), noise_table())
    for kind in KINDS:
        powers = np.zeros(2)
        for _, clean, noise in machine.batches(kind, batch_size=5):
            powers += [clean.square().sum(), (machine.gain(kind, -10) * noise).square().sum()]
        assert 10 * np.log10(powers[0] / powers[1]) == pytest.approx(-10, abs=1e-4)


def test_when_seed_is_equal_then_pairing_is_equal_and_otherwise_not():
    first, again, other = (build(clean_table(["fan"]), noise_table(30), seed=seed)[0] for seed in (0, 0, 1))
    assert (first.noise_rows["stationary"] == again.noise_rows["stationary"]).all()
    assert (first.noise_rows["stationary"] != other.noise_rows["stationary"]).any()


def test_when_machine_type_is_added_then_pairing_of_the_others_stays():
    alone = build(clean_table(["fan"]), noise_table(30))[0]
    beside = build(clean_table(["fan", "valve"]), noise_table(30))[0]
    assert (alone.clean_rows == beside.clean_rows).all()
    assert (alone.noise_rows["stationary"] == beside.noise_rows["stationary"]).all()


def test_when_recordings_name_a_factory_then_only_its_noise_is_used():
    (machine,) = build(clean_table(["fan"], factory="north"), noise_table(factories=("south", "north")))
    assert set(machine.noise.select(machine.noise_rows["stationary"])["factory"]) == {"north"}


def test_when_noise_names_no_factory_then_it_suits_recordings_of_any():
    (machine,) = build(clean_table(["fan"], factory="north"), noise_table())
    assert set(machine.noise.select(machine.noise_rows["stationary"])["factory"]) == {""}


def test_when_all_tests_are_of_one_domain_then_they_make_a_benchmark():
    both = build(clean_table(), noise_table())
    clean = clean_table().filter(lambda row: row["domain"] == "source")
    benchmark = build(clean, noise_table())
    assert (domains_of_tests(both), domains_of_tests(benchmark)) == (["source", "target"], ["source"])
    assert benchmark[0].counts()["normal tests"] == 2
    mixed = clean_table().filter(lambda row: row["domain"] == "source" or row["machine_type"] == "fan")
    with pytest.raises(ValueError, match="'pump' has no target normal test"):  # one score needs the same domains
        build(mixed, noise_table())


def with_sections(clean, *sections):
    """The recordings of all machine types once per section, in which sounds differ."""
    parts = [
        clean.add_column("section", [section] * len(clean)).map(
            lambda row, gain=1 / (index + 1): {"audio": (np.asarray(row["audio"]) * gain).astype(np.int16)}
        )
        for index, section in enumerate(sections)
    ]
    return concatenate_datasets(parts)


def test_when_a_machine_type_has_sections_then_each_has_its_own_clips_and_they_share_gain_and_noise():
    clean = with_sections(clean_table(["fan"]), "01", "00")
    first, second = build(clean, noise_table(28))
    assert (first.machine_type, second.machine_type) == ("fan/00", "fan/01")
    for unit, section in ((first, "00"), (second, "01")):
        assert set(clean.select(unit.clean_rows)["section"]) == {section}
        assert unit.counts() == build(clean_table(["fan"]), noise_table())[0].counts()
    for kind in KINDS:
        assert len({*first.noise_rows[kind].tolist(), *second.noise_rows[kind].tolist()}) == 28
        power, noise_power = (
            np.mean([np.square(np.asarray(clip[:50]) / 32768).mean() for clip in clips])
            for clips in (
                clean.select([*first.clean_rows, *second.clean_rows])["audio"],
                first.noise.select([*first.noise_rows[kind], *second.noise_rows[kind]])["audio"],
            )
        )
        expected = np.sqrt(power / noise_power / 10)
        assert first.gain(kind, 10) == second.gain(kind, 10) == pytest.approx(expected, rel=1e-6)


def test_when_a_machine_type_has_one_section_then_its_benchmark_is_that_without_sections():
    (plain,) = build(clean_table(["fan"]), noise_table(30))
    (one,) = build(with_sections(clean_table(["fan"]), "03"), noise_table(30))
    assert (one.machine_type, one.fingerprint) == (plain.machine_type, plain.fingerprint)


def test_when_sections_reuse_noise_then_every_use_counts_once():
    units = build(with_sections(clean_table(["fan"]), "00", "01"), noise_table(20), allow_noise_reuse=True)
    assert [unit.reused_segments for unit in units] == [0, 16]  # 28 clips, 20 segments of each kind


def test_when_noise_is_short_then_error_says_how_many_are_missing():
    with pytest.raises(ValueError, match=r"'fan'.*14 clips.*9 stationary.*5 are missing.*allow_noise_reuse"):
        build(clean_table(["fan"]), noise_table(9))


def test_when_reuse_is_allowed_then_it_is_even_and_counted():
    (machine,) = build(clean_table(["fan"]), noise_table(7), allow_noise_reuse=True)
    assert machine.reused_segments == 14
    assert np.unique(machine.noise_rows["stationary"], return_counts=True)[1].tolist() == [2] * 7


def test_when_machine_has_no_reference_then_error_names_it():
    clean = clean_table(["fan"]).filter(lambda row: row["split"] == "test")
    with pytest.raises(ValueError, match="'fan' has no normal reference"):
        build(clean, noise_table())


def test_when_a_cell_of_the_tests_is_empty_then_error_names_machine_and_cell():
    clean = clean_table(["fan"]).filter(lambda row: (row["domain"], row["label"]) != ("target", "anomaly"))
    with pytest.raises(ValueError, match="'fan' has no target anomaly test"):
        build(clean, noise_table())


def test_when_clips_are_shorter_than_the_protocol_then_padding_has_no_power():
    clean, noise = clean_table(["fan"]), noise_table()
    (plain,) = build(clean, noise, replace(PROTOCOL, clip_seconds=1.0))
    (padded,) = build(clean, noise, replace(PROTOCOL, clip_seconds=2.0))
    assert padded.clean_power == pytest.approx(plain.clean_power)
    assert next(padded.batches("stationary", 4))[1].shape == (4, 2 * RATE)


def test_when_clips_are_silent_then_error_says_so():
    silent = clean_table(["fan"]).map(lambda row: {"audio": np.zeros(RATE, dtype=np.int16)})
    with pytest.raises(ValueError, match="silent"):
        build(silent, noise_table())


def test_protocols_and_subsets_are_those_of_the_paper():
    full = PROTOCOLS["full"]
    assert (full.source_references, full.target_references, full.tests_per_cell) == (990, 10, 50)
    assert full.snr_db == (-10, -5, 0, 5, 10, 20, 30) and full.low_snr_db == (-10, -5, 0)
    assert SUBSETS["Mismatch"] == ("non_stationary", "stationary")

"""The plan of a build, and the samples that a version of the generator stands for."""

import dataclasses

import numpy as np
import pytest

from modeling_retainmix.data.factory import plan
from modeling_retainmix.data.factory.catalogue import SPLITS
from modeling_retainmix.data.factory.plan import FactoryConfig, factory_fingerprint, planned_tables, synthesize


@pytest.mark.parametrize("version", plan.FACTORY_VERSIONS)
def test_sample_clips_of_every_version_have_the_recorded_hash(version):
    assert plan.sample_hash(FactoryConfig(version=version), SPLITS) == plan.FACTORY_SHA256[version]


def test_the_default_is_the_newest_version():
    assert FactoryConfig().version == plan.FACTORY_VERSION == max(plan.FACTORY_SHA256)


def test_fingerprints_of_version_3_are_those_of_its_published_results():
    assert factory_fingerprint(FactoryConfig(version=3)) == "factory-v3-0af0b8320349"


def test_default_counts_fit_the_small_protocol():
    tables = planned_tables(FactoryConfig(), SPLITS)
    assert len(tables["train_machines"]) == 480 * 8
    assert len(tables["validation_machines"]) == len(tables["evaluation_machines"]) == 6 * (100 + 10 + 4 * 20)
    assert len(tables["validation_noise"]) == len(tables["evaluation_noise"]) == 3 * 2 * 190
    classes = [clip.row["noise_class"] for clip in tables["train_noise"]]
    assert min(classes.count(name) for name in set(classes)) >= 50
    attribute_classes = {(clip.row["machine_type"], clip.row["attributes"]) for clip in tables["train_machines"]}
    assert len(attribute_classes) == 480


def test_a_larger_pool_keeps_the_clips_of_a_smaller_one(tiny_config):
    larger = dataclasses.replace(tiny_config, tests_per_cell=7, segments_per_kind=12, clips_per_instance=5)
    for table, clips in planned_tables(tiny_config, SPLITS).items():
        by_key = {clip.key: clip for clip in planned_tables(larger, SPLITS)[table]}
        last = clips[-1]
        np.testing.assert_array_equal(last.synthesize(tiny_config), by_key[last.key].synthesize(larger))
        assert last.row == by_key[last.key].row


def test_another_seed_makes_other_clips(tiny_config):
    other = dataclasses.replace(tiny_config, seed=1)
    for clips in planned_tables(tiny_config, SPLITS).values():
        assert not np.array_equal(synthesize(clips[:1], tiny_config), synthesize(clips[:1], other))


@pytest.mark.parametrize("version", plan.FACTORY_VERSIONS)
def test_every_fault_meets_every_condition(version):
    config = FactoryConfig(tests_per_cell=30, version=version)
    clips = planned_tables(config, ["validation"])["validation_machines"]
    fan = [c for c in clips if c.machine_type.name == "cooling_fan" and c.row["domain"] == "source"]
    met = {(c.row["fault"], c.speed, c.load) for c in fan if c.row["label"] == "anomaly"}
    assert len(met) == 5 * 6


def test_a_session_holds_five_clips_of_one_cell_at_one_condition():
    clips = planned_tables(FactoryConfig(), ["validation"])["validation_machines"]
    sessions: dict = {}
    for clip in clips:
        sessions.setdefault(clip.session, []).append(clip)
    assert len(sessions) == 6 * (20 + 2 + 4 * 4)
    for held in sessions.values():
        assert len(held) == 5
        assert len({(c.row["split"], c.row["domain"], c.row["label"], c.row["session"]) for c in held}) == 1
        assert len({(c.speed, c.load) for c in held}) == 1
        assert len({c.row["fault"] for c in held}) == (5 if held[0].row["label"] == "anomaly" else 1)


def test_the_four_sessions_of_a_cell_of_tests_meet_all_speeds():
    clips = planned_tables(FactoryConfig(), ["evaluation"])["evaluation_machines"]
    speeds = {c.speed for c in clips if c.row["split"] == "test" and c.row["domain"] == "source"}
    assert speeds == set(plan.SOURCE_SPEEDS)


def test_clips_of_a_training_instance_share_sessions_and_version_3_has_none():
    for version, names in ((3, {None}), (4, {0, 1})):
        clips = planned_tables(FactoryConfig(version=version), ["train"])["train_machines"][:8]
        assert {clip.session and clip.session[-1] for clip in clips} == names
        assert all(("session" in clip.row) == (version == 4) for clip in clips)


def test_domains_differ_in_speed_and_normals_have_no_fault():
    for clip in planned_tables(FactoryConfig(), ["evaluation"])["evaluation_machines"]:
        assert (clip.speed == plan.TARGET_SPEED) == (clip.row["domain"] == "target")
        assert (clip.row["fault"] == "") == (clip.row["label"] == "normal")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"clip_seconds": 0.5}, r"clip_seconds must be between 1 and 60, not 0\.5"),
        ({"version": 2}, r"version of the factory must be one of \(3, 4\), not 2"),
        ({"seed": -1}, "seed must not be negative: -1"),
        ({"instances_per_type": 0}, "instances_per_type must be at least 1, not 0"),
        ({"faulty_share": -0.1}, r"not be negative, and at most 0\.8 together, not -0\.1 and 0"),
        ({"faulty_share": 0.5, "foreign_share": 0.4}, r"at most 0\.8 together, not 0\.5 and 0\.4"),
        ({"segments_per_kind": -3}, "segments_per_kind must be at least 1, not -3"),
    ],
)
def test_when_a_value_is_out_of_range_then_the_error_names_it(values, message):
    with pytest.raises(ValueError, match=message):
        FactoryConfig(**values)


def test_when_shares_are_given_then_so_many_classes_are_faulty_and_foreign_and_the_healthy_clips_stay():
    plain = planned_tables(FactoryConfig(), SPLITS)
    tables = planned_tables(FactoryConfig(faulty_share=0.2, foreign_share=0.1), SPLITS)
    healthy = len(plain["train_machines"])
    assert tables["train_machines"][:healthy] == plain["train_machines"]
    assert all(tables[name] == clips for name, clips in plain.items() if name != "train_machines")
    rows = [clip.row for clip in tables["train_machines"]]
    classes = {(row["machine_type"], row["attributes"]): row for row in rows}
    faulty = [row for row in classes.values() if row["label"] == "anomaly"]
    foreign = [row for row in classes.values() if row["machine_type"] == plan.FOREIGN]
    assert len(faulty) / len(classes) == pytest.approx(0.2, abs=0.01)
    assert len(foreign) / len(classes) == pytest.approx(0.1, abs=0.01)
    assert len(rows) == 8 * len(classes)
    assert all(row["fault"] and row["attributes"].endswith(f"_{row['fault']}") for row in faulty)
    assert len({row["fault"] for row in faulty}) == 10 and len({row["fault"] for row in foreign}) == 1


def test_when_the_share_is_the_largest_then_every_machine_comes_with_several_faults_once_each():
    config = FactoryConfig(faulty_share=0.8, instances_per_type=3, clips_per_instance=1)
    rows = [clip.row for clip in planned_tables(config, ["train"])["train_machines"]]
    names = [(row["machine_type"], row["attributes"]) for row in rows]
    assert len(names) == len(set(names)) == 12 * 3 * 5


@pytest.mark.parametrize("version", plan.FACTORY_VERSIONS)
def test_a_faulty_machine_is_a_healthy_one_with_a_fault_at_work(tiny_config, version):
    config = dataclasses.replace(tiny_config, version=version, faulty_share=0.5)
    clips = planned_tables(config, ["train"])["train_machines"]
    faulty = next(clip for clip in clips if clip.row["fault"])
    healthy = next(
        clip for clip in clips if (clip.machine_type, clip.instance) == (faulty.machine_type, faulty.instance)
    )
    assert (faulty.speed, faulty.load) == (healthy.speed, healthy.load)
    mute = dataclasses.replace(faulty, row=faulty.row | {"fault": ""})  # the same draws, but for the fault
    heard, without = (clip.synthesize(config).astype(float) for clip in (faulty, mute))
    heard, without = (sound / np.sqrt(np.mean(sound**2)) for sound in (heard, without))
    assert np.mean((heard - without) ** 2) > 0.05


@pytest.mark.parametrize("version", plan.FACTORY_VERSIONS)
def test_clips_of_a_foreign_sound_are_alike_and_keyed_by_their_name(tiny_config, version):
    config = dataclasses.replace(tiny_config, version=version, foreign_share=0.3)
    larger = dataclasses.replace(config, foreign_share=0.5, clips_per_instance=3)
    clips = [clip for clip in planned_tables(config, ["train"])["train_machines"] if clip.key[0] == plan.FOREIGN]
    by_key = {clip.key: clip for clip in planned_tables(larger, ["train"])["train_machines"]}
    assert len({clip.family for clip in clips}) == 4
    for clip in clips[:2]:
        np.testing.assert_array_equal(clip.synthesize(config), by_key[clip.key].synthesize(larger))
    assert not np.array_equal(clips[0].synthesize(config), clips[1].synthesize(config))


def test_fingerprint_tells_version_samples_and_configuration(monkeypatch):
    assert factory_fingerprint(FactoryConfig(foreign_share=0.1)) != factory_fingerprint(FactoryConfig())
    configs = [FactoryConfig(), FactoryConfig(seed=1), FactoryConfig(version=3), FactoryConfig(version=3, seed=1)]
    names = {factory_fingerprint(config) for config in configs}
    monkeypatch.setitem(plan.FACTORY_SHA256, 4, "next")
    names.add(factory_fingerprint(FactoryConfig()))
    assert len(names) == 5
    assert {name.split("-")[1] for name in names} == {"v3", "v4"}

"""The plan of a build, and the samples that a version of the generator stands for."""

import dataclasses

import numpy as np
import pytest

from modeling_retainmix.data.factory import plan
from modeling_retainmix.data.factory.catalogue import SPLITS
from modeling_retainmix.data.factory.plan import FactoryConfig, factory_fingerprint, planned_tables, synthesize


def test_sample_clips_have_the_recorded_hash():
    assert plan.sample_hash(FactoryConfig(), SPLITS) == plan.FACTORY_SHA256


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


def test_every_fault_meets_every_condition():
    config = FactoryConfig(tests_per_cell=30)
    clips = planned_tables(config, ["validation"])["validation_machines"]
    of_type = [c for c in clips if c.machine_type.name == "cooling_fan" and c.row["domain"] == "source"]
    met = {(c.row["fault"], c.speed, c.load) for c in of_type if c.row["label"] == "anomaly"}
    assert len(met) == 5 * 6


def test_domains_differ_in_speed_and_normals_have_no_fault():
    for clip in planned_tables(FactoryConfig(), ["evaluation"])["evaluation_machines"]:
        assert (clip.speed == plan.TARGET_SPEED) == (clip.row["domain"] == "target")
        assert (clip.row["fault"] == "") == (clip.row["label"] == "normal")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"clip_seconds": 0.5}, r"clip_seconds must be between 1 and 60, not 0\.5"),
        ({"seed": -1}, "seed must not be negative: -1"),
        ({"instances_per_type": 0}, "instances_per_type must be at least 1, not 0"),
        ({"segments_per_kind": -3}, "segments_per_kind must be at least 1, not -3"),
    ],
)
def test_when_a_value_is_out_of_range_then_the_error_names_it(values, message):
    with pytest.raises(ValueError, match=message):
        FactoryConfig(**values)


def test_fingerprint_tells_version_and_configuration(monkeypatch):
    names = {factory_fingerprint(FactoryConfig()), factory_fingerprint(FactoryConfig(seed=1))}
    for constant in ("FACTORY_VERSION", "FACTORY_SHA256"):
        monkeypatch.setattr(plan, constant, "next")
        names.add(factory_fingerprint(FactoryConfig()))
    assert len(names) == 4

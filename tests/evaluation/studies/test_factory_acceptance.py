"""Checks of the procedural factory against naive twins, and on data that must fail them."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy.stats import hmean
from sklearn.metrics import roc_auc_score

from modeling_retainmix.data.benchmark import build_benchmark
from modeling_retainmix.data.factory import FactoryConfig, build_factory
from modeling_retainmix.encoders import BeatsFeatureExtractor
from modeling_retainmix.evaluation.embeddings import log_mel_embedder
from modeling_retainmix.evaluation.studies import factory_acceptance as acceptance
from modeling_retainmix.evaluation.studies.factory_acceptance import Check, LogMelTable

PROTOCOL = dataclasses.replace(
    acceptance.ACCEPTANCE_PROTOCOL, source_references=12, target_references=4, tests_per_cell=10, clip_seconds=1.0
)


@pytest.fixture(scope="module")
def tables(tmp_path_factory) -> list[LogMelTable]:
    """Features of all validation types of a small factory."""
    config = FactoryConfig(
        clip_seconds=1.0, source_references=12, target_references=4, tests_per_cell=10, segments_per_kind=56
    )
    factory = build_factory(tmp_path_factory.mktemp("factory"), config, splits=["validation"])
    benchmark = build_benchmark(factory["validation_machines"], factory["validation_noise"], PROTOCOL)
    embed = log_mel_embedder(BeatsFeatureExtractor())
    return [acceptance.log_mel_table(machine, embed) for machine in benchmark]


def test_features_are_those_of_clean_clips_noise_and_mixtures(tables):
    table = tables[2]
    embed = log_mel_embedder(BeatsFeatureExtractor())
    for kind in ("stationary", "non_stationary"):
        (_, clean, noise) = next(iter(table.machine.batches(kind, len(table.faults))))
        gain = torch.sqrt(clean.square().mean() / noise.square().mean())
        for name, waveforms in (
            ("clean", clean),
            (f"noise {kind}", gain * noise),
            (f"{kind} 0", clean + gain * noise),
        ):
            torch.testing.assert_close(table.features[name], embed(waveforms)["log-mel"], rtol=1e-3, atol=1e-3)


def test_level_and_crest_factor_of_a_square_wave_and_of_a_sine():
    time = torch.arange(1600) / 1600
    waves = torch.stack(
        [torch.sign(torch.sin(2 * torch.pi * 10 * time + 0.1)), 0.1 * torch.sin(2 * torch.pi * 10 * time)]
    )
    expected = torch.tensor([[0.0, 0.0], [-20 - 3.0103, 3.0103]])
    torch.testing.assert_close(acceptance.level_and_crest(waves), expected, atol=1e-3, rtol=0)


@pytest.mark.parametrize("fault", [None, "squeal"])
def test_official_score_equals_a_naive_computation(tables, fault):
    table = next(t for t in tables if (t.faults == "squeal").any())
    machine, features = table.machine, table.features["clean"].double().numpy()
    bank = features[machine.is_reference]
    test = ~machine.is_reference & (~machine.is_anomaly | (table.faults == fault) | (fault is None))
    distance = np.array([min(np.linalg.norm(query - b) for b in bank) for query in features[test]])
    anomaly, target = machine.is_anomaly[test], machine.is_target_domain[test]
    aucs = [roc_auc_score(anomaly[part], distance[part]) for part in (anomaly | ~target, anomaly | target)]
    naive = hmean([*aucs, roc_auc_score(anomaly, distance, max_fpr=0.1)])
    assert acceptance.official_score(table, "clean", "clean", fault) == pytest.approx(100 * naive, abs=1e-6)


def test_level_and_crest_factor_tell_little_about_anomalies(tables):
    checks = {check.name: check for check in acceptance.log_mel_checks(tables)}
    # 40 tests a type: four standard deviations around chance
    assert checks["level and crest factor alone"].mean < 60
    assert checks["log-mel mean, clean clips"].mean > 65


def test_louder_anomalies_fail_the_level_check(tables):
    def louder(table):
        features = dict(table.features)
        features["level"] = features["level"] + 9.0 * torch.from_numpy(table.machine.is_anomaly)[:, None]
        return dataclasses.replace(table, features=features)

    check = acceptance.log_mel_checks([louder(table) for table in tables])[0]
    assert check.name == "level and crest factor alone"
    assert check.mean > 90
    assert not check.passed


def test_noise_shift_equals_a_naive_computation(tables):
    table = tables[0]
    machine, features = table.machine, {name: value.double().numpy() for name, value in table.features.items()}
    normals = features["clean"][~machine.is_reference & ~machine.is_anomaly]
    bank = features["clean"][machine.is_reference]
    nearest = np.mean([min(np.linalg.norm(query - b) for b in bank) for query in normals])
    shift = np.linalg.norm(features["noise stationary"].mean(axis=0) - features["noise non_stationary"].mean(axis=0))
    assert acceptance.noise_shift(table) == pytest.approx(shift / nearest, rel=1e-4)


def test_every_mechanism_is_checked_twice_over_the_types_that_have_it(tables, monkeypatch):
    monkeypatch.setattr(acceptance, "MIN_CLIPS", 8)
    checks = acceptance.mechanism_checks(tables)
    assert len(checks) == 2 * 10
    for check in checks:
        mechanism = check.name.split(",")[0]
        assert set(check.values) == {t.machine.machine_type for t in tables if (t.faults == mechanism).any()}


def test_when_a_mechanism_has_too_few_anomalies_then_the_error_names_it(tables):
    with pytest.raises(ValueError, match="anomalies of mechanism 'bearing' are too few: a bound needs 100"):
        acceptance.mechanism_checks(tables)


def test_the_report_holds_enough_anomalies_for_every_mechanism():
    assert 2 * acceptance.ACCEPTANCE_PROTOCOL.tests_per_cell // 5 * 2 >= acceptance.MIN_CLIPS
    assert acceptance.ACCEPTANCE_PROTOCOL.tests_per_cell >= acceptance.MIN_CLIPS


def test_encoder_checks_score_mixtures_and_oracle_of_the_mismatch_subset(tables, monkeypatch):
    monkeypatch.setattr(acceptance, "ENCODER_PROTOCOL", dataclasses.replace(PROTOCOL, snr_db=(0, 30)))
    embed = log_mel_embedder(BeatsFeatureExtractor())
    at_0, at_30, oracle, gain = acceptance.encoder_checks([table.machine for table in tables[:2]], embed)
    for table in tables[:2]:
        expected = acceptance.official_score(table, "non_stationary 0", "stationary 0")
        assert at_0.values[table.machine.machine_type] == pytest.approx(expected, abs=1e-6)
    assert at_30.mean > at_0.mean
    assert gain.mean == pytest.approx(oracle.mean - at_0.mean)


@pytest.mark.parametrize(
    ("values", "passed"), [((50, 52), True), ((50, 61), False), ((44, 47), False), ((58, 59), False)]
)
def test_a_check_needs_its_mean_and_every_type_within_bounds(values, passed):
    check = Check("x", dict(zip("ab", values, strict=True)), bounds=(46, 57), each=(40, 60))
    assert check.mean == pytest.approx(hmean(values))
    assert check.passed is passed


def test_builds_with_one_different_sample_are_not_the_same(tmp_path):
    config = FactoryConfig(
        clip_seconds=1.0, source_references=1, target_references=1, tests_per_cell=1, segments_per_kind=1
    )
    first = build_factory(tmp_path / "first", config, splits=["validation"])
    other = build_factory(tmp_path / "other", dataclasses.replace(config, seed=1), splits=["validation"])
    assert acceptance.same_samples([first, first])
    assert not acceptance.same_samples([first, other])

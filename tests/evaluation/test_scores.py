"""Scores of the subsets against a plain loop with scikit-learn."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cosine
from scipy.stats import hmean
from sklearn.metrics import roc_auc_score

from modeling_retainmix.data.benchmark import SUBSETS
from modeling_retainmix.detection.settings import DetectorSettings
from modeling_retainmix.detection.vector_layout import VectorLayout
from modeling_retainmix.evaluation.bootstrap import official_scores
from modeling_retainmix.evaluation.embeddings import embed_mixtures
from modeling_retainmix.evaluation.results import result_row
from modeling_retainmix.evaluation.scores import score_benchmark
from modeling_retainmix.metrics.dcase_score.dcase_score import dcase_score


def spectrum(waveforms):
    magnitudes = torch.fft.rfft(waveforms).abs()
    return {"spectrum": magnitudes, "constant": torch.ones(len(waveforms), 1)}


def naive_official(machine, cells, subset, snr_db):
    reference_kind, test_kind = SUBSETS[subset]
    references = cells[reference_kind, snr_db][machine.is_reference].numpy()
    tests = cells[test_kind, snr_db][~machine.is_reference].numpy()
    scores = np.array([min(np.linalg.norm(test - reference) for reference in references) for test in tests])
    anomaly, target = machine.is_anomaly[~machine.is_reference], machine.is_target_domain[~machine.is_reference]
    source_part, target_part = ~target | anomaly, target | anomaly
    return hmean(
        [
            roc_auc_score(anomaly[source_part], scores[source_part]),
            roc_auc_score(anomaly[target_part], scores[target_part]),
            roc_auc_score(anomaly, scores, max_fpr=0.1),
        ]
    )


@pytest.fixture(scope="module")
def scores(tiny_benchmark, tiny_protocol):
    return score_benchmark(
        tiny_benchmark, tiny_protocol, lambda machine: embed_mixtures(machine, tiny_protocol, spectrum)
    )


def test_when_benchmark_is_scored_then_every_cell_equals_the_plain_loop(scores, tiny_benchmark, tiny_protocol):
    embeddings = {
        machine.machine_type: embed_mixtures(machine, tiny_protocol, spectrum)["spectrum"]
        for machine in tiny_benchmark
    }
    for subset in SUBSETS:
        for snr_db in tiny_protocol.snr_db:
            result = scores["spectrum"].cells[subset][snr_db]
            for machine in tiny_benchmark:
                expected = naive_official(machine, embeddings[machine.machine_type], subset, snr_db)
                assert result["machines"][machine.machine_type]["official_score"] == pytest.approx(expected, abs=1e-9)


def test_with_sub_bands_and_normalization_the_scores_are_the_detectors(tiny_benchmark, tiny_protocol):
    """A plain loop over two bands, cosine distances, standardised by references that are left out one by one."""

    def two_bands(waveforms):
        return {"bands": torch.fft.rfft(waveforms).abs()[:, :24]}

    def embed_machine(machine):
        return embed_mixtures(machine, tiny_protocol, two_bands)

    def distance(query, references):
        halves = [slice(0, 12), slice(12, 24)]
        return np.mean([min(cosine(query[half], reference[half]) for reference in references) for half in halves])

    settings = DetectorSettings(backend="subband", normalization="references")
    scores = score_benchmark(tiny_benchmark, tiny_protocol, embed_machine, settings, layout=VectorLayout(num_bands=2))[
        "bands"
    ]
    for machine in tiny_benchmark:
        embeddings = embed_machine(machine)["bands"]
        tests = embeddings["stationary", -10][~machine.is_reference].double().numpy()
        references = embeddings["non_stationary", -10][machine.is_reference].double().numpy()
        columns = []
        for is_target_domain in (False, True):
            own = references[machine.is_target_domain[machine.is_reference] == is_target_domain]
            left_out = [distance(own[row], np.delete(own, row, axis=0)) for row in range(len(own))]
            columns.append([(distance(test, own) - np.mean(left_out)) / np.std(left_out) for test in tests])
        anomaly = machine.is_anomaly[~machine.is_reference]
        expected = roc_auc_score(anomaly, np.min(columns, axis=0))
        found = scores.cells["Mismatch"][-10]["machines"][machine.machine_type]["auc"]
        assert found == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("rules", [2020, 2021, 2023])
def test_when_a_machine_type_has_sections_then_references_serve_their_own_and_the_years_rules_hold(
    tiny_benchmark, tiny_protocol, rules
):
    units = [
        replace(machine, machine_type=f"fan/0{index}", rules=rules) for index, machine in enumerate(tiny_benchmark)
    ]
    scores = score_benchmark(units, tiny_protocol, lambda unit: embed_mixtures(unit, tiny_protocol, spectrum))
    columns = {name: [] for name in ("predictions", "references", "domains", "sections")}
    for unit in units:
        cells = embed_mixtures(unit, tiny_protocol, spectrum)["spectrum"]
        references = cells["non_stationary", 0][unit.is_reference].numpy()
        for position in np.flatnonzero(~unit.is_reference):
            test = cells["stationary", 0][position].numpy()
            columns["predictions"].append(min(np.linalg.norm(test - reference) for reference in references))
            columns["references"].append(int(unit.is_anomaly[position]))
            columns["domains"].append("target" if unit.is_target_domain[position] else "source")
            columns["sections"].append(unit.machine_type)
    expected = dcase_score(**columns, rules=rules)["official_score"]
    view = scores["spectrum"]
    assert view.official("Mismatch", 0) == pytest.approx(expected, abs=1e-9)
    whole = np.ones((1, len(view.clips.machine_types)))
    found = official_scores(view.clips.scores["Mismatch", 0], view.clips, whole)
    assert found == pytest.approx(expected, abs=1e-9)
    parts = result_row("spectrum", view)["per_machine"]["Mismatch"]["0"]["fan/01"]
    assert parts.keys() >= {"official_score", "auc", "pauc"}


def test_when_benchmark_is_scored_then_the_scores_of_its_test_clips_are_kept(scores, tiny_benchmark, tiny_protocol):
    clips = scores["spectrum"].clips
    assert list(clips.scores) == [(subset, snr_db) for subset in SUBSETS for snr_db in tiny_protocol.snr_db]
    for machine in tiny_benchmark:
        of_machine, tests = clips.machine_types == machine.machine_type, ~machine.is_reference
        assert np.array_equal(clips.is_anomaly[of_machine], machine.is_anomaly[tests])
        assert np.array_equal(clips.is_target_domain[of_machine], machine.is_target_domain[tests])
        values = clips.scores["Factory B", 0][of_machine]
        expected = scores["spectrum"].cells["Factory B"][0]["machines"][machine.machine_type]["auc"]
        assert roc_auc_score(machine.is_anomaly[tests], values) == pytest.approx(expected, abs=1e-12)


def test_when_cells_are_averaged_then_the_mean_is_harmonic(scores):
    view = scores["spectrum"]
    cells = {(subset, snr): view.official(subset, snr) for subset in SUBSETS for snr in (-10, 0)}
    assert view.hmean_all == pytest.approx(hmean(list(cells.values())))
    assert view.hmean_low == pytest.approx(hmean([value for (_, snr), value in cells.items() if snr == -10]))
    assert view.hmean(subset="Mismatch") == pytest.approx(hmean([cells["Mismatch", -10], cells["Mismatch", 0]]))


def test_when_snr_rises_then_the_informative_view_gains_and_the_constant_one_stays_at_chance(scores):
    assert scores["spectrum"].official("Factory A", 0) > scores["spectrum"].official("Factory A", -10) + 0.1
    assert {scores["constant"].official(subset, snr) for subset in SUBSETS for snr in (-10, 0)} == {0.5}

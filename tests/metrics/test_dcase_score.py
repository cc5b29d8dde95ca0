"""The official score against the official evaluators' own figures, and its answers to degenerate input."""

import csv
import itertools
import math
from pathlib import Path

import evaluate
import numpy as np
import pytest
import torch
from scipy.stats import hmean

from modeling_retainmix.metrics.dcase_score.dcase_score import dcase_score, harmonic_mean

GOLDEN = Path(__file__).parents[1] / "golden" / "dcase"
METRIC_FOLDER = Path(__file__).parents[2] / "modeling_retainmix" / "metrics" / "dcase_score"
ABS = 1e-12


def golden_columns(year: int, score_set: str) -> dict:
    with open(GOLDEN / f"{year}.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    return {
        "predictions": [float(row[f"score_{score_set}"]) for row in rows],
        "references": [int(row["label"]) for row in rows],
        "domains": [row["domain"] for row in rows] if year > 2020 else None,
        "machines": [row["machine"] for row in rows],
        "sections": [row["section"] for row in rows],
        "rules": year,
    }


def golden_blocks(year: int, score_set: str) -> dict[str, dict[str, dict[str, float]]]:
    """{machine or "": {row name: {column: value}}} of an evaluator's result file."""
    blocks: dict = {}
    machine, header = "", []
    with open(GOLDEN / f"{year}_{score_set}_result.csv", newline="") as file:
        for row in csv.reader(file):
            if not row:
                machine = ""
            elif len(row) == 1:
                machine = row[0]
            elif row[0] in ("section", "id") or (row[0] == "" and "AUC" in row):
                header = row
            elif row[0] in ("official score", "official score ci95"):
                blocks.setdefault("", {})[row[0]] = {"": float(row[2])}
            else:
                values = dict(zip(header, row, strict=True))
                name = row[0] + "_" + values["domain"] if values.get("domain") else row[0]
                numbers = {key: float(value) for key, value in values.items() if key and value and "C" in key}
                blocks.setdefault(machine, {})[name] = numbers
    return blocks


@pytest.mark.parametrize("score_set", ["good", "ties"])
@pytest.mark.parametrize("year", [2022, 2023])
def test_rules_of_2022_and_later_equal_the_official_evaluator(year, score_set):
    result = dcase_score(**golden_columns(year, score_set))
    blocks = golden_blocks(year, score_set)
    overall = blocks.pop("")
    assert list(result["machines"]) == sorted(blocks)
    for machine, rows in blocks.items():
        ours = result["machines"][machine]
        sections = {name: row for name, row in rows.items() if name.isdigit()}
        assert list(ours["sections"]) == list(sections)
        for name, row in sections.items():
            section = ours["sections"][name]
            assert section["auc"] == pytest.approx(row["AUC (all)"], abs=ABS)
            assert section["auc_source"] == pytest.approx(row["AUC (source)"], abs=ABS)
            assert section["auc_target"] == pytest.approx(row["AUC (target)"], abs=ABS)
            assert section["pauc"] == pytest.approx(row["pAUC"], abs=ABS)
        assert ours["pauc"] == pytest.approx(rows["harmonic mean"]["pAUC"], abs=ABS)
        if year == 2023:  # 2022 splits its list of sections at the wrong place
            assert ours["auc_source"] == pytest.approx(rows["source harmonic mean"]["AUC"], abs=ABS)
            assert ours["auc_target"] == pytest.approx(rows["target harmonic mean"]["AUC"], abs=ABS)
    means = "harmonic mean over all machine types, sections, and domains"
    assert result["auc_source"] == pytest.approx(overall[f"source {means}"]["AUC"], abs=ABS)
    assert result["auc_target"] == pytest.approx(overall[f"target {means}"]["AUC"], abs=ABS)
    assert result["pauc"] == pytest.approx(overall[means]["pAUC"], abs=ABS)
    assert result["official_score"] == pytest.approx(overall["official score"][""], abs=ABS)


@pytest.mark.parametrize("score_set", ["good", "ties"])
def test_rules_of_2021_equal_the_official_evaluator(score_set):
    result = dcase_score(**golden_columns(2021, score_set))
    blocks = golden_blocks(2021, score_set)
    overall = blocks.pop("")
    assert list(result["machines"]) == sorted(blocks)
    for machine, rows in blocks.items():
        ours = result["machines"][machine]
        for name, section in ours["sections"].items():
            for domain in ("source", "target"):
                assert section[f"auc_{domain}"] == pytest.approx(rows[f"{name}_{domain}"]["AUC"], abs=ABS)
                assert section[f"pauc_{domain}"] == pytest.approx(rows[f"{name}_{domain}"]["pAUC"], abs=ABS)
        for prefix, suffix in (("", ""), ("source ", "_source"), ("target ", "_target")):
            assert ours[f"auc{suffix}"] == pytest.approx(rows[f"{prefix}harmonic mean"]["AUC"], abs=ABS)
            assert ours[f"pauc{suffix}"] == pytest.approx(rows[f"{prefix}harmonic mean"]["pAUC"], abs=ABS)
    means = overall["harmonic mean over all machine types, sections, and domains"]
    assert result["auc"] == pytest.approx(means["AUC"], abs=ABS)
    assert result["pauc"] == pytest.approx(means["pAUC"], abs=ABS)
    assert result["official_score"] == pytest.approx(overall["official score"][""], abs=ABS)


@pytest.mark.parametrize("score_set", ["good", "ties"])
def test_rules_of_2020_equal_the_official_evaluator(score_set):
    result = dcase_score(**golden_columns(2020, score_set))
    blocks = golden_blocks(2020, score_set)
    assert list(result["machines"]) == sorted(blocks)
    figures = []
    for machine, rows in blocks.items():
        ours = result["machines"][machine]
        average = rows.pop("Average")
        assert list(ours["sections"]) == list(rows)
        for name, row in rows.items():
            assert ours["sections"][name]["auc"] == pytest.approx(row["AUC"], abs=ABS)
            assert ours["sections"][name]["pauc"] == pytest.approx(row["pAUC"], abs=ABS)
            figures += [row["AUC"], row["pAUC"]]
        assert ours["auc"] == pytest.approx(average["AUC"], abs=ABS)
        assert ours["pauc"] == pytest.approx(average["pAUC"], abs=ABS)
    assert result["official_score"] == pytest.approx(np.mean(figures), abs=ABS)


def naive_auc(scores, labels) -> float:
    pairs = [
        (n, a) for n, x in zip(scores, labels, strict=True) if x == 0 for a, y in zip(scores, labels, strict=True) if y
    ]
    return sum(1.0 if a > n else 0.5 if a == n else 0.0 for n, a in pairs) / len(pairs)


def naive_pauc(scores, labels, max_fpr) -> float:
    """Walks the ROC curve threshold by threshold and standardises the area after McClish."""
    normals = sum(label == 0 for label in labels)
    points = [(0.0, 0.0)]
    for threshold in sorted(set(scores), reverse=True):
        above = [label for score, label in zip(scores, labels, strict=True) if score >= threshold]
        points.append((above.count(0) / normals, above.count(1) / (len(labels) - normals)))
    area = 0.0
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        right = min(x1, max_fpr)
        if right > x0:
            area += (right - x0) * (y0 + y0 + (y1 - y0) * (right - x0) / (x1 - x0)) / 2
    return 0.5 * (1 + (area - max_fpr**2 / 2) / (max_fpr - max_fpr**2 / 2))


def test_areas_equal_a_naive_walk_over_pairs_and_thresholds():
    rng = np.random.default_rng(0)
    scores, labels = rng.integers(0, 9, 60).tolist(), rng.integers(0, 2, 60).tolist()
    domains = rng.integers(0, 2, 60).tolist()
    result = dcase_score(scores, labels, domains, max_fpr=0.15)
    source = [row for row in range(60) if labels[row] == 1 or domains[row] == 0]
    assert result["auc"] == pytest.approx(naive_auc(scores, labels), abs=ABS)
    assert result["auc_source"] == pytest.approx(
        naive_auc([scores[row] for row in source], [labels[row] for row in source]), abs=ABS
    )
    assert result["pauc"] == pytest.approx(naive_pauc(scores, labels, 0.15), abs=ABS)


def test_when_scores_are_constant_then_every_area_is_one_half():
    result = dcase_score([3.0] * 8, [0, 1] * 4, ["source"] * 4 + ["target"] * 4)
    assert [result[name] for name in ("auc_source", "auc_target", "pauc", "official_score")] == [0.5] * 4


def test_when_ranking_is_perfectly_wrong_then_score_is_tiny_and_not_an_error():
    result = dcase_score([1.0, 0.0] * 2, [0, 1] * 2, [0, 0, 1, 1])
    assert result["machines"]["all"]["sections"]["00"]["auc_source"] == 0.0
    assert 0.0 < result["official_score"] < 1e-15


def test_when_domains_are_absent_then_score_is_the_mean_of_auc_and_pauc_and_domain_figures_are_nan():
    result = dcase_score([0.1, 0.5, 0.3, 0.9, 0.2, 0.25], [0, 0, 1, 1, 0, 1])
    assert math.isnan(result["auc_source"]) and math.isnan(result["machines"]["all"]["auc_target"])
    assert result["official_score"] == pytest.approx(2 / (1 / result["auc"] + 1 / result["pauc"]), abs=ABS)


def test_domains_as_numbers_equal_domains_as_names():
    scores, labels = [0.1, 0.5, 0.3, 0.9, 0.2, 0.25], [0, 1, 1, 1, 0, 1]
    numbers = np.array([0, 0, 1, 1, 1, 0])
    assert dcase_score(scores, labels, numbers) == dcase_score(
        scores, labels, ["source" if number == 0 else "target" for number in numbers]
    )


def test_two_scores_1e_9_apart_stay_apart_in_function_and_metric():
    columns = {"predictions": [1.0, 1.0 + 1e-9], "references": [0, 1]}
    assert dcase_score(**columns)["auc"] == 1.0
    assert evaluate.load(str(METRIC_FOLDER)).compute(**columns)["auc"] == 1.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"references": [0, 0, 0, 0]}, "machine 'fan', section '00': there is no anomalous clip"),
        ({"references": [1, 1, 1, 1]}, "machine 'fan', section '00': there is no normal clip"),
        ({"domains": ["source"] * 4}, "machine 'fan', section '00', target domain: there is no normal clip"),
        (
            {"rules": 2021, "references": [0, 1, 0, 0]},
            "machine 'fan', section '00', target domain: there is no anomal",
        ),
        ({"predictions": [0.1, math.nan, 0.2, 0.3]}, "machine 'fan', section '00': the score in row 1 is nan"),
        ({"predictions": [0.1, 0.4, 0.2, math.inf]}, "machine 'fan', section '00': the score in row 3 is inf"),
        ({"predictions": [[0.1], [0.4], [0.2], [0.3]]}, "predictions must have one value per clip"),
        ({"predictions": ["a", "b", "c", "d"]}, "predictions must be a sequence of numbers"),
        ({"predictions": [0.1, 0.2]}, "there are 2 predictions but 4 references"),
        ({"machines": ["fan"] * 3}, "there are 4 predictions but 3 machines"),
        ({"references": [0, 1, 0, 2]}, "machine 'fan', section '00': the label in row 3 is 2"),
        (
            {"domains": ["source", "source", "target", "near"]},
            "machine 'fan', section '00': the domain in row 3 is 'near'",
        ),
        ({"rules": 2019}, "rules must be a year from 2020 to 2026, got 2019"),
        ({"max_fpr": 0.0}, r"max_fpr must be in \(0, 1\], got 0.0"),
    ],
)
def test_when_input_is_bad_then_error_says_where(change, message):
    columns = {
        "predictions": [0.1, 0.4, 0.2, 0.3],
        "references": [0, 1, 0, 1],
        "domains": ["source", "source", "target", "target"],
        "machines": ["fan"] * 4,
    }
    with pytest.raises(ValueError, match=message):
        dcase_score(**{**columns, **change})


def test_when_there_are_no_clips_then_error():
    with pytest.raises(ValueError, match="no predictions"):
        dcase_score([], [])


def test_metric_equals_function_for_every_set_of_optional_columns():
    columns = golden_columns(2023, "ties")
    metric = evaluate.load(str(METRIC_FOLDER))
    assert metric.compute(**columns) == dcase_score(**columns)
    for absent in (["sections"], ["machines", "sections"]):
        partial = {name: values for name, values in columns.items() if name not in absent}
        assert metric.compute(**partial) == dcase_score(**partial)
    scores_only = {"predictions": np.array(columns["predictions"]), "references": np.array(columns["references"])}
    np.testing.assert_equal(metric.compute(**scores_only), dcase_score(**scores_only))  # NaN equals NaN here


def test_metric_collects_batches_and_single_clips():
    metric = evaluate.load(str(METRIC_FOLDER))
    metric.add_batch(predictions=[0.1, 0.9], references=[0, 1], domains=[0, 0])
    metric.add_batch(predictions=[0.3], references=[0], domains=["target"])
    metric.add(prediction=0.2, reference=1, domains="target")
    expected = dcase_score([0.1, 0.9, 0.3, 0.2], [0, 1, 0, 1], [0, 0, 1, 1], rules=2025, max_fpr=0.5)
    assert metric.compute(rules=2025, max_fpr=0.5) == expected


def test_when_only_some_batches_have_domains_then_metric_says_so():
    metric = evaluate.load(str(METRIC_FOLDER))
    metric.add_batch(predictions=[0.1, 0.9], references=[0, 1], domains=["source", "source"])
    metric.add_batch(predictions=[0.1, 0.9], references=[0, 1])
    with pytest.raises(ValueError, match="domains were given for 2 of 4 clips"):
        metric.compute()


def test_harmonic_mean_is_that_of_scipy_along_the_first_axis_with_values_clipped_from_below():
    figures = np.random.default_rng(0).random((5, 3))
    assert harmonic_mean(figures) == pytest.approx(hmean(figures, axis=0), rel=1e-14)
    assert harmonic_mean(figures[:, 0].tolist()) == pytest.approx(hmean(figures[:, 0]), rel=1e-14)
    assert harmonic_mean([0.0, 1.0]) == pytest.approx(2 * np.finfo(np.float64).eps, rel=1e-14)
    assert math.isnan(harmonic_mean([math.nan, 1.0]))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"predictions": [0.1, 0.9], "references": [0, 0]}, "no anomalous clip"),
        ({"predictions": [0.1, 0.9], "references": [0, 1], "rules": 1999}, "rules must be a year"),
        ({"predictions": [0.1], "references": [0, 1]}, "1 predictions but 2 references"),
        ({"predictions": [0.1, 0.9]}, "references must"),
        ({}, "no predictions to score: pass predictions and references"),
    ],
)
def test_when_a_call_is_wrong_then_no_file_and_no_lock_stays(tmp_path, columns, message):
    metric = evaluate.load(str(METRIC_FOLDER), cache_dir=str(tmp_path))
    with pytest.raises(ValueError, match=message):
        metric.compute(**columns)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    assert metric.compute(predictions=[0.1, 0.9], references=[0, 1])["official_score"] == 1


def test_when_an_option_does_not_exist_then_no_file_and_no_lock_stays(tmp_path):
    metric = evaluate.load(str(METRIC_FOLDER), cache_dir=str(tmp_path))
    with pytest.raises(TypeError, match="rule"):
        metric.compute(predictions=[0.1, 0.9], references=[0, 1], rule=2021)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_when_what_was_added_cannot_be_scored_then_its_file_goes_and_its_lock_is_free(tmp_path):
    metric = evaluate.load(str(METRIC_FOLDER), cache_dir=str(tmp_path))
    metric.add_batch(predictions=[0.1, 0.9], references=[0, 0])
    (data,) = tmp_path.rglob("*.arrow")
    with pytest.raises(ValueError, match="rules must be a year"):  # what was added stays for a right call
        metric.compute(rules=1999)
    assert data.exists()
    with pytest.raises(ValueError, match="no anomalous clip"):
        metric.compute()
    assert not list(tmp_path.rglob("*.arrow"))
    metric.add_batch(predictions=[0.1, 0.9], references=[0, 1])
    assert list(tmp_path.rglob("*.arrow")) == [data]  # a lock that is held would have led to another name
    assert metric.compute()["official_score"] == 1


@pytest.mark.parametrize(
    "domains",
    [
        [0, 0, 1, 1],
        np.array([False, False, True, True]),
        torch.tensor([0, 0, 1, 1]),
        torch.tensor([0, 0, 1, 1]).bool(),
    ],
)
def test_when_domains_are_numbers_or_bools_of_any_array_then_scores_are_those_of_the_names(domains):
    scores, labels = [0.1, 0.9, 0.4, 0.3], [0, 1, 0, 1]
    expected = dcase_score(scores, labels, ["source", "source", "target", "target"])
    assert dcase_score(torch.tensor(scores, dtype=torch.float64), torch.tensor(labels), domains) == expected

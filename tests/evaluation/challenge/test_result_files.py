"""Challenge CSV files: read and written, and scored to the figures of the official evaluators."""

import csv
from pathlib import Path

import numpy as np
import pytest

from modeling_retainmix.csv_files import write_rows
from modeling_retainmix.data.layouts.challenge_csv import Part, read_table
from modeling_retainmix.evaluation.challenge.result_files import score_decisions, score_submission

GOLDEN = Path(__file__).parents[2] / "golden" / "dcase"


def golden_rows(year: int) -> list[dict[str, str]]:
    with open(GOLDEN / f"{year}.csv", newline="") as file:
        return list(csv.DictReader(file))


def part_of(row: dict[str, str], year: int) -> Part:
    return Part(row["machine"], row["section"], row["domain"] if year == 2021 else None)


def append(path: Path, *cells: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a") as file:
        file.write(",".join(cells) + "\n")


def write_official_layout(root: Path, year: int, score_set: str) -> tuple[Path, Path]:
    """Folders as the challenge hands them out and as a system hands them in."""
    truth, system = root / "truth", root / "system"
    machine = None
    for row in golden_rows(year):
        stem = part_of(row, year).stem(year)
        if year == 2020:
            if row["machine"] != machine:
                machine = row["machine"]
                append(truth / "eval_data_list.csv", machine)
            append(truth / "eval_data_list.csv", row["name"], row["labelled_name"], row["label"])
        else:
            append(truth / "ground_truth_data" / f"ground_truth_{stem}.csv", row["name"], row["label"])
        if year > 2021:
            domain = str(int(row["domain"] == "target"))
            append(truth / "ground_truth_domain" / f"ground_truth_{stem}.csv", row["name"], domain)
        if year == 2023:
            append(truth / "ground_truth_attributes" / f"ground_truth_{stem}.csv", row["name"], row["attribute_name"])
        append(system / f"anomaly_score_{stem}.csv", row["name"], row[f"score_{score_set}"])
        if year > 2020:
            append(system / f"decision_result_{stem}.csv", row["name"], row[f"decision_{score_set}"])
    return truth, system


def evaluator_score(year: int, score_set: str) -> float:
    with open(GOLDEN / f"{year}_{score_set}_result.csv", newline="") as file:
        return next(float(row[2]) for row in csv.reader(file) if row and row[0] == "official score")


@pytest.mark.parametrize("score_set", ["good", "ties"])
@pytest.mark.parametrize("year", [2021, 2022, 2023])
def test_score_of_a_submission_equals_the_official_evaluator(tmp_path, year, score_set):
    truth, system = write_official_layout(tmp_path, year, score_set)
    official = evaluator_score(year, score_set)
    assert score_submission(system, truth, year)["official_score"] == pytest.approx(official, abs=1e-12)


def test_submission_of_2020_is_scored_per_machine_id(tmp_path):
    truth, system = write_official_layout(tmp_path, 2020, "good")
    result = score_submission(system, truth, 2020)
    with open(GOLDEN / "2020_good_result.csv", newline="") as file:
        averages = [float(row[1]) for row in csv.reader(file) if row and row[0] == "Average"]
    ours = [machine["auc"] for machine in result["machines"].values()]
    assert sorted(ours) == pytest.approx(sorted(averages), abs=1e-12)


def test_names_with_attributes_stand_for_the_anonymous_ones(tmp_path):
    truth, system = write_official_layout(tmp_path, 2023, "good")
    path = system / "anomaly_score_bandsaw_section_00_test.csv"
    labelled = {row["name"]: row["attribute_name"] for row in golden_rows(2023) if row["machine"] == "bandsaw"}
    write_rows(path, [(f"{labelled[name]}.wav", score) for name, score in read_table(path).items()])
    expected = evaluator_score(2023, "good")
    assert score_submission(system, truth, 2023)["official_score"] == pytest.approx(expected, abs=1e-12)


def test_when_a_file_or_a_clip_is_missing_or_too_much_then_error_names_it(tmp_path):
    truth, system = write_official_layout(tmp_path, 2023, "good")
    path = system / "anomaly_score_bandsaw_section_00_test.csv"
    whole = path.read_text()
    path.write_text(whole + "section_00_9999.wav,1.0\n")
    with pytest.raises(ValueError, match=r"bandsaw_section_00_test\.csv .* holds section_00_9999\.wav"):
        score_submission(system, truth, 2023)
    path.write_text(whole.split("\n", 1)[1])
    with pytest.raises(ValueError, match=r"bandsaw_section_00_test\.csv .* lacks section_00_0000\.wav"):
        score_submission(system, truth, 2023)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"anomaly_score_bandsaw_section_00_test\.csv is missing"):
        score_submission(system, truth, 2023)


def test_written_scores_are_read_back_to_the_last_bit(tmp_path):
    values = {"a.wav": 0.1 + 0.2, "b.wav": 1.0 + 1e-15, "c.wav": -3e-300, "d.wav": np.float64(0.1) + 0.2}
    write_rows(tmp_path / "scores.csv", values.items())
    assert read_table(tmp_path / "scores.csv") == values


def evaluator_figures(year: int, score_set: str) -> tuple[dict, dict]:
    """What the evaluator wrote: {(machine, section, domain): figures}, {name of the mean over everything: figures}."""
    sections, means, machine = {}, {}, ""

    def figures(cells: list[str]) -> dict[str, float]:
        return dict(zip(("precision", "recall", "f1"), map(float, cells), strict=True))

    with open(GOLDEN / f"{year}_{score_set}_result.csv", newline="") as file:
        for row in filter(None, csv.reader(file)):
            if len(row) == 1:
                machine = row[0]
            elif row[0].isdigit() and year == 2021:
                sections[machine, row[0], row[1]] = figures(row[4:7])
            elif row[0].isdigit():
                sections[machine, row[0], "source"] = figures(row[5:11:2])
                sections[machine, row[0], "target"] = figures(row[6:11:2])
            elif " over all machine types" in row[0]:
                means[row[0].split(" over ")[0].replace(" ", "_")] = figures(row[4:7])
    return sections, means


@pytest.mark.parametrize("score_set", ["good", "ties"])
@pytest.mark.parametrize("year", [2021, 2022, 2023])
def test_precision_recall_and_f1_equal_the_official_evaluator(tmp_path, year, score_set):
    truth, system = write_official_layout(tmp_path, year, score_set)
    sections, means = evaluator_figures(year, score_set)
    result = score_decisions(system, truth, year)
    machines = result.pop("machines")
    ours = {(m, s, d): machines[m][s][d] for m in machines for s in machines[m] for d in machines[m][s]}
    assert ours.keys() == sections.keys() and len(ours) > 20
    for key, figures in sections.items():
        assert ours[key] == pytest.approx(figures, abs=1e-12), key
    assert result.keys() == means.keys() and len(means) == 4
    for name, figures in means.items():
        assert result[name] == pytest.approx(figures, abs=1e-12), name


def test_when_nothing_is_decided_anomalous_then_figures_are_zero(tmp_path):
    truth, system = write_official_layout(tmp_path, 2023, "good")
    for path in system.glob("decision_result_*.csv"):
        write_rows(path, [(name, 0) for name in read_table(path)])
    result = score_decisions(system, truth, 2023)
    assert result["machines"]["bandsaw"]["00"]["source"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0}
    assert result["harmonic_mean"]["f1"] == pytest.approx(0, abs=1e-12)


def test_when_decision_files_are_wrong_or_missing_then_error_names_them(tmp_path):
    truth, system = write_official_layout(tmp_path, 2023, "good")
    path = system / "decision_result_bandsaw_section_00_test.csv"
    write_rows(path, [(name, 0.7) for name in read_table(path)])
    with pytest.raises(ValueError, match=r"decides 0\.7 on section_00_0000\.wav of bandsaw: decisions are 0 or 1"):
        score_decisions(system, truth, 2023)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"decision_result_bandsaw_section_00_test\.csv is missing"):
        score_decisions(system, truth, 2023)
    with pytest.raises(ValueError, match="year=2020: decisions are part of submissions from 2021 on"):
        score_decisions(system, truth, 2020)

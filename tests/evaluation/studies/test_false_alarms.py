"""The study of false alarms: its rules against naive twins, and its table on machines made of numbers."""

import csv

import numpy as np
import pytest
import torch
from scipy import stats

from modeling_retainmix.detection.detector import AnomalyDetector
from modeling_retainmix.evaluation.studies import false_alarms
from modeling_retainmix.evaluation.studies.false_alarms import (
    EmbeddedMachine,
    log_variance,
    shrunk_threshold,
    study,
    table,
)
from modeling_retainmix.evaluation.studies.realism_sets import MachineSet


@pytest.fixture(scope="module")
def detector():
    return AnomalyDetector.from_pretrained("log-mel", device="cpu", backend="whitened", normalization="none")


def machine(name, seed, num_groups=6):
    """Vectors of sessions that differ by an offset; the last third of the sessions is anomalous."""
    generator = np.random.default_rng(seed)
    group = np.repeat(np.arange(3 * num_groups), 4)
    vectors = 2 * generator.normal(size=(3 * num_groups, 384))[group] + generator.normal(size=(len(group), 384))
    is_anomaly = group >= 2 * num_groups
    vectors[is_anomaly] *= 3
    return EmbeddedMachine(
        name,
        torch.from_numpy(vectors.astype(np.float32)),
        group.astype(str),
        group < num_groups,
        is_anomaly,
        group % 3 == 2,
    )


def test_shrunk_threshold_is_a_quantile_of_student_between_own_and_other_spread():
    scores, unit = np.exp([0.0, 0.2, 1.0, 1.4, 2.0, 2.0]), np.asarray([0, 0, 1, 1, 2, 2])
    means = [0.1, 1.2, 2.0]
    own = np.var(means, ddof=1) + np.mean([0.01, 0.04, 0.0])
    assert log_variance(scores, unit) == pytest.approx(own)
    variance = (10 * 0.5 + 2 * own) / 12
    expected = np.exp(np.mean(means) + stats.t.ppf(0.9, 12) * np.sqrt(variance * (1 + 1 / 3)))
    assert shrunk_threshold(scores, unit, 0.1, 0.5) == pytest.approx(expected)


@pytest.mark.filterwarnings("ignore:too few references")
def test_rates_that_the_groups_do_not_bear_say_how_many_groups_they_need(detector):
    rows = study([machine("a", 0), machine("a", 1)], detector, num_draws=2, seed=0)
    cells = {(row["groups"], row["nominal"], row["rule"]): row for row in rows}
    assert {row["groups"] for row in rows} == {3, 5, 6}
    assert cells[5, 0.05, "quantile"]["note"] == "needs 19 groups"
    assert cells[5, 0.05, "quantile"]["hits"] is None
    assert cells[3, None, "cross"]["note"] == "" and cells[3, 0.05, "gamma"]["note"] == ""
    assert cells[6, 0.2, "no groups"]["false_alarms"] > cells[6, 0.2, "quantile"]["false_alarms"]
    assert cells[6, 0.2, "cross"]["hits"] == 100
    lines = table(rows).splitlines()
    assert lines[0].startswith("| Machines | Groups | Nominal | no groups | quantile |")
    assert any(line.startswith("| a | 5 | 17 % (borne) |") for line in lines)
    assert sum("needs 19 groups" in line for line in lines) == 3


@pytest.mark.filterwarnings("ignore:too few references")
def test_command_writes_the_rows_of_the_factory_and_of_real_machines(tmp_path, monkeypatch, capsys, detector):
    generator = np.random.default_rng(0)
    recording = np.repeat([f"r{index}" for index in range(12)], 2)

    def machine_set(name):
        return MachineSet(
            name,
            generator.normal(0, 0.1, (24, 40_000)).astype(np.float32),
            np.full(24, "u"),
            np.array([f"{one}#u" for one in recording]),
            np.where(np.arange(24) < 16, "", "fault"),
            np.zeros(24, dtype=bool),
            np.arange(24) < 8,
        )

    monkeypatch.setattr(false_alarms, "make_factory_sets", lambda *a: ([machine_set("x"), machine_set("y")], {}))
    monkeypatch.setattr(false_alarms, "read_machine_sets", lambda folder: [machine_set("fan"), machine_set("pump")])
    output = tmp_path / "rows.csv"
    false_alarms.main(["--real_data", "real", "--num_draws", "1", "--device", "cpu", "--output", str(output)])
    with open(output, newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["machines"] for row in rows} == {"fan", "pump", "factory (2 machines)"}
    assert {row["groups"] for row in rows} == {"3", "4"}
    assert "| factory (2 machines) | 4 | 20 % (borne) |" in capsys.readouterr().out

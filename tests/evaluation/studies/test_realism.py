"""The realism study: rows and bounds, and the command on a made-up folder and a tiny factory."""

import csv

import numpy as np
import pytest
import soundfile

from modeling_retainmix.evaluation.studies import realism, realism_sets
from modeling_retainmix.evaluation.studies.realism import Row

RATE = 16000


def write_real_folder(folder):
    """Two motors at two speeds with four clips each, a fault of the first; two classes of noise."""
    rng = np.random.default_rng(0)
    rows = []
    for motor, fault, speed in (("M1", 0, 1), ("M1", 0, 2), ("M2", 0, 1), ("M2", 0, 2), ("M1", 1, 1), ("M1", 1, 2)):
        for index in range(4):
            split = "train" if index < 2 and not fault else "test"
            label = "anomaly" if fault else "normal"
            name = f"motor/{split}/{motor}_{speed}_{label}_{index}.flac"
            seconds = np.arange(round(2.5 * RATE)) / RATE
            tone = 0.05 * np.sin(2 * np.pi * (300 + 40 * speed + 900 * fault) * seconds)
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, tone + 0.01 * rng.standard_normal(len(seconds)), RATE)
            rows.append((name, "source", split, label, f"motor_{motor}_speed", f"{label}_{motor}_{speed}"))
    with open(folder / "MANIFEST.csv", "w", newline="") as file:
        csv.writer(file).writerows([("path", "domain", "split", "label", "attributes", "recording"), *rows])
    for kind, sound_class in (("stationary", "running_tap"), ("non_stationary", "helicopter")):
        for index in range(3):
            path = folder / "noise" / kind / f"x_{sound_class}_{index}.flac"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, 0.05 * rng.standard_normal(round(5.1 * RATE)), RATE)


@pytest.mark.parametrize(
    ("unit", "values", "bounds"),
    [("dB", (2.0, 6.0), (1.0, 12.0)), ("AUC %", (60.0, 70.0), (55.0, 90.0)), ("AUC %", (80.0, 98.0), (65.0, 100.0))],
)
def test_bounds_are_half_the_smaller_and_twice_the_larger_and_of_an_auc_what_exceeds_chance(unit, values, bounds):
    row = Row("x", unit, dict(zip("ab", values, strict=True)), {3: bounds[0], 4: bounds[1] + 0.1})
    assert row.bounds == pytest.approx(bounds)
    assert row.within(3)
    assert not row.within(4)


def test_the_table_has_a_part_for_each_group_of_real_sets_and_marks_what_is_out_of_bounds():
    rows = [
        Row("spread", "dB", {"motor": 2.0}, {3: 0.5, 4: 2.0}),
        Row("noise", "dB", {"rain": 2.0}, {3: 1.0, 4: 9.0}),
    ]
    assert realism.markdown(rows).splitlines() == [
        "| statistic | unit | motor | bounds | version 3 | version 4 |",
        "|---|---|---:|---:|---:|---:|",
        "| spread | dB | 2.00 | 1.00 to 4.00 | **0.50** | 2.00 |",
        "",
        "| statistic | unit | rain | bounds | version 3 | version 4 |",
        "|---|---|---:|---:|---:|---:|",
        "| noise | dB | 2.00 | 1.00 to 4.00 | 1.00 | **9.00** |",
    ]


def test_the_statistics_of_a_made_up_machine_are_what_it_was_made_of(tmp_path):
    write_real_folder(tmp_path)
    (machines,) = realism_sets.read_machine_sets(tmp_path)
    noise = realism_sets.read_noise_set(tmp_path, ["stationary"])
    values = realism.machine_values(machines, noise.waveforms)
    name = "normal clips, spread {} recordings, 250 to 1000 Hz"
    assert values[name.format("between"), "dB"] > 5 * values[name.format("within"), "dB"]  # the tone moves
    assert values["normal clips, directions that hold 90 % of the spread", ""] == 1  # of two recordings
    effect = [
        values[f"fault, effect on the spectrum, {region}", "deviations"]
        for region in ("50 to 250 Hz", "1000 to 2500 Hz")
    ]
    assert effect[1] > 10 * effect[0]
    assert values["log-mel mean, nearest reference, clean", "AUC %"] == 100.0
    spread = realism.noise_values(noise, by_class=True)
    assert spread["noise, spread from clip to clip, 1000 to 2500 Hz", "dB"] < 1.0


@pytest.mark.slow
def test_the_command_prints_and_writes_every_row_for_every_version(tmp_path, monkeypatch, capsys):
    write_real_folder(tmp_path)
    sizes = {"source_references": 12, "target_references": 6, "tests_per_cell": 5, "segments_per_kind": 3}
    monkeypatch.setattr(realism_sets, "FACTORY_SIZES", realism_sets.FACTORY_SIZES | sizes)
    monkeypatch.setattr(realism, "MIXING_DRAWS", 1)
    realism.main(["--real", str(tmp_path), "--output", str(tmp_path / "table.csv")])
    printed = capsys.readouterr().out
    with open(tmp_path / "table.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 24 + 2 * 11
    assert len({row["statistic"] for row in rows}) == len(rows)
    for row in rows:
        low, value, high = (float(row[column]) for column in ("lowest", "factory 4", "highest"))
        assert (row["factory 4 within"] == "yes") == (low <= value <= high) or abs(value - low) < 0.01
        assert f"| {row['statistic']} |" in printed
    assert "Version 3: " in printed
    assert f"of {len(rows)} rows within the bounds" in printed
    again = tmp_path / "again.csv"
    realism.main(["--real", str(tmp_path), "--output", str(again), "--factory_version", "4"])
    with open(again, newline="") as file:
        assert [row["factory 4"] for row in csv.DictReader(file)] == [row["factory 4"] for row in rows]

"""The pictures of the results page: what is averaged, and that every picture is drawn from its file."""

from itertools import product
from pathlib import Path

import pytest

from modeling_retainmix import csv_files

ROOT = Path(__file__).parents[2]
FILES = {"pretraining": "steps", "students": "students", "variants": "variants"}
CONDITIONS = {"factory": ("low SNRs", "all SNRs", "Mismatch 0 dB"), "drill": ("clean", "0 dB")}


@pytest.fixture
def draw(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import draw_results

    return draw_results


def rows(systems, layers=2, backends=("knn", "whitened"), **about):
    """A row of every system, layer, backend and condition; its score tells them apart."""
    found = []
    for place, (system, backend) in enumerate(product(systems, backends)):
        for layer in range(1 if "log_mel" in system else layers):
            for data, conditions in CONDITIONS.items():
                if system == "oracle" and data != "factory":
                    continue
                for number, condition in enumerate(conditions):
                    score = 50 + place + layer + number
                    row = {"system": system, "layer": layer, "backend": backend, "data": data}
                    found.append({**about, **row, "condition": condition, "score": f"{score:.2f}"})
    return found


def test_of_the_factory_the_mean_over_all_snrs_counts_and_of_a_real_machine_every_condition(draw):
    means = draw.mean_by(rows(["log_mel"]), "data", "backend")
    assert means == {
        ("factory", "knn"): 51.0,
        ("drill", "knn"): 50.5,
        ("factory", "whitened"): 52.0,
        ("drill", "whitened"): 51.5,
    }


def test_pictures_are_drawn_from_the_files(draw, tmp_path):
    spectra = ["log_mel", "log_mel_statistics"]
    steps = [row for step in (4, 8) for row in rows(["frozen_teacher", *spectra], step=step)]
    students = rows(["student"], run="tagging_0db-9-0", recipe="tagging_0db", seed=0, steps=9)
    for seed in (0, 1):
        frozen = ["frozen_teacher", *spectra, "oracle"]
        students += rows(frozen, run=f"frozen-0-{seed}", recipe="frozen", seed=seed, steps=0)
        students += rows(["student"], run=f"both_0db-9-{seed}", recipe="both_0db", seed=seed, steps=9)
    joined = ("whitened", "changes")
    for seed in (0, 1):
        students += rows(["log_mel_statistics"], 1, ["changes"], run="f", recipe="frozen", seed=seed, steps=0)
    variants = rows(["student"], 5, joined, run="both_0db --alpha 10", recipe="both_0db", seed=0, steps=9)
    for seed in (0, 1):
        variants += rows(["student"], 5, joined, run="mean of weights", recipe="both_0db", seed=seed, steps=9)
    for name, records in (("steps", steps), ("students", students), ("variants", variants)):
        csv_files.write_records(tmp_path / f"{name}.csv", records)
    out = tmp_path / "pictures"
    files = [f"--{option}={tmp_path / name}.csv" for option, name in FILES.items()]
    draw.main(["--output_dir", str(out), *files])
    names = {path.name for path in out.iterdir()}
    pictures = {"learning_curve.png", "layer_curves.png", "snr_curves.png"}
    tables = {f"{name}_{backend}.md" for name in ("students", "seeds") for backend in ("knn", "whitened")}
    tables |= {f"{name}_changes.md" for name in ("students", "seeds")} | {"variants.md", "variants_seeds.md"}
    assert names == {*pictures, *tables, "pretraining.md"}
    assert all((out / name).read_bytes().startswith(b"\x89PNG") for name in pictures)
    first = (out / "students_knn.md").read_text()
    read = draw._read(tmp_path / "students.csv")
    assert first == draw.student_table([row for row in read if row["seed"] == "0"], "knn") + "\n"
    assert "tagging_0db, 9 steps" in first and "both_0db, 9 steps" in first and "±" not in first
    every = (out / "seeds_knn.md").read_text()
    assert "tagging_0db" not in every and "both_0db, 9 steps" in every and "±" in every


def test_runs_that_are_no_recipe_stand_below_log_mel_at_the_layer_of_the_shipped_student(draw):
    backends = ("whitened", "changes")  # scores differ by 1 from backend to backend, layer to layer
    students = [row for seed in (0, 1) for row in rows(["log_mel_statistics"], 1, backends, seed=seed)]
    variants = rows(["student"], 5, backends, run="one", seed=0) + rows(["student"], 5, backends, run="two", seed=0)
    for row in rows(["student"], 5, backends, run="two", seed=1):
        variants.append(row | {"score": f"{float(row['score']) + 2:.2f}"})
    variants = [row | {"layer": str(row["layer"])} for row in variants]  # as a file holds it
    lines = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in draw.variant_table(variants, students).split("\n")
    ]
    assert lines[0] == ["Run", "factory", "drill", "Mean", "Mean, whitened alone"]
    assert lines[2:] == [
        ["log-mel statistics", "52.0 ± 0.0", "51.5 ± 0.0", "51.8 ± 0.0", "50.8 ± 0.0"],
        ["one", "56.0", "55.5", "55.8", "54.8"],
        ["two", "57.0 ± 1.4", "56.5 ± 1.4", "56.8 ± 1.4", "55.8 ± 1.4"],
    ]
    assert {row["run"] for row in draw.of_runs_with_every_seed(variants)} == {"two"}


def test_the_page_shows_the_tables_of_the_measured_rows(draw, tmp_path):
    draw.main(["--output_dir", str(tmp_path)])
    page = (ROOT / "docs" / "results.md").read_text(encoding="utf-8").replace("**", "").splitlines()
    tables = ["pretraining", "variants", "variants_seeds", "seeds_changes"]
    for name in (*tables, *(f"students_{backend}" for backend in ("whitened", "knn", "changes"))):
        rows = (tmp_path / f"{name}.md").read_text(encoding="utf-8").splitlines()
        missing = [row for row in rows if row and row not in page]
        assert len(rows) > 3 and not missing, f"{name}: docs/results.md lacks {missing[:3]}"


def test_when_a_file_is_missing_then_error_names_it(draw, tmp_path):
    with pytest.raises(SystemExit, match=r"none\.csv does not exist"):
        draw.main(["--output_dir", str(tmp_path), "--pretraining", str(tmp_path / "none.csv")])

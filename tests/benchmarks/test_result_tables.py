"""The tables of the results: the best layer, gains and spread over seeds."""

from pathlib import Path

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
CONDITIONS = {"factory": ("low SNRs", "all SNRs", "Mismatch 0 dB"), "drill": ("clean", "0 dB")}


def test_table_shows_each_run_at_its_best_layer_with_its_gain_and_its_spread_over_seeds(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    from result_tables import student_table

    def scored(system, recipe, seed, layer, low, everywhere, drill):
        values = {"low SNRs": low, "all SNRs": everywhere, "Mismatch 0 dB": 60.0, "clean": drill, "0 dB": drill + 2}
        about = {"system": system, "recipe": recipe, "steps": "9" if system == "student" else "0", "seed": str(seed)}
        return [
            {
                **about,
                "layer": str(layer),
                "backend": "knn",
                "data": data,
                "condition": name,
                "score": f"{values[name]}",
            }
            for data, names in CONDITIONS.items()
            for name in names
        ]

    found = []
    for seed in (0, 1):
        for layer in (0, 1):
            found += scored("frozen_teacher", "frozen", seed, layer, 50.0 + layer, 60.0 - layer, 70.0)
            found += scored("student", "both_0db", seed, layer, 55.0 + layer + 2 * seed, 64.0 + layer, 70.0)
        found += scored("log_mel", "frozen", seed, 0, 52.0, 61.0, 71.0)
    table = student_table(found, "knn").split("\n")
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    header = ["low SNRs", "all SNRs", "Mismatch 0 dB", "drill", "Mean", "Low SNRs, less frozen"]
    assert lines[0] == ["System", "Layer", *header]
    same = "60.0 ± 0.0"
    assert lines[2:] == [
        ["log mel", "-", "52.0 ± 0.0", "61.0 ± 0.0", same, "72.0 ± 0.0", "66.5 ± 0.0", "-"],
        ["frozen teacher", "0", "50.0 ± 0.0", same, same, "71.0 ± 0.0", "65.5 ± 0.0", "-"],
        ["both_0db, 9 steps", "1", "57.0 ± 1.4", "65.0 ± 0.0", same, "71.0 ± 0.0", "68.0 ± 0.0", "+6.0 ± 1.4"],
    ]
    by_backend = {"changes": 0.0, "whitened": 5.0}
    other = [
        {**row, "backend": backend, "score": str(float(row["score"]) + more)}
        for row in found
        for backend, more in by_backend.items()
    ]
    changes = [line.split("|") for line in student_table([*found, *other], "changes").split("\n")]
    assert changes[4][4].strip() == "65.0 ± 0.0" and changes[2][4].strip() == "66.0 ± 0.0"  # log-mel is whitened


def test_table_of_a_pretraining_shows_each_step_at_its_best_layer(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    from result_tables import learning_table

    def scored(system, step, layer, factory, drill):
        about = {"step": str(step), "system": system, "layer": str(layer), "backend": "whitened"}
        scores = {("factory", "low SNRs"): 1.0, ("factory", "all SNRs"): factory, ("drill", "clean"): drill}
        return [{**about, "data": d, "condition": c, "score": f"{score}"} for (d, c), score in scores.items()]

    found = []
    for step, gain in ((16, 2.0), (8, 0.0)):
        found += scored("frozen_teacher", step, 0, 50.0 + gain, 60.0)
        found += scored("frozen_teacher", step, 1, 52.0 + gain, 61.0)
        found += scored("log_mel_statistics", step, 0, 55.0, 65.0) + scored("log_mel", step, 0, 99.0, 99.0)
    found.append({**found[0], "backend": "knn", "score": "99.0"})
    table = learning_table(found, "whitened").split("\n")
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    assert lines[0] == ["Steps", "Layer", "factory", "drill", "Mean"]
    assert lines[2:] == [
        ["8", "1", "52.0", "61.0", "56.5"],
        ["16", "1", "54.0", "61.0", "57.5"],
        ["log-mel statistics", "-", "55.0", "65.0", "60.0"],
    ]


def test_a_run_without_every_seed_is_of_the_first_seed_alone(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    from result_tables import of_every_seed, of_first_seed

    def run(recipe, steps, seed):
        return {"recipe": recipe, "steps": str(steps), "seed": str(seed)}

    every = [run("both_0db", 9, seed) for seed in (10, 2)]
    rows = [*every, run("both_0db", 90, 2), run("mixture_0db", 9, 10)]
    assert of_every_seed(rows) == every
    assert of_first_seed(rows) == [rows[1], rows[2]]
    assert of_every_seed(of_first_seed(rows)) == []

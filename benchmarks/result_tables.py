"""Tables of docs/results.md: the pre-training by its steps, and each run of `student_queue.py` at its best layer."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from student_scores import CHANGES, ORACLE, STUDENT, TEACHER

from modeling_retainmix import markdown
from modeling_retainmix.evaluation.compared_systems import BEYOND, LOG_MEL, LOG_MEL_STATISTICS, TRAINED

Row = Mapping[str, str]  # of scores.csv
# Of tables and legends: what needs no student, then the paper's methods, then what goes beyond it.
ORDER = (LOG_MEL, LOG_MEL_STATISTICS, TEACHER, ORACLE, *TRAINED, *BEYOND)


def data_of(rows: Sequence[Row]) -> list[str]:
    """Return the data that were scored, the factory first."""
    return sorted({row["data"] for row in rows}, key=lambda name: (name != "factory", name))


def mean_by(rows: Iterable[Row], *columns: str) -> dict[tuple[str, ...], float]:
    """Average scores over everything but some columns; of the factory's conditions the mean over all SNRs is taken."""
    found: dict[tuple[str, ...], list[float]] = {}
    for row in rows:
        if row["data"] != "factory" or row["condition"] == "all SNRs":
            found.setdefault(tuple(row[name] for name in columns), []).append(float(row["score"]))
    return {key: float(np.mean(scores)) for key, scores in found.items()}


def of_first_seed(rows: Sequence[Row]) -> list[Row]:
    """Return the rows of the lowest seed."""
    first = min((row["seed"] for row in rows), key=int)
    return [row for row in rows if row["seed"] == first]


def of_every_seed(rows: Sequence[Row]) -> list[Row]:
    """Return the rows of the runs that have every seed; none where there is one seed alone."""
    seeds: dict[tuple[str, str], set[str]] = {}
    for row in rows:
        seeds.setdefault((row["recipe"], row["steps"]), set()).add(row["seed"])
    every = set().union(*seeds.values())
    return [row for row in rows if len(every) > 1 and seeds[row["recipe"], row["steps"]] == every]


def learning_table(rows: Sequence[Row], backend: str) -> str:
    """Return what a backend scores over a pre-training, in %: each step at its best layer, then log-mel statistics.

    Columns: the factory over all SNRs, every real machine over its conditions, and their mean.
    """
    names = data_of(rows)
    means = mean_by([row for row in rows if row["backend"] == backend], "system", "step", "layer", "data")

    def scores(system: str, step: str, layer: str) -> list[float]:
        return [means[system, step, layer, name] for name in names]

    steps = sorted({step for system, step, _, _ in means if system == TEACHER}, key=int)
    lines = []
    for step in steps:
        layers = sorted({layer for system, other, layer, _ in means if (system, other) == (TEACHER, step)})
        best = max(layers, key=lambda layer: np.mean(scores(TEACHER, step, layer)))
        lines.append([step, best, *_with_mean(scores(TEACHER, step, best))])
    lines.append(["log-mel statistics", "-", *_with_mean(scores(LOG_MEL_STATISTICS, steps[0], "0"))])
    return markdown.table(["Steps", "Layer", *names, "Mean"], lines, align="l" + "r" * (len(names) + 2))


def _with_mean(values: Sequence[float]) -> list[str]:
    return [f"{value:.1f}" for value in (*values, float(np.mean(values)))]


def student_table(rows: Sequence[Row], backend: str) -> str:
    """Return what a backend scores, in %: a row per run at the layer whose mean over the data is the best.

    The last columns are the mean over the data, where a system was scored on all of them, and over the low SNRs of the
    factory the difference to the frozen teacher at the same layer. Runs of one recipe and length are one row, ± the
    standard deviation over seeds. The log-mel mean, which does not change, is whitened in the table of changes. Rows
    have the order of `ORDER`, short runs before long ones.
    """
    of_mean = "whitened" if backend == CHANGES else backend
    rows = [row for row in rows if row["backend"] == (of_mean if row["system"] == LOG_MEL else backend)]
    real = [name for name in data_of(rows) if name != "factory"]
    columns = ["low SNRs", "all SNRs", "Mismatch 0 dB", *real]
    cells: dict[tuple[str, ...], dict[str, list[float]]] = {}
    for row in rows:
        about = (row["system"], row["recipe"], row["steps"], row["seed"], row["layer"])
        column = row["condition"] if row["data"] == "factory" else row["data"]
        cells.setdefault(about, {}).setdefault(column, []).append(float(row["score"]))
    means = {about: {name: float(np.mean(values)) for name, values in found.items()} for about, found in cells.items()}
    for found in means.values():
        if all(name in found for name in real):  # the oracle is of the factory alone
            found["mean"] = float(np.mean([found["all SNRs"], *(found[name] for name in real)]))
    runs: dict[tuple[str, ...], dict[str, list[dict[str, float]]]] = {}
    for (*run, seed, layer), found in means.items():
        frozen = means.get((TEACHER, "frozen", "0", seed, layer), {})
        gain = {"gain": found["low SNRs"] - frozen["low SNRs"]} if run[0] == STUDENT and frozen else {}
        runs.setdefault(tuple(run), {}).setdefault(layer, []).append(found | gain)
    lines = []
    for name in sorted(runs, key=run_place):
        layers = runs[name]
        best = max(layers, key=lambda one: np.mean([found.get("mean", found["all SNRs"]) for found in layers[one]]))
        values = [_spread([one[column] for one in layers[best] if column in one]) for column in (*columns, "mean")]
        gains = _spread([one["gain"] for one in layers[best] if "gain" in one], "+")
        lines.append([run_label(*name), "-" if "log_mel" in name[0] else best, *values, gains])
    header = ["System", "Layer", *columns, "Mean", "Low SNRs, less frozen"]
    return markdown.table(header, lines, align="l" + "r" * (len(header) - 1))


def variant_table(variants: Sequence[Row], students: Sequence[Row], layer: str = "4") -> str:
    """Return what runs that are no recipe score at one layer, in %: joined with log-mel and the changes of both.

    The last column is the mean whitened alone, which needs no log-mel. The first row is log-mel statistics, on the
    machines of the same seeds. Runs of several seeds are ± their standard deviation.

    Args:
        variants: rows of `student_variants.csv`.
        students: rows of a queue, for log-mel.
        layer: of the encoder.
    """
    names = data_of(variants)
    seeds = {row["seed"] for row in variants}
    log_mel = [{**row, "run": "log-mel statistics"} for row in students if row["system"] == LOG_MEL_STATISTICS]
    compared = [row for row in log_mel if row["seed"] in seeds] + [row for row in variants if row["layer"] == layer]
    means = mean_by(compared, "run", "seed", "backend", "data")
    lines = []
    for run in dict.fromkeys(row["run"] for row in compared):
        of_run = [seed for seed in sorted(seeds) if (run, seed, CHANGES, names[0]) in means]
        joined, whitened = (
            np.array([[means[run, seed, backend, name] for name in names] for seed in of_run])
            for backend in (CHANGES, "whitened")
        )
        columns = [*joined.T, joined.mean(axis=1), whitened.mean(axis=1)]
        lines.append([run, *(_spread(list(column)) for column in columns)])
    return markdown.table(["Run", *names, "Mean", "Mean, whitened alone"], lines, align="l" + "r" * (len(names) + 2))


def of_runs_with_every_seed(rows: Sequence[Row]) -> list[Row]:
    """Return the rows of the runs, by name, that were scored on the machines of every seed."""
    seeds: dict[str, set[str]] = {}
    for row in rows:
        seeds.setdefault(row["run"], set()).add(row["seed"])
    every = set().union(*seeds.values())
    return [row for row in rows if seeds[row["run"]] == every]


def _spread(values: Sequence[float], sign: str = "") -> str:
    if not values:
        return "-"
    deviation = f" ± {np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
    return f"{np.mean(values):{sign}.1f}{deviation}"


def run_place(run: tuple[str, ...]) -> tuple[int, int]:
    """Return where a run (system, recipe, steps) stands in `ORDER`, and its steps."""
    system, recipe, steps = run
    return ORDER.index(recipe if system == STUDENT else system), int(steps)


def run_label(system: str, recipe: str, steps: str) -> str:
    """Return the name of a run in tables and legends."""
    return f"{recipe}, {int(steps)} steps" if system == STUDENT else system.replace("_", " ")

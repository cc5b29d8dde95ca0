"""Draw the pictures of docs/results.md, and write tables of it, from the measured rows beside this file.

    python benchmarks/draw_results.py --output_dir pictures

`learning_curve.png`: layers of the pre-trained encoder over the steps (`pretraining.csv`). `layer_curves.png`: frozen
teacher, students and oracle over the layers (`students.csv`, the `scores.csv` of a queue of students).
`snr_curves.png`: the systems of the shipped model over the SNR (its `results.json`). `pretraining.md`: the whitened
scores over the steps. `students_<backend>.md`: every run at the layer that is best for it ("changes": where scored).
Each seed has machines of its own, so these show the first seed alone; `seeds_<backend>.md` are the runs of every seed.
`variants.md`, `variants_seeds.md`: runs that are no recipe, such as means of weights (`student_variants.csv`).
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from result_tables import (
    Row,
    data_of,
    learning_table,
    mean_by,
    of_every_seed,
    of_first_seed,
    of_runs_with_every_seed,
    run_label,
    run_place,
    student_table,
    variant_table,
)
from student_scores import CHANGES, STUDENT, TEACHER

from modeling_retainmix import csv_files
from modeling_retainmix.evaluation.compared_systems import LOG_MEL_STATISTICS
from modeling_retainmix.evaluation.results import read_results
from modeling_retainmix.hub.score_picture import draw_scores

HERE = Path(__file__).parent
RESULTS = HERE.parent / "hub_cards" / "retainmix-beats-tiny" / "results.json"
BACKENDS = {"knn": "nearest neighbor", "whitened": "whitened"}
# Students that have a color of their own; the others are so many that they show the range alone.
COLORED = ("denoising", "tagging_0db", "mixture_0db", "both_0db")


def draw_learning_curve(rows: Sequence[Row], path: Path) -> None:
    """Draw each layer's whitened score over the steps, a panel for the factory and each real machine."""
    figure, (panels,) = _grid(1, data_of(rows))
    means = mean_by(rows, "data", "system", "layer", "backend", "step")
    for data, axes in panels.items():
        for layer in sorted({row["layer"] for row in rows if row["system"] == TEACHER}):
            curve = _curve(means, (data, TEACHER, layer, "whitened"))
            axes.plot(*curve, marker="o", markersize=4, label=f"layer {layer}")
        curve = _curve(means, (data, LOG_MEL_STATISTICS, "0", "whitened"))
        axes.plot(*curve, color="0.4", linestyle=":", label="log-mel statistics")
        axes.set_xscale("log", base=2)
        axes.set_xticks(curve[0], [f"{step}" for step in curve[0]], minor=False)
        axes.set_xlabel("step")
        axes.set_title(data, fontsize="medium")
    _finish(figure, [panels], path)


def draw_layer_curves(rows: Sequence[Row], path: Path) -> None:
    """Draw every run's score over its layers, a row of panels per backend; log-mel is a level."""
    figure, grid = _grid(len(BACKENDS), data_of(rows))
    means = mean_by(rows, "data", "system", "recipe", "steps", "backend", "layer")
    runs = {(row["system"], row["recipe"], row["steps"]) for row in rows if "log_mel" not in row["system"]}
    names = sorted(runs, key=run_place)
    own = [name for name in names if name[0] != STUDENT or name[1] in COLORED]
    colors = {name: f"C{place}" for place, name in enumerate(own)}
    levels = mean_by([row for row in rows if row["system"] == LOG_MEL_STATISTICS], "data", "backend")
    for (backend, label), panels in zip(BACKENDS.items(), grid, strict=True):
        for data, axes in panels.items():
            axes.axhline(levels[data, backend], color="0.3", linestyle=":", label="log-mel statistics")
            for name in sorted(names, key=lambda name: name in colors):  # the colored ones on top
                layers, scores = _curve(means, (data, *name, backend))
                if layers:  # the oracle is of the factory alone
                    is_own = name in colors
                    axes.plot(
                        layers,
                        scores,
                        color=colors.get(name, "0.8"),
                        marker="o",
                        markersize=4 if is_own else 2,
                        linewidth=1.5 if is_own else 1,
                        label=run_label(*name) if is_own else "other students",
                    )
            axes.set_title(f"{data}, {label}", fontsize="medium")
    for axes in grid[-1].values():
        axes.set_xlabel("layer")
    _finish(figure, grid, path)


def _curve(means: Mapping[tuple[str, ...], float], key: tuple[str, ...]) -> tuple[list[int], list[float]]:
    """Return what follows a key, as a number that rises, and the scores."""
    points = sorted((int(last), score) for (*start, last), score in means.items() if tuple(start) == key)
    return [place for place, _ in points], [score for _, score in points]


def _grid(num_rows: int, names: Sequence[str]) -> tuple[Figure, list[dict[str, Any]]]:
    """Return a figure and rows of its panels by name."""
    figure = Figure(figsize=(3.4 * len(names) + 0.6, 3.2 * num_rows + 1), dpi=100, layout="constrained")
    axes = figure.subplots(num_rows, len(names), squeeze=False)
    return figure, [dict(zip(names, row, strict=True)) for row in axes]


def _finish(figure: Figure, grid: Sequence[Mapping[str, Any]], path: Path) -> None:
    entries: dict[str, Any] = {}  # one of each name
    for panels in grid:
        next(iter(panels.values())).set_ylabel("Official score in %")
        for axes in panels.values():
            entries |= dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    figure.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=3, fontsize="small")
    figure.savefig(path, metadata={"Software": None})  # without the version of the library


def _read(path: Path) -> list[dict[str, str]]:
    return [row for _, row in csv_files.read_records(path)[1]]


def main(argv: Sequence[str] | None = None) -> None:
    """Draw the pictures and write the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument(
        "--output_dir", type=Path, default=HERE.parent / "docs" / "images", help="of the pictures and tables"
    )
    parser.add_argument("--pretraining", type=Path, default=HERE / "pretraining.csv", help="of pretraining_scores.py")
    parser.add_argument("--students", type=Path, default=HERE / "students.csv", help="scores.csv of student_queue.py")
    parser.add_argument("--variants", type=Path, default=HERE / "student_variants.csv", help="rows as of --students")
    parser.add_argument("--results", type=Path, default=RESULTS, help="results.json of a trained model")
    args = parser.parse_args(argv)
    try:
        args.output_dir.mkdir(parents=True, exist_ok=True)
        steps = _read(args.pretraining)
        draw_learning_curve(steps, args.output_dir / "learning_curve.png")
        (args.output_dir / "pretraining.md").write_text(f"{learning_table(steps, 'whitened')}\n", encoding="utf-8")
        students = _read(args.students)
        tables = {"students": of_first_seed(students), "seeds": of_every_seed(students)}
        draw_layer_curves(tables["students"], args.output_dir / "layer_curves.png")
        for (name, rows), backend in product(tables.items(), [*BACKENDS, CHANGES]):
            if backend in {row["backend"] for row in rows}:
                table = student_table(rows, backend)
                (args.output_dir / f"{name}_{backend}.md").write_text(f"{table}\n", encoding="utf-8")
        variants = _read(args.variants)
        for name, rows in (
            ("variants", of_first_seed(variants)),
            ("variants_seeds", of_runs_with_every_seed(variants)),
        ):
            (args.output_dir / f"{name}.md").write_text(f"{variant_table(rows, students)}\n", encoding="utf-8")
        draw_scores(read_results(args.results), args.output_dir / "snr_curves.png")
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()

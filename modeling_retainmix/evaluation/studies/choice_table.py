"""Tables of the choice of the detector: means of the three groups, differences to log-mel, and the rule applied.

Example:
    python -m modeling_retainmix.evaluation.studies.choice_table choice.csv
"""

import argparse
import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from modeling_retainmix import markdown

FACTORY = "factory"
COUNTS = ("all", "few", "very few")
MARGIN = -1.0  # points that the default may be worse than log-mel, lower 95 % bound
NUM_REPLICATES = 2000

Key = tuple[str, str]  # representation, backend
Scores = dict[Key, dict[str, np.ndarray]]


def read_scores(path: Path) -> tuple[Scores, dict[str, list[str]]]:
    """Read the CSV of `detector_choice`.

    Returns:
        {(representation, backend): {group: [references, units] scores in %}}, the mean over the conditions of a unit;
        and {group: its units}. What is the same in every draw, clean clips with all references, is listed for the
        first draw alone, and counts for all of them.
    """
    cells: dict[tuple[str, Key, str], dict[str, dict[str, float]]] = {}  # {condition: {unit: score}} of each
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            cell = cells.setdefault((row["group"], (row["representation"], row["backend"]), row["references"]), {})
            cell.setdefault(row["condition"], {})[row["unit"]] = float(row["official_score"])
    units: dict[str, list[str]] = {}
    for (group, _, _), conditions in cells.items():
        found = dict.fromkeys(unit for scores in conditions.values() for unit in scores)
        units[group] = list(dict.fromkeys([*units.get(group, []), *found]))
    scores: Scores = {}
    for key in dict.fromkeys(key for _, key, _ in cells):
        scores[key] = {
            group: np.stack([_unit_means(cells[group, key, count], names) for count in COUNTS])
            for group, names in units.items()
        }
    return scores, units


def _unit_means(conditions: Mapping[str, Mapping[str, float]], units: Sequence[str]) -> np.ndarray:
    by_condition = []
    for scores in conditions.values():
        common = next(iter(scores.values())) if len(scores) == 1 else np.nan
        by_condition.append([scores.get(unit, common) for unit in units])
    return np.mean(by_condition, axis=0)


def group_means(by_group: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Return the mean of each group over numbers of references and units, and of all groups, a third each."""
    means = {group: float(np.nanmean(np.nanmean(values, axis=1))) for group, values in by_group.items()}
    return means | {"mean": float(np.mean(list(means.values())))}


def difference_interval(one: np.ndarray, other: np.ndarray, seed: int = 0) -> tuple[float, float, float]:
    """Return mean, lower and upper end (95 %) of a paired difference over units, by a percentile bootstrap.

    Args:
        one, other: [references, units] of one group.
        seed: of the bootstrap.
    """
    differences = np.nanmean(one - other, axis=0)
    generator = np.random.default_rng(seed)
    drawn = generator.integers(len(differences), size=(NUM_REPLICATES, len(differences)))
    low, high = np.quantile(differences[drawn].mean(axis=1), [0.025, 0.975])
    return float(differences.mean()), float(low), float(high)


def is_log_mel(key: Key) -> bool:
    """Whether a representation needs no encoder."""
    return key[0].startswith("log-mel")


def choose(scores: Scores) -> tuple[Key, Key]:
    """Return the default that the rule gives, and the best log-mel detector, to which it is compared.

    The candidate is the detector with the highest mean of the three groups; it is the default if it is not worse than
    log-mel on any of them, and else log-mel is.
    """
    ranked = sorted(scores, key=lambda key: -group_means(scores[key])["mean"])
    log_mel = next(key for key in ranked if is_log_mel(key))
    for candidate in ranked[: ranked.index(log_mel)]:
        bounds = [
            difference_interval(scores[candidate][group], scores[log_mel][group])[1] for group in scores[candidate]
        ]
        if min(bounds) > MARGIN:
            return candidate, log_mel
    return log_mel, log_mel


def table(scores: Scores, log_mel: Key, times: Mapping[str, str]) -> str:
    """Return a Markdown table, best first: means of each group and number of references, differences to log-mel."""
    groups = list(next(iter(scores.values())))
    header = ["Representation", "Backend", *groups, *COUNTS, "Mean", "Less log-mel on each", "ms per clip"]
    rows = []
    for key in sorted(scores, key=lambda key: -group_means(scores[key])["mean"]):
        means = group_means(scores[key])
        by_count = np.mean([np.nanmean(scores[key][group], axis=1) for group in groups], axis=0)
        differences = [difference_interval(scores[key][group], scores[log_mel][group]) for group in groups]
        intervals = "; ".join(f"{mean:+.1f} [{low:+.1f}, {high:+.1f}]" for mean, low, high in differences)
        numbers = [*(means[group] for group in groups), *by_count, means["mean"]]
        rows.append([*key, *(f"{number:.1f}" for number in numbers), intervals, times.get(key[0], "")])
    return markdown.table(header, rows, "ll" + "r" * (len(groups) + len(COUNTS) + 1) + "lr")


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table and what the rule chooses."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("scores", type=Path, help="CSV file that `detector_choice` wrote")
    args = parser.parse_args(argv)
    scores, _ = read_scores(args.scores)
    with open(f"{args.scores}.times.csv", newline="", encoding="utf-8") as file:
        times = {row["representation"]: row["milliseconds"] for row in csv.DictReader(file)}
    default, log_mel = choose(scores)
    print(table(scores, log_mel, times))
    print(f"\nBest log-mel: {', '.join(log_mel)}. Default by the rule: {', '.join(default)}.")


if __name__ == "__main__":
    main()

"""Choosing a detector without anomalies: do pseudo-anomalies rank detectors as real anomalies do?

For every machine and condition of `detector_choice`, detectors (representation and backend) are ranked by how well
they tell references from references whose bands were exchanged, and by their official score. Printed are, for each
group of machines, the rank correlation, how often the chosen detector is among the best fifth, and the points that the
choice loses to the best detector, beside those of the detector that is best on average and of one drawn at random.

Example:
    python -m modeling_retainmix.evaluation.studies.pseudo_anomalies choice.csv
"""

import argparse
import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from modeling_retainmix import markdown


@dataclass(frozen=True)
class Ranking:
    """Detectors on one machine and condition.

    Attributes:
        group: of machines.
        official: [detectors] official score in %.
        pseudo: [detectors] AUC on pseudo-anomalies in %.
    """

    group: str
    official: np.ndarray
    pseudo: np.ndarray


def read_rankings(path: Path) -> list[Ranking]:
    """Read the CSV of `detector_choice`: a ranking per machine, draw and condition with all references."""
    cells: dict[tuple[str, str, str], dict[tuple[str, str], tuple[float, float]]] = {}
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["pseudo_auc"]:
                detector = (row["representation"], row["backend"])
                values = (float(row["official_score"]), float(row["pseudo_auc"]))
                cells.setdefault((row["group"], row["unit"], row["condition"]), {})[detector] = values
    return [
        Ranking(group, *np.array(list(detectors.values())).T)
        for (group, _, _), detectors in cells.items()
        if len(detectors) > 1
    ]


def summarize(rankings: Sequence[Ranking]) -> Mapping[str, float]:
    """Return rank correlation, share of choices in the best fifth, and points lost by each way to choose."""
    official = np.stack([ranking.official for ranking in rankings])
    pseudo = np.stack([ranking.pseudo for ranking in rankings])
    best, rows = official.max(axis=1), np.arange(len(rankings))
    chosen = official[rows, pseudo.argmax(axis=1)]
    fifth = np.quantile(official, 0.8, axis=1)
    constant = official.mean(axis=0).argmax()
    correlations = [spearmanr(ranking.official, ranking.pseudo).statistic for ranking in rankings]
    return {
        "rank correlation": float(np.nanmean(correlations)),
        "in the best fifth": float((chosen >= fifth).mean()),
        "lost by pseudo-anomalies": float((best - chosen).mean()),
        "lost by the best on average": float((best - official[:, constant]).mean()),
        "lost by a random choice": float((best - official.mean(axis=1)).mean()),
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Print a row for each group of machines."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("scores", type=Path, help="CSV file that `detector_choice` wrote")
    rankings = read_rankings(parser.parse_args(argv).scores)
    groups = dict.fromkeys(ranking.group for ranking in rankings)
    summaries = {group: summarize([one for one in rankings if one.group == group]) for group in groups}
    rows = [[group, *(f"{value:.2f}" for value in summary.values())] for group, summary in summaries.items()]
    header = ["Machines", *next(iter(summaries.values()))]
    print(markdown.table(header, rows, "l" + "r" * (len(header) - 1)))


if __name__ == "__main__":
    main()

"""The table of the choice: means of thirds, paired intervals, and the rule."""

import numpy as np
import pytest

from modeling_retainmix.evaluation.studies.choice_table import (
    choose,
    difference_interval,
    group_means,
    main,
    read_scores,
)

COLUMNS = "group,unit,condition,references,representation,backend,official_score,pseudo_auc"
DETECTORS = {("log-mel mean", "knn"): 0, ("log-mel statistics", "whitened"): 10, ("encoder, layer 1", "knn"): 12}


def write_scores(path, worse_on=None):
    """Three groups of four units and two conditions; the encoder is 2 points better, but on one group 5 worse."""
    lines = [COLUMNS]
    for group, base in (("factory", 50), ("fan", 60), ("pump", 70)):
        for unit in range(4):
            for condition in ("clean", "0 dB"):
                for place, references in enumerate(("all", "few", "very few")):
                    if (condition, references) == ("clean", "all") and unit > 0:
                        continue
                    for (name, backend), gain in DETECTORS.items():
                        worse = -7 if group == worse_on and name.startswith("encoder") else 0
                        score = base + gain + worse - place + unit + 8 * (condition == "clean")
                        lines.append(f'{group},{unit},{condition},{references},"{name}",{backend},{score},')
    path.write_text("\n".join(lines))
    path.with_name(f"{path.name}.times.csv").write_text("representation,milliseconds\nlog-mel mean,0.5\n")
    return path


def test_means_are_of_thirds(tmp_path):
    scores, units = read_scores(write_scores(tmp_path / "scores.csv"))
    assert units == {group: ["0", "1", "2", "3"] for group in ("factory", "fan", "pump")}
    means = group_means(scores["log-mel mean", "knn"])
    all_references = (50 + 1.5 + 50 + 8) / 2  # the clean score of the first unit counts for every unit
    fewer = [50 + 1.5 + 8 / 2 - place for place in (1, 2)]
    assert means["factory"] == pytest.approx((all_references + sum(fewer)) / 3)
    assert means["mean"] == pytest.approx(means["factory"] + 10)


def test_interval_is_that_of_paired_differences():
    generator = np.random.default_rng(0)
    units = 10 * generator.normal(size=(3, 400))
    noise = generator.normal(size=(3, 400))
    mean, low, high = difference_interval(units + 2 + noise, units)
    expected = noise.mean(axis=0)
    error = 1.96 * expected.std() / 20
    assert mean == pytest.approx(2 + expected.mean())
    assert low == pytest.approx(mean - error, abs=0.03) and high == pytest.approx(mean + error, abs=0.03)


@pytest.mark.parametrize(
    ("worse_on", "default"), [(None, ("encoder, layer 1", "knn")), ("fan", ("log-mel statistics", "whitened"))]
)
def test_default_is_the_best_that_is_nowhere_worse_than_log_mel(tmp_path, worse_on, default, capsys):
    path = write_scores(tmp_path / "scores.csv", worse_on)
    scores, _ = read_scores(path)
    assert choose(scores) == (default, ("log-mel statistics", "whitened"))
    main([str(path)])
    printed = capsys.readouterr().out
    assert printed.strip().endswith(f"Default by the rule: {', '.join(default)}.")
    lines = [line for line in printed.splitlines() if line.startswith("| log-mel mean")]
    assert len(lines) == 1 and lines[0].endswith("| 0.5 |")

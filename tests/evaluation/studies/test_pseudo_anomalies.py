"""Rankings by pseudo-anomalies beside those by the official score."""

import numpy as np
import pytest

from modeling_retainmix.evaluation.studies.pseudo_anomalies import Ranking, main, read_rankings, summarize


def test_when_both_rankings_agree_then_the_choice_loses_nothing():
    official = np.array([50.0, 60, 70, 80, 90])
    summary = summarize([Ranking("fan", official, official - 7), Ranking("fan", official[::-1], official[::-1] / 2)])
    assert summary["rank correlation"] == pytest.approx(1) and summary["in the best fifth"] == 1
    assert summary["lost by pseudo-anomalies"] == 0
    assert summary["lost by the best on average"] == 20 and summary["lost by a random choice"] == 20


def test_when_rankings_are_opposed_then_the_choice_is_the_worst():
    official = np.array([50.0, 60, 70, 80, 90])
    summary = summarize([Ranking("fan", official, -official)])
    assert summary["rank correlation"] == pytest.approx(-1) and summary["in the best fifth"] == 0
    assert summary["lost by pseudo-anomalies"] == 40 and summary["lost by the best on average"] == 0


def test_command_prints_a_row_per_group_from_rows_with_all_references(tmp_path, capsys):
    lines = ["group,unit,condition,references,representation,backend,official_score,pseudo_auc"]
    for group in ("factory", "pump"):
        for unit in range(2):
            for place, backend in enumerate(("knn", "whitened", "varmin")):
                lines.append(f"{group},{unit},clean,all,log-mel mean,{backend},{60 + place},{70 + 2 * place}")
                lines.append(f"{group},{unit},clean,few,log-mel mean,{backend},{60 - place},")
    path = tmp_path / "scores.csv"
    path.write_text("\n".join(lines))
    rankings = read_rankings(path)
    assert len(rankings) == 4 and rankings[0].official.tolist() == [60, 61, 62]
    main([str(path)])
    rows = capsys.readouterr().out.splitlines()[2:]
    assert [row.split(" | ")[:3] for row in rows] == [["| factory", "1.00", "1.00"], ["| pump", "1.00", "1.00"]]
    assert pytest.approx(1.0) == float(rows[0].strip("| ").split(" | ")[-1])

"""Row files and the tables made of them."""

import csv
import json
from dataclasses import replace

import pytest
import torch

from modeling_retainmix.evaluation.embeddings import embed_mixtures
from modeling_retainmix.evaluation.paper.row_files import read_rows, write_row
from modeling_retainmix.evaluation.paper.tables_2_to_5 import write_tables
from modeling_retainmix.evaluation.results import protocol_record
from modeling_retainmix.evaluation.scores import score_benchmark


@pytest.fixture(scope="module")
def scores(tiny_benchmark, tiny_protocol):
    def embed(waveforms):
        magnitudes = torch.fft.rfft(waveforms).abs()
        return {1: magnitudes, 2: magnitudes[:, :9]}

    return score_benchmark(tiny_benchmark, tiny_protocol, lambda m: embed_mixtures(m, tiny_protocol, embed))


@pytest.fixture
def context(tiny_benchmark, tiny_protocol):
    counts = {machine.machine_type: machine.counts() for machine in tiny_benchmark}
    return {"benchmark": "benchmark", "protocol": protocol_record(tiny_protocol, counts, reused_segments=0)}


@pytest.fixture
def folder(tmp_path, scores, context):
    for seed in (0, 1):
        write_row(tmp_path / "rows", "both_0db", seed, 1, scores[1], context)
        write_row(tmp_path / "rows", "frozen_same_layer", seed, 1, scores[2], context)
    write_row(tmp_path / "rows", "log_mel", 0, None, scores[2], context)
    return tmp_path


def cells(path, system):
    """The cells of the lines of a Markdown table from that of a system on, by heading."""
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in path.read_text().splitlines()
        if line.startswith("|")
    ]
    start = next(index for index, line in enumerate(lines) if line[0] == system)
    return [dict(zip(lines[0], line, strict=False)) for line in lines[start:]]


def test_when_a_row_is_read_then_it_is_as_it_was_written(folder, scores):
    row = next(row for row in read_rows(folder / "rows") if row.key == "both_0db" and row.seed == 1)
    assert row.layer == 1
    assert row.scores["Mismatch"][-10] == 100 * scores[1].official("Mismatch", -10)
    for cell, values in scores[1].clips.scores.items():
        assert (row.clips.scores[cell] == values).all()
    assert (row.clips.is_target_domain == scores[1].clips.is_target_domain).all()


def test_when_clips_are_scored_by_another_years_rules_then_the_row_keeps_them(tmp_path, scores, context):
    older = replace(scores[1], clips=replace(scores[1].clips, rules=2021))
    write_row(tmp_path, "oracle", 0, 1, older, context)
    (row,) = read_rows(tmp_path)
    assert row.clips.rules == 2021


def test_when_tables_are_written_then_our_figures_stand_beside_the_papers(folder, scores):
    paths = write_tables(folder, read_rows(folder / "rows"))
    assert [path.name for path in paths] == ["table_2.md", "table_3.md", "table_4.md", "table_5.md", "summary.md"]
    ours, paper, *_ = cells(folder / "table_2.md", "Tagging + mixture loss, 0 dB")
    assert ours["Factory A -10 dB"] == f"{100 * scores[1].official('Factory A', -10):.1f} ± 0.0"
    assert ours["Hmean {-10}"].startswith(f"{100 * scores[1].hmean_low:.1f} ± 0.0 [")
    assert ours["Hmean {-10, -5, 0}"] == "-"
    assert paper["Mismatch -10 dB"] == "52.5"
    assert paper["Hmean {-10, -5, 0}"] == "70.1"
    assert "6 source references" in (folder / "table_2.md").read_text()


def test_when_a_row_of_the_paper_was_not_run_then_it_stands_there_with_a_dash(folder):
    write_tables(folder, read_rows(folder / "rows"))
    ours, paper, *_ = cells(folder / "table_5.md", "Mixture loss on AS-20K")
    assert (ours["Seeds"], ours["Mismatch -10 dB"], paper["Mismatch -10 dB"]) == ("-", "-", "45.4")
    ours, paper, *_ = cells(folder / "table_3.md", "Oracle (mean of clean and noise embeddings)")
    assert (ours["fan"], paper["fan"], ours["shaker"], paper["shaker"]) == ("-", "-", "-", "99.7")
    assert paper["Hmean"] == "73.6"


def test_when_a_row_is_not_the_papers_then_it_has_no_line_of_the_papers(folder):
    write_tables(folder, read_rows(folder / "rows"))
    ours, following, *_ = cells(folder / "table_2.md", "Log-mel mean")
    assert ours["Seeds"] == "1"
    assert following["System"] != ""


def test_when_the_summary_is_written_then_csv_holds_difference_spread_and_interval(folder, scores):
    write_tables(folder, read_rows(folder / "rows"))
    with (folder / "summary.csv").open(newline="") as file:
        records = {(record["row"], record["figure"]): record for record in csv.DictReader(file)}
    record = records["both_0db", "Hmean {-10} less frozen, same layer"]
    assert float(record["mean"]) == pytest.approx(100 * (scores[1].hmean_low - scores[2].hmean_low), abs=1e-3)
    assert (record["std"], record["seeds"]) == ("0.000", "2")
    assert float(record["low"]) <= float(record["mean"]) <= float(record["high"])
    assert records["both_0db", "Hmean {-10, -5, 0}"]["paper"] == "70.100"


def test_when_rows_are_of_two_protocols_then_the_error_names_the_file(folder, scores, context):
    other = {**context, "protocol": {**context["protocol"], "clip_seconds": 10.0}}
    write_row(folder / "rows", "oracle", 0, 1, scores[1], other)
    with pytest.raises(ValueError, match=r"oracle_seed0.json was scored with clip_seconds 10.0, both_0db_seed0.json"):
        read_rows(folder / "rows")


def test_when_seeds_are_of_other_machine_types_then_the_error_names_the_file(folder, scores, context):
    other = {**context, "protocol": {**context["protocol"], "clips": {"lathe": {}}}}
    write_row(folder / "rows", "oracle", 7, 1, scores[1], other)
    with pytest.raises(ValueError, match=r"oracle_seed7.json was scored with machine types \['lathe'\], both_0db"):
        read_rows(folder / "rows")


def test_when_rows_of_a_seed_are_of_other_clips_then_the_error_names_the_file(folder, scores, context):
    write_row(folder / "rows", "oracle", 1, 1, scores[1], {**context, "benchmark": "another"})
    with pytest.raises(ValueError, match=r"oracle_seed1.json was scored on other clips than both_0db_seed1.json"):
        read_rows(folder / "rows")
    write_row(folder / "rows", "oracle", 2, 1, scores[1], {**context, "benchmark": "another"})
    (folder / "rows" / "oracle_seed1.json").unlink()
    assert len(read_rows(folder / "rows")) == 6


def test_when_a_row_file_is_broken_then_the_error_names_it(folder):
    path = folder / "rows" / "log_mel_seed0.json"
    record = json.loads(path.read_text())
    del record["clip_scores"]
    path.write_text(json.dumps(record))
    with pytest.raises(ValueError, match=r"log_mel_seed0.json is not a valid row"):
        read_rows(folder / "rows")


def test_when_there_are_no_rows_then_the_error_says_how_to_get_some(tmp_path):
    with pytest.raises(FileNotFoundError, match="--teacher"):
        read_rows(tmp_path)

"""The record of a run and its table."""

import json

import pytest

from modeling_retainmix.evaluation.benchmark_embeddings import embed_mixtures
from modeling_retainmix.evaluation.benchmark_scores import score_benchmark
from modeling_retainmix.evaluation.results import (
    environment_record,
    markdown_table,
    protocol_record,
    protocol_sentence,
    result_row,
    write_results,
)


@pytest.fixture(scope="module")
def row(tiny_benchmark, tiny_protocol):
    def embed(waveforms):
        return {1: waveforms.square().mean(dim=1, keepdim=True)}

    scores = score_benchmark(
        tiny_benchmark, tiny_protocol, lambda machine: embed_mixtures(machine, tiny_protocol, embed)
    )
    return result_row("power", scores[1], layer=1)


@pytest.fixture(scope="module")
def protocol(tiny_benchmark, tiny_protocol):
    counts = {machine.machine_type: machine.counts() for machine in tiny_benchmark}
    return protocol_record(tiny_protocol, counts, reused_segments=0)


def test_when_row_is_made_then_it_is_in_percent_and_survives_json(row):
    assert json.loads(json.dumps(row)) == row
    assert row["scores"].keys() == {"Factory A", "Factory B", "Mismatch"}
    assert 0 <= row["hmean_low"] <= 100
    assert row["per_machine"]["Mismatch"]["-10"].keys() == {"fan", "pump"}


def test_when_table_is_printed_then_each_row_has_every_cell(row, protocol):
    header, rule, line = markdown_table([row], protocol).splitlines()
    assert header.count("|") == rule.count("|") == line.count("|") == 11
    assert "Mismatch -10 dB" in header and "Hmean {-10}" in header
    assert f"{row['scores']['Factory B']['0']:.1f}" in line


def test_when_protocol_is_described_then_counts_and_reuse_are_stated(protocol):
    sentence = protocol_sentence(protocol)
    assert "`tiny`" in sentence and "6 source references" in sentence and "8 anomalous tests" in sentence
    assert "no noise segment used twice" in sentence
    assert "12 noise segments used more than once" in protocol_sentence({**protocol, "noise_segments_reused": 12})


def test_when_machine_types_differ_in_clips_then_the_range_is_printed(protocol):
    clips = {**protocol["clips"], "pump": {**protocol["clips"]["pump"], "target references": 1}}
    assert "1 to 3 target references" in protocol_sentence({**protocol, "clips": clips})


def test_when_results_are_written_then_no_temporary_file_stays(tmp_path, row, protocol):
    write_results(tmp_path / "results.json", {"rows": [row], "protocol": protocol, **environment_record()})
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]
    written = json.loads((tmp_path / "results.json").read_text())
    assert written["format_version"] == 1
    assert written["versions"]["torch"]

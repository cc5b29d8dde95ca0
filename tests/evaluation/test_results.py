"""The record of a run and its table."""

import json

import pytest

from modeling_retainmix.evaluation.benchmark_embeddings import embed_mixtures
from modeling_retainmix.evaluation.benchmark_scores import score_benchmark
from modeling_retainmix.evaluation.results import environment_record, protocol_record, result_row, write_results
from modeling_retainmix.hub.run_record import markdown_table, protocol_sentence


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


def test_when_protocol_is_recorded_then_it_holds_what_the_printed_table_needs(row, protocol):
    assert markdown_table([row], protocol).count("\n") == 2
    assert "6 source references" in protocol_sentence(protocol)


def test_when_results_are_written_then_no_temporary_file_stays(tmp_path, row, protocol):
    write_results(tmp_path / "results.json", {"rows": [row], "protocol": protocol, **environment_record()})
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]
    written = json.loads((tmp_path / "results.json").read_text())
    assert written["format_version"] == 1
    assert written["versions"]["torch"]

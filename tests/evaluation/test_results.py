"""The record of a run and its table."""

import json
from dataclasses import replace

import pytest
from scipy.stats import hmean
from sklearn.metrics import roc_auc_score

from modeling_retainmix.data.benchmark import domains_of_tests
from modeling_retainmix.evaluation.embeddings import embed_mixtures
from modeling_retainmix.evaluation.results import environment_record, protocol_record, result_row, write_results
from modeling_retainmix.evaluation.scores import score_benchmark
from modeling_retainmix.hub.result_tables import markdown_table, protocol_sentence


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


def test_when_tests_are_of_one_domain_then_the_score_is_of_auc_and_pauc_and_the_sentence_says_so(
    tiny_benchmark, tiny_protocol, protocol
):
    sources = [source_tests(machine) for machine in tiny_benchmark]
    scores = score_benchmark(
        sources, tiny_protocol, lambda machine: embed_mixtures(machine, tiny_protocol, lambda x: {1: x[:, :9]})
    )[1]
    machines = result_row("start", scores)["per_machine"]["Factory A"]["0"]
    clips = scores.clips
    for name, parts in machines.items():
        of_machine = clips.machine_types == name
        labels, values = clips.is_anomaly[of_machine], clips.scores["Factory A", 0][of_machine]
        auc, pauc = roc_auc_score(labels, values), roc_auc_score(labels, values, max_fpr=0.1)
        assert parts == pytest.approx(
            {"official_score": 100 * hmean([auc, pauc]), "auc": 100 * auc, "pauc": 100 * pauc}
        )
    record = protocol_record(tiny_protocol, {"fan": sources[0].counts()}, 0, domains=domains_of_tests(sources))
    assert "(harmonic mean of AUC and pAUC over" in protocol_sentence(record)
    assert "(harmonic mean of source AUC, target AUC and pAUC over" in protocol_sentence(protocol)


def source_tests(machine):
    """The benchmark of a machine type without its tests of the target domain."""
    kept = machine.is_reference | ~machine.is_target
    columns = ("clean_rows", "is_reference", "is_anomaly", "is_target")
    noise_rows = {kind: rows[kept] for kind, rows in machine.noise_rows.items()}
    return replace(machine, noise_rows=noise_rows, **{name: getattr(machine, name)[kept] for name in columns})


def test_when_results_are_written_then_no_temporary_file_stays(tmp_path, row, protocol):
    write_results(tmp_path / "results.json", {"rows": [row], "protocol": protocol, **environment_record()})
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]
    written = json.loads((tmp_path / "results.json").read_text())
    assert written["format_version"] == 1
    assert written["versions"]["torch"]

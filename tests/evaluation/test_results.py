"""The record of a run: what is written is read back; errors name the file and the entry."""

import json
from dataclasses import replace

import pytest
from scipy.stats import hmean
from sklearn.metrics import roc_auc_score

from modeling_retainmix.data.benchmark import domains_of_tests
from modeling_retainmix.evaluation.embeddings import embed_mixtures
from modeling_retainmix.evaluation.results import (
    _KEYS_OF_OLD_LABELS,
    environment_record,
    protocol_record,
    read_results,
    result_row,
    write_results,
)
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
        is_machine = clips.machine_types == name
        labels, values = clips.is_anomaly[is_machine], clips.scores["Factory A", 0][is_machine]
        auc, pauc = roc_auc_score(labels, values), roc_auc_score(labels, values, max_fpr=0.1)
        assert parts == pytest.approx(
            {"official_score": 100 * hmean([auc, pauc]), "auc": 100 * auc, "pauc": 100 * pauc}
        )
    record = protocol_record(tiny_protocol, {"fan": sources[0].counts()}, 0, domains=domains_of_tests(sources))
    assert "(harmonic mean of AUC and pAUC over" in protocol_sentence(record)
    assert "(harmonic mean of source AUC, target AUC and pAUC over" in protocol_sentence(protocol)


def source_tests(machine):
    """The benchmark of a machine type without its tests of the target domain."""
    kept = machine.is_reference | ~machine.is_target_domain
    columns = ("clean_rows", "is_reference", "is_anomaly", "is_target_domain")
    noise_rows = {kind: rows[kept] for kind, rows in machine.noise_rows.items()}
    return replace(machine, noise_rows=noise_rows, **{name: getattr(machine, name)[kept] for name in columns})


def test_when_results_are_written_then_no_temporary_file_stays(tmp_path, row, protocol):
    write_results(tmp_path / "results.json", {"rows": [row], "protocol": protocol, **environment_record()})
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]
    written = json.loads((tmp_path / "results.json").read_text())
    assert written["format_version"] == 1
    assert written["versions"]["torch"]


def delete(results: dict, *keys: str | int) -> None:
    for key in keys[:-1]:
        results = results[key]
    del results[keys[-1]]


def write_json(tmp_path, content):
    (tmp_path / "results.json").write_text(json.dumps(content))
    return tmp_path / "results.json"


def test_complete_file_is_returned_as_it_stands(tmp_path, results):
    assert read_results(write_json(tmp_path, results)) == results


@pytest.mark.parametrize(
    ("keys", "named"),
    [
        (("command",), "command"),
        (("protocol", "k"), "protocol.k"),
        (("model", "base_model"), "model.base_model"),
        (("data", "evaluation"), "data.evaluation"),
        (("rows", 1, "hmean_low"), r"rows\[1\].hmean_low"),
        (("rows", 2, "scores", "Mismatch"), r"rows\[2\].scores.Mismatch"),
        (("rows", 0, "scores", "Factory B", "0"), r"rows\[0\].scores.Factory B.0"),
        (("rows",), "rows"),
    ],
)
def test_when_an_entry_is_missing_then_error_names_file_and_entry(tmp_path, results, keys, named):
    delete(results, *keys)
    path = write_json(tmp_path, results)
    with pytest.raises(ValueError, match=rf"results.json lacks {named}"):
        read_results(path)


@pytest.mark.parametrize("value", [101.0, -1])
def test_when_a_score_is_no_percentage_then_error_names_the_row(tmp_path, results, value):
    results["rows"][1]["scores"]["Mismatch"]["0"] = value
    path = write_json(tmp_path, results)
    with pytest.raises(ValueError, match=r"a score of rows\[1\] \(RetainMix\)"):
        read_results(path)


def test_when_there_is_no_file_or_no_json_or_another_version_then_error_says_so(tmp_path):
    path = tmp_path / "results.json"
    with pytest.raises(FileNotFoundError, match=r"results\.json does not exist"):
        read_results(path)
    path.write_text("{")
    with pytest.raises(ValueError, match=r"results\.json is not valid JSON"):
        read_results(path)
    for content in ("[]", '{"format_version": 2}'):
        path.write_text(content)
        with pytest.raises(ValueError, match=r"results\.json has format_version"):
            read_results(path)


def test_when_the_trained_model_has_no_row_then_error_says_so(tmp_path, results):
    del results["rows"][1]
    path = write_json(tmp_path, results)
    with pytest.raises(ValueError, match="has no row with the key 'trained'"):
        read_results(path)


@pytest.mark.parametrize(
    ("keys", "value", "problem"),
    [
        (("command",), ["a"], "command must be text"),
        (("commit",), 3, "commit must be text or null"),
        (("protocol",), [], "protocol must be a mapping"),
        (("protocol", "snr_db"), "0", "protocol.snr_db must be a list"),
        (("protocol", "snr_db"), [], "protocol.snr_db lists no SNR"),
        (("protocol", "snr_db"), [None], "protocol.snr_db.0 must be a number"),
        (("protocol", "low_snr_db"), [10**400], "protocol.low_snr_db.0 must be a finite number"),
        (("protocol", "clip_seconds"), float("nan"), "protocol.clip_seconds must be a finite number"),
        (("protocol", "k"), True, "protocol.k must be an integer"),
        (("protocol", "clips"), {}, "protocol.clips names no machine type"),
        (("protocol", "clips", "pump"), 3, "protocol.clips.pump must be a mapping"),
        (("protocol", "clips", "pump", "tests"), "80", "protocol.clips.pump.tests must be an integer"),
        (("protocol", "rules"), "2023", "protocol.rules must be an integer"),
        (("data", "training"), None, "data.training must be text"),
        (("data", "datasets"), [3], "data.datasets.0 must be text"),
        (("settings",), "a", "settings must be a mapping"),
        (("settings", "alpha"), "1", "settings.alpha must be a number"),
        (("model", "num_parameters"), "2M", "model.num_parameters must be an integer"),
        (("model", "average_of"), [{"name": "a"}], "lacks model.average_of.0.differs"),
        (("versions",), None, "versions must be a mapping"),
        (("rows",), {"a": 1}, "lacks rows"),
        (("rows", 0), "a", r"rows\[0\] must be a mapping"),
        (("rows", 0, "key"), 3, r"lacks rows\[0\].key, and 'Log-mel mean'"),
        (("rows", 1, "layer"), "2", r"rows\[1\].layer must be an integer or null"),
        (("rows", 1, "scores"), [], r"rows\[1\].scores must be a mapping"),
        (("rows", 1, "scores", "Mismatch", "0"), "61.2", r"rows\[1\].scores.Mismatch.0 must be a number"),
        (("rows", 1, "scores", "Mismatch", "0"), float("nan"), r"rows\[1\].scores.Mismatch.0 must be a finite number"),
        (("rows", 1, "scores", "Mismatch", "x"), 3, r"has rows\[1\].scores.Mismatch.'x'"),
        (("rows", 1, "scores", "Factory C"), {}, r"has rows\[1\].scores.'Factory C'"),
        (("rows", 1, "per_machine", "Mismatch", "0"), {}, r"lacks rows\[1\].per_machine.Mismatch.0.pump"),
        (("rows", 1, "per_machine", "Factory C"), {}, r"has rows\[1\].per_machine.'Factory C' without scores"),
    ],
)
def test_when_an_entry_has_another_type_then_one_line_names_file_and_entry(tmp_path, results, keys, value, problem):
    place = results
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    with pytest.raises(ValueError, match=rf"results\.json:? {problem}") as error:
        read_results(write_json(tmp_path, results))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b'{"rows":' * 100_000, b"\xff\xfe{\x00}\x00", b'{"command": "\\ud800"}'])
def test_when_the_file_is_nested_without_end_or_in_another_encoding_then_one_line_names_it(tmp_path, content):
    (tmp_path / "results.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"results\.json .*: evaluate again to rewrite it") as error:
        read_results(tmp_path / "results.json")
    assert "\n" not in str(error.value)


def test_when_a_file_is_from_before_rows_had_keys_then_they_are_found_by_their_old_labels(tmp_path, results):
    (row,) = results["rows"][:1]
    del row["key"]
    results["rows"] = [{**row, "name": name} for name in _KEYS_OF_OLD_LABELS]
    found = read_results(write_json(tmp_path, results))["rows"]
    assert [row["key"] for row in found] == list(_KEYS_OF_OLD_LABELS.values())
    assert {"log_mel", "frozen_same_layer", "frozen_best_layer", "trained", "oracle"} == {row["key"] for row in found}


def test_when_an_old_label_is_not_known_then_the_error_names_it(tmp_path, results):
    del results["rows"][0]["key"]
    results["rows"][0]["name"] = "Ours"
    with pytest.raises(ValueError, match=r"lacks rows\[0\].key, and 'Ours' is not a known system"):
        read_results(write_json(tmp_path, results))

"""The card of a pre-trained encoder: what its record and the results of a run say, and nothing else."""

import pytest

from modeling_retainmix.hub.pretrained_card import pretrained_card, probe_table, write_pretrained_card
from modeling_retainmix.hub.result_tables import markdown_table

RECORD = {
    "step": 4000,
    "scores": {
        "probe_knn_layer_0": 55.04,
        "probe_knn_layer_1": 61.0,
        "probe_whitened_layer_1": 62.5,
        "probe_knn_log_mel_statistics": 58.0,
    },
    "settings": {"tokenizer_model": None, "statistics_weight": 0.5, "mask_ratio": 0.75},
    "data": {
        "training": "recordings with noise of <b>hall</b>",
        "training_machine_clips": 7,
        "training_noise_clips": 5,
    },
    "model": {"num_parameters": 2_000_000, "embedding_layer": 1},
}


def test_without_results_the_card_shows_the_probe_the_settings_and_the_data():
    text = str(pretrained_card(RECORD, "plant/encoder"))
    assert "| 0 | 55.0 | - |" in text and "| 1 | 61.0 | 62.5 |" in text
    assert "| log-mel statistics | 58.0 | - |" in text and "7 clips of machines and\n  5 of noise" in text
    assert "license: unknown" in text and "pipeline_tag: feature-extraction" in text
    assert "2,000,000 parameters; the detector reads layer 1." in text and "4000 steps" in text
    assert "| mask_ratio | 0.75 |" in text and "| training_machine_clips | 7 |" in text
    assert "--model plant/encoder" in text and 'from_pretrained("plant/encoder")' in text
    assert "random-projection codes" in text and "also predicts level" in text
    assert "model-index" not in text and "Official score of each system" not in text and "<b>" not in text


def test_a_training_that_was_ended_early_says_how_many_steps_were_planned():
    settings = {**RECORD["settings"], "max_steps": 56000}
    text = str(pretrained_card({**RECORD, "settings": settings}, "one"))
    assert "over 4000 steps, of\n56000 that were planned." in text
    settings["max_steps"] = RECORD["step"]
    assert "over 4000 steps.\n" in str(pretrained_card({**RECORD, "settings": settings}, "one"))


def test_second_iteration_and_no_statistics_are_told_apart():
    settings = {**RECORD["settings"], "tokenizer_model": "first", "statistics_weight": 0.0}
    text = str(pretrained_card({**RECORD, "settings": settings}, "second"))
    assert "codes of another encoder's tokens" in text and "also predicts level" not in text


def test_with_results_the_card_shows_the_table_and_the_frozen_rows_scores(tmp_path, results):
    path = write_pretrained_card(tmp_path, RECORD, "plant/encoder", results)
    text = path.read_text(encoding="utf-8")
    assert markdown_table(results["rows"], results["protocol"]) in text
    row = next(row for row in results["rows"] if row["key"] == "frozen_same_layer")
    assert f"value: {round(row['hmean_all'], 2)}" in text
    assert results["command"] in text and "few validation machines" not in text
    assert ("scores.png" in text) == (tmp_path / "scores.png").is_file()


def test_when_no_probe_was_run_then_the_card_says_so():
    assert probe_table({"loss": 1.0}) == "No probe was run."
    assert "No probe was run." in str(pretrained_card({**RECORD, "scores": {}}, "one"))


@pytest.mark.parametrize("missing", ["settings", "data"])
def test_a_record_without_a_part_is_an_error(missing):
    record = {name: value for name, value in RECORD.items() if name != missing}
    with pytest.raises(KeyError, match=missing):
        pretrained_card(record, "encoder")

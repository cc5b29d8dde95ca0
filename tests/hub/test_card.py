"""The model cards: valid for huggingface_hub's own classes, every number from results.json."""

import ast
import json
import re

import pytest
from huggingface_hub import ModelCard

from modeling_retainmix.encoders import BeatsConfig
from modeling_retainmix.hub.card import write_model_card, write_teacher_card, write_unscored_card


def card_of(folder) -> ModelCard:
    return ModelCard.load(write_model_card(folder))


def rewrite(folder, results) -> None:
    (folder / "results.json").write_text(json.dumps(results))


def test_front_matter_holds_what_the_hub_shows_and_no_empty_entry(checkpoint_folder):
    data = card_of(checkpoint_folder).data
    assert (data.license, data.library_name, data.pipeline_tag) == (
        "apache-2.0",
        "transformers",
        "audio-classification",
    )
    assert data.metrics == ["dcase_score"] and "anomalous-sound-detection" in data.tags
    assert "base_model" not in data.to_dict()


def test_model_index_holds_the_measured_scores_of_the_model_and_of_nothing_else(checkpoint_folder, results):
    entries = card_of(checkpoint_folder).data.eval_results
    by_cell = {(entry.dataset_config, tuple(entry.metric_args["snr_db"])): entry.metric_value for entry in entries}
    scores = results["rows"][1]["scores"]
    expected = {(subset, (float(snr),)): value for subset, cells in scores.items() for snr, value in cells.items()}
    assert by_cell == expected | {("all subsets", (-10, 0)): 65.25, ("all subsets", (-10, 0, 10)): 68.25}


@pytest.mark.parametrize(
    ("base_model", "kept"), [("microsoft/beats", True), ("outputs/demo/teacher", False), ("x", False)]
)
def test_base_model_is_in_the_front_matter_only_if_it_is_a_name_on_the_hub(
    checkpoint_folder, results, base_model, kept
):
    results["model"]["base_model"] = base_model
    rewrite(checkpoint_folder, results)
    card = card_of(checkpoint_folder)
    assert (card.data.base_model == base_model) is kept
    assert f"Started from `{base_model}`" in card.text


def test_data_sets_of_the_hub_that_the_model_was_trained_on_are_in_the_front_matter(checkpoint_folder, results):
    assert "datasets" not in card_of(checkpoint_folder).data.to_dict()
    results["data"]["datasets"] = ["acme/machines"]
    rewrite(checkpoint_folder, results)
    assert card_of(checkpoint_folder).data.datasets == ["acme/machines"]


def test_local_folder_with_the_shape_of_a_hub_name_is_no_base_model(checkpoint_folder, results, tmp_path, monkeypatch):
    (tmp_path / "outputs" / "demo").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    results["model"]["base_model"] = "outputs/demo"
    rewrite(checkpoint_folder, results)
    assert card_of(checkpoint_folder).data.base_model is None


def test_licence_is_that_of_the_encoder_that_training_started_from(checkpoint_folder, results, tmp_path):
    results["model"]["base_model"] = str(tmp_path / "base")
    rewrite(checkpoint_folder, results)
    for content, license in ((None, "unknown"), ("# no front matter", "unknown"), ("---\nlicense: mit\n---\n", "mit")):
        if content is not None:
            BeatsConfig().save_pretrained(tmp_path / "base")
            (tmp_path / "base" / "README.md").write_text(content)
        card = card_of(checkpoint_folder)
        assert card.data.license == license
        assert ("states no licence" in card.text) == (license == "unknown")
    assert ModelCard.load(write_model_card(checkpoint_folder, "cc-by-4.0")).data.license == "cc-by-4.0"


@pytest.mark.parametrize(
    ("settings", "told", "untold"),
    [
        ({}, ["classifies both sources", "keeps its tokens"], []),
        ({"alpha": 0.0}, ["keeps its tokens"], ["classifies"]),
        ({"beta": 0.0, "tag_noise": False}, ["classifies the machine"], ["both sources", "keeps its tokens"]),
    ],
)
def test_card_tells_what_the_losses_in_use_train(checkpoint_folder, results, settings, told, untold):
    results["settings"] |= settings
    rewrite(checkpoint_folder, results)
    introduction = card_of(checkpoint_folder).text.split("## How to use")[0]
    assert all(words in introduction for words in told) and not [words for words in untold if words in introduction]


def test_card_without_scores_holds_settings_and_no_table(tmp_path, results):
    record = {name: results[name] for name in ("settings", "data", "model")}
    card = ModelCard.load(write_unscored_card(tmp_path, record))
    assert card.data.eval_results is None and "metrics" not in card.data.to_dict()
    assert "No official score of this model has been measured." in card.text and "| lam | 0.5 |" in card.text
    assert "System" not in card.text and "The scores hold" not in card.text and "{{" not in card.text


def test_text_holds_table_settings_data_command_and_hardware(checkpoint_folder):
    text = card_of(checkpoint_folder).text
    for fragment in (
        "| RetainMix | 2 | 61.2 |",
        "| lam | 0.5 |",
        "| snr_db | [-5.0, 5.0] |",
        "| factory_version | 3 |",
        "accelerate launch train_accelerate.py --hub_model_id acme/hum",
        "| commit | 0123456789abcdef |",
        "| cores | 2 |",
        "| accelerator | - |",
        "| peak memory in GiB | 2.5 |",
        "2,100,123 parameters",
        "protocol `small`",
    ):
        assert fragment in text
    assert "{{" not in text and "{%" not in text


def test_code_of_the_card_is_valid_python_and_loads_the_model_by_its_name(checkpoint_folder):
    blocks = re.findall(r"```python\n(.*?)```", card_of(checkpoint_folder).text, re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        ast.parse(block)
        assert '"acme/hum"' in block


def test_values_with_pipes_and_line_ends_stay_in_their_table_row(checkpoint_folder, results):
    results["settings"]["note"] = "a|b\nc"
    rewrite(checkpoint_folder, results)
    assert "| note | a\\|b c |" in card_of(checkpoint_folder).text


def test_when_results_are_missing_then_no_card_is_written(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"results\.json"):
        write_model_card(tmp_path)
    assert not (tmp_path / "README.md").exists()


def test_card_names_both_ways_to_the_code_where_transformers_refuses_to_load(checkpoint_folder):
    """The message of transformers names `trust_remote_code=True` alone and sends the reader to the repository."""
    text = card_of(checkpoint_folder).text
    usage = text[text.index("## How to use") : text.index("## Results")]
    assert "install `retainmix`" in usage and "`import modeling_retainmix` before loading" in usage
    assert "`trust_remote_code=True`, without the package" in usage


def test_card_of_a_teacher_holds_its_own_row_its_own_settings_and_its_own_name(checkpoint_folder, results, tmp_path):
    results["settings"] |= {
        "teacher_inputs": "mixture_level",
        "teacher_steps": 750,
        "encoder_config": {"hidden_size": 192},
        "seed": 5,
    }
    results["data"]["training"] = "plant with noise of hall"
    rewrite(checkpoint_folder, results)
    card = ModelCard.load(write_teacher_card(tmp_path, checkpoint_folder))
    assert card.data.model_name == "acme/hum-teacher" and "base_model" not in card.data.to_dict()
    (low,) = [entry.metric_value for entry in card.data.eval_results if "low SNR" in entry.metric_name]
    assert low == 55.5 + 4
    for fragment in (
        "| teacher_steps | 750 |",
        "| seed | 5 |",
        "start, of `acme/hum`",
        "750 steps on little data (plant with noise of hall)",
        "| Factory A | pump | 54.5 |",
    ):
        assert fragment in card.text
    assert "| lam |" not in card.text and "teacher_inputs" not in card.text and "{{" not in card.text
    for block in re.findall(r"```python\n(.*?)```", card.text, re.DOTALL):
        ast.parse(block)
        assert '"acme/hum-teacher"' in block

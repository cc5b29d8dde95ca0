"""The model cards: valid for huggingface_hub's own classes, every number from results.json."""

import ast
import re
import sys

import pytest
from huggingface_hub import ModelCard

from modeling_retainmix.encoders import BeatsConfig
from modeling_retainmix.hub.card import write_model_card, write_teacher_card, write_unscored_card


@pytest.fixture
def card_of(tmp_path, results):
    """The card that is written for the results as they are when it is called."""
    return lambda license=None: ModelCard.load(write_model_card(tmp_path, results, license))


def test_front_matter_holds_what_the_hub_shows_and_no_empty_entry(card_of):
    data = card_of().data
    assert (data.license, data.library_name, data.pipeline_tag) == (
        "apache-2.0",
        "transformers",
        "audio-classification",
    )
    assert data.metrics == ["dcase_score"] and "anomalous-sound-detection" in data.tags
    assert "base_model" not in data.to_dict()


def test_model_index_holds_the_measured_scores_of_the_model_and_of_nothing_else(card_of, results):
    entries = card_of().data.eval_results
    by_cell = {(entry.dataset_config, tuple(entry.metric_args["snr_db"])): entry.metric_value for entry in entries}
    scores = results["rows"][1]["scores"]
    expected = {(subset, (float(snr),)): value for subset, cells in scores.items() for snr, value in cells.items()}
    assert by_cell == expected | {("all subsets", (-10, 0)): 65.25, ("all subsets", (-10, 0, 10)): 68.25}


@pytest.mark.parametrize(
    ("base_model", "kept"), [("microsoft/beats", True), ("outputs/demo/teacher", False), ("x", False)]
)
def test_base_model_is_in_the_front_matter_only_if_it_is_a_name_on_the_hub(card_of, results, base_model, kept):
    results["model"]["base_model"] = base_model
    card = card_of()
    assert (card.data.base_model == base_model) is kept
    assert f"Started from `{base_model}`" in card.text


def test_where_the_first_encoder_lay_is_not_told_to_readers_of_the_card(card_of, results, tmp_path):
    results["model"]["base_model"] = str(tmp_path / "teacher")
    text = card_of().text
    assert "Started from `teacher`" in text and str(tmp_path) not in text


def test_data_sets_of_the_hub_that_the_model_was_trained_on_are_in_the_front_matter(card_of, results):
    assert "datasets" not in card_of().data.to_dict()
    results["data"]["datasets"] = ["acme/machines"]
    assert card_of().data.datasets == ["acme/machines"]


def test_local_folder_with_the_shape_of_a_hub_name_is_no_base_model(card_of, results, tmp_path, monkeypatch):
    (tmp_path / "outputs" / "demo").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    results["model"]["base_model"] = "outputs/demo"
    assert card_of().data.base_model is None


def test_licence_is_that_of_the_encoder_that_training_started_from(card_of, results, tmp_path):
    results["model"]["base_model"] = str(tmp_path / "base")
    for content, license in ((None, "unknown"), ("# no front matter", "unknown"), ("---\nlicense: mit\n---\n", "mit")):
        if content is not None:
            BeatsConfig().save_pretrained(tmp_path / "base")
            (tmp_path / "base" / "README.md").write_text(content)
        card = card_of()
        assert card.data.license == license
        assert ("is not known; whoever" in card.text) == (license == "unknown")
    assert card_of("cc-by-4.0").data.license == "cc-by-4.0"


def test_licence_of_the_training_data_is_stated_beside_that_of_the_encoder_and_given_to_the_model(
    card_of, results, tmp_path
):
    assert "was trained on recordings under" not in card_of().text
    results["data"]["training_license"] = "cc-by-nc-sa-4.0"
    card = card_of()
    assert card.data.license == "cc-by-nc-sa-4.0"
    assert "was trained on recordings under `cc-by-nc-sa-4.0`: whoever uses it or\n  passes it on keeps" in card.text
    BeatsConfig().save_pretrained(tmp_path / "base")
    results["model"]["base_model"] = str(tmp_path / "base")
    assert "under `cc-by-nc-sa-4.0`, from an encoder that states no licence: whoever" in card_of().text
    (tmp_path / "base" / "README.md").write_text("---\nlicense: cc-by-4.0\n---\n")
    card = card_of()
    assert card.data.license == "cc-by-nc-sa-4.0"
    assert "under `cc-by-nc-sa-4.0`, from an encoder under `cc-by-4.0`: whoever" in card.text and "both." in card.text


@pytest.mark.parametrize(
    ("settings", "named", "unnamed"),
    [
        ({}, ["classifies both sources", "keeps its tokens"], []),
        ({"alpha": 0.0}, ["keeps its tokens"], ["classifies"]),
        ({"separate_heads": True}, ["classifies both sources", "and lets two linear heads"], ["keeps its tokens"]),
        ({"beta": 0.0, "tag_noise": False}, ["classifies the machine"], ["both sources", "keeps its tokens"]),
    ],
)
def test_card_tells_what_the_losses_in_use_train(card_of, results, settings, named, unnamed):
    results["settings"] |= settings
    introduction = card_of().text.split("## How to use")[0]
    assert all(words in introduction for words in named) and not [words for words in unnamed if words in introduction]


def test_card_without_scores_holds_settings_and_no_table(tmp_path, results):
    record = {name: results[name] for name in ("settings", "data", "model")}
    card = ModelCard.load(write_unscored_card(tmp_path, record))
    assert card.data.eval_results is None and "metrics" not in card.data.to_dict()
    assert "Not yet measured: `" in card.text and "| lam | 0.5 |" in card.text
    assert "System" not in card.text and "The scores hold" not in card.text and "{{" not in card.text


def test_text_holds_table_settings_data_command_and_hardware(card_of):
    text = card_of().text
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


def test_code_of_the_card_is_valid_python_and_loads_the_model_by_its_name(card_of):
    blocks = re.findall(r"```python\n(.*?)```", card_of().text, re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        ast.parse(block)
        assert '"acme/hum"' in block


def test_values_with_pipes_and_line_ends_stay_in_their_table_row(card_of, results):
    results["settings"]["note"] = "a|b\nc"
    assert "| note | a\\|b c |" in card_of().text


def test_card_names_both_ways_to_the_code_where_transformers_refuses_to_load(card_of):
    """The message of transformers names `trust_remote_code=True` alone and sends the reader to the repository."""
    text = card_of().text
    usage = text[text.index("## How to use") : text.index("## Results")]
    assert "install `retainmix`" in usage and "`import modeling_retainmix` before loading" in usage
    assert "`trust_remote_code=True`, without the package" in usage


def test_card_says_what_the_audio_classification_pipeline_answers_and_what_to_use_instead(card_of, results):
    for version, told in ((3, "instances of synthetic machines"), (None, "answers with the classes of the training:")):
        results["data"] = {**results["data"]} if version else {"evaluation": "plant"}
        usage = card_of().text.split("## Results")[0]
        assert told in usage and 'pipeline("anomaly-detection", model=..., references="folder")' in usage


def test_card_of_a_mean_names_its_parts_and_promises_no_classes(card_of, results):
    assert "mean of those of" not in card_of().text
    parts = [{"name": "one", "differs": {"seed": 0, "snr_db": [-5, 5]}}, {"name": "other", "differs": {}}]
    results["model"]["average_of"] = parts
    text = card_of().text
    assert (
        "The weights are the mean of those of 2 models, tensor by tensor:\n`one` (`seed=0, snr_db=[-5, 5]`), `other`."
        in text
    )
    assert "audio-classification" not in text and "without a head" in text


def test_when_matplotlib_is_there_then_the_card_shows_the_scores_as_a_picture_else_it_warns(
    card_of, results, tmp_path, monkeypatch
):
    assert "](scores.png)" in card_of().text
    assert (tmp_path / "scores.png").read_bytes().startswith(b"\x89PNG")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.warns(UserWarning, match=r"scores\.png is not drawn.*pip install retainmix\[plots\]"):
        assert "](scores.png)" not in card_of().text


def test_name_by_which_the_code_loads_the_model_may_be_another_than_that_of_the_run(tmp_path, results):
    card = ModelCard.load(write_teacher_card(tmp_path, results, name="models/hum"))
    assert card.data.model_name == "models/hum-teacher" and "start, of `models/hum`" in card.text
    assert 'from_pretrained("models/hum-teacher"' in card.text and '"acme/hum' not in card.text


def test_licence_of_the_recordings_is_that_of_the_teacher_that_was_trained_on_them(tmp_path, results):
    card = ModelCard.load(write_teacher_card(tmp_path, results))
    assert card.data.license == "apache-2.0" and "trained on recordings under" not in card.text
    results["data"]["training_license"] = "cc-by-nc-sa-4.0"
    card = ModelCard.load(write_teacher_card(tmp_path, results))
    assert card.data.license == "cc-by-nc-sa-4.0" and "trained on recordings under `cc-by-nc-sa-4.0`: wh" in card.text


def test_card_of_a_teacher_holds_its_own_row_its_own_settings_and_its_own_name(card_of, results, tmp_path):
    results["settings"] |= {
        "teacher_inputs": "mixture_level",
        "teacher_steps": 750,
        "encoder_config": {"hidden_size": 192},
        "seed": 5,
    }
    results["data"]["training"] = "plant with noise of hall"
    card = ModelCard.load(write_teacher_card(tmp_path, results))
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


HOSTILE = "x</details><script>alert(1)</script>\n\n# Heading\n```\n| a |"


@pytest.mark.parametrize("kind", ["model", "teacher"])
def test_when_names_and_commands_hold_markup_then_the_card_shows_it_as_text(tmp_path, results, kind):
    plain = card_text(tmp_path, results, kind)
    results["command"] = results["data"]["training"] = results["data"]["evaluation"] = HOSTILE
    results["model"]["name"], results["model"]["base_model"] = f"acme/{HOSTILE}", HOSTILE
    results["settings"] |= {HOSTILE: HOSTILE, "teacher_steps": HOSTILE, f"teacher_{HOSTILE}": HOSTILE}
    results["rows"][0]["name"] = results["protocol"]["name"] = HOSTILE
    results["hardware"][HOSTILE] = results["commit"] = HOSTILE
    text = card_text(tmp_path, results, kind)
    prose, plain_prose = without_code(text), without_code(plain)
    assert "<script" not in prose and "</details>" in prose
    assert prose.count("</details>") == plain_prose.count("</details>")
    headings = [[line for line in part.splitlines() if line.startswith("#")] for part in (prose, plain_prose)]
    assert headings[0][1:] == headings[1][1:]  # the first one is the name
    assert not [line for line in prose.splitlines() if line.startswith("```")]
    assert HOSTILE in text  # the command, in a fence of four


def card_text(folder, results, kind):
    write = write_model_card if kind == "model" else write_teacher_card
    return ModelCard.load(write(folder, results)).text


def without_code(text):
    """Markdown without fenced blocks and code spans, as CommonMark reads them."""
    text = re.sub(r"^(`{3,})[^`\n]*\n.*?^\1`*$", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"(?<![\\`])(`+)(?!`).*?(?<!`)\1(?!`)", "", text)


def test_code_of_a_card_is_valid_python_whatever_the_name_is(tmp_path, results):
    results["model"]["name"] = 'acme/a"b\n```c'
    for write in (write_model_card, write_teacher_card):
        text = ModelCard.load(write(tmp_path, results)).text
        blocks = re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
        assert blocks and all('acme/a\\"b\\n```c' in block for block in blocks)
        for block in blocks:
            ast.parse(block)

"""Conversion of original checkpoints: files it takes, folders it writes, mistakes it names."""

from pathlib import Path

import pytest
import torch
from transformers import AutoFeatureExtractor, AutoModel, AutoModelForAudioClassification

from modeling_retainmix.conversion.convert import convert_checkpoint
from modeling_retainmix.encoders import BeatsForAudioClassification, BeatsModel

GOLDEN = Path(__file__).parents[1] / "golden" / "beats"


class NotATensor:
    """Something that a checkpoint may hold and that only running code can restore."""


def load(variant: str) -> dict:
    return torch.load(GOLDEN / f"beats_{variant}.pt", weights_only=True)


def save(checkpoint: object, path: Path) -> Path:
    torch.save(checkpoint, path)
    return path


def test_converted_folder_loads_through_the_auto_classes(tmp_path):
    model = convert_checkpoint(GOLDEN / "beats_pretrain.pt", tmp_path)
    assert isinstance(model, BeatsModel)
    assert not model.training
    assert {path.name for path in tmp_path.iterdir() if path.suffix != ".py"} == {
        "config.json",
        "model.safetensors",
        "preprocessor_config.json",
    }
    again = AutoModel.from_pretrained(tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(again.parameters(), model.parameters(), strict=True))
    extractor = AutoFeatureExtractor.from_pretrained(tmp_path)
    assert extractor.mean == 15.41663
    assert extractor.padding_rule == again.config.padding_rule == "fold"  # as the original decides


def test_fine_tuned_checkpoint_brings_its_head_and_label_names(tmp_path):
    checkpoint = load("finetuned")
    checkpoint["label_dict"] = {index: f"/m/0{index}" for index in range(7)}
    convert_checkpoint(save(checkpoint, tmp_path / "named.pt"), tmp_path / "out")
    model = AutoModelForAudioClassification.from_pretrained(tmp_path / "out")
    assert isinstance(model, BeatsForAudioClassification)
    assert model.config.id2label == checkpoint["label_dict"]
    assert model.config.label2id["/m/03"] == 3
    assert model.config.problem_type == "multi_label_classification"


def test_labels_csv_gives_display_names(tmp_path):
    checkpoint = load("finetuned")
    checkpoint["label_dict"] = {index: f"/m/0{index}" for index in range(7)}
    path = save(checkpoint, tmp_path / "named.pt")
    rows = [f'{index},/m/0{index},"Sound, no. {index}"' for index in range(7)]
    (tmp_path / "labels.csv").write_text("\n".join(["index,mid,display_name", *rows]))
    model = convert_checkpoint(path, tmp_path / "out", labels_csv=tmp_path / "labels.csv")
    assert model.config.id2label[3] == "Sound, no. 3"
    assert model.config.label2id["Sound, no. 3"] == 3
    (tmp_path / "labels.csv").write_text("\n".join(["index,mid,display_name", *rows[:-1]]))
    with pytest.raises(ValueError, match="no label '/m/06'"):
        convert_checkpoint(path, tmp_path / "out", labels_csv=tmp_path / "labels.csv")


def test_configuration_of_the_checkpoint_wins_over_the_defaults_of_the_original_code(tmp_path):
    checkpoint = load("pretrain")
    for key in ("max_distance", "dropout"):
        del checkpoint["cfg"][key]
    checkpoint["cfg"]["encoder_layerdrop"] = 0.25
    config = convert_checkpoint(save(checkpoint, tmp_path / "x.pt"), tmp_path / "out").config
    assert (config.max_bucket_distance, config.hidden_dropout, config.layerdrop) == (1280, 0.1, 0.25)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.pt"):
        convert_checkpoint(tmp_path / "nowhere.pt", tmp_path / "out")


def test_file_that_is_no_checkpoint_is_named(tmp_path):
    (tmp_path / "text.pt").write_text("<html>404</html>")
    with pytest.raises(ValueError, match=r"text\.pt is not a torch checkpoint"):
        convert_checkpoint(tmp_path / "text.pt", tmp_path / "out")


def test_truncated_file_is_named(tmp_path):
    content = (GOLDEN / "beats_pretrain.pt").read_bytes()
    (tmp_path / "half.pt").write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"half\.pt is damaged"):
        convert_checkpoint(tmp_path / "half.pt", tmp_path / "out")


def test_file_that_needs_code_is_refused_with_the_opt_in(tmp_path):
    path = save({**load("pretrain"), "extra": NotATensor()}, tmp_path / "code.pt")
    with pytest.raises(ValueError, match=r"NotATensor.*allow_pickle=True"):
        convert_checkpoint(path, tmp_path / "out")
    assert isinstance(convert_checkpoint(path, tmp_path / "out", allow_pickle=True), BeatsModel)


def test_other_content_is_refused_with_what_was_found(tmp_path):
    with pytest.raises(ValueError, match="it holds state_dict, epoch"):
        convert_checkpoint(save({"state_dict": {}, "epoch": 3}, tmp_path / "x.pt"), tmp_path / "out")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["cfg"].update(encoder_layers=4), r"layers\.3\..* the checkpoint holds \(absent\)"),
        (lambda c: c["cfg"].update(num_buckets=64), r"position_bias.*\(64, 4\).*\(32, 4\)"),
        (lambda c: c["model"].update({"decoder.weight": torch.zeros(1)}), "'decoder.weight'"),
        (lambda c: c["model"].pop("encoder.layer_norm.bias"), r"layer_norm\.bias .*\(absent\)"),
        (
            lambda c: c["model"].update(
                {"encoder.layers.2.self_attn.relative_attention_bias.weight": torch.zeros(32, 4)}
            ),
            "differs between layers",
        ),
    ],
)
def test_contradictions_between_configuration_and_tensors_are_named(tmp_path, change, message):
    checkpoint = load("pretrain")
    change(checkpoint)
    with pytest.raises(ValueError, match=message):
        convert_checkpoint(save(checkpoint, tmp_path / "x.pt"), tmp_path / "out")
    assert not (tmp_path / "out").exists()

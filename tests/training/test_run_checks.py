"""The rules of a run's options: what does not fit is named before data are made and models trained."""

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file
from tiny_run import ENCODER, options_of, run
from transformers import Wav2Vec2Config

from modeling_retainmix.encoders import BeatsConfig, BeatsFeatureExtractor, BeatsModel
from modeling_retainmix.training.recipe import parse_arguments
from modeling_retainmix.training.run_checks import check_encoders, check_options

ORIGINAL = Path(__file__).parents[1] / "golden" / "beats" / "beats_pretrain.pt"


@pytest.fixture
def encoder(tmp_path):
    BeatsModel(BeatsConfig(**ENCODER)).save_pretrained(tmp_path / "encoder")
    BeatsFeatureExtractor().save_pretrained(tmp_path / "encoder")
    return tmp_path / "encoder"


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--config", "both_0db", "--teacher_steps", "0"), "--model is missing"),
        (("--eval_strategy", "steps"), "--eval_strategy steps needs clips: give --validation_share"),
        (("--teacher_clip_seconds", "2"), "--teacher_clip_seconds 2 is longer .*--clip_seconds, 1"),
        (("--factory_config", '{"faulty_share": 0.1}'), "--factory_config holds faulty_share: give --faulty_share"),
        (("--train_data", "x", "--noise", "y", "--foreign_share", "0.1"), "--foreign_share are of the procedural"),
        (("--push_to_hub", "True", "--do_eval", "False"), "--push_to_hub uploads what the run trains"),
        (("--hub_token", "hf_secret"), "--hub_token on a command line .* set HF_TOKEN"),
    ],
)
def test_when_options_do_not_fit_then_they_are_named(tmp_path, options, named):
    words = options_of(tmp_path, tmp_path / "cache", *options)
    with pytest.raises(ValueError, match=named):
        check_options(*parse_arguments(words), words)


def test_when_the_token_comes_from_elsewhere_then_it_is_let_pass(tmp_path):
    words = options_of(tmp_path, tmp_path / "cache", "--hub_token", "hf_secret")
    check_options(*parse_arguments(words), ["train_accelerate.py"])


def test_when_the_teacher_hears_other_features_then_error_comes_before_the_data(tmp_path, encoder):
    BeatsModel(BeatsConfig(**ENCODER)).save_pretrained(tmp_path / "teacher")
    BeatsFeatureExtractor(clip_level=-0.1).save_pretrained(tmp_path / "teacher")
    words = ("--model", str(encoder), "--teacher", str(tmp_path / "teacher"), "--config", "both_0db", "demo")
    with pytest.raises(SystemExit, match=r"error: the student's feature extractor has clip_level=None but .*-0\.1"):
        run(tmp_path, tmp_path / "cache", *words)
    with pytest.raises(SystemExit, match=r"error: the student's feature extractor has clip_level=None"):
        run(tmp_path, tmp_path / "cache", *words[2:])  # a student that starts from no encoder
    assert not (tmp_path / "cache").exists()
    for more in (("--beta", "0"), ("--do_train", "False")):  # nothing is compared, or each hears its own
        check_encoders(*parse_arguments(options_of(tmp_path, tmp_path / "cache", *words, *more)))


@pytest.mark.parametrize("option", ["embedding_layer", "mixture_layer"])
def test_when_the_encoder_lacks_the_layer_then_error_comes_before_the_data(tmp_path, option):
    with pytest.raises(SystemExit, match=f"error: --{option} 3: the encoder has layers 1 to 2"):
        run(tmp_path, tmp_path / "cache", f"--{option}", "3")
    assert not (tmp_path / "cache").exists()


def test_when_the_teacher_lacks_a_layer_then_error_comes_before_the_data(tmp_path):
    with pytest.raises(SystemExit, match="error: --teacher_layers 3: the teacher has layers 1 to 2"):
        run(tmp_path, tmp_path / "cache", "--teacher_layers", "1", "3")
    assert not (tmp_path / "cache").exists()


def test_when_the_teacher_has_another_width_then_error_comes_before_the_data(tmp_path):
    BeatsConfig(**ENCODER | {"hidden_size": 64}).save_pretrained(tmp_path / "wide")
    with pytest.raises(SystemExit, match="error: the student's hidden_size is 32 but the teacher's 64"):
        run(tmp_path, tmp_path / "cache", "--teacher", tmp_path / "wide")
    assert not (tmp_path / "cache").exists()


def test_when_an_original_checkpoint_is_named_then_it_is_checked_like_any_other(tmp_path):
    def check(*options):
        check_encoders(*parse_arguments(options_of(tmp_path, tmp_path / "cache", *options)))

    check("--model", ORIGINAL, "--embedding_layer", "3")
    with pytest.raises(ValueError, match=r"--embedding_layer 4: the encoder has layers 1 to 3"):
        check("--model", ORIGINAL, "--embedding_layer", "4")
    with pytest.raises(ValueError, match=r"the student's hidden_size is 32 but the teacher's 48"):
        check("--teacher", ORIGINAL)
    with pytest.raises(FileNotFoundError, match=r"nowhere\.pt does not exist: check the path"):
        check("--model", "nowhere.pt")


@pytest.mark.parametrize("option", ["--model", "--teacher", "--also_score"])
def test_when_weights_are_incomplete_then_the_first_missing_tensor_is_named_before_the_data(tmp_path, encoder, option):
    weights = load_file(encoder / "model.safetensors")
    kept = {name: value for name, value in weights.items() if not name.startswith("layers.1.")}
    save_file(kept, encoder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        SystemExit, match=rf"^error: the weights of {encoder} lack the tensor layers\.1\.\S+ and "
    ) as end:
        run(tmp_path, tmp_path / "cache", option, encoder)
    assert "\n" not in str(end.value)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("option", ["--model", "--teacher", "--also_score"])
def test_when_the_model_is_of_another_type_then_it_is_named_in_one_line(tmp_path, option):
    Wav2Vec2Config().save_pretrained(tmp_path / "speech")
    with pytest.raises(SystemExit, match=rf"^error: {tmp_path / 'speech'} is a 'wav2vec2' model without num_mel_p"):
        run(tmp_path, tmp_path / "cache", option, tmp_path / "speech")


def test_when_the_type_is_unknown_to_the_library_then_one_line_names_it(tmp_path, encoder):
    config = json.loads((encoder / "config.json").read_text())
    del config["auto_map"]  # which names the code that would be asked for
    (encoder / "config.json").write_text(json.dumps(config | {"model_type": "humming"}))
    with pytest.raises(SystemExit, match=r"^error: .*humming") as end:
        run(tmp_path, tmp_path / "cache", "--model", encoder)
    assert "\n" not in str(end.value)


def test_when_the_folder_has_no_weights_then_one_line_names_it(tmp_path, encoder):
    (encoder / "model.safetensors").unlink()
    with pytest.raises(SystemExit, match=rf"^error: the weights of {encoder} cannot be read: "):
        run(tmp_path, tmp_path / "cache", "--model", encoder)


def test_when_encoders_fit_then_nothing_is_said(tmp_path, encoder):
    words = options_of(tmp_path, tmp_path / "cache", "--model", encoder, "--teacher", encoder, "--mixture_layer", "2")
    check_encoders(*parse_arguments(words))


@pytest.mark.parametrize("name", ["training_data.json", "average.json"])
def test_when_a_record_of_the_scored_model_is_damaged_then_error_comes_before_the_data(tmp_path, encoder, name):
    (encoder / name).write_text("[]")
    with pytest.raises(SystemExit, match=rf"^error: {encoder / name} is damaged"):
        run(tmp_path, tmp_path / "cache", "--model", encoder, "--do_train", "False")
    assert not (tmp_path / "cache").exists()

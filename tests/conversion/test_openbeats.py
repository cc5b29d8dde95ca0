"""OpenBEATs checkpoints against tensors of the package openbeats, and how their parts are found."""

import shutil
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from modeling_retainmix.conversion.convert import convert_checkpoint
from modeling_retainmix.conversion.openbeats import base_name
from modeling_retainmix.encoders import BeatsFeatureExtractor, BeatsForAudioClassification, BeatsModel

GOLDEN = Path(__file__).parents[1] / "golden" / "openbeats"
LABELS = ["Speech", "Dog", "Sine_wave", "Music", "Rain", "Engine", "Silence"]


# From waveforms, the rounding of the FFT in a few low-energy bins comes on top: it depends on the code path of the FFT
# library (with MKL_ENABLE_INSTRUCTIONS=SSE4_2 these too agree to 1e-5).
FROM_WAVEFORM = 5e-4


def assert_equal(actual, expected, tolerance=1e-5):
    torch.testing.assert_close(actual, expected, atol=tolerance, rtol=0)


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    """Model, encoder, extractor loaded from the written folder and golden tensors of both forms."""
    sources = {
        "base": (GOLDEN / "openbeats_base_tiny.pt", None),
        "finetune": (GOLDEN / "openbeats_finetune_tiny.pth", GOLDEN / "base_config.yaml"),
    }
    cases = {}
    for name, (path, base) in sources.items():
        output = tmp_path_factory.mktemp(name)
        model = convert_checkpoint(path, output, base=base)
        golden = load_file(GOLDEN / f"openbeats_{name}_tiny_expected.safetensors")
        cases[name] = model, getattr(model, "beats", model), BeatsFeatureExtractor.from_pretrained(output), golden
    return cases


@pytest.fixture(params=["base", "finetune"])
def case(request, cases):
    return cases[request.param]


def padded_inputs(extractor, golden):
    clips = [clip[:length] for clip, length in zip(golden["input_values"], golden["lengths"], strict=True)]
    return extractor(clips, sampling_rate=16_000)


def test_filter_bank_uses_the_statistics_of_the_checkpoint(case):
    _, _, extractor, golden = case
    assert (extractor.mean, extractor.std) == (15.2913, 5.90532)
    features = extractor.extract_features(golden["input_values"])
    assert_equal(features, golden["fbank_normalized"], FROM_WAVEFORM)
    assert ((features - golden["fbank_normalized"]).abs() > 1e-5).float().mean() < 5e-3


def test_hidden_states_equal_openbeats(case):
    _, encoder, _, golden = case
    with torch.no_grad():
        outputs = encoder(golden["fbank_normalized"], output_hidden_states=True)
    for layer in range(4):
        assert_equal(outputs.hidden_states[layer], golden[f"hidden_states.{layer}"])
    assert_equal(outputs.last_hidden_state, golden["output"])


def test_padded_hidden_states_equal_openbeats_at_every_position(case):
    _, encoder, extractor, golden = case
    inputs = padded_inputs(extractor, golden)
    # openbeats leaves what stands behind a clip in its features; masked as keys, it reaches no real token.
    inputs["input_values"] = golden["fbank_normalized"]
    with torch.no_grad():
        outputs = encoder(**inputs, output_hidden_states=True)
    assert torch.equal(encoder.token_mask(inputs["attention_mask"]), ~golden["token_padding_mask"])
    assert encoder.token_mask(inputs["attention_mask"]).sum(dim=1).tolist() == golden["output_lengths"].tolist()
    for layer in range(4):
        assert_equal(outputs.hidden_states[layer], golden[f"hidden_states_padded.{layer}"])
    assert_equal(outputs.last_hidden_state, golden["output_padded"])


def test_padded_clips_equal_each_clip_alone_whatever_stands_behind_them(case):
    _, encoder, extractor, golden = case
    inputs = padded_inputs(extractor, golden)
    with torch.no_grad():
        outputs = encoder(**inputs).last_hidden_state
        for index, length in enumerate(golden["output_lengths"].tolist()):
            clip = golden["input_values"][index, : golden["lengths"][index]]
            alone = encoder(extractor(clip, sampling_rate=16_000)["input_values"]).last_hidden_state[0]
            assert_equal(outputs[index, :length], alone)
            assert_equal(outputs[index, :length], golden["output_padded"][index, :length], FROM_WAVEFORM)


def test_short_clip_is_repeated_as_in_openbeats(cases):
    _, encoder, extractor, golden = cases["base"]
    with torch.no_grad():
        output = encoder(**extractor(golden["short_input_values"], sampling_rate=16_000)).last_hidden_state[0]
    assert_equal(output, golden["short_output"], FROM_WAVEFORM)


def test_head_gives_the_logits_and_probabilities_of_openbeats(cases):
    model, _, extractor, golden = cases["finetune"]
    assert list(model.config.id2label.values()) == LABELS
    assert model.config.problem_type == "multi_label_classification"
    inputs = padded_inputs(extractor, golden)
    with torch.no_grad():
        whole = model(golden["fbank_normalized"]).logits
        padded = model(golden["fbank_normalized"], attention_mask=inputs["attention_mask"]).logits
    assert_equal(whole, golden["logits"])
    assert_equal(whole.sigmoid(), golden["probs"])
    assert_equal(padded, golden["logits_padded"])
    assert_equal(padded.sigmoid(), golden["probs_padded"])


def test_clip_without_a_whole_token_in_a_longer_batch_gives_no_nan(case):
    model, _, _, golden = case
    mask = torch.ones(3, 98, dtype=torch.long)
    mask[1, 10:] = 0
    with torch.no_grad():
        outputs = model(golden["fbank_normalized"], attention_mask=mask)
    assert all(value.isfinite().all() for value in outputs.values())


def test_incomplete_configuration_takes_the_defaults_of_the_original_code(case):
    model = case[0]
    assert (model.config.hidden_dropout, model.config.layerdrop) == (0.1, 0.0)
    assert model.config.num_conv_pos_embeddings == 128
    assert model.config.padding_rule == "conv"


def test_large_configuration_converts(tmp_path):
    checkpoint = torch.load(GOLDEN / "openbeats_base_tiny.pt", weights_only=True)
    tensors = checkpoint["model"]
    for name in [name for name in tensors if name.startswith("encoder.layers.2.")]:
        for layer in range(3, 24):
            tensors[name.replace("layers.2.", f"layers.{layer}.")] = tensors[name]
    checkpoint["cfg"]["encoder_layers"] = 24
    torch.save(checkpoint, tmp_path / "large.pt")
    model = convert_checkpoint(tmp_path / "large.pt", tmp_path / "out")
    assert isinstance(model, BeatsModel)
    assert model.config.full_num_hidden_layers == 24


@pytest.fixture
def repository(tmp_path):
    """A fine-tuned repository as it is published: weights deep inside, `config.yaml` beside them."""
    folder = tmp_path / "OpenBEATS-Base-i1-as20k"
    deep = folder / "exp" / "beats_as20k"
    deep.mkdir(parents=True)
    shutil.copy(GOLDEN / "openbeats_finetune_tiny.pth", deep / "valid.acc.best.pth")
    shutil.copy(GOLDEN / "config.yaml", deep / "config.yaml")
    return folder


@pytest.fixture
def base_folder(tmp_path):
    folder = tmp_path / "base" / "work" / "exp"
    folder.mkdir(parents=True)
    shutil.copy(GOLDEN / "base_config.yaml", folder / "config.yaml")
    return tmp_path / "base"


@pytest.mark.parametrize("base", ["folder", "config", "checkpoint"])
def test_folder_is_searched_and_base_may_be_a_folder_a_configuration_or_a_checkpoint(
    repository, base_folder, tmp_path, base
):
    bases = {
        "folder": base_folder,
        "config": GOLDEN / "base_config.yaml",
        "checkpoint": GOLDEN / "openbeats_base_tiny.pt",
    }
    model = convert_checkpoint(repository, tmp_path / "out", base=bases[base])
    assert isinstance(model, BeatsForAudioClassification)
    assert model.config.layer_wise_gradient_decay_ratio == 1.0


@pytest.mark.parametrize(
    ("source", "checkpoint_path", "expected"),
    [
        ("espnet/OpenBEATS-Large-i2-as20k", "", "shikhar7ssu/OpenBEATs-Large-i2"),
        ("my_model", "/x/ear_base/beats_iter0_base.tune/epoch59.pt", "shikhar7ssu/OpenBEATs-Base-i1"),
    ],
)
def test_base_is_named_by_the_source_or_by_the_path_in_the_configuration(source, checkpoint_path, expected):
    assert base_name({"encoder_conf": {"beats_ckpt_path": checkpoint_path}}, source) == expected


def test_when_nothing_names_the_base_then_error_says_what_to_pass():
    with pytest.raises(ValueError, match=r"my_model is a fine-tuned model.*convert_checkpoint with base="):
        base_name({"encoder_conf": {"beats_ckpt_path": "/7Msounds/exp/beats_iter2/epoch_latest.pt"}}, "my_model")


def test_when_labels_are_missing_then_error_names_the_file_that_holds_them(repository, tmp_path):
    next(repository.rglob("config.yaml")).unlink()
    with pytest.raises(ValueError, match=r"config\.yaml beside the weights"):
        convert_checkpoint(repository, tmp_path / "out", base=GOLDEN / "base_config.yaml")


def test_when_labels_are_too_few_then_error_gives_both_numbers(repository, tmp_path):
    path = next(repository.rglob("config.yaml"))
    config = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**config, "token_list": ["Dog", "<blank>", "<unk>"]}))
    with pytest.raises(ValueError, match=r"7 outputs.*1 labels"):
        convert_checkpoint(repository, tmp_path / "out", base=GOLDEN / "base_config.yaml")


def test_single_label_model_gets_a_softmax_and_other_statistics_a_warning(repository, tmp_path, caplog):
    path = next(repository.rglob("config.yaml"))
    config = yaml.safe_load(path.read_text())
    config["model_conf"]["classification_type"] = "multi-class"
    config["encoder_conf"]["fbank_mean"] = 11.72215
    path.write_text(yaml.safe_dump(config))
    model = convert_checkpoint(repository, tmp_path / "out", base=GOLDEN / "base_config.yaml")
    assert model.config.problem_type == "single_label_classification"
    assert "fbank_mean 11.72215" in caplog.text


def test_newer_export_carries_its_own_configuration_and_labels(tmp_path):
    tensors = torch.load(GOLDEN / "openbeats_finetune_tiny.pth", weights_only=True)
    cfg = torch.load(GOLDEN / "openbeats_base_tiny.pt", weights_only=True)["cfg"]
    exported = {"model": tensors, "cfg": cfg, "token_list": [*LABELS, "<blank>", "<unk>"], "multi_label": True}
    torch.save(exported, tmp_path / "exported.pt")
    model = convert_checkpoint(tmp_path / "exported.pt", tmp_path / "out")
    assert list(model.config.id2label.values()) == LABELS
    assert model.config.problem_type == "multi_label_classification"


def test_model_with_a_text_decoder_is_refused(tmp_path):
    tensors = torch.load(GOLDEN / "openbeats_finetune_tiny.pth", weights_only=True)
    tensors["decoder.bert.embeddings.weight"] = torch.zeros(3, 3)
    torch.save(tensors, tmp_path / "captioner.pth")
    with pytest.raises(ValueError, match=r"decoder\.bert"):
        convert_checkpoint(tmp_path / "captioner.pth", tmp_path / "out", base=GOLDEN / "base_config.yaml")

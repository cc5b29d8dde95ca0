"""EAT and SSLAM against tensors that the original code computed, in each form in which they are published."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from modeling_retainmix.conversion.convert import convert_checkpoint
from modeling_retainmix.conversion.eat import rename_tensors
from modeling_retainmix.encoders import EatConfig, EatFeatureExtractor, EatForAudioClassification, EatModel
from modeling_retainmix.encoders.fbank import kaldi_fbank
from modeling_retainmix.encoders.modeling_eat import position_table

GOLDEN = Path(__file__).parents[1] / "golden" / "eat"
IMAGE = "modality_encoders.IMAGE."


def assert_equal(actual, expected, tolerance=1e-4):
    torch.testing.assert_close(actual, expected, atol=tolerance, rtol=0)


@pytest.fixture(scope="module")
def golden():
    tensors = load_file(GOLDEN / "eat_tiny.safetensors")
    return {name.removeprefix("golden."): value for name, value in tensors.items() if name.startswith("golden.")}


@pytest.fixture(scope="module")
def weights():
    tensors = load_file(GOLDEN / "eat_tiny.safetensors")
    return {name: value for name, value in tensors.items() if not name.startswith("golden.")}


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    output = tmp_path_factory.mktemp("eat")
    return convert_checkpoint(GOLDEN / "eat_tiny_fairseq.pt", output), EatFeatureExtractor.from_pretrained(output)


def hub_tensors(weights):
    """The names of the authors' Hub repositories."""
    renamed = {}
    for name, value in weights.items():
        if not name.startswith(IMAGE + "decoder."):
            short = name.removeprefix(IMAGE).replace("context_encoder.norm", "pre_norm")
            renamed[f"model.{short}"] = value
    return renamed


def test_filter_bank_and_features_equal_the_original(converted, golden):
    _, extractor = converted
    waveform = golden["waveform"]
    raw = kaldi_fbank(waveform - waveform.mean(dim=1, keepdim=True), window="hanning")
    assert_equal(raw, golden["fbank_raw"], 1e-3)
    assert_equal(extractor(waveform, sampling_rate=16_000)["input_values"], golden["fbank_norm"][:, 0])
    assert extractor.target_length == 256


def test_every_intermediate_equals_the_original(converted, golden):
    model, _ = converted
    features = golden["fbank_norm"][:, 0]
    with torch.no_grad():
        patches = model.embeddings.projection(features[:, None]).flatten(2).transpose(1, 2)
        outputs = model(features, output_hidden_states=True)
    assert_equal(patches, golden["patch_embed"])
    assert_equal(model.embeddings.positions[:, :128], golden["pos_embed"])
    for layer in range(4):
        assert_equal(outputs.hidden_states[layer], golden[f"hidden.{layer}"])
    assert_equal(outputs.last_hidden_state, golden["output_all"])


def test_from_waveform_to_pooled_features_equals_the_original(converted, golden):
    model, extractor = converted
    with torch.no_grad():
        outputs = model(**extractor(golden["waveform"], sampling_rate=16_000), output_hidden_states=True)
    for layer in range(1, 4):
        patches = outputs.hidden_states[layer][:, model.config.num_prefix_tokens :]
        pooled = patches.view(2, -1, model.config.num_mel_patches, 48).mean(dim=1).flatten(1)
        assert_equal(pooled, golden[f"genrep.{layer}"])


def test_hub_layout_gives_the_same_model(converted, weights, tmp_path):
    (tmp_path / "hub").mkdir()
    save_file(hub_tensors(weights), tmp_path / "hub" / "model.safetensors")
    (tmp_path / "hub" / "config.json").write_text(json.dumps({"num_heads": 4, "img_size": [256, 128]}))
    model = convert_checkpoint(tmp_path / "hub", tmp_path / "out")
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), converted[0].parameters(), strict=True))
    assert EatFeatureExtractor.from_pretrained(tmp_path / "out").target_length == 256


def test_averaged_copy_is_not_what_is_loaded(converted, weights):
    token = weights[IMAGE + "extra_tokens"]
    assert torch.equal(converted[0].embeddings.class_token, token)


def test_fine_tuned_checkpoint_brings_its_norm_and_head_on_the_class_token(weights, tmp_path):
    generator = torch.Generator().manual_seed(0)
    tensors = {f"model.{name}": value for name, value in weights.items() if "decoder" not in name}
    tensors |= {
        "fc_norm.weight": torch.randn(48, generator=generator),
        "fc_norm.bias": torch.randn(48, generator=generator),
        "head.weight": torch.randn(5, 48, generator=generator),
        "head.bias": torch.randn(5, generator=generator),
    }
    cfg = {"model": {"_name": "mae_image_classification", "num_heads": 4}}
    torch.save({"cfg": cfg, "model": tensors}, tmp_path / "tuned.pt")
    rows = [f"{index},/m/{index},Sound {index}" for index in range(5)]
    (tmp_path / "labels.csv").write_text("\n".join(["index,mid,display_name", *rows]))
    model = convert_checkpoint(tmp_path / "tuned.pt", tmp_path / "out", labels_csv=tmp_path / "labels.csv")
    assert isinstance(model, EatForAudioClassification)
    assert model.config.id2label[2] == "Sound 2"
    features = torch.randn(2, 256, 128, generator=generator)
    with torch.no_grad():
        token = model.eat(features).last_hidden_state[:, 0]
        normed = torch.nn.functional.layer_norm(
            token, (48,), tensors["fc_norm.weight"], tensors["fc_norm.bias"], eps=1e-6
        )
        expected = normed @ tensors["head.weight"].T + tensors["head.bias"]
        assert_equal(model(features).logits, expected, 1e-5)


def test_names_and_shapes_of_the_base_model_are_those_of_the_original():
    keys = json.loads((GOLDEN / "eat_base_keys.json").read_text())
    with torch.device("meta"):
        model = EatModel(EatConfig())
        original = {name: torch.empty(shape) for name, shape in keys["encoder"].items()}
    renamed = {name: value.shape for name, value in rename_tensors(original, "base").items()}
    assert renamed == {name: value.shape for name, value in model.state_dict().items()}


def test_position_table_is_four_blocks_with_frequency_first():
    table = position_table(3, 8, 8)[0]
    rates = torch.tensor([1.0, 0.01])
    row = table[2 * 8 + 5]
    expected = torch.cat([(5 * rates).sin(), (5 * rates).cos(), (2 * rates).sin(), (2 * rates).cos()])
    torch.testing.assert_close(row, expected)


def test_rounded_short_table_is_kept_and_extended_by_the_formula(weights, tmp_path):
    rounded = weights[IMAGE + "fixed_positional_encoder.positions"].half().float()
    tensors = {**weights, IMAGE + "fixed_positional_encoder.positions": rounded}
    torch.save({"model": tensors, "cfg": {"model": {"num_heads": 4}}}, tmp_path / "x.pt")
    positions = convert_checkpoint(tmp_path / "x.pt", tmp_path / "out").embeddings.positions
    assert torch.equal(positions[:, :512], rounded)
    assert torch.equal(positions[:, 512:], position_table(768, 8, 48)[:, 512:])


def test_target_length_that_is_not_a_multiple_of_a_patch_converts_as_it_is(weights, tmp_path):
    cfg = {"model": {"num_heads": 4, "modalities": {"image": {"target_length": 1000}}}}
    torch.save({"model": weights, "cfg": cfg}, tmp_path / "x.pt")
    model = convert_checkpoint(tmp_path / "x.pt", tmp_path / "out")
    extractor = EatFeatureExtractor.from_pretrained(tmp_path / "out")
    features = extractor(torch.randn(144_000), sampling_rate=16_000)["input_values"]
    assert features.shape == (1, 1000, 128)
    with torch.no_grad():
        assert model(features).last_hidden_state.shape == (1, 1 + 62 * 8, 48)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["model"].pop("blocks.1.norm2.bias"), r"layers\.1\.final_norm\.bias .*\(absent\)"),
        (lambda c: c["model"].update({"alibi_scale": torch.ones(1)}), "'alibi_scale'"),
        (lambda c: c["cfg"]["model"].update(layer_norm_first=True), "pre-norm"),
        (lambda c: c["cfg"]["model"].update(num_heads=5), "num_attention_heads 5"),
    ],
)
def test_what_no_published_checkpoint_has_is_an_error_that_names_it(weights, tmp_path, change, message):
    checkpoint = {"model": dict(weights), "cfg": {"model": {"num_heads": 4}}}
    change(checkpoint)
    torch.save(checkpoint, tmp_path / "x.pt")
    with pytest.raises(ValueError, match=message):
        convert_checkpoint(tmp_path / "x.pt", tmp_path / "out")

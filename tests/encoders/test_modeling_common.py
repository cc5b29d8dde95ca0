"""What transformers expects of any model, for every encoder family: the list is that of its common model tests."""

import pytest
import torch
from families import FAMILIES, features
from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
    AutoModel,
    AutoModelForAudioClassification,
    pipeline,
)

WITHOUT_VECTORS = torch.backends.cpu.get_cpu_capability() == "DEFAULT"
# Torch chooses to pack bfloat16 by what the processor has, and then finds its instructions set aside.
CANNOT_PACK = not torch.backends.cpu.get_cpu_capability().startswith("AVX512") and torch.cpu._is_avx512_supported()


@pytest.fixture(params=FAMILIES)
def family(request):
    return FAMILIES[request.param]


@pytest.fixture
def poisoned_memory(monkeypatch):
    """Uninitialised memory is NaN, so that whatever reads it shows."""

    def poison(allocate):
        def poisoned(*args, **kwargs):
            tensor = allocate(*args, **kwargs)
            if tensor.is_floating_point() and tensor.device.type != "meta":
                tensor.detach().fill_(float("nan"))
            return tensor

        return poisoned

    for name in ("empty", "empty_like", "empty_strided"):
        monkeypatch.setattr(torch, name, poison(getattr(torch, name)))


def padding_mask(frames: int, *lengths: int) -> torch.Tensor:
    return (torch.arange(frames) < torch.tensor(lengths)[:, None]).long()


def assert_same_weights(first: torch.nn.Module, second: torch.nn.Module) -> None:
    expected, actual = first.state_dict(), second.state_dict()
    assert expected.keys() == actual.keys()
    for name, value in expected.items():
        assert torch.equal(actual[name], value), name


def test_two_evaluations_give_the_same_bits(family):
    model = family.model()
    with torch.no_grad():
        assert torch.equal(model(features()).last_hidden_state, model(features()).last_hidden_state)


def test_saved_model_loads_bit_for_bit_from_poisoned_memory(family, tmp_path, poisoned_memory):
    model = family.classifier(num_labels=5)
    model.save_pretrained(tmp_path)
    assert {path.name for path in tmp_path.iterdir() if path.suffix != ".py"} == {"config.json", "model.safetensors"}
    again = family.classifier_class.from_pretrained(tmp_path)
    assert_same_weights(model, again)
    with torch.no_grad():
        assert torch.equal(model(features()).logits, again(features()).logits)


def test_fresh_model_is_finite_in_poisoned_memory(family, poisoned_memory):
    model = family.classifier_class(family.config(num_labels=5))
    assert all(parameter.isfinite().all() for parameter in model.parameters())
    assert model(features()).logits.isfinite().all()


def test_encoder_loads_from_a_classifier_and_a_classifier_from_an_encoder(family, tmp_path, poisoned_memory):
    classifier = family.classifier(num_labels=5)
    classifier.save_pretrained(tmp_path / "classifier")
    encoder = family.model_class.from_pretrained(tmp_path / "classifier")
    assert_same_weights(getattr(classifier, classifier.base_model_prefix), encoder)
    encoder.save_pretrained(tmp_path / "encoder")
    again = family.classifier_class.from_pretrained(tmp_path / "encoder", num_labels=3)
    assert_same_weights(getattr(again, again.base_model_prefix), encoder)
    assert again.classifier.weight.isfinite().all()


def test_number_of_labels_can_be_changed_at_loading(family, tmp_path):
    family.classifier(num_labels=5).save_pretrained(tmp_path)
    model = family.classifier_class.from_pretrained(tmp_path, num_labels=9, ignore_mismatched_sizes=True)
    assert model(features()).logits.shape == (2, 9)


def test_auto_classes_load_what_was_saved(family, tmp_path):
    family.classifier().save_pretrained(tmp_path)
    family.extractor_class().save_pretrained(tmp_path)
    assert type(AutoConfig.from_pretrained(tmp_path)) is family.config_class
    assert type(AutoModel.from_pretrained(tmp_path)) is family.model_class
    assert type(AutoModelForAudioClassification.from_pretrained(tmp_path)) is family.classifier_class
    assert type(AutoFeatureExtractor.from_pretrained(tmp_path)) is family.extractor_class


def test_configuration_survives_json(family, tmp_path):
    config = family.config(num_labels=3, embedding_layer=2, hidden_dropout=0.25)
    config.save_pretrained(tmp_path)
    again = family.config_class.from_pretrained(tmp_path)
    ignored = ("transformers_version", "_name_or_path")
    assert {k: v for k, v in again.to_dict().items() if k not in ignored} == {
        k: v for k, v in config.to_dict().items() if k not in ignored
    }
    assert again.num_labels == 3


def test_extractor_survives_json(family, tmp_path):
    extractor = family.extractor_class(mean=1.5, std=2.5)
    extractor.save_pretrained(tmp_path)
    assert family.extractor_class.from_pretrained(tmp_path).to_dict() == extractor.to_dict()


def test_hidden_states_are_the_layer_inputs_and_can_be_selected(family):
    model = family.model()
    config = model.config
    tokens = config.num_prefix_tokens + (64 // config.patch_size) * config.num_mel_patches
    with torch.no_grad():
        every = model(features(), output_hidden_states=True)
        chosen = model(features(), output_hidden_states=[1, -1]).hidden_states
    assert [tuple(state.shape) for state in every.hidden_states] == [(2, tokens, config.hidden_size)] * 4
    assert [state is None for state in chosen] == [True, False, True, False]
    assert torch.equal(chosen[1], every.hidden_states[1])
    assert torch.equal(chosen[3], every.last_hidden_state)
    assert model(features()).hidden_states is None


@pytest.mark.parametrize("depth", [0, 4])
def test_when_a_model_is_cut_to_layers_that_it_lacks_then_error_says_how_many_there_are(family, tmp_path, depth):
    family.model().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=f"num_hidden_layers is {depth}, the model has 1 to 3"):
        AutoModel.from_pretrained(tmp_path, num_hidden_layers=depth)


@pytest.mark.parametrize("depth", [1, 2])
def test_cut_model_equals_the_hidden_state_of_the_whole_one_bit_for_bit(family, tmp_path, caplog, depth):
    whole = family.classifier()
    whole.save_pretrained(tmp_path)
    caplog.clear()
    cut = AutoModel.from_pretrained(tmp_path, num_hidden_layers=depth)
    assert not caplog.records
    with torch.no_grad():
        expected = whole(features(), output_hidden_states=True).hidden_states[depth]
        assert torch.equal(cut(features()).last_hidden_state, expected)


def test_layer_keep_replaces_a_layer_by_its_input_for_single_clips(family):
    model = family.model()
    keep = torch.tensor([[True, False, True], [True, True, True]])
    with torch.no_grad():
        states = model(features(), layer_keep=keep, output_hidden_states=True).hidden_states
        plain = model(features(), output_hidden_states=True).hidden_states
    assert torch.equal(states[2][0], states[1][0])
    assert torch.equal(states[3][1], plain[3][1])
    assert not torch.equal(states[3][0], plain[3][0])


def test_when_layer_keep_has_another_shape_then_error_names_both(family):
    with pytest.raises(ValueError, match=r"\[2, 2\], expected \[2, 3\]"):
        family.model()(features(), layer_keep=torch.ones(2, 2, dtype=torch.bool))


def test_when_features_are_too_short_or_narrow_then_error_says_so(family):
    with pytest.raises(ValueError, match="15 frames"):
        family.model()(features(frames=15))
    with pytest.raises(ValueError, match=r"\[2, 64, 64\]"):
        family.model()(features()[..., :64])


def test_classifier_returns_tokens_loss_and_hidden_states(family):
    model = family.classifier(num_labels=3, problem_type="multi_label_classification")
    labels = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    outputs = model(features(), labels=labels, output_hidden_states=True)
    encoder = getattr(model, model.base_model_prefix)
    assert torch.equal(outputs.last_hidden_state, encoder(features()).last_hidden_state)
    assert len(outputs.hidden_states) == 4
    expected = torch.nn.functional.binary_cross_entropy_with_logits(outputs.logits, labels)
    torch.testing.assert_close(outputs.loss, expected)


def test_loss_reaches_every_parameter(family):
    model = family.classifier(num_labels=3).train()
    model(features(), labels=torch.tensor([0, 2])).loss.backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []


@pytest.mark.parametrize("masked", [False, True])
def test_sdpa_equals_eager_forward_and_backward(family, masked):
    mask = padding_mask(64, 64, 32) if masked else None
    model = family.model(attn_implementation="eager")
    results = []
    for implementation in ("eager", "sdpa"):
        model.set_attn_implementation(implementation)
        assert model.config._attn_implementation == implementation
        with torch.no_grad():
            fused = model(features(), attention_mask=mask).last_hidden_state
        model.zero_grad()
        output = model(features(), attention_mask=mask).last_hidden_state
        output.square().mean().backward()
        results.append((fused, output.detach(), [parameter.grad.clone() for parameter in model.parameters()]))
    for actual, expected in zip(results[1], results[0], strict=True):
        torch.testing.assert_close(actual, expected, atol=1e-5, rtol=0)


def test_attention_can_be_set_on_encoder_and_classifier(family):
    # The library reads in the file of the class whether it can be, and otherwise only warns.
    for model in (family.model(), family.classifier()):
        assert model.config._attn_implementation == "sdpa"
        model.set_attn_implementation("eager")
        assert model.config._attn_implementation == "eager"
        assert model(features(), output_attentions=True).attentions[0] is not None


@pytest.mark.slow
@pytest.mark.skipif(WITHOUT_VECTORS, reason="torch compiles nothing for a CPU without vector instructions")
@pytest.mark.parametrize("masked", [False, True])
def test_flex_attention_equals_eager(family, masked):
    mask = padding_mask(64, 64, 32) if masked else None
    model = family.model(attn_implementation="eager")
    with torch.no_grad():
        expected = model(features(), attention_mask=mask).last_hidden_state
        model.set_attn_implementation("flex_attention")
        assert model.config._attn_implementation == "flex_attention"
        actual = model(features(), attention_mask=mask).last_hidden_state
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=0)


def test_eager_attention_returns_weights_that_sum_to_one(family):
    model = family.model(attn_implementation="eager")
    with torch.no_grad():
        attentions = model(features(), output_attentions=True).attentions
    assert len(attentions) == 3
    torch.testing.assert_close(attentions[1].sum(dim=-1), torch.ones(attentions[1].shape[:-1]))


def test_flash_attention_is_refused(family):
    with pytest.raises((ValueError, ImportError), match=r"(?i)flash"):
        family.model_class(family.config(attn_implementation="flash_attention_2"))


def test_gradient_checkpointing_gives_identical_gradients(family):
    model = family.model(layerdrop=0.0).train()
    gradients = []
    for checkpointing in (False, True):
        if checkpointing:
            model.activation_checkpointing_enable()
        model.zero_grad()
        model(features()).last_hidden_state.square().mean().backward()
        gradients.append([parameter.grad.clone() for parameter in model.parameters()])
    assert all(torch.equal(*pair) for pair in zip(*gradients, strict=True))


def test_clip_alone_equals_clip_in_a_batch(family):
    model = family.model()
    batch = features(batch=9)
    with torch.no_grad():
        together = model(batch).last_hidden_state
        apart = torch.cat([model(clip[None]).last_hidden_state for clip in batch])
    torch.testing.assert_close(together, apart, atol=1e-5, rtol=0)


def test_padded_clip_equals_clip_alone_at_multiples_of_16_frames(family):
    model = family.classifier(num_labels=4)
    batch = features(frames=128)
    batch[1, 64:] = 3.0
    mask = padding_mask(128, 128, 64)
    prefix, columns = model.config.num_prefix_tokens, model.config.num_mel_patches * 4
    with torch.no_grad():
        padded = model(batch, attention_mask=mask)
        alone = model(batch[1:, :64])
    torch.testing.assert_close(
        padded.last_hidden_state[1:, : prefix + columns], alone.last_hidden_state, atol=1e-5, rtol=0
    )
    torch.testing.assert_close(padded.logits[1:], alone.logits, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float16, 0.02), (torch.bfloat16, 0.15)])
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_half_precision_checkpoint_takes_float32_features(family, tmp_path, dtype, tolerance, attention):
    if CANNOT_PACK and (attention, dtype) == ("sdpa", torch.bfloat16):
        pytest.skip("torch packs bfloat16 by instructions that ATEN_CPU_CAPABILITY takes away")
    whole = family.model()
    with torch.no_grad():
        expected = whole(features()).last_hidden_state
    whole.to(dtype).save_pretrained(tmp_path)
    model = family.model_class.from_pretrained(tmp_path, attn_implementation=attention)
    assert model.dtype == dtype
    waveform = torch.cat([torch.ones(8000), -torch.ones(8000)]).repeat(2)
    loudest = family.extractor_class()(waveform, sampling_rate=16_000)["input_values"]
    with torch.no_grad():
        torch.testing.assert_close(model(features()).last_hidden_state.float(), expected, atol=tolerance, rtol=0)
        assert model(loudest).last_hidden_state.isfinite().all()


def test_bfloat16_autocast_stays_close_in_training(family):
    model = family.classifier(num_labels=3, layerdrop=0.0).train()
    expected = model(features(batch=9)).logits
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(features(batch=9)).logits
    torch.testing.assert_close(logits.float(), expected, atol=0.1, rtol=0)
    logits.square().mean().backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


def test_pipeline_gives_the_probabilities_of_the_model(family, tmp_path):
    model = family.classifier(
        id2label={0: "fan", 1: "pump", 2: "valve"},
        label2id={"fan": 0, "pump": 1, "valve": 2},
        problem_type="multi_label_classification",
    )
    model.save_pretrained(tmp_path)
    extractor = family.extractor_class()
    extractor.save_pretrained(tmp_path)
    waveform = 0.1 * torch.randn(16_000, generator=torch.Generator().manual_seed(0))
    classify = pipeline("audio-classification", model=str(tmp_path), device="cpu")
    answer = classify({"raw": waveform.numpy(), "sampling_rate": 16_000})
    with torch.no_grad():
        inputs = extractor(waveform, sampling_rate=16_000)
        probabilities = model(**inputs).logits.sigmoid()[0]
    assert {entry["label"] for entry in answer} == {"fan", "pump", "valve"}
    for entry in answer:
        assert entry["score"] == pytest.approx(probabilities[model.config.label2id[entry["label"]]].item(), abs=1e-6)

"""Every module of an encoder is called, whatever wraps it; wrong masks, labels and lengths are named."""

import copy

import pytest
import torch
from accelerate import cpu_offload, disk_offload
from families import FAMILIES, features
from torch.func import functional_call, grad, stack_module_state, vmap


@pytest.fixture(params=FAMILIES)
def family(request):
    return FAMILIES[request.param]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize(
    ("name", "overrides"),
    [
        ("beats", {}),
        ("beats", {"hidden_act": "glu", "layer_norm_first": True, "deep_norm": False}),
        ("beats", {"padding_rule": "fold", "patch_embed_size": 32}),
        ("eat", {}),
        ("eat", {"classifier_norm": True, "classifier_pooling": "class_token"}),
    ],
)
def test_every_module_that_holds_parameters_is_called_once(name, overrides, attention, training):
    model = FAMILIES[name].classifier(num_labels=3, attn_implementation=attention, **overrides).train(training)
    calls = {name: 0 for name, module in model.named_modules() if module._parameters or not list(module.children())}
    for name in calls:
        module = model.get_submodule(name)
        module.register_forward_hook(lambda *_, name=name: calls.__setitem__(name, calls[name] + 1))
    model(features())
    # A dropout may stand at several places; what holds weights is called exactly once.
    for name, count in calls.items():
        holds_weights = bool(model.get_submodule(name)._parameters)
        assert count == 1 if holds_weights else count >= 1, (name, count)


@pytest.mark.parametrize("batch", [2, 9])
def test_offloaded_model_gives_the_same_logits(family, tmp_path, batch):
    model = family.classifier(num_labels=3)
    with torch.no_grad():
        expected = model(features(batch)).logits
        on_cpu = cpu_offload(copy.deepcopy(model), execution_device="cpu")
        assert torch.equal(on_cpu(features(batch)).logits, expected)
        on_disk = copy.deepcopy(model)
        disk_offload(on_disk, str(tmp_path), execution_device="cpu")
        assert torch.equal(on_disk(features(batch)).logits, expected)


def test_dynamically_quantized_model_stays_close(family):
    model = family.classifier(num_labels=3)
    quantized = torch.ao.quantization.quantize_dynamic(copy.deepcopy(model), {torch.nn.Linear}, dtype=torch.qint8)
    assert not any(type(module) is torch.nn.Linear for module in quantized.modules())
    with torch.no_grad():
        expected, logits = model(features()).logits, quantized(features()).logits
    assert (logits - expected).abs().max() < 0.1 * expected.abs().max()


def test_adapters_on_a_frozen_model_learn_under_reentrant_checkpointing(family):
    model = family.classifier(num_labels=3, layerdrop=0.0).requires_grad_(False).train()
    adapters = {}
    for name, module in list(model.named_modules()):
        if isinstance(module, torch.nn.Linear):
            adapters[name] = torch.nn.Linear(module.in_features, module.out_features, bias=False)
            torch.nn.init.normal_(adapters[name].weight, std=0.1)
            module.register_forward_hook(lambda _, inputs, output, name=name: output + adapters[name](*inputs))
    model.gradient_checkpointing_enable({"use_reentrant": True})
    model.enable_input_require_grads()
    model(features(), labels=torch.tensor([0, 2])).loss.backward()
    assert [name for name, adapter in adapters.items() if adapter.weight.grad is None] == []
    assert [name for name, adapter in adapters.items() if not adapter.weight.grad.any()] == []


def test_input_embeddings_are_the_patches_and_can_be_replaced(family):
    model = family.classifier()
    patches = model.get_input_embeddings()
    assert patches is getattr(model, model.base_model_prefix).get_input_embeddings()
    expected = model(features()).logits
    model.set_input_embeddings(copy.deepcopy(patches))
    assert model.get_input_embeddings() is not patches
    assert torch.equal(model(features()).logits, expected)


@pytest.mark.filterwarnings("ignore:There is a performance drop")
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_gradients_per_sample_equal_those_of_each_sample_alone(family, attention):
    model = family.classifier(num_labels=3, attn_implementation=attention)
    parameters, inputs, labels = dict(model.named_parameters()), features(3), torch.tensor([0, 1, 2])

    def loss(weights, clip, label):
        logits = functional_call(model, weights, (clip[None],)).logits
        return torch.nn.functional.cross_entropy(logits, label[None])

    gradients = vmap(grad(loss), in_dims=(None, 0, 0))(parameters, inputs, labels)
    for index in range(3):
        model.zero_grad()
        loss(parameters, inputs[index], labels[index]).backward()
        for name, parameter in model.named_parameters():
            torch.testing.assert_close(gradients[name][index], parameter.grad, atol=1e-5, rtol=0)


@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_stacked_models_give_what_each_gives(family):
    models = [family.classifier(num_labels=3) for _ in range(2)]
    with torch.no_grad():
        for parameter in models[1].parameters():
            parameter.mul_(1.1)
        inputs, (parameters, buffers) = features(), stack_module_state(models)
        together = vmap(lambda p, b: functional_call(models[0], (p, b), (inputs,)).logits)(parameters, buffers)
        for logits, model in zip(together, models, strict=True):
            torch.testing.assert_close(logits, model(inputs).logits, atol=1e-5, rtol=0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_default_dtype_changes_neither_features_nor_logits(family, dtype):
    model, extractor, inputs = family.classifier(num_labels=3), family.extractor_class(), features()
    waveform = torch.sin(torch.arange(16_000) * 0.1)
    with torch.no_grad():
        expected = extractor(waveform, sampling_rate=16_000)["input_values"], model(inputs).logits
        torch.set_default_dtype(dtype)
        try:
            actual = extractor(waveform, sampling_rate=16_000)["input_values"], model(inputs).logits
        finally:
            torch.set_default_dtype(torch.float32)
    assert all(map(torch.equal, actual, expected))


def test_when_input_is_ten_minutes_long_then_error_names_length_limit_and_detector(family):
    model = family.classifier(max_time_patches=768)
    with pytest.raises(ValueError, match=r"59998 frames \(600\.0 s\).*12288.*max_time_patches=768.*AnomalyDetector"):
        model(torch.zeros(1, 1, 128).expand(1, 59_998, 128))


def test_when_the_mask_is_that_of_the_samples_then_error_names_both_shapes(family):
    with pytest.raises(ValueError, match=r"attention_mask has shape \[2, 16000\], expected \[2, 64\].*not for each"):
        family.classifier()(features(), attention_mask=torch.ones(2, 16_000))


def test_when_labels_do_not_fit_the_problem_type_then_error_names_it(family):
    multi = family.classifier(num_labels=3, problem_type="multi_label_classification")
    with pytest.raises(ValueError, match=r"\[2\] and dtype torch.int64.*'multi_label_classification'.*single_label"):
        multi(features(), labels=torch.tensor([0, 2]))
    single = family.classifier(num_labels=3, problem_type="single_label_classification")
    with pytest.raises(ValueError, match=r"\[2, 3\] and dtype torch.float32.*'single_label_classification'.*multi_"):
        single(features(), labels=torch.eye(3)[:2])


def test_whole_numbers_in_multi_hot_labels_give_the_loss_of_floats(family):
    model = family.classifier(num_labels=3, problem_type="multi_label_classification")
    labels = torch.tensor([[1, 0, 1], [0, 1, 0]])
    assert torch.equal(model(features(), labels=labels).loss, model(features(), labels=labels.float()).loss)

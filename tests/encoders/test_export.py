"""Compilation and export: one graph, dynamic batch and time axes, the same numbers in onnxruntime."""

from pathlib import Path

import onnxruntime
import pytest
import torch
from families import FAMILIES, features
from torch.export import Dim

from modeling_retainmix.encoders.fbank import kaldi_fbank

BATCH, TIME = Dim("batch"), Dim("time")


# Masks are read by three rules.
CASES = {
    "beats conv": ("beats", {"padding_rule": "conv"}),
    "beats fold": ("beats", {"padding_rule": "fold"}),
    "eat": ("eat", {}),
}
# A single column of patches, lengths that patches divide and that they do not.
SIZES = [(1, 16), (1, 31), (3, 96), (9, 203)]


class LogitsAndTokens(torch.nn.Module):
    """A classifier with a tuple of tensors as output."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, input_values: torch.Tensor, attention_mask: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        outputs = self.model(input_values, attention_mask=attention_mask)
        return outputs.logits, outputs.last_hidden_state


@pytest.fixture(params=CASES)
def model(request):
    family, overrides = CASES[request.param]
    return LogitsAndTokens(FAMILIES[family].classifier(**overrides)).eval()


def inputs(batch: int, frames: int, masked: bool) -> tuple[torch.Tensor, ...]:
    """Features and, if `masked`, a mask that leaves the first clip about two thirds of its frames."""
    mask = torch.ones(batch, frames, dtype=torch.long)
    mask[0, max(16, frames * 2 // 3) :] = 0
    return (features(batch, frames), mask) if masked else (features(batch, frames),)


class FilterBank(torch.nn.Module):
    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        return kaldi_fbank(waveform)


def export_onnx(
    module: torch.nn.Module, example: tuple[torch.Tensor, ...], path: Path
) -> onnxruntime.InferenceSession:
    names = ["x", "mask"][: len(example)]
    with torch.no_grad():
        program = torch.onnx.export(
            module,
            example,
            dynamo=True,
            dynamic_shapes=({0: BATCH, 1: TIME},) * len(example),
            input_names=names,
            verbose=False,
        )
    program.save(path)
    return onnxruntime.InferenceSession(path)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_compiled_model_has_no_graph_break_and_the_same_output(family):
    model = FAMILIES[family].model()
    compiled = torch.compile(model, fullgraph=True)
    with torch.no_grad():
        torch.testing.assert_close(
            compiled(features()).last_hidden_state, model(features()).last_hidden_state, atol=1e-5, rtol=0
        )


@pytest.mark.slow
@pytest.mark.parametrize("masked", [False, True])
def test_exported_program_takes_other_batches_and_lengths(model, masked):
    example = inputs(2, 80, masked)
    dynamic = ({0: BATCH, 1: Dim.DYNAMIC},) * len(example)
    with torch.no_grad():
        program = torch.export.export(model, example, dynamic_shapes=dynamic).module()
        for size in SIZES:
            for actual, expected in zip(program(*inputs(*size, masked)), model(*inputs(*size, masked)), strict=True):
                torch.testing.assert_close(actual, expected, atol=1e-5, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("masked", [False, True])
def test_onnx_model_agrees_for_other_batches_and_lengths(model, masked, tmp_path):
    session = export_onnx(model, inputs(2, 80, masked), tmp_path / "model.onnx")
    for size in SIZES:
        arguments = inputs(*size, masked)
        feed = {name: tensor.numpy() for name, tensor in zip(["x", "mask"], arguments, strict=False)}
        with torch.no_grad():
            expected = model(*arguments)
        for actual, tensor in zip(session.run(None, feed), expected, strict=True):
            torch.testing.assert_close(torch.from_numpy(actual), tensor, atol=1e-4, rtol=0)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("masked", [False, True])
def test_traced_model_agrees_for_other_batches_and_lengths(model, masked, attention):
    model.model.set_attn_implementation(attention)
    with torch.no_grad():
        traced = torch.jit.trace(model, inputs(2, 80, masked), check_trace=False)
        for size in SIZES:
            for actual, expected in zip(traced(*inputs(*size, masked)), model(*inputs(*size, masked)), strict=True):
                torch.testing.assert_close(actual, expected, atol=1e-5, rtol=0)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("masked", [False, True])
def test_onnx_model_of_the_old_exporter_agrees(model, masked, tmp_path):
    arguments = inputs(2, 80, masked)
    names = ["x", "mask"][: len(arguments)]
    with torch.no_grad():
        torch.onnx.export(model, arguments, str(tmp_path / "old.onnx"), dynamo=False, input_names=names)
        expected = model(*arguments)
    session = onnxruntime.InferenceSession(tmp_path / "old.onnx")
    feed = {name: tensor.numpy() for name, tensor in zip(names, arguments, strict=True)}
    for actual, tensor in zip(session.run(None, feed), expected, strict=True):
        torch.testing.assert_close(torch.from_numpy(actual), tensor, atol=1e-4, rtol=0)


class Tokens(torch.nn.Module):
    """An encoder with a tensor as output."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_values: torch.Tensor) -> torch.Tensor:
        return self.model(input_values).last_hidden_state


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_exports_of_an_encoder_with_an_output_activation_agree(tmp_path):
    encoder = Tokens(FAMILIES["eat"].model(output_activation="threshold_tanh")).eval()
    with torch.no_grad():
        program = torch.export.export(encoder, inputs(2, 80, False), dynamic_shapes=({0: BATCH, 1: Dim.DYNAMIC},))
        traced = torch.jit.trace(encoder, inputs(2, 80, False), check_trace=False)
        session = export_onnx(encoder, inputs(2, 80, False), tmp_path / "model.onnx")
        for size in SIZES:
            (x,) = inputs(*size, False)
            expected = encoder(x)
            assert (expected == 0).any() and expected.max() < 1  # the activation is at work
            (of_onnx,) = session.run(None, {"x": x.numpy()})
            # where rounding puts a value on the other side of a threshold, the result steps by up to 0.1
            for actual in (program.module()(x), traced(x), torch.from_numpy(of_onnx)):
                assert (actual - expected).abs().gt(1e-4).float().mean() < 1e-3


@pytest.mark.slow
def test_onnx_filter_bank_agrees_for_other_batches_and_lengths(tmp_path):
    session = export_onnx(FilterBank().eval(), (torch.zeros(2, 16_000),), tmp_path / "fbank.onnx")
    for batch, samples in [(1, 400), (3, 24_123)]:
        waveform = 1000 * torch.randn(batch, samples, generator=torch.Generator().manual_seed(0))
        (actual,) = session.run(None, {"x": waveform.numpy()})
        # In natural log units, before the division by 13; onnxruntime's FFT rounds otherwise.
        torch.testing.assert_close(torch.from_numpy(actual), kaldi_fbank(waveform), atol=1e-3, rtol=0)

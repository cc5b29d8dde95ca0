"""Compilation and export: one graph, dynamic batch and time axes, the same numbers in onnxruntime."""

from pathlib import Path

import onnxruntime
import pytest
import torch
from families import FAMILIES, features
from torch.export import Dim

from modeling_retainmix.encoders.fbank import kaldi_fbank

BATCH, TIME = Dim("batch"), Dim("time")


class LogitsAndTokens(torch.nn.Module):
    """A classifier with a tuple of tensors as output."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        outputs = self.model(input_values)
        return outputs.logits, outputs.last_hidden_state


class FilterBank(torch.nn.Module):
    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        return kaldi_fbank(waveform)


def export_onnx(module: torch.nn.Module, example: torch.Tensor, path: Path) -> onnxruntime.InferenceSession:
    with torch.no_grad():
        program = torch.onnx.export(
            module, (example,), dynamo=True, dynamic_shapes=({0: BATCH, 1: TIME},), input_names=["x"], verbose=False
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
@pytest.mark.parametrize("family", FAMILIES)
def test_exported_program_takes_other_batches_and_lengths(family):
    model = LogitsAndTokens(FAMILIES[family].classifier()).eval()
    with torch.no_grad():
        # Clips of a single column of patches are the one length that the exported program excludes.
        dynamic = ({0: BATCH, 1: Dim.DYNAMIC},)
        program = torch.export.export(model, (features(2, 80),), dynamic_shapes=dynamic).module()
        for batch, frames in [(3, 96), (9, 203)]:
            example = features(batch, frames)
            for actual, expected in zip(program(example), model(example), strict=True):
                torch.testing.assert_close(actual, expected, atol=1e-5, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_onnx_model_agrees_for_other_batches_and_lengths(family, tmp_path):
    model = LogitsAndTokens(FAMILIES[family].classifier()).eval()
    session = export_onnx(model, features(2, 80), tmp_path / "model.onnx")
    for batch, frames in [(1, 16), (3, 96), (9, 203)]:
        example = features(batch, frames)
        with torch.no_grad():
            expected = model(example)
        for actual, tensor in zip(session.run(None, {"x": example.numpy()}), expected, strict=True):
            torch.testing.assert_close(torch.from_numpy(actual), tensor, atol=1e-4, rtol=0)


@pytest.mark.slow
def test_onnx_filter_bank_agrees_for_other_batches_and_lengths(tmp_path):
    session = export_onnx(FilterBank().eval(), torch.zeros(2, 16_000), tmp_path / "fbank.onnx")
    for batch, samples in [(1, 400), (3, 24_123)]:
        waveform = 1000 * torch.randn(batch, samples, generator=torch.Generator().manual_seed(0))
        (actual,) = session.run(None, {"x": waveform.numpy()})
        # In natural log units, before the division by 13; onnxruntime's FFT rounds otherwise.
        torch.testing.assert_close(torch.from_numpy(actual), kaldi_fbank(waveform), atol=1e-3, rtol=0)

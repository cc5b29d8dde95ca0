"""The translated Fourier transform against that of numpy in double precision."""

import numpy as np
import onnxruntime
import pytest
import torch

from modeling_retainmix.export.fourier import TRANSLATIONS


class Spectrum(torch.nn.Module):
    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        return torch.view_as_real(torch.fft.rfft(frames, n=512))


@pytest.mark.slow
def test_when_frames_are_transformed_by_the_graph_then_numpy_agrees_to_float32():
    frames = torch.randn(2, 7, 400, generator=torch.Generator().manual_seed(0))
    dynamic = torch.export.Dim.DYNAMIC
    program = torch.onnx.export(
        Spectrum(),
        (frames[:, :5],),
        dynamo=True,
        dynamic_shapes=({0: dynamic, 1: dynamic},),
        input_names=["frames"],
        custom_translation_table=TRANSLATIONS,
        verbose=False,
    )
    assert "DFT" not in {node.op_type for node in program.model.graph}
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString())
    (actual,) = session.run(None, {"frames": frames.numpy()})
    expected = np.fft.rfft(frames.double().numpy(), n=512)
    np.testing.assert_allclose(actual[..., 0] + 1j * actual[..., 1], expected, atol=1e-5 * abs(expected).max())

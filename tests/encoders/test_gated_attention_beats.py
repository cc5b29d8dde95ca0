"""The CPU's attention against attention written out, forward and backward, whatever the blocks."""

import pytest
import torch

from modeling_retainmix.encoders import gated_attention_beats
from modeling_retainmix.encoders.gated_attention_beats import gated_attention

SCALING = 0.3


def inputs(dtype: torch.dtype, batch: int = 3, heads: int = 4, tokens: int = 11, dim: int = 8) -> list[torch.Tensor]:
    """Query, key, value, gate and position bias, the first three as views of what linear layers give."""
    generator = torch.Generator().manual_seed(0)
    tensors = [torch.randn(batch, tokens, heads, dim, generator=generator).transpose(1, 2) for _ in range(3)]
    tensors.append(torch.rand(batch, heads, tokens, 1, generator=generator) + 0.5)
    tensors.append(torch.randn(1, heads, tokens, tokens, generator=generator))
    return [tensor.to(dtype).requires_grad_() for tensor in tensors]


def naive(query, key, value, gate, position_bias):
    logits = SCALING * query @ key.transpose(2, 3) + gate * position_bias
    return (logits.softmax(dim=-1) @ value).transpose(1, 2)


# Blocks of one head, of three heads and then one, and of all four.
@pytest.mark.parametrize("block_elements", [1, 3 * 11**2, 2**19])
def test_output_and_gradients_equal_attention_written_out(monkeypatch, block_elements):
    monkeypatch.setattr(gated_attention_beats, "_BLOCK_ELEMENTS", block_elements)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    tensors = inputs(torch.float64)
    actual, expected = gated_attention(*tensors, SCALING), naive(*tensors)
    torch.testing.assert_close(actual, expected)
    weight = torch.randn(expected.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    gradients = torch.autograd.grad((actual * weight).sum(), tensors)
    for gradient, reference in zip(gradients, torch.autograd.grad((expected * weight).sum(), tensors), strict=True):
        torch.testing.assert_close(gradient, reference)


def test_when_half_precision_then_gradients_are_near_those_of_float32():
    half, single = inputs(torch.bfloat16), inputs(torch.float32)
    output = gated_attention(*half, SCALING)
    assert output.dtype == torch.bfloat16
    gradients = torch.autograd.grad(output.float().square().sum(), half)
    for gradient, reference in zip(gradients, torch.autograd.grad(naive(*single).square().sum(), single), strict=True):
        assert gradient.dtype == torch.bfloat16
        assert (gradient.float() - reference).norm() < 0.03 * reference.norm()


def test_no_attention_weights_are_kept_for_the_backward():
    kept: list[torch.Size] = []

    def record(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor.shape)
        return tensor

    tensors = inputs(torch.float32)
    with torch.autograd.graph.saved_tensors_hooks(record, lambda tensor: tensor):
        gated_attention(*tensors, SCALING)
    assert kept == [tensor.shape for tensor in tensors]


def test_when_differentiated_twice_then_error_names_the_attention_that_can():
    tensors = inputs(torch.float32)
    (gradient,) = torch.autograd.grad(gated_attention(*tensors, SCALING).sum(), tensors[:1], create_graph=True)
    with pytest.raises(RuntimeError, match=r'set_attn_implementation\("eager"\)'):
        gradient.sum().backward()

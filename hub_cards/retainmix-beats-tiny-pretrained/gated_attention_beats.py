"""BEATs' attention on a CPU: fused, differentiable in its gated position bias, in little memory."""

from typing import Any

import torch

# Logits that a thread works on at once: 2 MiB in float32, which its cache holds.
_BLOCK_ELEMENTS = 2**19


def gated_attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    gate: torch.Tensor,
    position_bias: torch.Tensor,
    scaling: float,
) -> torch.Tensor:
    """softmax(scaling * query key^T + gate * position_bias) value, some heads of one clip at a time.

    The gated bias of a whole batch is never in memory, nor are attention weights kept for the backward: it computes
    them again. (torch's fused kernel for CPUs has no gradient of the bias, and its fallback keeps both.)

    Args:
        query, key, value: [batch, heads, tokens, dim].
        gate: [batch, heads, tokens, 1], of the same dtype.
        position_bias: [1, heads, tokens, tokens], of the same dtype.
        scaling: factor of the products of query and key.

    Returns:
        [batch, tokens, heads, dim]; differentiable once, with respect to all tensors, also under `torch.func.vmap`.
    """
    return _GatedAttention.apply(query, key, value, gate, position_bias, scaling)


def _blocks(query: torch.Tensor) -> list[tuple[int, slice]]:
    """Clip and heads of each block; the heads outside, so that a block's bias stays in the cache from clip to clip."""
    batch, heads, tokens, _ = query.shape
    size = max(1, torch.get_num_threads() * _BLOCK_ELEMENTS // tokens**2)
    return [(clip, slice(first, first + size)) for first in range(0, heads, size) for clip in range(batch)]


def _empty_by_token(like: torch.Tensor) -> torch.Tensor:
    """[batch, heads, tokens, dim] whose memory is [batch, tokens, heads, dim], as the linear layers have it."""
    return like.new_empty(like.transpose(1, 2).shape).transpose(1, 2)


class _GatedAttention(torch.autograd.Function):
    @staticmethod
    def forward(
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        gate: torch.Tensor,
        position_bias: torch.Tensor,
        scaling: float,
    ) -> torch.Tensor:
        output = _empty_by_token(query)
        for clip, heads in _blocks(query):
            block = slice(clip, clip + 1), heads
            output[block] = torch.nn.functional.scaled_dot_product_attention(
                query[block], key[block], value[block], attn_mask=gate[block] * position_bias[:, heads], scale=scaling
            )
        return output.transpose(1, 2)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        *tensors, ctx.scaling = inputs
        ctx.save_for_backward(*tensors)

    @staticmethod
    def backward(ctx: Any, grad_output: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        return *_GatedAttentionGradients.apply(grad_output, *ctx.saved_tensors, ctx.scaling), None

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *inputs: Any) -> tuple[torch.Tensor, int]:
        return torch.stack([_GatedAttention.apply(*one) for one in _unstack(info.batch_size, in_dims, inputs)]), 0


class _GatedAttentionGradients(torch.autograd.Function):
    """The backward of `_GatedAttention` as a separate function, so that `vmap` reaches it: gradients per sample."""

    @staticmethod
    def forward(
        grad_output: torch.Tensor,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        gate: torch.Tensor,
        position_bias: torch.Tensor,
        scaling: float,
    ) -> tuple[torch.Tensor, ...]:
        grad_output = grad_output.transpose(1, 2)
        exact = torch.promote_types(query.dtype, torch.float32)  # of softmax and of what is summed over clips
        grad_query, grad_key, grad_value = (_empty_by_token(tensor) for tensor in (query, key, value))
        grad_gate = torch.empty_like(gate)
        grad_bias = torch.zeros_like(position_bias, dtype=exact)
        for block in _blocks(query):
            q, k, g, grad, bias = query[block], key[block], gate[block], grad_output[block], position_bias[0, block[1]]
            weights = torch.baddbmm(g * bias, q, k.mT, alpha=scaling).softmax(dim=-1, dtype=exact)
            grad_value[block] = weights.to(q.dtype).mT @ grad
            grad_weights = (grad @ value[block].mT).to(exact)
            grad_logits = torch._softmax_backward_data(grad_weights, weights, -1, exact)
            grad_bias[0, block[1]].addcmul_(g.to(exact), grad_logits)
            grad_logits = grad_logits.to(q.dtype)
            grad_gate[block] = (grad_logits * bias).sum(dim=-1, keepdim=True)
            grad_query[block] = scaling * (grad_logits @ k)
            grad_key[block] = scaling * (grad_logits.mT @ q)
        return grad_query, grad_key, grad_value, grad_gate, grad_bias.to(position_bias.dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[torch.Tensor, ...]) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> None:
        raise RuntimeError(
            "BEATs' fused attention on a CPU is differentiable once: for second derivatives call "
            'model.set_attn_implementation("eager")'
        )

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], *inputs: Any
    ) -> tuple[tuple[torch.Tensor, ...], tuple[int, ...]]:
        every = [_GatedAttentionGradients.apply(*one) for one in _unstack(info.batch_size, in_dims, inputs)]
        stacked = tuple(torch.stack(gradients) for gradients in zip(*every, strict=True))
        return stacked, (0,) * len(stacked)


def _unstack(size: int, in_dims: tuple[int | None, ...], inputs: tuple[Any, ...]) -> list[list[Any]]:
    """The inputs of each sample that `vmap` goes through: both functions work on one clip at a time anyway."""
    return [
        [value if dim is None else value.select(dim, index) for value, dim in zip(inputs, in_dims, strict=True)]
        for index in range(size)
    ]

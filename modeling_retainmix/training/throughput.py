"""How fast a training is: time of its steps, operations of its models, and what plain matrix products reach."""

import functools
import math
import time
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode


class StepClock:
    """Add up the time of optimizer steps, from the reading of the clips to the update of the weights."""

    def __init__(self) -> None:
        self._steps = 0
        self._seconds = 0.0
        self._started: float | None = None

    def start(self) -> None:
        """Begin a step."""
        self._started = time.perf_counter()

    def stop(self) -> None:
        """End the step that was begun."""
        if self._started is not None:
            self._seconds += time.perf_counter() - self._started
            self._steps += 1
            self._started = None

    def rate(self) -> float | None:
        """Return the steps per second since the last call; None without a step."""
        rate = self._steps / self._seconds if self._steps else None
        self._steps, self._seconds = 0, 0.0
        return rate


def forward_flops(model: torch.nn.Module, **inputs: Any) -> float:
    """Count the floating-point operations of one forward while it runs: matrix products, convolutions, attention.

    A backward costs twice as much; recomputed activations are left out, as is usual for model FLOP utilization.
    """
    training = model.training
    model.eval()
    unknown = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention_flops}
    with torch.no_grad(), FlopCounterMode(display=False, custom_mapping=unknown) as counter:
        model(**inputs)
    model.train(training)
    return float(counter.get_total_flops())


def _attention_flops(query: torch.Size, key: torch.Size, *args: Any, **kwargs: Any) -> int:
    """Count from the shapes [batch, heads, tokens, dim]: products of queries and keys, and of weights and values."""
    return 4 * math.prod(query) * key[-2]


@functools.cache
def matmul_rate(device_type: str, dtype: torch.dtype) -> float:
    """Measure the floating-point operations per second of a large matrix product (best of 5, once per process)."""
    size = 8192 if device_type == "cuda" else 1024
    device = torch.device(device_type)
    # A separate generator: the training's must not advance, or a resumed run would draw other numbers.
    generator = torch.Generator(device).manual_seed(0)
    left, right = torch.randn(2, size, size, device=device, generator=generator).to(dtype)
    best = float("inf")
    for _ in range(6):  # the first one warms up
        start = time.perf_counter()
        torch.matmul(left, right)
        if device_type == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return 2.0 * size**3 / best

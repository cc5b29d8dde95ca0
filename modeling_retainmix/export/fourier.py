"""The Fourier transform of the filter bank in an ONNX graph: two small matrix products in place of the operator DFT.

onnxruntime's DFT takes most of the time that a filter bank takes. With n = 32 a + b and k = k1 + 16 k2, Cooley and
Tukey's two stages of a transform of 512 samples are sums over a and over b:

    X[k] = sum_b exp(-2 pi i b k1 / 512) exp(-2 pi i b k2 / 32) sum_a x[32 a + b] exp(-2 pi i a k1 / 16)
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from onnx import numpy_helper
from onnxscript import opset18 as op

from modeling_retainmix.encoders.fbank import FFT_SIZE

_FIRST, _SECOND = 16, 32  # terms of the sums over a and over b
_KEPT = FFT_SIZE // 2 // _FIRST + 1  # values of k2 up to the Nyquist frequency


def spectrum(frames: Any, dim: Any, normalization: int, onesided: bool) -> Any:
    """Translate `aten._fft_r2c` of frames [batch, frames, 512]: [batch, frames, 257, 2] in the dtype of `frames`.

    The arguments are those of the operator; the filter bank uses one form of it.
    """
    first = np.exp(-2j * np.pi * np.outer(np.arange(_FIRST), np.arange(_FIRST)) / _FIRST)  # [k1, a]
    twiddle = np.exp(-2j * np.pi * np.outer(np.arange(_FIRST), np.arange(_SECOND)) / FFT_SIZE)  # [k1, b]
    second = np.exp(-2j * np.pi * np.outer(np.arange(_SECOND), np.arange(_KEPT)) / _SECOND)  # [b, k2]
    blocks = np.block([[second.real, second.imag], [-second.imag, second.real]])

    samples = op.Reshape(frames, _integers(0, 0, _FIRST, _SECOND))
    real, imaginary = op.MatMul(_floats(first.real), samples), op.MatMul(_floats(first.imag), samples)
    cosine, sine = _floats(twiddle.real), _floats(twiddle.imag)
    turned_real = op.Sub(op.Mul(real, cosine), op.Mul(imaginary, sine))
    turned_imaginary = op.Add(op.Mul(real, sine), op.Mul(imaginary, cosine))
    sums = op.MatMul(op.Concat(turned_real, turned_imaginary, axis=-1), _floats(blocks))  # [..., k1, 2 * k2]
    ordered = op.Transpose(op.Reshape(sums, _integers(0, 0, _FIRST, 2, _KEPT)), perm=[0, 1, 4, 2, 3])
    flat = op.Reshape(ordered, _integers(0, 0, _KEPT * _FIRST, 2))
    return op.Slice(flat, _integers(0), _integers(FFT_SIZE // 2 + 1), _integers(2))


TRANSLATIONS: dict[Callable[..., Any], Callable[..., Any]] = {torch.ops.aten._fft_r2c.default: spectrum}


def _floats(values: np.ndarray) -> Any:
    return op.Constant(value=numpy_helper.from_array(values.astype(np.float32)))


def _integers(*values: int) -> Any:
    return op.Constant(value_ints=list(values))

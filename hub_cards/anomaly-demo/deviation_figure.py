"""Pictures of a test clip: its log-mel energies, and where and how it deviates from the references."""

import numpy as np
import torch
from matplotlib.figure import Figure

from modeling_retainmix.audio import SAMPLING_RATE
from modeling_retainmix.detection.explanation import Explanation
from modeling_retainmix.encoders.fbank import FRAME_SHIFT, LOWEST_FREQUENCY, kaldi_fbank


def deviation_figure(waveform: np.ndarray, explanation: Explanation) -> Figure:
    """Log-mel picture of the window with the highest score, and the two maps of its explanation.

    Args:
        waveform: [samples] of the clip at 16 kHz.
        explanation: what `AnomalyDetector.explain` returns for it.

    Returns:
        Three pictures over one time axis in seconds; frequency in kHz on the mel scale.
    """
    columns = len(explanation.contributions)
    start = round(explanation.start_seconds * SAMPLING_RATE)
    levels = kaldi_fbank(torch.from_numpy(waveform[None, start:]))[0].numpy() * (10 / np.log(10))
    frames = round(columns * explanation.column_seconds * SAMPLING_RATE / FRAME_SHIFT)
    begin = explanation.start_seconds
    extent = (begin, begin + columns * explanation.column_seconds, 0.0, 1.0)
    pictures = (
        ("Log-mel energy in dB", levels[:frames] - levels[:frames].max(), "magma"),
        ("Level against the references, in standard deviations", explanation.level_deviations, "RdBu_r"),
        ("Part of the squared distance", explanation.contributions / columns, "RdBu_r"),
    )
    figure = Figure(figsize=(8, 8), layout="constrained")
    for axes, (title, values, colors) in zip(figure.subplots(3, 1, sharex=True), pictures, strict=True):
        limit = np.abs(values).max()
        low, high = (-80.0, 0.0) if colors == "magma" else (-limit, limit)
        image = axes.imshow(values.T, cmap=colors, vmin=low, vmax=high, origin="lower", aspect="auto", extent=extent)
        axes.set_title(title)
        axes.set_ylabel("kHz")
        axes.set_yticks([_mel_position(1000 * kilohertz) for kilohertz in (0.25, 0.5, 1, 2, 4, 8)])
        axes.set_yticklabels(["0.25", "0.5", "1", "2", "4", "8"])
        figure.colorbar(image, ax=axes)
    axes.set_xlabel("seconds")
    return figure


def _mel_position(hertz: float) -> float:
    """Where a frequency lies between the lowest and the highest one of the filter bank, 0 to 1."""
    low, here, high = np.log1p(np.array([LOWEST_FREQUENCY, hertz, SAMPLING_RATE / 2]) / 700.0)
    return float((here - low) / (high - low))

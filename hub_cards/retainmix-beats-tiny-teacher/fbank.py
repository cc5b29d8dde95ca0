"""Kaldi's log-mel filter bank as batched torch operations, on any device, without torchaudio."""

import math

import torch

SAMPLING_RATE = 16_000
FRAME_LENGTH = 400  # samples: 25 ms
FRAME_SHIFT = 160  # samples: 10 ms
FFT_SIZE = 512
LOWEST_FREQUENCY = 20.0  # Hz
PREEMPHASIS = 0.97
# What a CPU works on at once: more falls out of its cache and takes twice as long.
_CPU_SAMPLES = 20 * SAMPLING_RATE


def num_frames(num_samples: int) -> int:
    """Number of whole 25 ms frames, 10 ms apart, in `num_samples` samples at 16 kHz."""
    return max(1 + (num_samples - FRAME_LENGTH) // FRAME_SHIFT, 0)


def kaldi_fbank(waveform: torch.Tensor, num_mel_bins: int = 128, window: str = "povey") -> torch.Tensor:
    """Log-mel energies as `torchaudio.compliance.kaldi.fbank` gives them with 25 ms frames every 10 ms.

    Per frame: mean removed, pre-emphasis 0.97, window, 512-point power spectrum, triangular mel filters from 20 Hz to
    8 kHz, natural logarithm floored at the epsilon of float32. No dither, no padding at the edges. Computed in float32
    without gradients, also under autocast.

    Args:
        waveform: [batch, samples] at 16 kHz, at least 400 samples.
        num_mel_bins: number of mel filters.
        window: "povey" (a Hann window to the power 0.85) or "hanning".

    Returns:
        [batch, frames, num_mel_bins], float32, frames = 1 + (samples - 400) // 160.
    """
    device = waveform.device
    with torch.no_grad(), torch.autocast(device.type, enabled=False):
        waveform, shape, filters = waveform.float(), _window(window, device), mel_filters(num_mel_bins, device)
        if device.type != "cpu" or torch.compiler.is_compiling() or torch.jit.is_tracing():
            # A graph takes any number of clips of any length.
            return _log_mel(waveform, shape, filters)
        clips = max(1, _CPU_SAMPLES // waveform.shape[1])
        return torch.cat([_log_mel(part, shape, filters) for part in waveform.split(clips)])


def _log_mel(waveform: torch.Tensor, window: torch.Tensor, filters: torch.Tensor) -> torch.Tensor:
    frames = waveform.unfold(-1, FRAME_LENGTH, FRAME_SHIFT)
    frames = frames - frames.mean(dim=-1, keepdim=True)
    # The first sample of a frame is its own predecessor.
    previous = torch.cat([frames[..., :1], frames[..., :-1]], dim=-1)
    frames = (frames - PREEMPHASIS * previous) * window
    # No filter reaches the Nyquist bin.
    spectrum = torch.view_as_real(torch.fft.rfft(frames, n=FFT_SIZE))[..., :-1, :]
    real, imaginary = spectrum.unbind(dim=-1)  # a sum over a dimension of two takes several times as long
    energies = (real.square() + imaginary.square()) @ filters
    return energies.clamp(min=torch.finfo(torch.float32).eps).log()


def mel_filters(num_mel_bins: int, device: torch.device | str) -> torch.Tensor:
    """Kaldi's triangular filters, equally spaced and linear in mel, on the bins below Nyquist: [256, num_mel_bins].

    In float32 throughout, whatever torch's default dtype is: the edges round as in torchaudio, and the low, narrow
    filters show that.
    """
    low, high = _mel(LOWEST_FREQUENCY), _mel(SAMPLING_RATE / 2)
    edges = low + torch.arange(num_mel_bins + 2, dtype=torch.float32, device=device) * (
        (high - low) / (num_mel_bins + 1)
    )
    left, center, right = edges[:-2], edges[1:-1], edges[2:]
    hertz = torch.arange(FFT_SIZE // 2, dtype=torch.float32, device=device) * (SAMPLING_RATE / FFT_SIZE)
    mel = (1127.0 * (1.0 + hertz / 700.0).log())[:, None]
    rising = (mel - left) / (center - left)
    falling = (right - mel) / (right - center)
    return torch.minimum(rising, falling).clamp(min=0.0)


def _mel(hertz: float) -> float:
    return 1127.0 * math.log(1.0 + hertz / 700.0)


def _window(name: str, device: torch.device) -> torch.Tensor:
    hann = torch.hann_window(FRAME_LENGTH, periodic=False, dtype=torch.float32, device=device)
    return hann.pow(0.85) if name == "povey" else hann

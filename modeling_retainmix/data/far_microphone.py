"""A second microphone that stands away from the machine, simulated from the machine sound and two sources of noise.

The near microphone hears x = s + v, machine and noise. The far one hears

    y = R_v[v] + 10^(leak_db / 20) R_s[s] + 10^(far_only_db / 20) N[u]

where R[u] is u delayed by d samples, filtered by h, and scaled to the power (mean of squares over the clip) that u
has, and N[u] is a second source, beside the far microphone and not heard by the near one, scaled to the power of v.
Samples before the clip's beginning are zero. Delays and filters are drawn for each clip, for noise and machine
apart, as functions of (seed, position of the clip):

    d    uniform on 1, ..., 160 (up to 10 ms, some 3.4 m of way in air)
    h_k  = u_k c^k for k = 0, ..., 15;  u_0 = 1, other u_k uniform in [0, 1), c uniform in [0.3, 0.8)

h is a low-pass filter that is coloured by chance, as a direct path with near reflections is. So the far channel is not
the noise itself, its filter changes from clip to clip, and the machine leaks into it. The second source bounds how
much of the noise any filter of the far channel explains: 1 / (1 + 10^(far_only_db / 10)) of its power where both have
one spectrum, so that 7 dB can be cancelled at the default. A source that the near microphone alone hears sets the same
bound.
"""

import numpy as np
import torch

from modeling_retainmix.keyed_random import Stream, keyed_uniform

MAX_DELAY = 160
NUM_TAPS = 16
LEAK_DB = -10.0
FAR_ONLY_DB = -6.0


def far_channel(
    machine: torch.Tensor,
    noise: torch.Tensor,
    positions: np.ndarray,
    seed: int = 0,
    leak_db: float = LEAK_DB,
    far_only: torch.Tensor | None = None,
    far_only_db: float = FAR_ONLY_DB,
) -> torch.Tensor:
    """What the far microphone hears.

    Args:
        machine: machine sound at the near microphone, [batch, samples] floating point.
        noise: noise at the near microphone, scaled as in the mixture, of the same shape and device.
        positions: [batch] non-negative integers that key the draws of each clip.
        seed: of the draws.
        leak_db: power of the machine at the far microphone against that at the near one, in dB.
        far_only: the second source, of the shape of `noise`, at any level; None: there is none.
        far_only_db: its power against that of the noise, in dB; -inf silences it.

    Returns:
        [batch, samples], of the machine's dtype.
    """
    leak = 10.0 ** (leak_db / 20.0) * _through_room(machine, positions, seed, Stream.FAR_MACHINE)
    heard = _through_room(noise, positions, seed, Stream.FAR_NOISE) + leak
    return heard if far_only is None else heard + 10.0 ** (far_only_db / 20.0) * _at_power_of(noise, far_only)


def room_responses(positions: np.ndarray, seed: int, stream: Stream) -> tuple[np.ndarray, np.ndarray]:
    """Delays d [batch] int64 in samples and filters h [batch, NUM_TAPS] float64; arguments as in `far_channel`."""
    draws = keyed_uniform(seed, positions, stream, width=NUM_TAPS + 1)
    taps = (0.3 + 0.5 * draws[:, 1, None]) ** np.arange(NUM_TAPS)
    taps[:, 1:] *= draws[:, 2:]
    return 1 + np.floor(MAX_DELAY * draws[:, 0]).astype(np.int64), taps


def _through_room(waveform: torch.Tensor, positions: np.ndarray, seed: int, stream: Stream) -> torch.Tensor:
    """R[u]: delayed, filtered, at the power it had; silent where u is, or is shorter than the delay."""
    delay, taps = (torch.from_numpy(array) for array in room_responses(positions, seed, stream))
    before = MAX_DELAY + NUM_TAPS - 1
    padded = torch.nn.functional.pad(waveform, (before, 0))
    first = before - (NUM_TAPS - 1) - delay.to(waveform.device)  # of the samples that a clip's first output reads
    reach = torch.arange(waveform.shape[1] + NUM_TAPS - 1, device=waveform.device)
    delayed = padded.gather(1, first[:, None] + reach)
    kernel = taps.flip(1).to(waveform)[:, None]  # conv1d correlates
    return _at_power_of(waveform, torch.nn.functional.conv1d(delayed[None], kernel, groups=len(kernel))[0])


def _at_power_of(waveform: torch.Tensor, heard: torch.Tensor) -> torch.Tensor:
    tiny = torch.finfo(waveform.dtype).tiny
    gain = waveform.square().mean(dim=1) / heard.square().mean(dim=1).clamp(min=tiny)
    return gain.sqrt()[:, None] * heard

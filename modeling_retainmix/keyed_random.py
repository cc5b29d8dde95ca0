"""Random numbers that depend on a key, not on how many were drawn before.

Every random choice of the training loop is a function of (seed, n, stream): n is the clip's position in the global
sequence of training clips, the stream names the choice. One process and eight, an unbroken run and a resumed one,
therefore draw the same numbers. The generator is the finaliser of MurmurHash3 over 64 bits (constants by Stafford,
"Better bit mixing", variant 13, as in SplitMix64), applied to a counter; it is evaluated on whole arrays.
"""

from enum import IntEnum

import numpy as np

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MULTIPLIER_1 = np.uint64(0xBF58476D1CE4E5B9)
_MULTIPLIER_2 = np.uint64(0x94D049BB133111EB)


class Stream(IntEnum):
    """The choices that are drawn; a number once given is never given to another choice."""

    MACHINE = 1
    MACHINE_START = 2
    NOISE = 3
    NOISE_START = 4
    SNR = 5
    TIME_MASK = 6
    FREQUENCY_MASK = 7
    LAYERDROP = 8
    VALIDATION_NOISE = 9
    MIXUP = 10
    FAR_NOISE = 11
    FAR_MACHINE = 12
    PRETRAINING_SOURCE = 20
    PRETRAINING_GAIN = 21
    PRETRAINING_LEVEL = 22
    PATCH_MASK = 23


def _mix(z: np.ndarray) -> np.ndarray:
    z = (z ^ (z >> np.uint64(30))) * _MULTIPLIER_1
    z = (z ^ (z >> np.uint64(27))) * _MULTIPLIER_2
    return z ^ (z >> np.uint64(31))


def keyed_bits(seed: int, n: np.ndarray | int, stream: Stream, width: int | None = None) -> np.ndarray:
    """Return 64 random bits for every position.

    Args:
        seed: of the run, 0 <= seed < 2**64.
        n: positions in the global sequence, any shape, non-negative integers.
        stream: the choice that the bits are for.
        width: number of draws per position; None for one without a further axis.

    Returns:
        uint64, of the shape of `n`, or of that shape + (width,).
    """
    with np.errstate(over="ignore"):  # wrap-around is the arithmetic of the hash
        key = _mix(np.asarray(np.uint64(seed) + _GOLDEN * np.uint64(stream)))
        state = _mix(key + _GOLDEN * (np.asarray(n).astype(np.uint64) + np.uint64(1)))
        if width is not None:
            state = state[..., None] + _GOLDEN * np.arange(1, width + 1, dtype=np.uint64)
            return _mix(state)
        return _mix(state + _GOLDEN)


def keyed_uniform(seed: int, n: np.ndarray | int, stream: Stream, width: int | None = None) -> np.ndarray:
    """Return uniform draws in [0, 1), float64 with 53 random bits; arguments and shape as in `keyed_bits`."""
    return (keyed_bits(seed, n, stream, width) >> np.uint64(11)) * 2.0**-53

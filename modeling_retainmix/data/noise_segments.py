"""Noise segments of one length from recordings of any length.

The recordings of one class are laid end to end in an order that the seed decides, with a short cross-fade, and the
chain is cut into segments: short recordings are joined, long ones are cut, and no sample is used twice.
"""

import logging

import numpy as np
import pyarrow as pa
from datasets import Dataset, Features, List, Value

from modeling_retainmix.data.clips import INT16_SCALE, SCALE_COLUMN, read_clips, read_scales, to_int16

logger = logging.getLogger(__name__)

CROSS_FADE_SECONDS = 0.01

_GROUP = ("kind", "factory", "noise_class")
_SAMPLES_PER_CHUNK = 2**28  # offsets into a chunk of an Arrow list are 32 bit: 37 hours at 16 kHz


def make_noise_segments(noise: Dataset, clip_seconds: float, seed: int = 0, sampling_rate: int = 16000) -> Dataset:
    """Make as many segments as the recordings give.

    Args:
        noise: recordings with columns audio (int16 lists), noise_class, kind and factory.
        clip_seconds: length of a segment in seconds, at least 0.1.
        seed: of the order in which the recordings of a class follow each other.
        sampling_rate: of the recordings, in Hz.

    Returns:
        A table in memory with columns audio (int16 lists of equal length), scale, noise_class, kind, factory, and
        num_recordings, of which a segment consists. Segments are sorted by kind, factory and class. Recordings of a
        class too short for one segment are named in a warning.

    Raises:
        ValueError: `clip_seconds` is too small, or no class has enough sound for a segment.
    """
    num_samples, fade = round(clip_seconds * sampling_rate), round(CROSS_FADE_SECONDS * sampling_rate)
    if num_samples < 10 * fade:
        raise ValueError(
            f"clip_seconds={clip_seconds:g} is shorter than {10 * CROSS_FADE_SECONDS:g} s: make it longer"
        )
    keys = list(zip(*(noise[name] for name in _GROUP), strict=True))
    chunks: list[pa.Array] = []
    scales: list[float] = []
    columns: dict[str, list] = {name: [] for name in (*_GROUP, "num_recordings")}
    for key in sorted(set(keys)):
        generator = np.random.default_rng([seed, *"/".join(key).encode()])
        rows = generator.permutation([row for row, other in enumerate(keys) if other == key])
        chain, starts = _join(noise, rows, fade)
        count = len(chain) // num_samples
        if count == 0:
            logger.warning(
                "noise class %r (%s) has %.1f s of sound, too little for a segment of %g s: it is left out",
                key[2], key[0], len(chain) / sampling_rate, clip_seconds,
            )  # fmt: skip
            continue
        segments = chain[: count * num_samples]
        if segments.dtype == np.int16:
            scales += [1.0] * count
        else:
            segments, segment_scales = _rounded(segments.reshape(count, num_samples))
            scales += segment_scales
        chunks += _chunks(segments, num_samples)
        edges = np.arange(count + 1) * num_samples
        # a segment meets the recording that is running when it starts and those that start within it
        columns["num_recordings"] += (
            np.searchsorted(starts, edges[1:], "left") - np.searchsorted(starts, edges[:-1], "right") + 1
        ).tolist()
        for name, value in zip(_GROUP, key, strict=True):
            columns[name] += [value] * count
    if not chunks:
        raise ValueError(
            f"none of the {len(noise)} noise recordings' classes has {clip_seconds:g} s of sound: add recordings, or "
            "make the clips shorter"
        )
    features = Features(
        {
            "audio": List(Value("int16")),
            SCALE_COLUMN: Value("float32"),
            **dict.fromkeys(_GROUP, Value("string")),
            "num_recordings": Value("int32"),
        }
    )
    table = {"audio": pa.chunked_array(chunks), SCALE_COLUMN: pa.array(scales, type=pa.float32()), **columns}
    return Dataset(pa.table(table, schema=features.arrow_schema))


def _chunks(samples: np.ndarray, num_samples: int) -> list[pa.Array]:
    """Arrow lists of `num_samples` int16 each, over the memory of `samples` [segments * num_samples]."""
    step = max(_SAMPLES_PER_CHUNK // num_samples, 1) * num_samples
    parts = (samples[start : start + step] for start in range(0, len(samples), step))
    return [pa.ListArray.from_arrays(np.arange(0, len(part) + 1, num_samples, dtype=np.int32), part) for part in parts]


def _join(noise: Dataset, rows: np.ndarray, fade: int) -> tuple[np.ndarray, np.ndarray]:
    """The recordings one after another, neighbors overlapping by an equal-power cross-fade of `fade` samples.

    Returns:
        The chain [samples]: int16 where all recordings have the scale 1, else float32 with full scale 1; and where in
        it each recording starts [recordings]. Recordings shorter than two cross-fades are laid plainly beside their
        neighbors.
    """
    lengths = [len(read_clips(noise, [row])[0][0]) for row in rows]
    scales = read_scales(noise, rows)
    is_plain = bool((scales == 1).all())
    chain = np.zeros(sum(lengths), dtype=np.int16 if is_plain else np.float32)
    angle = (np.arange(fade) + 0.5) / fade * (np.pi / 2)
    starts, position, previous = [], 0, 0
    for row, length, scale in zip(rows, lengths, scales, strict=True):
        clip = read_clips(noise, [row])[0][0]
        samples = clip if is_plain else clip * (scale * np.float32(INT16_SCALE))
        fades = min(previous, length) >= 2 * fade
        position -= fade if fades else 0
        before = chain[position : position + fade].astype(np.float64)
        chain[position : position + length] = samples
        if fades:
            faded = np.sin(angle) * samples[:fade] + np.cos(angle) * before
            if is_plain:
                faded = np.clip(np.round(faded), -32768, 32767)
            chain[position : position + fade] = faded
        starts.append(position)
        position, previous = position + length, length
    return chain[:position], np.asarray(starts)


def _rounded(segments: np.ndarray) -> tuple[np.ndarray, list[float]]:
    """Segments [segments, samples] float32 in 16 bit, end to end, and their scales."""
    rounded = np.empty(segments.shape, dtype=np.int16)
    scales = []
    for segment, place in zip(segments, rounded, strict=True):
        place[:], scale = to_int16(segment)
        scales.append(scale)
    return rounded.ravel(), scales

"""Batches of int16 clips from a memory-mapped table, without a Python loop over samples.

Tables hold their audio as lists of int16 in the column `audio`, and what full scale stands for in the column `scale`:
a waveform is `clip * scale / 32768`. Without that column it is 1, as in synthetic tables. Asking `datasets` for NumPy
rows builds one object per clip; reading the Arrow buffer of the list column gives the whole batch at once.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import torch
from datasets import Dataset, concatenate_datasets

INT16_SCALE = 1.0 / 32768.0
SCALE_COLUMN = "scale"

_LONG_CLIP = 2**21  # samples: clips of which a part is wanted are then read one by one
_SAMPLES_AT_A_TIME = 2**26


class Int16Clip(NamedTuple):
    """A clip as a table holds it.

    Attributes:
        samples: int16 [samples].
        scale: the amplitude of full scale, a power of two.
    """

    samples: np.ndarray
    scale: float


def to_int16(waveform: np.ndarray) -> Int16Clip:
    """Round a clip to 16 bit at the scale that suits it.

    Samples that 16 bit hold exactly stay as they are, at scale 1. All others are rounded at the smallest power of two
    that holds the largest: neither is a clip beyond full scale clipped, nor does a quiet one drown in rounding.

    Args:
        waveform: float32 [samples], finite and not empty.
    """
    exact = waveform.astype(np.float64) * 32768.0
    peak = max(-exact.min(), exact.max())
    if peak <= 32768.0 and exact.max() <= 32767.0 and np.array_equal(exact, np.rint(exact)):
        return Int16Clip(exact.astype(np.int16), 1.0)
    exponent = int(np.ceil(np.log2(peak / 32767.0)))
    return Int16Clip(np.rint(np.ldexp(exact, -exponent)).astype(np.int16), float(2.0**exponent))


def rows_at_a_time(table: Dataset, most: int = 256) -> int:
    """How many whole clips of a table `read_clips` may take at a time, so that long ones do not fill the memory."""
    return max(1, min(most, int(_SAMPLES_AT_A_TIME / max(_mean_samples(table), 1))))


def read_scales(table: Dataset, rows: Sequence[int] | np.ndarray) -> np.ndarray:
    """The scale of each clip, float32 [len(rows)]; 1 where the table has no such column."""
    if SCALE_COLUMN not in table.column_names:
        return np.ones(len(rows), dtype=np.float32)
    only_scales = table.select_columns([SCALE_COLUMN]).with_format("arrow")  # audio would be read for nothing
    scales = only_scales[np.asarray(rows, dtype=np.int64)].column(SCALE_COLUMN)
    return scales.to_numpy().astype(np.float32)


def with_scale(table: Dataset) -> Dataset:
    """The table with its column `scale`: 1 for every clip where it had none."""
    if SCALE_COLUMN in table.column_names:
        return table
    ones = Dataset.from_dict({SCALE_COLUMN: np.ones(len(table), dtype=np.float32)})
    return concatenate_datasets([table, ones], axis=1)


def read_clips(
    table: Dataset,
    rows: Sequence[int] | np.ndarray,
    num_samples: int | None = None,
    start_draws: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Read clips as one int16 array.

    Args:
        table: a table whose column `audio` holds lists of int16 samples; `read_scales` gives their scales.
        rows: row numbers, in the order wanted; a row may come twice.
        num_samples: length of the returned clips; longer clips are cut, shorter ones are followed by zeros. None: the
            length of the longest clip among `rows`.
        start_draws: [len(rows)] uniform draws in [0, 1) which say where the cut of a longer clip begins; None: at its
            beginning.

    Returns:
        clips [len(rows), num_samples] int16 and their real lengths [len(rows)] int64 (at most `num_samples`).

    Raises:
        ValueError: the table has no such column.
    """
    if "audio" not in table.column_names:
        raise ValueError(f"the table has no column 'audio' of int16 samples; its columns are {table.column_names}")
    if num_samples is not None and _mean_samples(table) > _LONG_CLIP:
        return _read_parts(table, rows, num_samples, start_draws)
    lists = table.with_format("arrow")[np.asarray(rows, dtype=np.int64)].column("audio").combine_chunks()
    if isinstance(lists, pa.ChunkedArray):  # combine_chunks of an empty selection stays chunked
        lists = pa.concat_arrays(lists.chunks) if lists.num_chunks else pa.array([], type=lists.type)
    lengths = lists.value_lengths().to_numpy(zero_copy_only=False).astype(np.int64)
    values = lists.flatten().to_numpy(zero_copy_only=False)
    width = int(num_samples if num_samples is not None else lengths.max(initial=0))
    if len(lengths) and (lengths == width).all():
        return values.reshape(len(lengths), width).copy(), lengths  # Arrow's own memory is read-only
    kept = np.minimum(lengths, width)
    clips = np.zeros((len(lengths), width), dtype=np.int16)
    starts = np.cumsum(lengths) - lengths
    if start_draws is not None:
        starts += np.floor(start_draws * (lengths - kept + 1)).astype(np.int64)
    inside = np.arange(width) < kept[:, None]
    clips[inside] = values[(starts[:, None] + np.arange(width))[inside]]
    return clips, kept


def to_waveform(clips: np.ndarray | torch.Tensor, scales: np.ndarray | torch.Tensor) -> torch.Tensor:
    """Turn int16 clips into waveforms.

    Args:
        clips: int16 [batch, samples].
        scales: amplitude of full scale of each clip, [batch].

    Returns:
        float32 of the shape and on the device of `clips`.
    """
    tensor = torch.from_numpy(np.ascontiguousarray(clips)) if isinstance(clips, np.ndarray) else clips
    factors = torch.as_tensor(scales, dtype=torch.float32, device=tensor.device) * INT16_SCALE  # powers of two: exact
    return tensor.to(torch.float32) * factors[:, None]


def _mean_samples(table: Dataset) -> float:
    return table.data.nbytes / 2 / max(table.data.num_rows, 1)


def _read_parts(
    table: Dataset, rows: Sequence[int] | np.ndarray, num_samples: int, start_draws: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """As `read_clips`, without a copy of the clips as they are."""
    arrow = table.with_format("arrow")
    clips = np.zeros((len(rows), num_samples), dtype=np.int16)
    kept = np.zeros(len(rows), dtype=np.int64)
    for index, row in enumerate(rows):
        (values,) = arrow[int(row)].column("audio").chunks
        samples = values.flatten().to_numpy(zero_copy_only=False)
        kept[index] = min(len(samples), num_samples)
        draw = 0.0 if start_draws is None else float(start_draws[index])
        start = int(np.floor(draw * (len(samples) - kept[index] + 1)))
        clips[index, : kept[index]] = samples[start : start + kept[index]]
    return clips, kept

"""Batches of int16 clips from a memory-mapped table, without a Python loop over samples.

Tables hold their audio as lists of int16. Asking `datasets` for NumPy rows builds one object per clip; reading the
Arrow buffer of the list column gives the whole batch at once.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import torch
from datasets import Dataset

INT16_SCALE = 1.0 / 32768.0


def read_clips(
    table: Dataset, rows: Sequence[int] | np.ndarray, num_samples: int | None = None, column: str = "audio"
) -> tuple[np.ndarray, np.ndarray]:
    """Reads clips as one int16 array.

    Args:
        table: a table with a list column of int16 samples.
        rows: row numbers, in the order wanted; a row may come twice.
        num_samples: length of the returned clips; longer clips are cut at the end, shorter ones are followed by
            zeros. None: the length of the longest clip among `rows`.
        column: name of the list column.

    Returns:
        clips [len(rows), num_samples] int16 and their real lengths [len(rows)] int64 (at most `num_samples`).

    Raises:
        KeyError: the table has no such column.
    """
    if column not in table.column_names:
        raise KeyError(f"the table has no column {column!r}; its columns are {table.column_names}")
    lists = table.with_format("arrow")[np.asarray(rows, dtype=np.int64)].column(column).combine_chunks()
    if isinstance(lists, pa.ChunkedArray):  # combine_chunks of an empty selection stays chunked
        lists = pa.concat_arrays(lists.chunks) if lists.num_chunks else pa.array([], type=lists.type)
    lengths = lists.value_lengths().to_numpy(zero_copy_only=False).astype(np.int64)
    values = lists.flatten().to_numpy(zero_copy_only=False)
    width = int(num_samples if num_samples is not None else lengths.max(initial=0))
    if len(lengths) and (lengths == lengths[0]).all() and lengths[0] >= width:
        return values.reshape(len(lengths), -1)[:, :width], np.full(len(lengths), width)
    kept = np.minimum(lengths, width)
    clips = np.zeros((len(lengths), width), dtype=np.int16)
    starts = np.cumsum(lengths) - lengths
    inside = np.arange(width) < kept[:, None]
    clips[inside] = values[(starts[:, None] + np.arange(width))[inside]]
    return clips, kept


def to_waveform(clips: np.ndarray | torch.Tensor) -> torch.Tensor:
    """Turns int16 clips [batch, samples] into float32 waveforms in [-1, 1) of the same shape, on the same device."""
    tensor = torch.from_numpy(np.ascontiguousarray(clips)) if isinstance(clips, np.ndarray) else clips
    return tensor.to(torch.float32) * INT16_SCALE

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
    table: Dataset,
    rows: Sequence[int] | np.ndarray,
    num_samples: int | None = None,
    start_draws: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Reads clips as one int16 array.

    Args:
        table: a table whose column `audio` holds lists of int16 samples.
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


def to_waveform(clips: np.ndarray | torch.Tensor) -> torch.Tensor:
    """Turns int16 clips [batch, samples] into float32 waveforms in [-1, 1) of the same shape, on the same device."""
    tensor = torch.from_numpy(np.ascontiguousarray(clips)) if isinstance(clips, np.ndarray) else clips
    return tensor.to(torch.float32) * INT16_SCALE

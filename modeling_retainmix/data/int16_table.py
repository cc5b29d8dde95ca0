"""Recordings of a table, decoded into int16 and written into an Arrow file beside their other columns."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
from datasets import Dataset, Features, List, Value
from tqdm.auto import tqdm

from modeling_retainmix.audio import AudioSource, audio_sources
from modeling_retainmix.data.clips import SCALE_COLUMN, Int16Clip
from modeling_retainmix.load_ahead import load_ahead

_VERSION = 3  # of what a written sample is; part of fingerprints
_BATCH = 64  # clips of one record batch, at most
_BATCH_SAMPLES = 2**24  # samples after which a record batch ends: offsets into it are 32 bit


def sound_sources(
    table: Dataset, channel: int | str | None, sampling_rate: int, max_seconds: float | None = None
) -> list[AudioSource]:
    """The recordings of a table with a string column `path` or an undecoded Audio column `audio`, not read yet."""
    column = table["path"][:] if "path" in table.column_names else table["audio"]
    return audio_sources(column, None, channel, sampling_rate, max_seconds)


def fingerprint(table: Dataset, *settings: object) -> str:
    """16 hex digits: equal for equal rows, settings and files; files are known by path, size and time of change.

    Raises:
        FileNotFoundError: a file does not exist.
    """
    digest = hashlib.sha256(json.dumps([_VERSION, *settings]).encode())
    if "path" in table.column_names:
        for row in table:
            digest.update(json.dumps([row, *_file_state(row["path"])], sort_keys=True).encode())
    else:
        digest.update(table._fingerprint.encode())  # of rows, indices and the files behind them
    return digest.hexdigest()[:16]


def write_int16(
    table: Dataset,
    sources: list[AudioSource],
    file: Path,
    read: Callable[[AudioSource], Int16Clip | str],
    accept: Callable[[int, Int16Clip], str | None] | None = None,
    title: str = "decoding",
) -> dict[int, str]:
    """Write the clips of a table that are usable, as columns `audio` (int16 lists) and `scale` beside its others.

    Args:
        table: one row per source; columns `audio` and `scale` that it has are replaced.
        sources: the recordings.
        file: Arrow file to write.
        read: gives a clip, or what is wrong with it; runs in threads.
        accept: says what is wrong with a clip (by row), or None; called in the order of the rows.
        title: of the progress bar.

    Returns:
        {row: what is wrong with its clip} of those that were not written.
    """
    table = table.select_columns([name for name in table.column_names if name not in ("audio", SCALE_COLUMN)])
    features = Features({"audio": List(Value("int16")), SCALE_COLUMN: Value("float32"), **table.features})
    refused: dict[int, str] = {}
    clips: dict[int, Int16Clip] = {}
    samples = 0
    with (
        pa.OSFile(str(file), "wb") as sink,
        pa.ipc.new_stream(sink, features.arrow_schema) as writer,
        tqdm(total=len(table), desc=title, unit="clip", disable=None, delay=2) as progress,
    ):
        loaded = load_ahead(sources, read, max_clips=_BATCH, num_samples=_num_samples)
        for row, future in enumerate(loaded):
            clip = future.result()
            problem = clip if isinstance(clip, str) else accept(row, clip) if accept else None
            if problem is not None:
                refused[row] = problem
            else:
                clips[row] = clip
                samples += len(clip.samples)
            progress.update()
            if len(clips) == _BATCH or samples >= _BATCH_SAMPLES:
                writer.write_table(_record_batch(table, clips, features))
                clips, samples = {}, 0
        if clips:
            writer.write_table(_record_batch(table, clips, features))
    return refused


def _record_batch(table: Dataset, clips: dict[int, Int16Clip], features: Features) -> pa.Table:
    rows = table.with_format("arrow")[np.fromiter(clips, dtype=np.int64)]
    offsets = np.cumsum([0, *(len(clip.samples) for clip in clips.values())], dtype=np.int32)
    columns = {
        "audio": pa.ListArray.from_arrays(offsets, np.concatenate([clip.samples for clip in clips.values()])),
        SCALE_COLUMN: pa.array([clip.scale for clip in clips.values()], type=pa.float32()),
    } | {name: rows.column(name).combine_chunks() for name in table.column_names}
    return pa.table(columns, schema=features.arrow_schema)


def _num_samples(clip: Int16Clip | str) -> int:
    return 0 if isinstance(clip, str) else len(clip.samples)


def _file_state(path: str) -> tuple[str, int, int]:
    try:
        status = Path(path).stat()
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} does not exist: check the path") from None
    return str(Path(path).resolve()), status.st_size, status.st_mtime_ns

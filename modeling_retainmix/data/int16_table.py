"""Recordings of a table, decoded into int16 and written into an Arrow file beside their other columns."""

import hashlib
import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
from datasets import Dataset, Features, List, Value
from tqdm.auto import tqdm

from modeling_retainmix.audio import AudioSource, audio_sources

_VERSION = 2  # of what a written sample is; part of fingerprints
_BATCH = 64


def sound_sources(table: Dataset, channel: int | str | None, sampling_rate: int) -> list[AudioSource]:
    """The recordings of a table with a string column `path` or an undecoded Audio column `audio`, not read yet."""
    column = table["path"][:] if "path" in table.column_names else table["audio"]
    return audio_sources(column, None, channel, sampling_rate)


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


def to_int16(waveform: np.ndarray) -> np.ndarray:
    """float32 [samples] in [-1, 1] -> int16 [samples]"""
    return np.clip(np.round(waveform * 32768.0), -32768, 32767).astype(np.int16)


def write_int16(
    table: Dataset,
    sources: list[AudioSource],
    file: Path,
    read: Callable[[AudioSource], np.ndarray | str],
    accept: Callable[[int, np.ndarray], str | None] | None = None,
    title: str = "decoding",
) -> dict[int, str]:
    """Writes the clips of a table that are usable, as a column `audio` of int16 lists beside its other columns.

    Args:
        table: one row per source; its own column `audio`, if it has one, is replaced.
        sources: the recordings.
        file: Arrow file to write.
        read: gives a clip, int16 [samples], or what is wrong with it; runs in threads.
        accept: says what is wrong with a clip (by row), or None; called in the order of the rows.
        title: of the progress bar.

    Returns:
        {row: what is wrong with its clip} of those that were not written.
    """
    table = table.select_columns([name for name in table.column_names if name != "audio"])
    features = Features({"audio": List(Value("int16")), **table.features})
    refused: dict[int, str] = {}
    with (
        pa.OSFile(str(file), "wb") as sink,
        pa.ipc.new_stream(sink, features.arrow_schema) as writer,
        ThreadPoolExecutor(os.cpu_count()) as executor,
        tqdm(total=len(table), desc=title, unit="clip") as progress,
    ):
        for start in range(0, len(table), _BATCH):
            clips = {}
            for row, clip in enumerate(executor.map(read, sources[start : start + _BATCH]), start):
                problem = clip if isinstance(clip, str) else accept(row, clip) if accept else None
                if problem is not None:
                    refused[row] = problem
                elif not isinstance(clip, str):
                    clips[row] = clip
                progress.update()
            if clips:
                rows = table.with_format("arrow")[np.fromiter(clips, dtype=np.int64)]
                offsets = np.cumsum([0, *map(len, clips.values())], dtype=np.int32)
                audio = pa.ListArray.from_arrays(offsets, np.concatenate(list(clips.values())))
                columns = {"audio": audio} | {name: rows.column(name).combine_chunks() for name in table.column_names}
                writer.write_table(pa.table(columns, schema=features.arrow_schema))
    return refused


def _file_state(path: str) -> tuple[str, int, int]:
    try:
        status = Path(path).stat()
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} does not exist: check the path") from None
    return str(Path(path).resolve()), status.st_size, status.st_mtime_ns

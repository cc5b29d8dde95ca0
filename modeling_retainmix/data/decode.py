"""Sound files of a table, decoded once into int16 and kept in an Arrow file."""

import hashlib
import json
import os
import uuid
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
from datasets import Dataset, Features, List, Value
from tqdm.auto import tqdm

from modeling_retainmix.audio import SAMPLING_RATE, read_audio

_VERSION = 1  # of what a decoded sample is; part of the cache's name
_BATCH = 64


def decode_table(
    table: Dataset,
    cache_dir: str | os.PathLike[str],
    clip_seconds: float | None = None,
    sampling_rate: int = SAMPLING_RATE,
    channel: int | str | None = None,
) -> Dataset:
    """Decodes the files of a table, or opens what was decoded before.

    The cache knows files by path, size and time of change. An interrupted run leaves none behind.

    Args:
        table: with a string column `path`.
        cache_dir: folder of the caches.
        clip_seconds: longer clips are cut to their first so many seconds; None: they stay whole.
        sampling_rate: of the result, in Hz.
        channel: what to take of files with several channels: an index from 0, or "mean".

    Returns:
        The table with one column more, `audio`: int16 lists, memory-mapped.

    Raises:
        FileNotFoundError: a file does not exist.
        ValueError: files cannot be decoded, are silent, empty or of several channels; all are listed.
    """
    folder = Path(cache_dir)
    target = folder / f"{_fingerprint(table, clip_seconds, sampling_rate, channel)}.arrow"
    if not target.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f".{target.stem}-{uuid.uuid4().hex}"
        num_samples = None if clip_seconds is None else round(clip_seconds * sampling_rate)
        read = partial(_read_int16, num_samples=num_samples, sampling_rate=sampling_rate, channel=channel)
        try:
            _write(table, temporary, read)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    return Dataset.from_file(str(target))


def _fingerprint(table: Dataset, *settings: object) -> str:
    digest = hashlib.sha256(json.dumps([_VERSION, *settings]).encode())
    for row in table:
        path = Path(row["path"])
        if not path.is_file():
            raise FileNotFoundError(f"{path} does not exist: check the path")
        status = path.stat()
        known = [row, str(path.resolve()), status.st_size, status.st_mtime_ns]
        digest.update(json.dumps(known, sort_keys=True).encode())
    return f"decoded-{digest.hexdigest()[:16]}"


def _write(table: Dataset, file: Path, read: "partial[np.ndarray | str]") -> None:
    features = Features({"audio": List(Value("int16")), **table.features})
    broken: list[str] = []
    with (
        pa.OSFile(str(file), "wb") as sink,
        pa.ipc.new_stream(sink, features.arrow_schema) as writer,
        ThreadPoolExecutor(os.cpu_count()) as executor,
        tqdm(total=len(table), desc="decoding", unit="clip") as progress,
    ):
        for start in range(0, len(table), _BATCH):
            rows = table.with_format("arrow")[start : start + _BATCH]
            results = list(executor.map(read, rows.column("path").to_pylist()))
            progress.update(len(results))
            broken += [result for result in results if isinstance(result, str)]
            clips = [result for result in results if not isinstance(result, str)]
            if not broken:
                offsets = np.cumsum([0, *map(len, clips)], dtype=np.int32)
                audio = pa.ListArray.from_arrays(offsets, np.concatenate(clips))
                columns = {"audio": audio} | {name: rows.column(name).combine_chunks() for name in table.column_names}
                writer.write_table(pa.table(columns, schema=features.arrow_schema))
    if broken:
        count = f"{len(broken)} clips cannot be used: " if len(broken) > 1 else ""
        raise ValueError(count + "; ".join(broken))


def _read_int16(path: str, num_samples: int | None, sampling_rate: int, channel: int | str | None) -> np.ndarray | str:
    """The clip, int16 [samples], or what is wrong with it."""
    try:
        waveform = read_audio(path, sampling_rate, channel)[:num_samples]
    except ValueError as error:
        return str(error)
    clip = np.clip(np.round(waveform * 32768.0), -32768, 32767).astype(np.int16)
    if clip.min() == clip.max():
        return f"{path} is silent in its first {len(clip)} samples (16 bit, {sampling_rate} Hz): remove or trim it"
    return clip

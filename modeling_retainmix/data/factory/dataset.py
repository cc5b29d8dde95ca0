"""The procedural factory as a data set: tables of int16 clips in Arrow files, made once and cached."""

import multiprocessing
import os
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
from datasets import Dataset, DatasetDict, Features, List, Value
from tqdm.auto import tqdm

from modeling_retainmix.atomic import whole_folder
from modeling_retainmix.data.factory.catalogue import SPLITS
from modeling_retainmix.data.factory.plan import (
    Clip,
    FactoryConfig,
    factory_fingerprint,
    planned_tables,
    synthesize,
)

_BATCH_SIZE = 32  # clips that a worker hands over at a time


def build_factory(
    cache_dir: str | os.PathLike[str],
    config: FactoryConfig,
    num_proc: int | None = None,
    splits: Sequence[str] = SPLITS,
) -> DatasetDict:
    """Make the procedural factory, or open it where it has been made before.

    The tables are memory-mapped. A build of all splits serves requests for some of them. A build that is interrupted
    leaves nothing that is taken for one, and processes that build at the same time do not disturb each other.

    Args:
        cache_dir: folder of the caches; each configuration has a folder of its own in it.
        config: size and seed.
        num_proc: worker processes; None: none, the calling process does the work.
        splits: those of "train", "validation", "evaluation" that are wanted.

    Returns:
        For each split a table `<split>_machines` with columns audio (int16 list), machine_type, section, domain,
        split, label, attributes, factory, fault and, from version 4 on, session (of the recording), and a table
        `<split>_noise` with columns audio, noise_class, kind, factory.

    Raises:
        ValueError: an unknown split, or less than one worker.
    """
    if not splits or set(splits) - set(SPLITS):
        raise ValueError(f"splits must be some of {SPLITS}, not {tuple(splits)}")
    if num_proc is not None and num_proc < 1:
        raise ValueError(f"num_proc must be at least 1, or None for the calling process: {num_proc}")
    name = factory_fingerprint(config)
    if set(splits) != set(SPLITS) and not (Path(cache_dir) / name).is_dir():
        name += "-" + "-".join(split for split in SPLITS if split in splits)
    folder = Path(cache_dir) / name
    plan = planned_tables(config, splits)
    if not folder.is_dir():
        with whole_folder(folder) as temporary:
            _write_tables(temporary, plan, config, num_proc)
    return DatasetDict({table: Dataset.from_file(str(folder / f"{table}.arrow")) for table in plan})


def _write_tables(folder: Path, plan: dict[str, list[Clip]], config: FactoryConfig, num_proc: int | None) -> None:
    executor = ProcessPoolExecutor(num_proc, initializer=_end_with_parent) if (num_proc or 1) > 1 else None
    run = map if executor is None else executor.map
    try:
        with tqdm(
            total=sum(map(len, plan.values())), desc="procedural factory", unit="clip", disable=None, delay=2
        ) as progress:
            for table, clips in plan.items():
                batches = [clips[start : start + _BATCH_SIZE] for start in range(0, len(clips), _BATCH_SIZE)]
                audio = run(synthesize, batches, [config] * len(batches))
                _write_table(folder / f"{table}.arrow", batches, audio, progress)
    finally:
        if executor is not None:
            executor.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    """Let a worker end when the process that hands it work is killed; it would wait for ever."""

    def wait() -> None:
        parent = multiprocessing.parent_process()
        assert parent is not None  # a worker has one
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _write_table(path: Path, batches: list[list[Clip]], audio: Iterable[np.ndarray], progress: tqdm) -> None:
    columns = tuple(batches[0][0].row)
    features = Features({"audio": List(Value("int16")), **{column: Value("string") for column in columns}})
    schema = features.arrow_schema
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, schema) as writer:
        for batch, waveforms in zip(batches, audio, strict=True):
            offsets = np.arange(len(batch) + 1, dtype=np.int32) * waveforms.shape[1]
            arrays = [pa.ListArray.from_arrays(offsets, waveforms.ravel())]
            arrays += [pa.array([clip.row[column] for clip in batch]) for column in columns]
            writer.write_batch(pa.record_batch(arrays, schema=schema))
            progress.update(len(batch))

"""The procedural factory as FLAC files in the folder layout of DCASE Task 2."""

import os
from collections import Counter
from pathlib import Path

import soundfile
from datasets import DatasetDict
from tqdm.auto import tqdm

from modeling_retainmix.data.clips import read_clips
from modeling_retainmix.data.factory.catalogue import NOISE_FACTORIES
from modeling_retainmix.data.factory.signals import SAMPLING_RATE

_TRAINING_FACTORIES = {factory.name for factory in NOISE_FACTORIES["train"]}


def export_dcase(dataset_dict: DatasetDict, output_dir: str | os.PathLike[str]) -> None:
    """Write every clip of a built factory as a 16 bit FLAC file; samples stay as they are.

        <output_dir>/<split>_machines/<machine_type>/<train or test>/
            section_<NN>_<domain>_<split>_<label>_<nnnn>_<attributes>.flac
        <output_dir>/<split>_noise/<stationary or non_stationary>/<noise_class>_<nnnn>.flac

    Numbers count the clips of a machine type's split, domain and label, and those of a noise class. Training types
    have no test clips and so no `test` folder. Fault mechanisms are not part of a file name. From version 4 on, the
    attributes of validation and evaluation clips end with `session_<NN>`, counted within split, domain and label;
    attributes of training clips do not, because they are the classes that a tagging loss learns.

    Args:
        dataset_dict: what `build_factory` returns.
        output_dir: folder to write to.

    Raises:
        ValueError: the folder exists and is not empty.
    """
    output_dir = Path(output_dir)
    if output_dir.exists() and any(output_dir.iterdir()):
        raise ValueError(f"{output_dir} is not empty: name a new folder, or empty it first")
    total = sum(len(table) for table in dataset_dict.values())
    with tqdm(total=total, desc="FLAC files", unit="clip", disable=None, delay=2) as progress:
        for table_name, table in dataset_dict.items():
            name_of = _machine_file if table_name.endswith("_machines") else _noise_file
            counter: Counter[str] = Counter()
            rows = table.remove_columns("audio")
            for index, row in enumerate(rows):
                path = output_dir / table_name / name_of(row, counter)
                path.parent.mkdir(parents=True, exist_ok=True)
                clips, _ = read_clips(table, [index])
                soundfile.write(path, clips[0], SAMPLING_RATE, subtype="PCM_16")
                progress.update()


def _machine_file(row: dict[str, str], counter: Counter[str]) -> Path:
    stem = f"section_{row['section']}_{row['domain']}_{row['split']}_{row['label']}"
    folder = Path(row["machine_type"]) / row["split"]
    number = counter[f"{folder}/{stem}"]
    counter[f"{folder}/{stem}"] += 1
    attributes = row["attributes"]
    if "session" in row and row["factory"] not in _TRAINING_FACTORIES:
        attributes += f"_session_{row['session'].rsplit('_', 1)[1]}"
    return folder / f"{stem}_{number:04d}_{attributes}.flac"


def _noise_file(row: dict[str, str], counter: Counter[str]) -> Path:
    number = counter[row["noise_class"]]
    counter[row["noise_class"]] += 1
    return Path(row["kind"]) / f"{row['noise_class']}_{number:04d}.flac"

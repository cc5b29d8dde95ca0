"""Training examples: a machine clip, a noise clip and their labels, read from memory-mapped int16 in whole batches."""

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from datasets import Dataset
from torch.utils.data import Dataset as TorchDataset

from modeling_retainmix.data.clips import read_clips, read_scales, rows_at_a_time
from modeling_retainmix.keyed_random import Stream, keyed_uniform
from modeling_retainmix.mixing import SilentClipError


class PairKey(NamedTuple):
    """One training example: its position in the global sequence, and the rows of its two clips."""

    position: int
    machine: int
    noise: int


class TrainingPairs(TorchDataset[dict[str, Any]]):
    """Pairs of a machine clip and a noise clip.

    Classes are the attribute classes of the machines (one per machine type and attribute string: the paper's 231)
    followed by the classes of the noise; `class_names` lists them in the order of the label vector. A denoising
    model (Eq. 1) does not see the noise's label: `label_noise=False` ends the label vector after the machines.

    Args:
        machines: machine clips with columns audio, machine_type, attributes.
        noise: noise clips with columns audio, noise_class; none shorter than a clip.
        clip_seconds: length of an example; longer clips are cut at a start drawn for each example, shorter machine
            clips are followed by zeros.
        sampling_rate: of both tables, in Hz.
        seed: of the starts.
        label_noise: whether the classes of the noise are classes of the label vector too.

    Raises:
        ValueError: a table is empty, a clip is silent, or a noise clip is too short; the message names the rows.
    """

    def __init__(
        self,
        machines: Dataset,
        noise: Dataset,
        clip_seconds: float,
        sampling_rate: int = 16000,
        seed: int = 0,
        label_noise: bool = True,
    ) -> None:
        self.machines = machines
        self.noise = noise
        self.num_samples = round(clip_seconds * sampling_rate)
        self.seed = seed
        self.label_noise = label_noise
        machine_names = [
            f"{t}/{a}" if a else t for t, a in zip(machines["machine_type"], machines["attributes"], strict=True)
        ]
        self.machine_class_names, self.machine_classes = np.unique(machine_names, return_inverse=True)
        self.noise_class_names, self.noise_classes = np.unique(np.asarray(noise["noise_class"]), return_inverse=True)
        _check_clips(machines, "machine", min_samples=1)
        _check_clips(noise, "noise", min_samples=self.num_samples)

    @property
    def class_names(self) -> list[str]:
        """Return the names of all classes, machines before noise: the order of a label vector."""
        noise_names = self.noise_class_names.tolist() if self.label_noise else []
        return [*self.machine_class_names.tolist(), *(f"noise/{name}" for name in noise_names)]

    def describe(self, machine_row: int, noise_row: int) -> str:
        """Name the two clips of an example: by their files where the tables hold paths, else by rows and classes."""
        machine = self.machine_class_names[self.machine_classes[machine_row]]
        noise = self.noise_class_names[self.noise_classes[noise_row]]
        return f"{_clip_name(self.machines, machine_row, machine)} with {_clip_name(self.noise, noise_row, noise)}"

    def split(self, share: float, seed: int) -> "tuple[TrainingPairs, TrainingPairs]":
        """Set clips aside for validation, of every class of machines and of noise the same share.

        Args:
            share: of the clips, in (0, 1), rounded down for each class.
            seed: of the choice.

        Returns:
            The pairs that remain and those for validation; both have all classes, so that labels mean the same.

        Raises:
            ValueError: the share leaves one of the two without machine or noise clips.
        """
        parts = copy.copy(self), copy.copy(self)
        for table, classes in (("machines", "machine_classes"), ("noise", "noise_classes")):
            labels = getattr(self, classes)
            order = np.random.default_rng([seed, len(labels)]).permutation(len(labels))
            order = order[np.argsort(labels[order], kind="stable")]
            rank = np.arange(len(order)) - np.searchsorted(labels[order], labels[order])  # within the class
            aside = rank < np.floor(share * np.bincount(labels))[labels[order]]
            for part, rows in zip(parts, (np.sort(order[~aside]), np.sort(order[aside])), strict=True):
                if len(rows) == 0:
                    raise ValueError(
                        f"a validation share of {share} splits {len(labels)} clips of {table} into {len(labels)} and "
                        "0: give more clips of each class, or another share"
                    )
                setattr(part, table, getattr(self, table).select(rows))
                setattr(part, classes, labels[rows])
        return parts

    def __len__(self) -> int:
        return len(self.machines)

    def __getitem__(self, key: PairKey) -> dict[str, Any]:
        return {name: value[0] for name, value in self.__getitems__([key]).items()}

    def __getitems__(self, keys: Sequence[PairKey]) -> dict[str, np.ndarray]:
        """Read a batch.

        Returns:
            machine, noise: int16 [batch, samples], zero beyond the end of the machine clip; machine_scale,
            noise_scale: amplitude of their full scale, [batch] float32; length: real samples [batch] int64;
            machine_class, noise_class: [batch] int64, indices into `class_names`; position: [batch] int64, the place
            in the global sequence of examples; machine_row, noise_row: [batch] int64, rows of the two tables.
        """
        positions = np.array([key.position for key in keys], dtype=np.int64)
        machine_rows = np.array([key.machine for key in keys], dtype=np.int64)
        noise_rows = np.array([key.noise for key in keys], dtype=np.int64)
        machine_starts = keyed_uniform(self.seed, positions, Stream.MACHINE_START)
        noise_starts = keyed_uniform(self.seed, positions, Stream.NOISE_START)
        machine, length = read_clips(self.machines, machine_rows, self.num_samples, machine_starts)
        noise, _ = read_clips(self.noise, noise_rows, self.num_samples, noise_starts)
        if (length < self.num_samples).any():
            noise = np.where(np.arange(self.num_samples) < length[:, None], noise, np.int16(0))
        return {
            "machine": machine,
            "noise": noise,
            "machine_scale": read_scales(self.machines, machine_rows),
            "noise_scale": read_scales(self.noise, noise_rows),
            "length": length,
            "machine_class": self.machine_classes[machine_rows],
            "noise_class": self.noise_classes[noise_rows] + len(self.machine_class_names),
            "position": positions,
            "machine_row": machine_rows,
            "noise_row": noise_rows,
        }


def _clip_name(table: Dataset, row: int, class_name: str) -> str:
    return (
        str(table.select_columns("path")[row]["path"]) if "path" in table.column_names else f"row {row} ({class_name})"
    )


def _check_clips(table: Dataset, what: str, min_samples: int, batch_size: int = 256) -> None:
    """Check that no clip is silent (it has no SNR) and no noise is shorter than an example (part would lack noise)."""
    if len(table) == 0:
        raise ValueError(f"the table of {what} clips is empty")
    batch_size = rows_at_a_time(table, batch_size)
    for start in range(0, len(table), batch_size):
        rows = np.arange(start, min(start + batch_size, len(table)))
        clips, lengths = read_clips(table, rows)
        short = f"under {min_samples} samples"
        for bad, why, kind in (
            (~clips.any(axis=1), "silent", SilentClipError),
            (lengths < min_samples, short, ValueError),
        ):
            if bad.any():
                paths = table.select(rows[bad])["path"] if "path" in table.column_names else rows[bad].tolist()
                raise kind(
                    f"{int(bad.sum())} {what} clips are {why}: {list(paths)[:5]}. Take them out of the training data."
                )

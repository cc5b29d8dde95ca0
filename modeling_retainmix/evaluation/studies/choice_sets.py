"""Real machines for the choice of the detector: their clips, and mixtures with noise of keyed draws."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from modeling_retainmix.audio import SAMPLING_RATE, read_audio
from modeling_retainmix.data.benchmark import KINDS
from modeling_retainmix.data.recordings import read_evaluation_recordings
from modeling_retainmix.detection.embedder import Embedder

NUM_DRAWS = 20
LONGEST_SECONDS = 5.0  # the noise clips are as long


@dataclass(frozen=True)
class RealSet:
    """Recordings of one machine.

    Attributes:
        name: machine type.
        waveforms: [samples] float32 of each clip, at most `LONGEST_SECONDS` long.
        is_reference, is_target_domain, is_anomaly: [clips] bool.
    """

    name: str
    waveforms: list[np.ndarray]
    is_reference: np.ndarray
    is_target_domain: np.ndarray
    is_anomaly: np.ndarray

    def mixed(
        self, noise: Mapping[str, list[np.ndarray]], kinds: tuple[str, str], snr_db: float, draw: int
    ) -> list[np.ndarray]:
        """Mix every clip with noise at an SNR, the references with the first kind and the tests with the second.

        Args:
            noise: waveforms of each kind.
            kinds: of references and tests.
            snr_db: of each clip, in dB.
            draw: which noise, and which part of it, is a function of this number, the set and the clip.
        """
        mixtures = []
        for index, clip in enumerate(self.waveforms):
            pool = noise[kinds[0] if self.is_reference[index] else kinds[1]]
            generator = np.random.default_rng([draw, index, *self.name.encode()])
            chosen = pool[int(generator.integers(len(pool)))]
            start = int(generator.integers(len(chosen)))
            sound = np.take(chosen, np.arange(start, start + len(clip)), mode="wrap")
            power = float(np.square(clip, dtype=np.float64).mean() / np.square(sound, dtype=np.float64).mean())
            mixtures.append((clip + np.sqrt(power / 10 ** (snr_db / 10)) * sound).astype(np.float32))
        return mixtures

    def embed(
        self, embedder: Embedder, waveforms: Sequence[np.ndarray], batch_size: int = 32
    ) -> dict[Any, torch.Tensor]:
        """Embed clips of any lengths, those of one length together: {layer: [clips, dim]} on the CPU."""
        lengths = np.array([len(waveform) for waveform in waveforms])
        rows: list[np.ndarray] = []
        parts: dict[Any, list[torch.Tensor]] = {}
        for length in np.unique(lengths):
            equal = np.flatnonzero(lengths == length)
            for start in range(0, len(equal), batch_size):
                rows.append(equal[start : start + batch_size])
                batch = torch.from_numpy(np.stack([waveforms[row] for row in rows[-1]]))
                for layer, values in embedder.embed(batch).items():
                    parts.setdefault(layer, []).append(values.cpu())
        order = np.argsort(np.concatenate(rows))
        return {layer: torch.cat(values)[order] for layer, values in parts.items()}

    def split(self, embeddings: Mapping[Any, torch.Tensor]) -> tuple[dict[Any, torch.Tensor], dict[Any, torch.Tensor]]:
        """Split embeddings of all clips into those of references and tests."""
        rows = (self.is_reference, ~self.is_reference)
        references, tests = ({layer: values[part] for layer, values in embeddings.items()} for part in rows)
        return references, tests


def read_real_sets(folder: Path) -> list[RealSet]:
    """Read the machines below a folder: each subfolder but `noise` is a data set in a layout that is known.

    Raises:
        FileNotFoundError: there is none.
    """
    sets = []
    for part in sorted(path for path in folder.iterdir() if path.is_dir() and path.name != "noise"):
        table = read_evaluation_recordings(part)
        longest = round(LONGEST_SECONDS * SAMPLING_RATE)
        columns = {name: np.asarray(table[name]) for name in ("machine_type", "split", "domain", "label")}
        for name in np.unique(columns["machine_type"]).tolist():
            rows = np.flatnonzero(columns["machine_type"] == name)
            waveforms = [read_audio(table["path"][int(row)])[:longest] for row in rows]
            roles = [columns[key][rows] == value for key, value in ROLES.items()]
            sets.append(RealSet(name, waveforms, *roles))
    if not sets:
        raise FileNotFoundError(f"{folder} holds no folder of machines: give the one that holds them and `noise`")
    return sets


ROLES = {"split": "train", "domain": "target", "label": "anomaly"}


def read_noise(folder: Path) -> dict[str, list[np.ndarray]]:
    """Read the noise of both kinds, folders `stationary` and `non_stationary`.

    Raises:
        FileNotFoundError: one of them has no sound.
    """
    noise = {kind: [read_audio(path) for path in sorted((folder / kind).glob("*.flac"))] for kind in KINDS}
    for kind, waveforms in noise.items():
        if not waveforms:
            raise FileNotFoundError(f"{folder / kind} holds no FLAC file: give the folder that holds `noise`")
    return noise

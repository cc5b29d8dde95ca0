"""Which machine clip is mixed with which noise clip: one global sequence, a function of the seed alone."""

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from modeling_retainmix.data.training_pairs import PairKey
from modeling_retainmix.keyed_random import Stream, keyed_uniform


class PairSampler(Sampler[PairKey]):
    """Draw machine clips with probability inverse to the size of their class, and noise clips likewise.

    A class is drawn uniformly, then a clip of it, for machine sounds (the paper's weighted sampling, section 4.2) and
    for noise. Both depend on (seed, position) only. Accelerate deals whole batches of this one sequence to the
    processes, so their shares are disjoint, and a resumed run skips to its place in the same sequence.

    Args:
        machine_classes: class of every machine clip, [clips] int.
        noise_classes: class of every noise clip, [clips] int.
        num_samples: length of an epoch; epoch e covers the positions from e * num_samples on.
        seed: of the sequence.
    """

    def __init__(self, machine_classes: np.ndarray, noise_classes: np.ndarray, num_samples: int, seed: int) -> None:
        self.num_samples = num_samples
        self.seed = seed
        self.epoch = 0
        self._machines = _ClassIndex(machine_classes)
        self._noise = _ClassIndex(noise_classes)

    def set_epoch(self, epoch: int) -> None:
        """Move to the start of an epoch; the training loop calls it."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.num_samples

    def __iter__(self) -> Iterator[PairKey]:
        positions = self.epoch * self.num_samples + np.arange(self.num_samples)
        machines = self._machines.draw(keyed_uniform(self.seed, positions, Stream.MACHINE, width=2))
        noise = self._noise.draw(keyed_uniform(self.seed, positions, Stream.NOISE, width=2))
        rows = zip(positions.tolist(), machines.tolist(), noise.tolist(), strict=True)
        return (PairKey(*row) for row in rows)


class SequentialPairSampler(Sampler[PairKey]):
    """Read every machine clip once, in the order of the table, with a noise clip drawn for it: the same at every call.

    Args:
        num_machines: number of machine clips.
        noise_classes: class of every noise clip, [clips] int.
        seed: of the draws.
    """

    def __init__(self, num_machines: int, noise_classes: np.ndarray, seed: int) -> None:
        draws = keyed_uniform(seed, np.arange(num_machines), Stream.VALIDATION_NOISE, width=2)
        self._noise = _ClassIndex(noise_classes).draw(draws).tolist()

    def __len__(self) -> int:
        return len(self._noise)

    def __iter__(self) -> Iterator[PairKey]:
        return (PairKey(position, position, noise) for position, noise in enumerate(self._noise))


class _ClassIndex:
    """Rows grouped by class, so that a uniform class and a uniform clip of it are two array look-ups."""

    def __init__(self, classes: np.ndarray) -> None:
        if len(classes) == 0:
            raise ValueError("the table of clips to draw from is empty: add clips")
        self._rows = np.argsort(classes, kind="stable")
        _, self._sizes = np.unique(classes, return_counts=True)
        self._starts = np.cumsum(self._sizes) - self._sizes

    def draw(self, uniform: np.ndarray) -> np.ndarray:
        """Return the rows for uniform draws [n, 2] in [0, 1): (class, clip within the class)."""
        drawn_class = (uniform[:, 0] * len(self._sizes)).astype(np.int64)
        within = (uniform[:, 1] * self._sizes[drawn_class]).astype(np.int64)
        return self._rows[self._starts[drawn_class] + within]

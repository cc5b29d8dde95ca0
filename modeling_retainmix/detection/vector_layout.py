"""What lies where in a pooled vector: blocks end to end, one for each layer that is read, each of frequency bands."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch

LOG_MEL = "log-mel"
LEVEL = "level"
RECORDED = "recorded"
EXTRA_BLOCKS = (LOG_MEL, LEVEL, RECORDED)  # in the order in which they lie in a vector
CHANGE = "change-"
CHANGE_RECORDED = f"{CHANGE}{RECORDED}"
# An index into `hidden_states`; what is computed of the features alone; or "change-K", from token to token of layer K,
# and "change-recorded", of the statistics
Layer = int | str
BLOCK_NAMES = f'"{LOG_MEL}", "{LEVEL}", "{RECORDED}", "{CHANGE}{RECORDED}" or "{CHANGE}K" with the index K of a layer'


def changing_layer(layer: Layer) -> Layer | None:
    """Return of what the block "change-K" or "change-recorded" holds changes; None: the block is another one."""
    found = re.fullmatch(rf"{CHANGE}(\d+|{RECORDED})", layer, re.ASCII) if isinstance(layer, str) else None
    if found is None:
        return None
    return RECORDED if found[1] == RECORDED else int(found[1])


def is_block(layer: Layer) -> bool:
    """Whether this names a block, of a model that is deep enough."""
    return isinstance(layer, int) or layer in EXTRA_BLOCKS or changing_layer(layer) is not None


def joined_blocks(layer: int) -> tuple[Layer, ...]:
    """Return a layer, log-mel statistics as recorded, and the changes of both: the blocks that tell faults best."""
    return (layer, RECORDED, f"{CHANGE}{layer}", CHANGE_RECORDED)


def ordered_blocks(layers: Iterable[Layer]) -> list[Layer]:
    """Blocks in the order in which they lie in a vector, those of changes last; what is no block is left out."""
    chosen = set(layers)
    ascending = sorted(layer for layer in chosen if isinstance(layer, int))
    extra = [name for name in EXTRA_BLOCKS if name in chosen]
    still: list[Layer] = [*ascending, *extra]
    changing = {changed: layer for layer in chosen if (changed := changing_layer(layer)) is not None}
    if not changing:
        return still
    return [*still, *(changing[changed] for changed in ordered_blocks(changing))]


def block_indices(layers: Iterable[Layer]) -> list[int]:
    """Indices into `hidden_states` that these blocks need, ascending."""
    needed = (layer if isinstance(layer, int) else changing_layer(layer) for layer in layers)
    return sorted({index for index in needed if isinstance(index, int)})


def reads_recorded(layers: Iterable[Layer]) -> bool:
    """Whether one of these blocks is computed of the clip as recorded, before it is moved to a `clip_level`."""
    return not {LEVEL, RECORDED, CHANGE_RECORDED}.isdisjoint(layers)


def block_depth(layers: Iterable[Layer]) -> int:
    """Highest of these indices, 0 without any."""
    return max(block_indices(layers), default=0)


def describe_blocks(layers: Sequence[Layer]) -> str:
    """Name blocks in a sentence: "layer 4, log-mel statistics as recorded, changes of layer 4"."""
    names = {LOG_MEL: "log-mel statistics", RECORDED: "log-mel statistics as recorded", LEVEL: LEVEL}

    def describe(layer: Layer) -> str:
        changing = changing_layer(layer)
        if changing is not None:
            return f"changes of {'log-mel statistics' if changing == RECORDED else describe(changing)}"
        return names.get(str(layer), f"layer {layer}")

    return ", ".join(describe(layer) for layer in layers)


@dataclass(frozen=True)
class VectorLayout:
    """Blocks of a vector [D], in the order of the layers, and within each of them its bands, low frequencies first.

    Attributes:
        widths: values of a cell in each block; blocks share the D values in these proportions.
        num_bands: bands of every block.
        is_scaled: whether blocks are of unlike units, and are divided by their spread before they are compared.
        num_changes: of the last blocks, how many hold changes; with one of them, all blocks are compared apart
            (`GroupedBackend`).
    """

    widths: tuple[int, ...] = (1,)
    num_bands: int = 1
    is_scaled: bool = False
    num_changes: int = 0

    @property
    def groups(self) -> list["VectorLayout"]:
        """Layouts of the parts that are compared apart: every block where some hold changes, or else one of all."""
        parts = [(width,) for width in self.widths] if self.num_changes else [self.widths]
        return [VectorLayout(widths, self.num_bands) for widths in parts]

    @property
    def are_changes(self) -> list[bool]:
        """Of each group, whether it holds changes."""
        count = len(self.groups)
        return [place >= count - self.num_changes for place in range(count)]

    def split_groups(self, vectors: torch.Tensor) -> list[torch.Tensor]:
        """Split vectors [..., D] into those of the groups."""
        return self.blocks(vectors) if self.num_changes else [vectors]

    def blocks(self, vectors: torch.Tensor) -> list[torch.Tensor]:
        """Split vectors [..., D] into their blocks.

        Raises:
            ValueError: D does not divide into the blocks.
        """
        total, width = sum(self.widths), vectors.shape[-1]
        if width % total:
            raise ValueError(f"vectors of {width} features do not divide into blocks of {self.widths} each")
        return list(vectors.split([width // total * part for part in self.widths], dim=-1))

    def bands(self, vectors: torch.Tensor) -> list[torch.Tensor]:
        """Split vectors [n, D] into the bands of the first block, of the second one, and so on.

        Raises:
            ValueError: a block does not divide into the bands.
        """
        parts: list[torch.Tensor] = []
        for block in self.blocks(vectors):
            if block.shape[1] % self.num_bands:
                raise ValueError(f"vectors of {block.shape[1]} features do not divide into {self.num_bands} bands")
            parts += block.chunk(self.num_bands, dim=1)
        return parts

    def divisors(self, vectors: torch.Tensor, is_target_domain: torch.Tensor) -> torch.Tensor:
        """Return by what each block of vectors like these references is divided, [blocks] float64 on the CPU.

        That is the root of the block's total variance about the mean of the own domain, so that every block has the
        same weight in a distance; where the references do not vary, their root mean square, and 1 where they are 0.
        All are 1 unless `is_scaled`.

        Args:
            vectors: [n, D] references.
            is_target_domain: [n] bool, the domain of each.
        """
        if not self.is_scaled:
            return torch.ones(len(self.widths), dtype=torch.float64)
        values, residuals = vectors.double(), vectors.double()
        for domain in (False, True):
            rows = (is_target_domain == domain).to(vectors.device)
            if bool(rows.any()):
                residuals[rows] = residuals[rows] - residuals[rows].mean(dim=0)
        divisors = []
        for block, residual in zip(self.blocks(values), self.blocks(residuals), strict=True):
            spread, size = (float(part.square().sum(dim=1).mean().sqrt()) for part in (residual, block))
            # differences of rounding alone are none
            divisors.append(spread if spread > 1e-6 * size else size or 1.0)
        return torch.tensor(divisors, dtype=torch.float64)

    def scale(self, vectors: torch.Tensor, divisors: torch.Tensor) -> torch.Tensor:
        """Divide the blocks of vectors [..., D] by `divisors`; the dtype stays."""
        if not self.is_scaled:
            return vectors
        blocks = self.blocks(vectors)
        return torch.cat([block / divisor for block, divisor in zip(blocks, divisors.tolist(), strict=True)], dim=-1)

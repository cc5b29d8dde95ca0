"""Which detector is the default: every representation under every backend, on real machines and on the factory.

Two real sets and the factory's validation machines count a third each. References are all there are, few and very few;
real recordings are clean or in noise of 20 draws, whose kind differs between references and tests in every third draw,
as in the benchmark's subsets. The rule: the default is not worse than log-mel with its best backend on any of the
three (lower 95 % bound of the paired difference above -1 point), or it is log-mel.

Example:
    python -m modeling_retainmix.evaluation.studies.detector_choice --real_data DIR --output choice.csv \
        --models hub_cards/retainmix-beats-tiny log-mel
"""

import argparse
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from huggingface_hub.constants import HF_HOME
from sklearn.metrics import roc_auc_score
from tqdm.auto import tqdm
from transformers import AutoConfig, AutoFeatureExtractor, AutoModel

from modeling_retainmix import csv_files
from modeling_retainmix.conversion.encoders_by_name import loadable_name
from modeling_retainmix.data.benchmark import SUBSETS
from modeling_retainmix.data.benchmark_arguments import BenchmarkArguments
from modeling_retainmix.data.benchmark_sources import load_benchmark
from modeling_retainmix.data.factory import FACTORY_VERSION
from modeling_retainmix.detection.domain_scores import DomainScores
from modeling_retainmix.detection.embedder import Embedder, layout_of
from modeling_retainmix.detection.load_encoder import embedding_layer, load_encoder
from modeling_retainmix.detection.settings import DetectorSettings
from modeling_retainmix.detection.vector_layout import (
    CHANGE,
    CHANGE_RECORDED,
    EXTRA_BLOCKS,
    LEVEL,
    LOG_MEL,
    RECORDED,
    Layer,
    VectorLayout,
    joined_blocks,
)
from modeling_retainmix.evaluation.bootstrap import official_scores
from modeling_retainmix.evaluation.embeddings import embed_mixtures
from modeling_retainmix.evaluation.scores import ClipScores
from modeling_retainmix.evaluation.studies.choice_sets import NUM_DRAWS, RealSet, read_noise, read_real_sets
from modeling_retainmix.evaluation.studies.encoder_on_factory import PROTOCOL
from modeling_retainmix.pretrained import load_pretrained

BACKENDS = {
    "knn": DetectorSettings(backend="knn", normalization="none"),
    "whitened": DetectorSettings(backend="whitened", normalization="none"),
    "mahalanobis": DetectorSettings(backend="mahalanobis", normalization="references"),
    "mahalanobis, shared": DetectorSettings(backend="mahalanobis", covariance="shared", normalization="none"),
    "subband": DetectorSettings(backend="subband", normalization="none"),
    "varmin": DetectorSettings(backend="varmin", normalization="none"),
}
# Source and target references of a draw; None: all that there are.
REAL_COUNTS = {"all": None, "few": (8, 2), "very few": (5, 1)}
FACTORY_COUNTS = {"all": None, "few": (20, 5), "very few": (5, 1)}
SNR_DB = (-5.0, 0.0, 10.0)
LOG_MEL_MEAN = "log-mel mean"
LOG_MEL_STATISTICS = "log-mel statistics"  # of clips whose mean is taken away
AS_RECORDED = "log-mel statistics as recorded"

Embeddings = Mapping[Any, torch.Tensor]  # {layer: [clips, dim]}


@dataclass(frozen=True)
class Representation:
    """What is compared of a clip.

    Attributes:
        name: in the tables.
        layers: whose embeddings lie end to end.
        layout: of the vector.
    """

    name: str
    layers: tuple[Layer, ...]
    layout: VectorLayout

    def vectors(self, embeddings: Embeddings) -> torch.Tensor:
        """Return the vectors, [clips, D]."""
        if self.name == LOG_MEL_MEAN:  # the first statistic of each band
            return embeddings[RECORDED].unflatten(1, (self.layout.num_bands, 3, -1))[:, :, 0].flatten(1)
        return torch.cat([embeddings[layer] for layer in self.layers], dim=1)


@dataclass(frozen=True)
class ChoiceEncoder:
    """An encoder whose layers are all read, with and without the statistics of the log-mel features.

    Attributes:
        embedder: of all layers and the statistics.
        representations: of its layers, and of the log-mel features if they are wanted.
    """

    embedder: Embedder
    representations: tuple[Representation, ...]


def load_choice_encoder(name: str, device: str, with_log_mel: bool) -> ChoiceEncoder:
    """Load an encoder and list what is read of it; of "log-mel", which has no layers, the statistics' changes."""
    if name == LOG_MEL:
        keys: tuple[Layer, ...] = (0, f"{CHANGE}0")
        model, extractor = load_encoder(LOG_MEL, keys)
        of_statistics = Representation(f"{AS_RECORDED} + their changes", keys, layout_of(keys, model.config))
        return ChoiceEncoder(Embedder(model, extractor, keys, device), (of_statistics,))
    loadable = loadable_name(name)
    extractor, config = AutoFeatureExtractor.from_pretrained(loadable), AutoConfig.from_pretrained(loadable)
    layers = range(config.num_hidden_layers + 1)
    changes = [f"{CHANGE}{layer}" for layer in layers]
    read = [*layers, *EXTRA_BLOCKS, *changes, CHANGE_RECORDED]
    embedder = Embedder(load_pretrained(AutoModel, loadable), extractor, read, device)
    short = Path(name).name
    combined: list[tuple[str, tuple[Layer, ...]]] = []
    if with_log_mel:
        combined += [(LOG_MEL_STATISTICS, (LOG_MEL,)), (f"{LOG_MEL_STATISTICS} + level", (LOG_MEL, LEVEL))]
    combined += [(f"{short}, layer {layer}", (layer,)) for layer in layers]
    for layer in sorted({*layers[:2], embedding_layer(config)}):
        joined = f"{short}, layer {layer} + {LOG_MEL_STATISTICS}"
        combined += [(joined, (layer, LOG_MEL)), (f"{joined} + level", (layer, LOG_MEL, LEVEL))]
    for layer, change in enumerate(changes):
        combined.append((f"{short}, changes of layer {layer} + {AS_RECORDED}", (RECORDED, change)))
    own = embedding_layer(config)
    combined.append((f"{short}, layer {own} and its changes + {AS_RECORDED}", (own, RECORDED, changes[own])))
    combined.append((f"{short}, layer {own} + {AS_RECORDED}, with the changes of both", joined_blocks(own)))
    listed = [Representation(title, keys, layout_of(keys, config)) for title, keys in combined]
    if with_log_mel:
        layout = VectorLayout(num_bands=config.num_mel_patches)
        listed = [Representation(name, (RECORDED,), layout) for name in (LOG_MEL_MEAN, AS_RECORDED)] + listed
    return ChoiceEncoder(embedder, tuple(listed))


@dataclass(frozen=True)
class Cell:
    """Clips of one machine in one condition, embedded.

    Attributes:
        group: "factory", or the name of a real set.
        unit: what an interval is taken over: the draw, or the machine and seed of the factory.
        condition: "clean" or the SNR, with the subset.
        references, tests: embeddings of both, which may be in other noise.
        reference_is_target, test_is_target, test_is_anomaly: [references] and [tests] bool.
        key: of the choice of references.
    """

    group: str
    unit: str
    condition: str
    references: Embeddings
    tests: Embeddings
    reference_is_target: np.ndarray
    test_is_target: np.ndarray
    test_is_anomaly: np.ndarray
    key: tuple[int, ...]


def real_cells(real: RealSet, noise: Mapping[str, list[np.ndarray]], embedder: Embedder) -> Iterator[Cell]:
    """Embed a real set, clean and in every draw of the noise."""
    reference = real.is_reference
    labels = (real.is_target_domain[reference], real.is_target_domain[~reference], real.is_anomaly[~reference])
    clean = real.embed(embedder, real.waveforms)
    for draw in range(NUM_DRAWS):
        yield Cell(real.name, f"draw {draw}", "clean", *real.split(clean), *labels, key=(draw, 0))
        subset = list(SUBSETS)[draw % len(SUBSETS)]
        for place, snr_db in enumerate(SNR_DB, 1):
            mixed = real.embed(embedder, real.mixed(noise, SUBSETS[subset], snr_db, draw))
            yield Cell(real.name, f"draw {draw}", f"{snr_db:g} dB", *real.split(mixed), *labels, key=(draw, place))


def factory_cells(args: argparse.Namespace, seed: int, embedder: Embedder) -> Iterator[Cell]:
    """Embed the validation machines of one factory in their noise."""
    arguments = BenchmarkArguments(
        cache_dir=args.cache_dir, benchmark_seed=seed, factory_config={"version": args.factory_version}
    )
    for number, machine in enumerate(load_benchmark(PROTOCOL, arguments, "validation")):
        embeddings = embed_mixtures(machine, PROTOCOL, embedder.embed)
        reference, target = machine.is_reference, machine.is_target_domain
        labels = (target[reference], target[~reference], machine.is_anomaly[~reference])
        for place, (subset, kinds) in enumerate(SUBSETS.items()):
            for snr_db in PROTOCOL.snr_db:
                references, tests = (
                    {layer: cells[kind, snr_db][rows] for layer, cells in embeddings.items()}
                    for kind, rows in zip(kinds, (reference, ~reference), strict=True)
                )
                unit, condition = f"{machine.machine_type} {seed}", f"{snr_db:g} dB, {subset}"
                key = (seed, number, place, int(snr_db) + 100)
                yield Cell("factory", unit, condition, references, tests, *labels, key=key)


def score_cell(
    cell: Cell, representations: Sequence[Representation], backends: Collection[str] = tuple(BACKENDS)
) -> list[dict[str, Any]]:
    """Score a cell by every representation, backend and number of references: rows of the CSV, scores in %."""
    rows: list[dict[str, Any]] = []
    counts = FACTORY_COUNTS if cell.group == "factory" else REAL_COUNTS
    for place, (count, sizes) in enumerate(counts.items()):
        if count == "all" and cell.condition == "clean" and cell.key[0] > 0:
            continue  # the same as in the first draw
        chosen = torch.from_numpy(_choose(cell.reference_is_target, sizes, (*cell.key, place)))
        is_target = torch.from_numpy(cell.reference_is_target)[chosen]
        for representation in representations:
            references = representation.vectors(cell.references)[chosen]
            tests = representation.vectors(cell.tests)
            for backend, settings in BACKENDS.items():
                if backend not in backends or (backend == "varmin" and len(representation.layout.groups) > 1):
                    continue  # "varmin" takes no groups
                scores = DomainScores(
                    settings, references, torch.arange(len(chosen)), is_target, representation.layout
                )
                pseudo = pseudo_auc(scores, references, representation.layout, cell.key) if count == "all" else None
                rows.append(
                    {
                        "group": cell.group,
                        "unit": cell.unit,
                        "condition": cell.condition,
                        "references": count,
                        "representation": representation.name,
                        "backend": backend,
                        "official_score": round(100 * _official(cell, scores.scores(tests)), 3),
                        "pseudo_auc": "" if pseudo is None else round(100 * pseudo, 3),
                    }
                )
    return rows


def pseudo_auc(scores: DomainScores, references: torch.Tensor, layout: VectorLayout, key: Sequence[int]) -> float:
    """Return how well references, each left out, are told from pseudo-anomalies: references with bands of others.

    Each pseudo-anomaly takes every frequency band from a reference of its own, so that its bands are normal and their
    combination is not. No anomaly is needed for this figure (`pseudo_anomalies`).

    Args:
        scores: of these references.
        references: [n, D].
        layout: of a vector.
        key: of the draw.

    Returns:
        AUC in [0, 1].
    """
    bands = layout.bands(references)
    rows = np.random.default_rng([*key, 7]).integers(len(references), size=(len(bands), len(references)))
    mixed = torch.cat([band[row] for band, row in zip(bands, rows, strict=True)], dim=1)
    values = np.concatenate([scores.leave_one_out(), scores.scores(mixed)])
    return float(roc_auc_score(np.repeat([0, 1], len(references)), values))


def _choose(is_target: np.ndarray, sizes: tuple[int, int] | None, key: Sequence[int]) -> np.ndarray:
    if sizes is None:
        return np.arange(len(is_target))
    generator = np.random.default_rng(list(key))
    rows = [generator.permutation(np.flatnonzero(is_target == bool(d)))[:size] for d, size in enumerate(sizes)]
    return np.sort(np.concatenate(rows))


def _official(cell: Cell, scores: np.ndarray) -> float:
    names = np.full(len(scores), "machine")
    clips = ClipScores(names, cell.test_is_anomaly, cell.test_is_target, {})
    return float(official_scores(scores, clips, np.ones((1, len(scores))))[0])


def milliseconds_per_clip(encoder: ChoiceEncoder, representation: Representation, seconds: float = 4.0) -> float:
    """Measure the time of embedding one clip in a batch of 16, in milliseconds."""
    embedder = encoder.embedder
    alone = Embedder(embedder.model, embedder.feature_extractor, representation.layers, embedder.device)
    waveforms = 0.1 * torch.randn(16, round(seconds * 16000), generator=torch.Generator().manual_seed(0))
    alone.embed(waveforms)
    start = time.perf_counter()
    for _ in range(4):
        alone.embed(waveforms)
    return (time.perf_counter() - start) / (4 * len(waveforms)) * 1000


def main(argv: Sequence[str] | None = None) -> None:
    """Write a row per cell, representation, backend and number of references, and then print the table of them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--real_data", required=True, help="folder of the real machines and of `noise`")
    parser.add_argument("--models", nargs="+", required=True, help="folders or Hub names of encoders, or log-mel")
    parser.add_argument("--output", required=True, help="CSV file of all single scores; `.times.csv` beside it")
    parser.add_argument("--factory_version", type=int, default=FACTORY_VERSION)
    parser.add_argument("--backends", nargs="+", choices=BACKENDS, default=list(BACKENDS), help="default: all")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2], help="of the factory")
    parser.add_argument("--cache_dir", default=str(Path(HF_HOME) / "retainmix"), help="folder of the factory's tables")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args(argv)
    sets, noise = read_real_sets(Path(args.real_data)), read_noise(Path(args.real_data) / "noise")
    rows, times = [], []
    for place, name in enumerate(args.models):
        encoder = load_choice_encoder(name, args.device, with_log_mel=place == 0)
        embedder = encoder.embedder
        sources = [
            *(real_cells(real, noise, embedder) for real in sets),
            *(factory_cells(args, seed, embedder) for seed in args.seeds),
        ]
        for cells in sources:
            for cell in tqdm(cells, desc=Path(name).name, unit="cell", disable=None):
                rows += score_cell(cell, encoder.representations, args.backends)
            csv_files.write_records(args.output, rows)  # after every set: partial work is kept
        times += [
            {"representation": one.name, "milliseconds": round(milliseconds_per_clip(encoder, one), 2)}
            for one in encoder.representations
        ]
        csv_files.write_records(f"{args.output}.times.csv", times)


if __name__ == "__main__":
    main()

"""Scores of several encoders on one benchmark in one pass: every clip is read, mixed and filtered once for all."""

import hashlib
import json
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache as cache_results
from functools import cached_property, partial
from typing import Any, Literal

import torch
from tqdm.auto import tqdm

from modeling_retainmix.data.benchmark import KINDS, BenchmarkProtocol, MachineBenchmark
from modeling_retainmix.detection.embedder import Embedder, layout_of
from modeling_retainmix.detection.settings import DetectorSettings
from modeling_retainmix.detection.vector_layout import (
    CHANGE_RECORDED,
    RECORDED,
    Layer,
    VectorLayout,
    joined_blocks,
    reads_recorded,
)
from modeling_retainmix.detection.vector_layout import LOG_MEL as CENTRED
from modeling_retainmix.encoders import LogMelConfig, LogMelModel
from modeling_retainmix.encoders.feature_extraction_encoder import mean_level, set_clip_level
from modeling_retainmix.evaluation.compared_systems import LOG_MEL, LOG_MEL_STATISTICS
from modeling_retainmix.evaluation.embedding_cache import EmbeddingCache, Tensors
from modeling_retainmix.evaluation.embeddings import (
    BenchmarkEmbeddings,
    EmbedFunction,
    embed_mixtures,
    embed_oracle,
)
from modeling_retainmix.evaluation.scores import NEAREST_REFERENCE, WHITENED, BenchmarkScores, score_benchmark


@dataclass(frozen=True)
class NamedEncoder:
    """An encoder among others.

    Attributes:
        name: tells its embeddings apart from those of the others: their key is (name, layer).
        model: the encoder; None: `spectrum` of the log-mel features is the embedding, its layer is 0.
        feature_extractor: its feature extractor.
        layers: indices into `hidden_states`.
        spectrum: "mean" over time, or the "statistics" of each patch (`LogMelModel`), the clip's mean taken away.
    """

    name: str
    model: Any
    feature_extractor: Any
    layers: tuple[int, ...]
    spectrum: Literal["mean", "statistics"] = "mean"

    @cached_property
    def fingerprint(self) -> str:
        """Hash of weights and configuration."""
        if self.model is None:
            return "log-mel" if self.spectrum == "mean" else f"log-mel {self.spectrum}"  # part of the names of files
        config = self.model.config.to_dict()
        known = {
            name: value for name, value in config.items() if name not in ("_name_or_path", "transformers_version")
        }
        digest = hashlib.sha256(json.dumps(known, sort_keys=True, default=str).encode())
        for name, values in sorted(self.model.state_dict().items()):
            digest.update(f"{name} {values.dtype} {list(values.shape)}".encode())
            digest.update(values.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
        return digest.hexdigest()

    def joined(self, layer: int) -> tuple[Layer, ...]:
        """Return the blocks that are joined with a layer (`joined_blocks`); of log-mel the statistics alone.

        Raises:
            ValueError: a mean over time holds no changes.
        """
        if self.model is not None:
            return joined_blocks(layer)
        if self.spectrum == "mean":
            raise ValueError("the log-mel mean has no changes to join: compare log_mel_statistics")
        return RECORDED, CHANGE_RECORDED

    def layout(self, blocks: Sequence[Layer]) -> VectorLayout:
        """Return how the embeddings of blocks lie in one vector."""
        return layout_of(blocks, LogMelConfig() if self.model is None else self.model.config)

    def identity(self, layer: Layer, oracle: bool) -> dict[str, Any]:
        """Return what the embeddings of a layer or another block depend on beside the clips."""
        return {
            "encoder": self.fingerprint,
            "features": self.feature_extractor.to_json_string(),
            "layer": layer,
            "pooling": "time_mean",
            "oracle": oracle if self.feature_extractor.clip_level is None else oracle and "level of the mixture",
        }


def log_mel_mean(feature_extractor: Any) -> NamedEncoder:
    """Return the simplest encoder: the mean over time of the normalised log-mel features."""
    return NamedEncoder(LOG_MEL, None, feature_extractor, (0,))


def log_mel_statistics(feature_extractor: Any) -> NamedEncoder:
    """Return the statistics of the log-mel features of each patch, with the clip's mean taken away (`LogMelModel`)."""
    return NamedEncoder(LOG_MEL_STATISTICS, None, feature_extractor, (0,), spectrum="statistics")


def score_encoders(
    benchmark: Sequence[MachineBenchmark],
    protocol: BenchmarkProtocol,
    encoders: Sequence[NamedEncoder],
    oracle: bool = False,
    settings: DetectorSettings = NEAREST_REFERENCE,
    compared: Collection[tuple[str, int, str]] = (),
    cache: EmbeddingCache | None = None,
    device: torch.device | str = "cpu",
    batch_size: int = 64,
    description: str = "scoring",
    show_progress: bool = True,
) -> dict[Hashable, BenchmarkScores]:
    """Score every layer of every encoder with the nearest-neighbor detector (`score_benchmark`).

    The embeddings of one machine type and all encoders are held at a time.

    Args:
        benchmark: machine types.
        protocol: SNRs in dB.
        encoders: with names that differ.
        oracle: average the embeddings of clean clip and noise (Table 3) instead of embedding the mixture.
        settings: how embeddings are compared, see `score_benchmark`.
        compared: (name, layer, comparison) of what is compared in other ways as well: "whitened", by
            `scores.WHITENED`, or "joined", so with `NamedEncoder.joined`.
        cache: embeddings that are there are not computed again; None: nothing is kept.
        device: where to compute.
        batch_size: clips of one forward.
        description: label of the progress bar over machine types.
        show_progress: show the bar.

    Returns:
        {(name, layer): scores}, and those of `compared` under their own keys.
    """
    by_name = {encoder.name: encoder for encoder in encoders}
    blocks = {
        view: by_name[name].joined(layer) if comparison == "joined" else (layer,)
        for view in compared
        for name, layer, comparison in [view]
    }
    plain: list[tuple[str, Layer]] = [(encoder.name, layer) for encoder in encoders for layer in encoder.layers]
    read = dict.fromkeys([*plain, *((view[0], block) for view, parts in blocks.items() for block in parts)])
    identities: dict[Hashable, Mapping[str, Any]] = {
        (name, block): by_name[name].identity(block, oracle) if cache else {} for name, block in read
    }
    has_clip_level = any(encoder.feature_extractor.clip_level is not None for encoder in encoders)
    embed_clips = partial(embed_oracle, has_clip_level=has_clip_level) if oracle else embed_mixtures
    embedder = embedders_by_key(encoders, device)

    def compute(machine: MachineBenchmark, keys: Iterable[Hashable]) -> BenchmarkEmbeddings:
        return embed_clips(machine, protocol, embedder(tuple(keys)), batch_size=batch_size)

    def fetch(machine: MachineBenchmark) -> BenchmarkEmbeddings:
        if cache is None:
            return compute(machine, identities)
        data = [machine.fingerprint, [float(snr_db) for snr_db in protocol.snr_db]]
        found = cache.fetch(data, identities, lambda keys: _named(compute(machine, keys)))
        return {
            key: {(kind, snr_db): tensors[f"{kind} {snr_db:g}"] for kind in KINDS for snr_db in protocol.snr_db}
            for key, tensors in found.items()
        }

    def embed_machine(machine: MachineBenchmark) -> BenchmarkEmbeddings:
        found = fetch(machine)
        others: BenchmarkEmbeddings = {
            view: {cell: torch.cat([found[view[0], block][cell] for block in parts], dim=1) for cell in cells}
            for view, parts in blocks.items()
            for cells in [found[view[0], parts[0]]]
        }
        return {**{view: found[view] for view in plain}, **others}

    machines = tqdm(benchmark, desc=description, disable=None if show_progress else True)
    by_view: dict[Hashable, DetectorSettings] = {**dict.fromkeys(plain, settings), **dict.fromkeys(blocks, WHITENED)}
    layouts: dict[Hashable, VectorLayout] = dict.fromkeys(plain, VectorLayout())
    layouts |= {view: by_name[view[0]].layout(parts) for view, parts in blocks.items()}
    return score_benchmark(machines, protocol, embed_machine, by_view, layouts)


def _named(embeddings: BenchmarkEmbeddings) -> dict[Hashable, Tensors]:
    """Name the cells of embeddings as the cache keeps them."""
    return {
        key: {f"{kind} {snr_db:g}": values for (kind, snr_db), values in cells.items()}
        for key, cells in embeddings.items()
    }


def embedders_by_key(
    encoders: Sequence[NamedEncoder], device: torch.device | str = "cpu"
) -> Callable[[tuple[Any, ...]], EmbedFunction]:
    """Return a function from embedding keys ((name, layer), ...) of these encoders to the embedder of just these."""
    by_name = {encoder.name: encoder for encoder in encoders}

    @cache_results  # a cut encoder is a copy: make it once for all machine types
    def embedder(keys: tuple[Any, ...]) -> EmbedFunction:
        layers: dict[str, list[Layer]] = {}
        for name, layer in keys:
            layers.setdefault(name, []).append(layer)
        return embed_together([(by_name[name], wanted) for name, wanted in layers.items()], device)

    return embedder


def embed_together(
    encoders: Sequence[tuple[NamedEncoder, Sequence[Layer]]], device: torch.device | str = "cpu"
) -> EmbedFunction:
    """Return one embedder of blocks of several encoders; those with equal feature extractors share the features.

    Returns:
        Waveforms [batch, samples] -> {(name, layer): [batch, dim] float32}. A second argument, alike, gives
        the clips by whose offset these are brought to the extractors' `clip_level`; by default their own.
    """
    groups: dict[str, tuple[Any, list[tuple[str, _EmbedFeatures]]]] = {}
    as_recorded: set[str] = set()  # groups in which a block is computed of clips as recorded
    for encoder, layers in encoders:
        extractor = encoder.feature_extractor
        kind = extractor.to_json_string()
        embed = _embed_spectrum(encoder, layers, device)
        if encoder.model is not None:
            embed = Embedder(encoder.model, extractor, layers, device).embed
        groups.setdefault(kind, (extractor, []))[1].append((encoder.name, embed))
        if reads_recorded(layers):
            as_recorded.add(kind)

    @torch.inference_mode()
    def embed_all(waveforms: torch.Tensor, level_of: torch.Tensor | None = None) -> dict[Hashable, torch.Tensor]:
        waveforms = waveforms.to(device, torch.float32)
        level_of = None if level_of is None else level_of.to(device, torch.float32)
        embeddings: dict[Hashable, torch.Tensor] = {}
        for kind, (extractor, members) in groups.items():
            recorded = extractor.log_mel(waveforms) if kind in as_recorded else None
            features = _features(extractor, waveforms, level_of, recorded)
            for name, embed in members:
                found = embed(waveforms, features, recorded)
                embeddings |= {(name, layer): values for layer, values in found.items()}
        return embeddings

    return embed_all


def _features(
    extractor: Any, waveforms: torch.Tensor, level_of: torch.Tensor | None, recorded: torch.Tensor | None
) -> torch.Tensor:
    """Features at the level of the extractor, by the offset of other clips if these are given."""
    level = extractor.clip_level
    if level_of is not None and level is not None:
        recorded = extractor.log_mel(waveforms) if recorded is None else recorded
        return recorded + (level - mean_level(extractor.log_mel(level_of)))[:, None, None]
    if recorded is None:
        features: torch.Tensor = extractor.extract_features(waveforms)
        return features
    samples = waveforms.shape[1]
    return set_clip_level(
        recorded, level, extractor.frame_mask(torch.full((1,), samples), samples).to(recorded.device)
    )


# Of waveforms, their features, and their features as recorded where a block reads these
_EmbedFeatures = Callable[[torch.Tensor, torch.Tensor, torch.Tensor | None], dict[Hashable, torch.Tensor]]


def _embed_spectrum(encoder: NamedEncoder, blocks: Sequence[Layer], device: torch.device | str) -> _EmbedFeatures:
    """Embed what has no weights; layer 0 of the statistics has the clip's mean taken away."""
    if encoder.spectrum == "mean":
        return lambda waveforms, features, recorded: {0: features.mean(dim=1)}
    names: dict[Hashable, Layer] = {CENTRED if block == 0 else block: block for block in blocks}
    read = [CENTRED if block == 0 else block for block in blocks]
    embedder = Embedder(LogMelModel(LogMelConfig()).eval(), encoder.feature_extractor, read, device)
    return lambda *inputs: {names[block]: values for block, values in embedder.embed(*inputs).items()}

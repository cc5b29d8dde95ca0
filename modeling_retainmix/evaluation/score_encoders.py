"""Scores of several encoders on one benchmark in one pass: every clip is read, mixed and filtered once for all."""

import hashlib
import json
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache as cache_results
from functools import cached_property
from typing import Any

import torch
from tqdm.auto import tqdm

from modeling_retainmix.data.benchmark import KINDS, BenchmarkProtocol, MachineBenchmark
from modeling_retainmix.detection.embedder import Embedder
from modeling_retainmix.detection.settings import DetectorSettings
from modeling_retainmix.evaluation.compared_systems import LOG_MEL
from modeling_retainmix.evaluation.embedding_cache import EmbeddingCache, Tensors
from modeling_retainmix.evaluation.embeddings import (
    BenchmarkEmbeddings,
    EmbedFunction,
    embed_mixtures,
    embed_oracle,
)
from modeling_retainmix.evaluation.scores import NEAREST_REFERENCE, BenchmarkScores, score_benchmark


@dataclass(frozen=True)
class NamedEncoder:
    """An encoder among others.

    Attributes:
        name: tells its embeddings apart from those of the others: their key is (name, layer).
        model: the encoder; None: the mean over time of the log-mel features is the embedding, its layer is 0.
        feature_extractor: its feature extractor.
        layers: indices into `hidden_states`.
    """

    name: str
    model: Any
    feature_extractor: Any
    layers: tuple[int, ...]

    @cached_property
    def fingerprint(self) -> str:
        """Hash of weights and configuration."""
        if self.model is None:
            return "log-mel"  # part of the names of cached files
        config = self.model.config.to_dict()
        known = {
            name: value for name, value in config.items() if name not in ("_name_or_path", "transformers_version")
        }
        digest = hashlib.sha256(json.dumps(known, sort_keys=True, default=str).encode())
        for name, values in sorted(self.model.state_dict().items()):
            digest.update(f"{name} {values.dtype} {list(values.shape)}".encode())
            digest.update(values.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
        return digest.hexdigest()

    def identity(self, layer: int, oracle: bool) -> dict[str, Any]:
        """Return what the embeddings of a layer depend on beside the clips."""
        return {
            "encoder": self.fingerprint,
            "features": self.feature_extractor.to_json_string(),
            "layer": layer,
            "pooling": "time_mean",
            "oracle": oracle,
        }


def log_mel_mean(feature_extractor: Any) -> NamedEncoder:
    """Return the simplest encoder: the mean over time of the normalised log-mel features."""
    return NamedEncoder(LOG_MEL, None, feature_extractor, (0,))


def score_encoders(
    benchmark: Sequence[MachineBenchmark],
    protocol: BenchmarkProtocol,
    encoders: Sequence[NamedEncoder],
    oracle: bool = False,
    settings: DetectorSettings = NEAREST_REFERENCE,
    cache: EmbeddingCache | None = None,
    device: torch.device | str = "cpu",
    batch_size: int = 64,
    description: str = "scoring",
    show_progress: bool = True,
) -> dict[Hashable, BenchmarkScores]:
    """Score every layer of every encoder with the nearest-neighbour detector (`score_benchmark`).

    The embeddings of one machine type and all encoders are held at a time.

    Args:
        benchmark: machine types.
        protocol: SNRs in dB.
        encoders: with names that differ.
        oracle: average the embeddings of clean clip and noise (Table 3) instead of embedding the mixture.
        settings: how embeddings are compared, see `score_benchmark`.
        cache: embeddings that are there are not computed again; None: nothing is kept.
        device: where to compute.
        batch_size: clips of one forward.
        description: label of the progress bar over machine types.
        show_progress: show the bar.

    Returns:
        {(name, layer): scores}.
    """
    identities: dict[Hashable, Mapping[str, Any]] = {
        (encoder.name, layer): encoder.identity(layer, oracle) if cache else {}
        for encoder in encoders
        for layer in encoder.layers
    }
    embed_clips = embed_oracle if oracle else embed_mixtures

    embedder = embedders_by_key(encoders, device)

    def compute(machine: MachineBenchmark, keys: Iterable[Hashable]) -> BenchmarkEmbeddings:
        return embed_clips(machine, protocol, embedder(tuple(keys)), batch_size=batch_size)

    def embed_machine(machine: MachineBenchmark) -> BenchmarkEmbeddings:
        if cache is None:
            return compute(machine, identities)
        data = [machine.fingerprint, [float(snr_db) for snr_db in protocol.snr_db]]
        found = cache.fetch(data, identities, lambda keys: _named(compute(machine, keys)))
        return {
            key: {(kind, snr_db): tensors[f"{kind} {snr_db:g}"] for kind in KINDS for snr_db in protocol.snr_db}
            for key, tensors in found.items()
        }

    machines = tqdm(benchmark, desc=description, disable=not show_progress)
    return score_benchmark(machines, protocol, embed_machine, settings)


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
        layers: dict[str, list[int]] = {}
        for name, layer in keys:
            layers.setdefault(name, []).append(layer)
        return embed_together([(by_name[name], wanted) for name, wanted in layers.items()], device)

    return embedder


def embed_together(
    encoders: Sequence[tuple[NamedEncoder, Sequence[int]]], device: torch.device | str = "cpu"
) -> EmbedFunction:
    """Return one embedder of layers of several encoders; those with equal feature extractors share the features.

    Returns:
        Waveforms [batch, samples] -> {(name, layer): [batch, dim] float32}.
    """
    groups: dict[str, tuple[Any, list[tuple[str, _EmbedFeatures]]]] = {}
    for encoder, layers in encoders:
        extractor = encoder.feature_extractor
        embed: _EmbedFeatures = (
            _log_mel_mean if encoder.model is None else Embedder(encoder.model, extractor, layers, device).embed
        )
        groups.setdefault(extractor.to_json_string(), (extractor, []))[1].append((encoder.name, embed))

    @torch.inference_mode()
    def embed_all(waveforms: torch.Tensor) -> dict[Hashable, torch.Tensor]:
        waveforms = waveforms.to(device, torch.float32)
        embeddings: dict[Hashable, torch.Tensor] = {}
        for extractor, members in groups.values():
            features = extractor.extract_features(waveforms)
            for name, embed in members:
                embeddings |= {(name, layer): values for layer, values in embed(waveforms, features).items()}
        return embeddings

    return embed_all


_EmbedFeatures = Callable[[torch.Tensor, torch.Tensor], dict[Hashable, torch.Tensor]]


def _log_mel_mean(waveforms: torch.Tensor, features: torch.Tensor) -> dict[Hashable, torch.Tensor]:
    return {0: features.mean(dim=1)}

"""Embeddings of a machine type's benchmark clips: of their mixtures at every SNR, and the oracle's averages.

An embedder is any function from waveforms [batch, samples] to embeddings {embedding_key: [batch, dim]}; a key names
what one row of a results table reads, such as a layer.
"""

from collections.abc import Callable, Hashable
from typing import Any

import torch

from modeling_retainmix.data.benchmark import KINDS, BenchmarkProtocol, MachineBenchmark
from modeling_retainmix.losses import teacher_target

EmbedFunction = Callable[..., dict[Hashable, torch.Tensor]]
# {embedding_key: {(kind of noise, SNR in dB): [clips, dim]}}
BenchmarkEmbeddings = dict[Hashable, dict[tuple[str, float], torch.Tensor]]


def log_mel_embedder(feature_extractor: Any, device: torch.device | str = "cpu") -> EmbedFunction:
    """Return the simplest embedder, the mean over time of normalised log-mel features: {"log-mel": [batch, 128]}."""

    def embed(waveforms: torch.Tensor) -> dict[Hashable, torch.Tensor]:
        with torch.inference_mode():
            return {"log-mel": feature_extractor.extract_features(waveforms.to(device)).mean(dim=1)}

    return embed


def embed_mixtures(
    machine: MachineBenchmark, protocol: BenchmarkProtocol, embed: EmbedFunction, batch_size: int = 64
) -> BenchmarkEmbeddings:
    """Embed every recording mixed with its stationary and with its non-stationary noise, at every SNR.

    Args:
        machine: recordings and noise of one machine type.
        protocol: gives the SNRs.
        embed: the embedder.
        batch_size: clips of one call of `embed`.

    Returns:
        {embedding_key: {(kind, snr_db): [clips, dim]}}, on the CPU, clips in the order of `machine.clean_rows`.
    """
    collected: dict[Any, dict[tuple[str, float], list[torch.Tensor]]] = {}
    for kind in KINDS:
        for _, clean, noise in machine.batches(kind, batch_size):
            for snr_db in protocol.snr_db:
                for key, values in embed(clean + machine.gain(kind, snr_db) * noise).items():
                    collected.setdefault(key, {}).setdefault((kind, snr_db), []).append(values.cpu())
    return _joined(collected)


def embed_oracle(
    machine: MachineBenchmark,
    protocol: BenchmarkProtocol,
    embed: EmbedFunction,
    lam: float = 0.5,
    batch_size: int = 64,
    has_clip_level: bool = False,
) -> BenchmarkEmbeddings:
    """Embed for the oracle of Table 3: embeddings of the clean clip and of its scaled noise, combined by Eq. 5.

    Arguments and result as in `embed_mixtures`; `lam` is the weight of the clean clip. With `has_clip_level`, the
    embedder takes the mixture as a second argument, by whose offset both sounds are brought to their level: they stay
    as they stand in the mixture, as in training.
    """
    collected: dict[Any, dict[tuple[str, float], list[torch.Tensor]]] = {}
    clean_batches: list[dict[Hashable, torch.Tensor]] = []  # both kinds come with the same clean clips
    for kind in KINDS:
        for batch, (_, clean, noise) in enumerate(machine.batches(kind, batch_size)):
            if batch == len(clean_batches) and not has_clip_level:
                clean_batches.append(embed(clean))
            for snr_db in protocol.snr_db:
                scaled = machine.gain(kind, snr_db) * noise
                if has_clip_level:
                    clean_values, noise_values = (embed(sound, clean + scaled) for sound in (clean, scaled))
                else:
                    clean_values, noise_values = clean_batches[batch], embed(scaled)
                for key in noise_values:
                    values = teacher_target(clean_values[key], noise_values[key], lam)
                    collected.setdefault(key, {}).setdefault((kind, snr_db), []).append(values.cpu())
    return _joined(collected)


def _joined(collected: dict[Any, dict[tuple[str, float], list[torch.Tensor]]]) -> BenchmarkEmbeddings:
    return {key: {cell: torch.cat(parts) for cell, parts in cells.items()} for key, cells in collected.items()}

"""The probe of a pre-training: official scores of every layer on a few machines in noise, while it trains."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from modeling_retainmix.data.benchmark import PROTOCOLS, BenchmarkProtocol, MachineBenchmark, with_snr
from modeling_retainmix.detection.settings import DetectorSettings
from modeling_retainmix.evaluation.embeddings import BenchmarkEmbeddings, embed_mixtures
from modeling_retainmix.evaluation.score_encoders import NamedEncoder, embedders_by_key, log_mel_statistics
from modeling_retainmix.evaluation.scores import score_benchmark

BACKENDS = {
    "knn": DetectorSettings(backend="knn", normalization="none"),
    "mahalanobis": DetectorSettings(backend="mahalanobis"),
}


def probe_protocol(name: str, clip_seconds: float, snr_db: float) -> BenchmarkProtocol:
    """Return a protocol of `PROTOCOLS` at one SNR in dB, with clips of this length in seconds."""
    one_snr = with_snr(PROTOCOLS[name], (snr_db,))
    return replace(one_snr, name="probe", low_snr_db=(snr_db,), clip_seconds=clip_seconds)


class LayerProbe:
    """Score every layer of an encoder with several backends; each clip is embedded once.

    Args:
        benchmark: machines.
        protocol: their clip length and SNR.
        batch_size: clips of one forward.
        device: where to compute.
    """

    def __init__(
        self,
        benchmark: Sequence[MachineBenchmark],
        protocol: BenchmarkProtocol,
        batch_size: int = 32,
        device: torch.device | str = "cpu",
    ) -> None:
        self.benchmark = benchmark
        self.protocol = protocol
        self.batch_size = batch_size
        self.device = device

    def __call__(self, encoder: Any, feature_extractor: Any) -> dict[str, float]:
        """Score an encoder.

        Args:
            encoder: a `BeatsModel`.
            feature_extractor: of the encoder.

        Returns:
            {"probe_<backend>_layer_<k>": harmonic mean of the official scores of all subsets, in percent}, and that of
            log-mel statistics as "probe_<backend>_log_mel_statistics".
        """
        layers = tuple(range(encoder.config.num_hidden_layers + 1))
        named = NamedEncoder("probe", encoder, feature_extractor, layers)
        spectrum = log_mel_statistics(feature_extractor)
        views = [*((named.name, layer) for layer in layers), (spectrum.name, 0)]
        embed = embedders_by_key([named, spectrum], self.device)(tuple(views))
        kept: dict[str, BenchmarkEmbeddings] = {}

        def embed_machine(machine: MachineBenchmark) -> BenchmarkEmbeddings:
            if machine.machine_type not in kept:
                kept[machine.machine_type] = embed_mixtures(machine, self.protocol, embed, self.batch_size)
            return kept[machine.machine_type]

        scores = {}
        for backend, settings in BACKENDS.items():
            results = score_benchmark(self.benchmark, self.protocol, embed_machine, settings)
            for layer in layers:
                scores[f"probe_{backend}_layer_{layer}"] = 100.0 * results[named.name, layer].hmean_all
            scores[f"probe_{backend}_{spectrum.name}"] = 100.0 * results[spectrum.name, 0].hmean_all
        return scores


def best_layer(scores: dict[str, float], backend: str) -> tuple[int, float]:
    """Find the layer with the best score of a backend, from 1 on (0 is before the transformer), and that score."""
    layers = sum(name.startswith(f"probe_{backend}_layer_") for name in scores)
    return max(((k, scores[f"probe_{backend}_layer_{k}"]) for k in range(1, layers)), key=lambda item: item[1])

"""The benchmark's table with a far microphone: the detector with each value of `microphones`.

python -m modeling_retainmix.evaluation.studies.far_microphone --model outputs/demo  # validation machines
python -m modeling_retainmix.evaluation.studies.far_microphone --model outputs/demo --far_weight 0.1 0.3
python -m modeling_retainmix.evaluation.studies.far_microphone --model outputs/demo --evaluation  # once it is chosen

The far channel is simulated (`data.far_microphone`); the rows "known noise" are the ideal case, in which it is
exactly the noise of the mixture.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import torch
from tqdm.auto import tqdm

from modeling_retainmix.data.benchmark import KINDS, BenchmarkProtocol, MachineBenchmark
from modeling_retainmix.data.far_microphone import far_channel
from modeling_retainmix.detection.embedder import Embedder
from modeling_retainmix.detection.settings import DetectorSettings
from modeling_retainmix.evaluation.embeddings import BenchmarkEmbeddings, EmbedFunction
from modeling_retainmix.evaluation.results import result_row
from modeling_retainmix.evaluation.scores import score_benchmark
from modeling_retainmix.evaluation.studies.encoder_on_factory import (
    factory_parser,
    load_encoder_and_machines,
    write_csv,
)
from modeling_retainmix.hub.result_tables import markdown_table

NEAR, FAR, KNOWN_NOISE = "near", "far channel", "known noise"


def embed_both_microphones(
    machine: MachineBenchmark, protocol: BenchmarkProtocol, embed: EmbedFunction, seed: int = 0, batch_size: int = 64
) -> BenchmarkEmbeddings:
    """Embed every mixture and what a second microphone hears at the same time.

    Args:
        machine: recordings and noise of one machine type.
        protocol: gives the SNRs.
        embed: the embedder, of one layer.
        seed: of the simulated far channel, whose draws are keyed by the rows of the recordings.
        batch_size: clips of one call of `embed`.

    Returns:
        {"near": ..., "far channel": ..., "known noise": ...}, each {(kind, snr_db): tensor} as of `embed_mixtures`:
        [clips, dim] of the mixtures, then twice [clips, 2 * dim], the mixture's and the second microphone's embedding
        end to end.
    """
    parts: dict[Any, dict[tuple[str, float], list[torch.Tensor]]] = {NEAR: {}, FAR: {}, KNOWN_NOISE: {}}
    for kind in KINDS:
        for positions, clean, noise in machine.batches(kind, batch_size):
            for snr_db in protocol.snr_db:
                heard = machine.gain(kind, snr_db) * noise
                far = far_channel(clean, heard, machine.clean_rows[positions], seed)
                near_vectors, far_vectors, noise_vectors = (
                    next(iter(embed(waveforms).values())).cpu() for waveforms in (clean + heard, far, heard)
                )
                for microphone, values in (
                    (NEAR, near_vectors),
                    (FAR, torch.cat([near_vectors, far_vectors], dim=1)),
                    (KNOWN_NOISE, torch.cat([near_vectors, noise_vectors], dim=1)),
                ):
                    parts[microphone].setdefault((kind, snr_db), []).append(values)
    return {name: {key: torch.cat(tensors) for key, tensors in cells.items()} for name, cells in parts.items()}


def far_channel_rows(
    machines: Sequence[MachineBenchmark],
    protocol: BenchmarkProtocol,
    embedder: Embedder,
    far_weights: Sequence[float],
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Make rows of `result_row`: near, then residual and fusion for each second microphone and weight.

    Args:
        machines: machine types; each clip is embedded once, and the embeddings of all are held at a time.
        protocol: SNRs.
        embedder: of one layer.
        far_weights: values of `DetectorSettings.far_weight`.
        seed: of the simulated far channel.
    """
    embeddings = {
        machine.machine_type: embed_both_microphones(machine, protocol, embedder.embed, seed)
        for machine in tqdm(machines, desc="embedding", disable=None)
    }
    (layer,) = embedder.indices

    def row(name: str, microphone: str, settings: DetectorSettings) -> dict[str, Any]:
        def embed_machine(machine: MachineBenchmark) -> BenchmarkEmbeddings:
            return {layer: embeddings[machine.machine_type][microphone]}

        return result_row(
            name, score_benchmark(machines, protocol, embed_machine, settings, embedder.layout)[layer], layer
        )

    rows = [row("near", NEAR, DetectorSettings())]
    for microphone in (FAR, KNOWN_NOISE):
        for far_weight in far_weights:
            residual = DetectorSettings(microphones="residual", far_weight=far_weight)
            fusion = DetectorSettings(microphones="fusion", far_weight=far_weight)
            rows.append(row(f"residual, {microphone}, a = {far_weight:g}", microphone, residual))
            rows.append(row(f"fusion, {microphone}, a = {far_weight:g}", microphone, fusion))
    return rows


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table as Markdown."""
    parser = factory_parser(__doc__)
    parser.add_argument(
        "--far_weight", type=float, nargs="+", default=[DetectorSettings().far_weight], help="a of the residual"
    )
    args = parser.parse_args(argv)
    loaded = load_encoder_and_machines(args)
    rows = far_channel_rows(loaded.machines, loaded.protocol, loaded.embedder, args.far_weight, args.seed)
    print(f"{loaded.sentence} Official scores in %.\n\n{markdown_table(rows, asdict(loaded.protocol))}")
    if args.output:
        write_csv(args.output, rows)


if __name__ == "__main__":
    main()

"""What a far microphone is worth: near, cancelled and residual clips, the more the machine leaks into the far channel.

python -m modeling_retainmix.evaluation.studies.far_microphone --model outputs/demo --seed 0 1 --output sweep.csv
python -m modeling_retainmix.evaluation.studies.far_microphone --model outputs/demo --leak_db -10 --far_only_db 0
python -m modeling_retainmix.evaluation.studies.far_microphone --model outputs/demo --evaluation  # once it is chosen

The far channel is simulated (`data.far_microphone`): the machine leaks into it at each of the levels `--leak_db`, and
noise of the other kind, which the near microphone does not hear, is added at `--far_only_db`; -inf leaves it out.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from modeling_retainmix import csv_files, markdown
from modeling_retainmix.data.benchmark import KINDS, BenchmarkProtocol, MachineBenchmark
from modeling_retainmix.data.far_microphone import FAR_ONLY_DB, far_channel
from modeling_retainmix.detection.cancellation import cancel_far
from modeling_retainmix.detection.embedder import Embedder, layout_of
from modeling_retainmix.detection.settings import DetectorSettings, Microphones
from modeling_retainmix.detection.vector_layout import LOG_MEL, VectorLayout
from modeling_retainmix.evaluation.embeddings import BenchmarkEmbeddings, EmbedFunction
from modeling_retainmix.evaluation.scores import score_benchmark
from modeling_retainmix.evaluation.studies.encoder_on_factory import factory_parser, load_encoder_and_machines

LEAKS_DB = (-20.0, -15.0, -10.0, -5.0, 0.0)
BACKENDS = ("mahalanobis", "whitened")

System = tuple[Microphones, float | None]  # and the leak in dB, on which "near" does not depend


def embed_sweep(
    machine: MachineBenchmark,
    protocol: BenchmarkProtocol,
    embed: EmbedFunction,
    leaks_db: Sequence[float] = LEAKS_DB,
    far_only_db: float = FAR_ONLY_DB,
    seed: int = 0,
    batch_size: int = 64,
) -> dict[System, BenchmarkEmbeddings]:
    """Embed every mixture, alone and with what a far microphone hears at the same time.

    Args:
        machine: recordings and noise of one machine type.
        protocol: gives the SNRs.
        embed: the embedder.
        leaks_db: levels of the machine in the far channel, in dB.
        far_only_db: level of the far channel's own noise, in dB.
        seed: of the simulated far channel, whose draws are keyed by the rows of the recordings.
        batch_size: clips of one call of `embed`.

    Returns:
        Embeddings as of `embed_mixtures`, of each system: [clips, dim] of the mixtures for ("near", None) and of the
        mixtures without the far channel for ("cancel", leak), [clips, 2 * dim] of both end to end for
        ("residual", leak).
    """
    parts: dict[Any, dict[Any, dict[Any, list[torch.Tensor]]]] = {}
    for kind, other_kind in zip(KINDS, reversed(KINDS), strict=True):
        batches = zip(machine.batches(kind, batch_size), machine.batches(other_kind, batch_size), strict=True)
        for (positions, clean, noise), (_, _, far_only) in batches:
            for snr_db in protocol.snr_db:
                heard = machine.gain(kind, snr_db) * noise
                near = clean + heard
                near_vectors = _embedded(embed, near)
                results: dict[System, dict[Hashable, torch.Tensor]] = {("near", None): near_vectors}
                for leak_db in leaks_db:
                    rows = machine.clean_rows[positions]
                    far = far_channel(clean, heard, rows, seed, leak_db, far_only, far_only_db)
                    cancelled = [cancel_far(*pair) for pair in zip(near.numpy(), far.numpy(), strict=True)]
                    results["cancel", leak_db] = _embedded(embed, torch.from_numpy(np.stack(cancelled)))
                    results["residual", leak_db] = {
                        view: torch.cat([near_vectors[view], vectors], dim=1)
                        for view, vectors in _embedded(embed, far).items()
                    }
                for system, vectors_by_view in results.items():
                    for view, vectors in vectors_by_view.items():
                        cells = parts.setdefault(system, {}).setdefault(view, {})
                        cells.setdefault((kind, snr_db), []).append(vectors)
    return {
        system: {view: {cell: torch.cat(tensors) for cell, tensors in cells.items()} for view, cells in views.items()}
        for system, views in parts.items()
    }


def sweep_records(
    machine: MachineBenchmark,
    protocol: BenchmarkProtocol,
    systems: Mapping[System, BenchmarkEmbeddings],
    layouts: Mapping[Hashable, VectorLayout],
    far_weight: float,
) -> Iterator[dict[str, Any]]:
    """Yield the official score of each system, representation and backend: its harmonic mean over all cells in %.

    Args:
        machine: the machine type.
        protocol: SNRs.
        systems: as of `embed_sweep`.
        layouts: of the vectors of each representation.
        far_weight: of the residual.
    """
    for backend in BACKENDS:
        for (microphones, leak_db), embeddings in systems.items():
            settings = DetectorSettings(backend=backend, microphones=microphones, far_weight=far_weight)
            for view, layout in layouts.items():
                scores = score_benchmark([machine], protocol, _giving({view: embeddings[view]}), settings, layout)
                yield {
                    "machine_type": machine.machine_type,
                    "representation": view if isinstance(view, str) else f"layer {view}",
                    "backend": settings.backend,
                    "microphones": microphones,
                    "leak_db": "" if leak_db is None else f"{leak_db:g}",
                    "official_score": 100 * scores[view].hmean_all,
                }


def sweep_table(records: Sequence[Mapping[str, Any]], leaks_db: Sequence[float]) -> str:
    """Return the records as Markdown: a row per system, a column per leak, means over machine types and seeds.

    Behind "±" stand standard deviations over these: for "near" of the score, for the others of what they add to it.
    """
    scores: dict[tuple[str, ...], list[float]] = {}
    for record in records:
        key = tuple(record[name] for name in ("representation", "backend", "microphones", "leak_db"))
        scores.setdefault(key, []).append(record["official_score"])
    rows: dict[tuple[str, ...], list[str]] = {}
    for representation, backend, microphones in dict.fromkeys(key[:3] for key in scores):
        near = np.asarray(scores[representation, backend, "near", ""])
        for leak_db in leaks_db:
            if microphones == "near":
                cell = f"{near.mean():.1f}{_spread(near)}"
            else:
                values = np.asarray(scores[representation, backend, microphones, f"{leak_db:g}"])
                gains = values - near
                gain = round(gains.mean(), 1) + 0.0  # no negative zero
                cell = f"{values.mean():.1f} ({gain:+.1f}{_spread(gains)})"
            rows.setdefault((representation, backend, microphones), []).append(cell)
    header = ["Representation", "Backend", "Microphones", *(f"Leak {leak_db:g} dB" for leak_db in leaks_db)]
    lines = [[*key, *cells] for key, cells in sorted(rows.items(), key=lambda row: row[0][:2])]
    return markdown.table(header, lines, "lll" + "r" * len(leaks_db))


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table as Markdown, and write a row per seed, machine type and system to the CSV file."""
    parser = factory_parser(__doc__, several_seeds=True)
    parser.add_argument("--leak_db", type=float, nargs="+", default=LEAKS_DB, help="machine in the far channel, in dB")
    parser.add_argument("--far_only_db", type=float, default=FAR_ONLY_DB, help="noise of the far channel alone, in dB")
    parser.add_argument("--far_weight", type=float, default=DetectorSettings().far_weight, help="a of the residual")
    args = parser.parse_args(argv)
    records: list[dict[str, Any]] = []
    for seed in args.seed:
        loaded = load_encoder_and_machines(args, seed)
        encoder, extractor = loaded.embedder.model, loaded.embedder.feature_extractor
        embedder = Embedder(encoder, extractor, [*loaded.embedder.layers, LOG_MEL], args.device)
        layouts: dict[Hashable, VectorLayout] = {
            layer: layout_of([layer], encoder.config) for layer in embedder.layers
        }
        for machine in tqdm(loaded.machines, desc=f"seed {seed}", unit="machine type", disable=None):
            systems = embed_sweep(machine, loaded.protocol, embedder.embed, args.leak_db, args.far_only_db, seed)
            for record in sweep_records(machine, loaded.protocol, systems, layouts, args.far_weight):
                records.append({"seed": seed, "far_only_db": f"{args.far_only_db:g}", **record})
    print(
        f"{loaded.sentence} Official scores in %, harmonic means over all subsets and SNRs, then means over "
        f"{len(loaded.machines)} machine types and {len(args.seed)} seeds; noise of the far microphone alone at "
        f"{args.far_only_db:g} dB.\n\n{sweep_table(records, args.leak_db)}"
    )
    if args.output:
        csv_files.write_records(args.output, [{**r, "official_score": f"{r['official_score']:.2f}"} for r in records])


def _giving(embeddings: BenchmarkEmbeddings) -> Callable[[MachineBenchmark], BenchmarkEmbeddings]:
    return lambda _: embeddings


def _embedded(embed: EmbedFunction, waveforms: torch.Tensor) -> dict[Hashable, torch.Tensor]:
    return {view: vectors.cpu() for view, vectors in embed(waveforms).items()}


def _spread(values: np.ndarray) -> str:
    return f" ± {values.std(ddof=1):.1f}" if len(values) > 1 else ""


if __name__ == "__main__":
    main()

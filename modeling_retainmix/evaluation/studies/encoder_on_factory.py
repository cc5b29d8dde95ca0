"""One encoder on the machines of the procedural factory: the options, data and CSV files that the studies share."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from huggingface_hub.constants import HF_HOME

from modeling_retainmix import csv_files
from modeling_retainmix.conversion.encoders_by_name import loadable_name
from modeling_retainmix.data.benchmark import PROTOCOLS, BenchmarkProtocol, MachineBenchmark
from modeling_retainmix.data.benchmark_arguments import BenchmarkArguments
from modeling_retainmix.data.benchmark_sources import load_benchmark
from modeling_retainmix.data.factory import FACTORY_VERSION, FACTORY_VERSIONS
from modeling_retainmix.detection.embedder import Embedder
from modeling_retainmix.detection.load_encoder import chosen_layers, load_encoder
from modeling_retainmix.detection.vector_layout import LOG_MEL

PROTOCOL = replace(PROTOCOLS["small"], clip_seconds=4.0)  # the demo's


@dataclass(frozen=True)
class EncoderOnFactory:
    """An encoder and the machines that it is scored on.

    Attributes:
        machines: one benchmark per machine type.
        protocol: counts, clip length and SNRs.
        embedder: of one layer.
        sentence: says which machines, clips and layer these are.
    """

    machines: list[MachineBenchmark]
    protocol: BenchmarkProtocol
    embedder: Embedder
    sentence: str


def factory_parser(
    description: str | None, output: bool = True, several_seeds: bool = False
) -> argparse.ArgumentParser:
    """Return a parser of what `load_encoder_and_machines` reads, and of `--output` if the command writes a table.

    With `several_seeds` the option `--seed` takes one or more, each of which `load_encoder_and_machines` is given.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--model", required=True, help="encoder: folder, Hub name, original .pt, or log-mel")
    parser.add_argument("--layer", type=int, help="default: embedding_layer of its config, or the last one")
    parser.add_argument(
        "--evaluation", action="store_true", help="score the evaluation machines, not the validation machines"
    )
    parser.add_argument("--factory_version", type=int, choices=FACTORY_VERSIONS, default=FACTORY_VERSION)
    seeds: dict[str, Any] = {"nargs": "+", "default": [0]} if several_seeds else {"default": 0}
    parser.add_argument("--seed", type=int, help="of the factory and of the choice of clips", **seeds)
    parser.add_argument("--cache_dir", default=str(Path(HF_HOME) / "retainmix"), help="folder of the factory's tables")
    parser.add_argument("--num_proc", type=int, help="processes that make the tables; default: this one")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="of the encoder")
    if output:
        parser.add_argument("--output", help="CSV file that the table is written to as well")
    return parser


def load_encoder_and_machines(args: argparse.Namespace, seed: int | None = None) -> EncoderOnFactory:
    """Load what the options name; the factory's tables are made once and shared with the demo.

    Args:
        args: options of `factory_parser`.
        seed: one of `args.seed` if these are several.

    Raises:
        FileNotFoundError, ValueError: `--model` is not a whole encoder, or does not have that layer.
    """
    name = args.model if args.model == LOG_MEL else loadable_name(args.model)
    model, extractor = load_encoder(name, args.layer)
    (layer,) = chosen_layers(args.layer, model.config)
    embedder = Embedder(model, extractor, [layer], args.device)
    split: Literal["validation", "evaluation"] = "evaluation" if args.evaluation else "validation"
    benchmark = BenchmarkArguments(
        cache_dir=args.cache_dir,
        benchmark_seed=args.seed if seed is None else seed,
        factory_config={"version": args.factory_version},
        data_workers=args.num_proc or 1,
    )
    machines = load_benchmark(PROTOCOL, benchmark, split)
    seeds = f"seed {args.seed}" if seed is None else f"seeds {', '.join(map(str, args.seed))}"
    sentence = (
        f"{split.capitalize()} machines of the procedural factory (version {args.factory_version}, {seeds}), "
        f"protocol `{PROTOCOL.name}`, clips of {PROTOCOL.clip_seconds:g} s; "
        f"`{Path(args.model).name}`, layer {layer}."
    )
    return EncoderOnFactory(machines, PROTOCOL, embedder, sentence)


def write_csv(path: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows of `results.result_row`: system, layer, a column per subset and SNR, and the harmonic means."""
    records = []
    for row in rows:
        cells = {
            f"{subset} {snr_db} dB": value
            for subset, scores in row["scores"].items()
            for snr_db, value in scores.items()
        }
        numbers = {**cells, "hmean_low": row["hmean_low"], "hmean_all": row["hmean_all"]}
        texts = {name: f"{number:.2f}" for name, number in numbers.items()}
        records.append({"system": row["name"], "layer": row["layer"], **texts})
    csv_files.write_records(path, records)

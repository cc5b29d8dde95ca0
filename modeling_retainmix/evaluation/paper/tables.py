"""The paper's tables from encoders in folders: score every row, then write Markdown and CSV beside the paper's.

python -m modeling_retainmix.evaluation.paper.tables --output_dir tables --teacher outputs/teacher \\
    --models both_0db=outputs/both_0db mixture_0db=outputs/mixture_0db --seed 0

Every row goes into `<output_dir>/rows/<row>_seed<seed>.json`; the tables are made of all rows of the folder, so that
further seeds and further encoders are further calls. Embeddings are kept in `--cache_dir`: an interrupted call resumes
where it stopped. Validation machines of the procedural factory, on which the frozen teacher's best layer is chosen,
are generated for recordings too (about a minute, once). `--figure True` and `--figure_data` draw Figure 2, the score
by layer.
"""

import hashlib
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import AutoFeatureExtractor, AutoModel, HfArgumentParser, set_seed

from modeling_retainmix.conversion.encoders_by_name import loadable_name
from modeling_retainmix.data.benchmark import PROTOCOLS, BenchmarkProtocol, MachineBenchmark, domains_of_tests
from modeling_retainmix.data.benchmark_sources import load_benchmark
from modeling_retainmix.data.decoding import decode_table
from modeling_retainmix.data.recordings import read_evaluation_recordings
from modeling_retainmix.detection.load_encoder import embedding_layer
from modeling_retainmix.evaluation.compared_systems import (
    BACKBONES,
    BY_KEY,
    LOG_MEL,
    LOG_MEL_STATISTICS,
    RANDOM,
    SYSTEMS,
    TEACHER,
)
from modeling_retainmix.evaluation.embedding_cache import EmbeddingCache
from modeling_retainmix.evaluation.paper.figure_2 import (
    layer_scores,
    read_layer_scores,
    write_figure,
    write_layer_scores,
)
from modeling_retainmix.evaluation.paper.row_files import read_rows, write_row
from modeling_retainmix.evaluation.paper.tables_2_to_5 import write_tables
from modeling_retainmix.evaluation.paper.tables_arguments import TablesArguments
from modeling_retainmix.evaluation.recording_scores import score_recordings
from modeling_retainmix.evaluation.results import environment_record, protocol_record
from modeling_retainmix.evaluation.score_encoders import NamedEncoder
from modeling_retainmix.evaluation.score_systems import score_systems
from modeling_retainmix.evaluation.scores import ClipScores
from modeling_retainmix.pretrained import load_pretrained


def main(argv: Sequence[str] | None = None) -> None:
    """Score the rows of one call and make the tables of its folder.

    Args:
        argv: options; None: those of the command line.
    """
    try:
        (args,) = HfArgumentParser(TablesArguments, description=__doc__).parse_args_into_dataclasses(
            argv, look_for_args_file=False
        )
        folder = Path(args.output_dir)
        if args.teacher is not None:
            score_rows(args, folder)
        paths = write_tables(folder, read_rows(folder / "rows"))
        by_layer = read_layer_scores(folder / "layers")
        paths += write_figure(folder, by_layer) if by_layer else []
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    print("\n".join(map(str, paths)))
    print(f"\n{(folder / 'summary.md').read_text(encoding='utf-8')}")


def score_rows(args: TablesArguments, folder: Path) -> None:
    """Score the rows that these encoders make, and their layers, and write them into `rows` and `layers`.

    Raises:
        FileNotFoundError, OSError, ValueError: an encoder or the data cannot be read; the message names it.
    """
    encoders = _load_encoders(args)
    layer = _same_layer(args, encoders)
    device = args.device or ("cuda" if torch.cuda.is_available() else "cpu")
    if device == "cpu":
        torch.set_num_threads(args.cpu_threads or os.cpu_count() or 1)
    protocol = PROTOCOLS[args.protocol]
    protocol = replace(protocol, clip_seconds=args.clip_seconds or protocol.clip_seconds)
    validation, evaluation = _load_benchmarks(args, protocol)
    # The frozen rows and the oracle read the teacher; the others have the names of their encoders.
    systems = [system for system in SYSTEMS if system.encoder in (LOG_MEL, LOG_MEL_STATISTICS, *encoders)]
    drawn = [encoder for name, encoder in encoders.items() if name != RANDOM]
    cache = EmbeddingCache(Path(args.cache_dir) / "embeddings")
    scores = score_systems(
        systems,
        encoders,
        layer,
        evaluation,
        validation,
        whole=[encoder.name for encoder in drawn] if args.figure else (),
        protocol=protocol,
        settings=args.detector_settings,
        cache=cache,
        device=device,
        batch_size=args.batch_size,
        show_progress=not args.disable_tqdm,
    )
    context = {
        **environment_record(),
        "command": shlex.join(["python", "-m", "modeling_retainmix.evaluation.paper.tables", *sys.argv[1:]]),
        "benchmark": benchmark_name(evaluation),
        "recordings": args.eval_data is not None,
        "benchmark_seed": args.benchmark_seed,
        "protocol": protocol_record(
            protocol,
            {machine.machine_type: machine.counts() for machine in evaluation},
            sum(machine.reused_segments for machine in evaluation),
            domains=domains_of_tests(evaluation),
            settings=args.detector_settings,
            rules=evaluation[0].rules,
        ),
    }
    for key, (row_layer, row_scores) in scores.rows.items():
        write_row(folder / "rows", key, args.seed, row_layer, row_scores, context)
    if args.figure:
        clips = {key: one.clips for key, one in scores.by_layer.items()}
        _write_layers(args, folder, "benchmark", drawn, clips, context["benchmark"])
    _score_figure_data(args, folder, drawn, protocol.clip_seconds, cache, device)


def _score_figure_data(
    args: TablesArguments,
    folder: Path,
    drawn: Sequence[NamedEncoder],
    clip_seconds: float,
    cache: EmbeddingCache,
    device: str,
) -> None:
    """Score all layers of these encoders on the recordings of Figure 2 and write them into `layers`."""
    for name, recordings in args.figure_folders.items():
        table = decode_table(
            read_evaluation_recordings(recordings, args.ground_truths.get(name)),
            Path(args.cache_dir) / "decoded",
            clip_seconds=clip_seconds,
            channel=args.channel,
        )
        clips = score_recordings(
            table,
            clip_seconds,
            drawn,
            cache,
            args.detector_settings,
            device,
            args.batch_size,
            description=name,
            show_progress=not args.disable_tqdm,
        )
        _write_layers(args, folder, name, drawn, clips, benchmark=name)


def _write_layers(
    args: TablesArguments,
    folder: Path,
    data: str,
    drawn: Sequence[NamedEncoder],
    clips: Mapping[Any, ClipScores],
    benchmark: str,
) -> None:
    """Write the scores of all layers of these encoders on one data set."""
    for encoder in drawn:
        label = "Frozen teacher" if encoder.name == TEACHER else BY_KEY[encoder.name].label
        by_layer = {layer: clips[encoder.name, layer] for layer in encoder.layers}
        write_layer_scores(folder / "layers", encoder.name, layer_scores(data, label, args.seed, by_layer, benchmark))


def _load_encoders(args: TablesArguments) -> dict[str, NamedEncoder]:
    """Load teacher, random weights and the given models, with all layers of each."""
    folders = {TEACHER: str(args.teacher), **args.folders}
    encoders = {}
    for name, folder in folders.items():
        folder = loadable_name(folder)
        model, extractor = load_pretrained(AutoModel, folder), AutoFeatureExtractor.from_pretrained(folder)
        encoders[name] = NamedEncoder(name, model, extractor, tuple(range(1, model.config.num_hidden_layers + 1)))
    teacher = encoders[TEACHER]
    set_seed(args.seed)
    encoders[RANDOM] = replace(teacher, name=RANDOM, model=AutoModel.from_config(teacher.model.config))
    return encoders


def _same_layer(args: TablesArguments, encoders: dict[str, NamedEncoder]) -> int:
    """Return the layer of the trained models, which frozen, random and oracle rows share."""
    configs = {name: encoder.model.config for name, encoder in encoders.items()}
    trained = {name: config for name, config in configs.items() if name not in (TEACHER, RANDOM, *BACKBONES)}
    layers = {name: embedding_layer(config) for name, config in trained.items()}
    chosen = set(layers.values()) if args.embedding_layer is None else {args.embedding_layer}
    if len(chosen) > 1:
        raise ValueError(f"the models name different layers ({layers}): choose one with --embedding_layer")
    layer = chosen.pop() if chosen else embedding_layer(configs[TEACHER])
    for name in (TEACHER, *trained):
        if not 1 <= layer <= configs[name].num_hidden_layers:
            raise ValueError(f"--embedding_layer {layer}: {name} has layers 1 to {configs[name].num_hidden_layers}")
    return layer


def _load_benchmarks(
    args: TablesArguments, protocol: BenchmarkProtocol
) -> tuple[list[MachineBenchmark], list[MachineBenchmark]]:
    """Load validation machines, of the procedural factory in any case, and evaluation machines."""
    evaluation = load_benchmark(protocol, args)  # the user's recordings first: a broken folder is named at once
    validation = load_benchmark(protocol, args, split="validation")
    return validation, evaluation


def benchmark_name(benchmark: Sequence[MachineBenchmark]) -> str:
    """Return a hash of all samples of a benchmark."""
    return hashlib.sha256("".join(machine.fingerprint for machine in benchmark).encode()).hexdigest()[:16]


if __name__ == "__main__":
    main()

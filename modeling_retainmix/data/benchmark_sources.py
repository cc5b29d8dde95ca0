"""Where a benchmark's recordings come from: the procedural factory, a folder of recordings, or public data sets."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modeling_retainmix.data.benchmark import BenchmarkProtocol, MachineBenchmark, build_benchmark
from modeling_retainmix.data.benchmark_arguments import BenchmarkArguments
from modeling_retainmix.data.decoding import decode_table
from modeling_retainmix.data.factory import FactoryConfig, build_factory
from modeling_retainmix.data.layouts.noise import read_noise_folder
from modeling_retainmix.data.noise_segments import make_noise_segments
from modeling_retainmix.data.recordings import read_evaluation_recordings, scoring_rules


def load_benchmark(
    protocol: BenchmarkProtocol,
    arguments: BenchmarkArguments,
    split: str = "evaluation",
) -> list[MachineBenchmark]:
    """Make Factory A / B / Mismatch (paper, section 4.1) of recordings and noise, or of the procedural factory.

    Args:
        protocol: counts, clip length in seconds and SNRs in dB. `arguments.protocol` is not read: a command may have
            changed the length of the clips.
        arguments: recordings, noise, ground truth, channel, seed, sizes and cache. The same arguments make the same
            benchmark.
        split: "evaluation": the recordings of `arguments.eval_data`, else those machine types of the procedural
            factory. "validation": always machine types of the procedural factory, since recordings have none.

    Returns:
        One `MachineBenchmark` per section of a machine type, sorted by name.

    Raises:
        FileNotFoundError, ValueError: a folder is missing, empty or broken, or there are too few clips or segments.
    """
    seed, workers = arguments.benchmark_seed, arguments.data_workers or os.cpu_count()
    if split == "evaluation" and arguments.eval_data is not None and arguments.noise is not None:
        table = read_evaluation_recordings(arguments.eval_data, arguments.ground_truth)
        decoded, channel = Path(arguments.cache_dir) / "decoded", arguments.channel
        clean = decode_table(table, decoded, clip_seconds=protocol.clip_seconds, channel=channel)
        sounds = decode_table(read_noise_folder(arguments.noise), decoded, channel=channel)
        segments = make_noise_segments(sounds, protocol.clip_seconds, seed=seed)
        reuse, rules = arguments.allow_noise_reuse, scoring_rules(table)
        return build_benchmark(clean, segments, protocol, seed, allow_noise_reuse=reuse, rules=rules)
    config = factory_config(protocol, protocol.clip_seconds, seed, arguments.factory_options)
    factory = build_factory(arguments.cache_dir, config, workers, splits=[split])
    return build_benchmark(factory[f"{split}_machines"], factory[f"{split}_noise"], protocol, seed=seed)


def factory_config(
    protocol: BenchmarkProtocol, clip_seconds: float, seed: int, options: Mapping[str, Any]
) -> FactoryConfig:
    """Return a procedural factory with as many clips as the protocol takes; `options` replace its sizes."""
    sizes = {
        "source_references": protocol.source_references,
        "target_references": protocol.target_references,
        "tests_per_cell": protocol.tests_per_cell,
        "segments_per_kind": protocol.source_references + protocol.target_references + 4 * protocol.tests_per_cell,
    }
    return FactoryConfig(**{"clip_seconds": clip_seconds, "seed": seed} | sizes | dict(options))

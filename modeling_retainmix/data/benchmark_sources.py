"""Where a benchmark's recordings come from: the procedural factory, a folder of recordings, or public data sets."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modeling_retainmix.data.benchmark import BenchmarkProtocol, MachineBenchmark, build_benchmark
from modeling_retainmix.data.decoding import decode_table
from modeling_retainmix.data.factory import FactoryConfig, build_factory
from modeling_retainmix.data.layouts.noise import read_noise_folder
from modeling_retainmix.data.noise_segments import make_noise_segments
from modeling_retainmix.data.recordings import read_evaluation_recordings, scoring_rules


def load_benchmark(
    protocol: BenchmarkProtocol,
    cache_dir: str | os.PathLike[str],
    seed: int = 0,
    recordings: str | os.PathLike[str] | None = None,
    noise: str | os.PathLike[str] | None = None,
    ground_truth: str | os.PathLike[str] | None = None,
    channel: int | None = None,
    allow_noise_reuse: bool = False,
    factory_options: Mapping[str, Any] | None = None,
    split: str = "evaluation",
    num_proc: int | None = None,
) -> list[MachineBenchmark]:
    """Makes Factory A / B / Mismatch (paper, section 4.1) of recordings and noise, or of the procedural factory.

    Args:
        protocol: counts, clip length in seconds and SNRs in dB.
        cache_dir: folder of generated and decoded data.
        seed: of the procedural factory, the order of the noise and the choice of clips: same seed, same benchmark.
        recordings: folder in any layout that `read_recordings` knows, of one's own recordings or of public ones (DCASE
            Task 2, MIMII DG, ToyADMOS2+), or a data set on the Hub. None: the procedural factory.
        noise: folder with `stationary/` and `non_stationary/`, given with `recordings` only.
        ground_truth: folder of the official ground truth, for public tests whose names tell no label.
        channel: what to take of recordings that have several, from 0; None: such are an error.
        allow_noise_reuse: use segments again where the noise is too short, instead of raising.
        factory_options: sizes of the procedural factory where they are to differ from the protocol's.
        split: "validation" or "evaluation" machine types of the procedural factory.
        num_proc: processes that generate data.

    Returns:
        One `MachineBenchmark` per section of a machine type, sorted by name.

    Raises:
        FileNotFoundError, ValueError: a folder is missing, empty or broken, or there are too few clips or segments.
    """
    if (recordings is None) != (noise is None):
        raise ValueError("recordings and noise belong together: give both folders, or neither")
    if recordings is not None and noise is not None:
        table, decoded = read_evaluation_recordings(recordings, ground_truth), Path(cache_dir) / "decoded"
        clean = decode_table(table, decoded, clip_seconds=protocol.clip_seconds, channel=channel)
        sounds = decode_table(read_noise_folder(noise), decoded, channel=channel)
        segments = make_noise_segments(sounds, protocol.clip_seconds, seed=seed)
        rules = scoring_rules(table)
        return build_benchmark(clean, segments, protocol, seed, allow_noise_reuse=allow_noise_reuse, rules=rules)
    config = factory_config(protocol, protocol.clip_seconds, seed, factory_options or {})
    factory = build_factory(cache_dir, config, num_proc, splits=[split])
    return build_benchmark(factory[f"{split}_machines"], factory[f"{split}_noise"], protocol, seed=seed)


def factory_config(
    protocol: BenchmarkProtocol, clip_seconds: float, seed: int, options: Mapping[str, Any]
) -> FactoryConfig:
    """A procedural factory with as many clips as the protocol takes; `options` say where it is to differ."""
    sizes = {
        "source_references": protocol.source_references,
        "target_references": protocol.target_references,
        "tests_per_cell": protocol.tests_per_cell,
        "segments_per_kind": protocol.source_references + protocol.target_references + 4 * protocol.tests_per_cell,
    }
    return FactoryConfig(**{"clip_seconds": clip_seconds, "seed": seed} | sizes | dict(options))

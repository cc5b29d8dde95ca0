"""The tables of a run: training pairs, validation machines and evaluation machines, generated or read from folders."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from datasets import Dataset

from modeling_retainmix.data.benchmark import PROTOCOLS, BenchmarkProtocol, MachineBenchmark, build_benchmark
from modeling_retainmix.data.dcase_folder import read_dcase_folder
from modeling_retainmix.data.decode import decode_table
from modeling_retainmix.data.factory import FACTORY_VERSION, FactoryConfig, build_factory, factory_fingerprint
from modeling_retainmix.data.noise_folder import read_noise_folder
from modeling_retainmix.data.noise_segments import make_noise_segments
from modeling_retainmix.training.arguments import RetainMixTrainingArguments
from modeling_retainmix.training.run_arguments import RunArguments


@dataclass
class RunData:
    """What a run trains and is scored on.

    Attributes:
        train_machines, train_noise: tables of int16 clips.
        validation, evaluation: benchmarks; layers are chosen on the first, the table is made on the second.
        protocol: of both benchmarks.
        description: statistics for results.json and the model card.
    """

    train_machines: Dataset
    train_noise: Dataset
    validation: list[MachineBenchmark]
    evaluation: list[MachineBenchmark]
    protocol: BenchmarkProtocol
    description: dict[str, Any]


def load_run_data(run_args: RunArguments, args: RetainMixTrainingArguments) -> RunData:
    """Generates the procedural factory (once, into the cache) and reads the evaluation folders where they are given.

    Raises:
        FileNotFoundError, ValueError: a folder is missing, empty or broken; the message names the file and the cure.
    """
    config = FactoryConfig(clip_seconds=args.clip_seconds, seed=run_args.benchmark_seed, **run_args.factory_options)
    factory = build_factory(run_args.cache_dir, config, num_proc=run_args.data_workers or os.cpu_count())
    protocol = replace(PROTOCOLS[run_args.protocol], clip_seconds=run_args.eval_clip_seconds or args.clip_seconds)
    validation = build_benchmark(
        factory["validation_machines"], factory["validation_noise"], protocol, seed=run_args.benchmark_seed
    )
    description: dict[str, Any] = {
        "training": "procedural factory",
        "factory_version": FACTORY_VERSION,
        "factory_hash": factory_fingerprint(config),
        "training_machine_clips": len(factory["train_machines"]),
        "training_machine_types": len(set(factory["train_machines"]["machine_type"])),
        "training_noise_clips": len(factory["train_noise"]),
        "training_noise_classes": len(set(factory["train_noise"]["noise_class"])),
    }
    if run_args.eval_data is None or run_args.noise is None:
        evaluation = build_benchmark(
            factory["evaluation_machines"], factory["evaluation_noise"], protocol, seed=run_args.benchmark_seed
        )
        description["evaluation"] = "procedural factory, machine types and factories disjoint from training"
    else:
        evaluation = _folder_benchmark(run_args.eval_data, run_args.noise, run_args, protocol)
        description["evaluation"] = f"{Path(run_args.eval_data).name} with noise of {Path(run_args.noise).name}"
    return RunData(
        train_machines=factory["train_machines"],
        train_noise=factory["train_noise"],
        validation=validation,
        evaluation=evaluation,
        protocol=protocol,
        description=description,
    )


def _folder_benchmark(
    eval_data: str, noise_folder: str, run_args: RunArguments, protocol: BenchmarkProtocol
) -> list[MachineBenchmark]:
    cache_dir = Path(run_args.cache_dir) / "decoded"
    clean = decode_table(read_dcase_folder(eval_data), cache_dir, clip_seconds=protocol.clip_seconds)
    noise = decode_table(read_noise_folder(noise_folder), cache_dir)
    segments = make_noise_segments(noise, protocol.clip_seconds, seed=run_args.benchmark_seed)
    return build_benchmark(
        clean, segments, protocol, seed=run_args.benchmark_seed, allow_noise_reuse=run_args.allow_noise_reuse
    )

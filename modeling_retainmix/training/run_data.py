"""The tables of a run: training pairs, validation machines and evaluation machines, generated or read from folders."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, concatenate_datasets

from modeling_retainmix.data.benchmark import PROTOCOLS, BenchmarkProtocol, MachineBenchmark, build_benchmark
from modeling_retainmix.data.benchmark_sources import factory_config, load_benchmark
from modeling_retainmix.data.clips import SCALE_COLUMN, with_scale
from modeling_retainmix.data.factory import FOREIGN, FactoryConfig, build_factory, factory_fingerprint
from modeling_retainmix.data.layouts.noise import NOISE_COLUMNS, read_training_noise
from modeling_retainmix.data.noise_segments import make_noise_segments
from modeling_retainmix.data.recordings import MACHINE_COLUMNS, read_training_machines
from modeling_retainmix.data.training_clips import prepare_training_clips
from modeling_retainmix.training.arguments import RetainMixTrainingArguments
from modeling_retainmix.training.run_arguments import RunArguments


@dataclass
class RunData:
    """What a run trains and is scored on.

    Attributes:
        train_machines, train_noise: tables of int16 clips; None where the run trains nothing.
        validation, evaluation: benchmarks; layers are chosen on the first, the table is made on the second. Empty
            where the run scores nothing; the first also where it scores recordings at given layers alone.
        protocol: of both benchmarks.
        training: what the run trains on, its licence, data sets and numbers; empty where it trains nothing.
        description: of what it is scored on, for results.json and the model card.
    """

    train_machines: Dataset | None
    train_noise: Dataset | None
    validation: list[MachineBenchmark]
    evaluation: list[MachineBenchmark]
    protocol: BenchmarkProtocol
    training: dict[str, Any]
    description: dict[str, Any]


def load_run_data(run_args: RunArguments, args: RetainMixTrainingArguments) -> RunData:
    """Read the folders or data sets that are given; generate of the procedural factory (once) what else is needed.

    Args:
        run_args: of the run; `model` is what it starts from, None where it trains that encoder first.
        args: of the training.

    Raises:
        FileNotFoundError, ValueError: a folder is missing, empty or broken; the message names the file and the cure.
    """
    protocol = replace(PROTOCOLS[run_args.protocol], clip_seconds=run_args.eval_clip_seconds or args.clip_seconds)
    config = factory_config(protocol, args.clip_seconds, run_args.benchmark_seed, run_args.factory_options)
    pool = replace(config, faulty_share=args.faulty_share, foreign_share=args.foreign_share)
    # The user's recordings first: a broken folder is named before minutes go into generated data.
    folders = None
    if run_args.eval_data is not None:
        folders = load_benchmark(protocol, run_args)
    trained = args.do_train or run_args.model is None
    wanted = {
        "train": trained and not run_args.train_data,
        "validation": args.do_eval and (folders is None or run_args.best_layer),
        "evaluation": folders is None and (args.do_eval or (trained and run_args.train_on_references)),
    }
    splits: dict[FactoryConfig, list[str]] = {}  # machines that are scored are the same with every training pool
    for split in (split for split, needed in wanted.items() if needed):
        splits.setdefault(pool if split == "train" else config, []).append(split)
    workers = run_args.data_workers or os.cpu_count()
    factory: dict[str, Dataset] = {}
    for one, names in splits.items():
        factory |= build_factory(run_args.cache_dir, one, num_proc=workers, splits=names)
    validation, evaluation = (
        build_benchmark(
            factory[f"{split}_machines"], factory[f"{split}_noise"], protocol, seed=run_args.benchmark_seed
        )
        if wanted[split]
        else []
        for split in ("validation", "evaluation")
    )
    description: dict[str, Any] = {}
    if splits:
        description |= {"factory_version": str(config.version), "factory_hash": factory_fingerprint(config)}
    if wanted["evaluation"]:
        description["evaluation"] = "procedural factory, machine types and factories disjoint from training"
    elif folders is not None:
        evaluation = folders
        recordings = [Path(folder).name for folder in (run_args.eval_data, run_args.noise) if folder is not None]
        description["evaluation"] = " with noise of ".join(recordings)
    if not trained:
        return RunData(None, None, validation, evaluation, protocol, {}, description)
    training: dict[str, Any] = {}
    if run_args.train_data:
        machines, noise = _prepare_training(run_args, args, training)
        if folders is not None and (run_args.train_noise or run_args.noise) == run_args.noise:
            description["shared_noise"] = "training and evaluation draw from the same noise recordings"
    else:
        machines, noise = factory["train_machines"], factory["train_noise"]
        training |= {"training": "procedural factory", "training_factory_hash": factory_fingerprint(pool)}
        if pool != config:
            training["training"] += ", with faulty machines and sounds unlike any machine"
            training["training_faulty_clips"] = machines["label"][:].count("anomaly")
            training["training_foreign_clips"] = machines["machine_type"][:].count(FOREIGN)
    if run_args.train_on_references:
        machines, noise = _with_references(machines, noise, evaluation)
        training["training"] += ", with the references of the evaluation and their noise"
    training |= {
        "training_machine_clips": len(machines),
        "training_machine_types": len(set(machines["machine_type"])),
        "training_noise_clips": len(noise),
        "training_noise_classes": len(set(noise["noise_class"])),
    }
    return RunData(machines, noise, validation, evaluation, protocol, training, description)


def _prepare_training(
    run_args: RunArguments, args: RetainMixTrainingArguments, training: dict[str, Any]
) -> tuple[Dataset, Dataset]:
    """Prepare the user's machine sounds and noise segments; print what is dropped and put it into `training`."""
    names, noise_name = run_args.train_data or [], run_args.train_noise or run_args.noise
    assert noise_name is not None  # RunArguments has checked it
    cache_dir = Path(run_args.cache_dir) / "prepared"
    tables = []
    for name in names:
        table, report = prepare_training_clips(read_training_machines(name), cache_dir, run_args.channel)
        if args.should_save:
            print(f"{name}: {report}")
        training[f"preparation of {Path(name).name}"] = {"kept": report.kept, "dropped": report.counts()}
        tables.append(table.select_columns(["audio", SCALE_COLUMN, *MACHINE_COLUMNS]) if len(names) > 1 else table)
    noise, report = prepare_training_clips(read_training_noise(noise_name), cache_dir, run_args.channel)
    if args.should_save:
        print(f"{noise_name}: {report}")
    training[f"preparation of {Path(noise_name).name}"] = {"kept": report.kept, "dropped": report.counts()}
    training["training"] = f"{', '.join(Path(name).name for name in names)} with noise of {Path(noise_name).name}"
    if run_args.train_license is not None:
        training["training_license"] = run_args.train_license
    from_hub = [name for name in (*names, noise_name) if not Path(name).is_dir()]
    if from_hub:
        training["datasets"] = from_hub  # the card's front matter names them
    for column in ("kind", "factory"):  # evaluations alone use them
        noise = noise.add_column(column, [""] * len(noise))
    return concatenate_datasets(tables), make_noise_segments(noise, args.clip_seconds, seed=run_args.benchmark_seed)


def _with_references(machines: Dataset, noise: Dataset, evaluation: list[MachineBenchmark]) -> tuple[Dataset, Dataset]:
    """Return training tables with the references of the evaluation, and the noise segments of references alone.

    Machine types share segments: one that lies on a reference of one type may lie on a test of another.

    Raises:
        ValueError: every segment lies on a test.
    """
    machine_columns, noise_columns = (["audio", SCALE_COLUMN, *names] for names in (MACHINE_COLUMNS, NOISE_COLUMNS))
    machine_tables = [with_scale(machines).select_columns(machine_columns)]
    on_references, on_tests = (
        np.concatenate(
            [rows[machine.is_reference == role] for machine in evaluation for rows in machine.noise_rows.values()]
        )
        for role in (True, False)
    )
    for machine in evaluation:
        references = machine.clean.select(machine.clean_rows[machine.is_reference])
        machine_tables.append(with_scale(references).select_columns(machine_columns))
    segments = np.setdiff1d(on_references, on_tests)
    if len(segments) == 0:
        raise ValueError("--train_on_references: every noise segment lies on a test clip; add noise recordings")
    reference_noise = with_scale(evaluation[0].noise.select(segments)).select_columns(noise_columns)  # for all types
    return (
        concatenate_datasets(machine_tables),
        concatenate_datasets([with_scale(noise).select_columns(noise_columns), reference_noise]),
    )

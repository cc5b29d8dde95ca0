"""Stands for programs in the shell blocks of the documents: the same commands at small sizes.

small_command.py {python,accelerate,make,retainmix} ARGUMENT...

Training gets few steps and a small factory by options behind those of the page. Commands that score the procedural
factory have no option for its size, so it is made smaller in their process. `make test` and `make install` would run
this very test and the package index: `make` prints what they do.
"""

import functools
import importlib
import json
import os
import runpy
import sys
from pathlib import Path

PACKAGE = "modeling_retainmix"
FACTORY = {
    "instances_per_type": 2,
    "clips_per_instance": 1,
    "clips_per_noise_class": 2,
    "source_references": 6,
    "target_references": 6,
    "tests_per_cell": 2,
    "segments_per_kind": 20,
}
ENCODER = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "patch_embed_size": 16,
}
TRAINING = [
    *("--factory_config", json.dumps(FACTORY), "--clip_seconds", "1", "--max_steps", "2", "--embedding_layer", "1"),
    *("--per_device_train_batch_size", "2", "--gradient_accumulation_steps", "1", "--cpu_threads", "1"),
    *("--data_workers", "1", "--disable_tqdm", "True", "--use_cpu", "True"),
]
TEACHER = [
    *("--encoder_config", json.dumps(ENCODER), "--teacher_clip_seconds", "1", "--teacher_steps", "2"),
    *("--teacher_batch_size", "2"),
]
TABLES = [
    *("--factory_config", json.dumps(FACTORY), "--clip_seconds", "1", "--embedding_layer", "1", "--cpu_threads", "1"),
    *("--data_workers", "1", "--disable_tqdm", "True"),
]
PRETRAINING = [
    "--per_device_train_batch_size",
    "2",
    "--probe_steps",
    "0",
    "--cpu_threads",
    "1",
    "--disable_tqdm",
    "True",
]
SMALLER = {  # further options by program
    "reproduce": TABLES,
    "train": TRAINING,
    "pretrain": PRETRAINING,
    "benchmarks/export.py": ["--machines", "1"],
    "studies false_alarms": ["--num_draws", "1"],
    "studies far_microphone": ["--seed", "0", "--leak_db", "-10"],
    "benchmarks/localization.py": ["--references", "3", "--clips", "1"],
    "benchmarks/scoring.py": ["--size=tiny", "--files=8", "--seconds=1", "--rounds=1"],
}


def accelerate(arguments: list[str]) -> None:
    if "--help" not in arguments:
        arguments = [*arguments, *TRAINING, *(TEACHER if "--train_teacher" in arguments else [])]
    os.execv(sys.executable, [sys.executable, "-m", "accelerate.commands.accelerate_cli", *arguments])


def make(arguments: list[str]) -> None:
    dry = ["-n"] if {"test", "install"} & set(arguments) else []
    os.execv("/usr/bin/make", ["make", *dry, *arguments])


def python(arguments: list[str]) -> None:
    is_module = arguments[0] == "-m"
    if not is_module and arguments[0].startswith("-"):
        os.execv(sys.executable, [sys.executable, *arguments])
    name, options = (arguments[1], arguments[2:]) if is_module else (arguments[0], arguments[1:])
    sys.argv = [name, *options, *SMALLER.get(name, [])]
    sys.path[0] = os.getcwd() if is_module else str(Path(name).parent)
    if name in ("benchmarks/localization.py", "benchmarks/export.py"):
        _shrink_factory()
        _shrink_benchmark()
        runpy.run_path(name, run_name="__main__")
    elif is_module:
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(name, run_name="__main__")


def retainmix(arguments: list[str]) -> None:
    name = " ".join(arguments[:2]) if arguments[0] == "studies" else arguments[0]
    if "--help" not in arguments:
        arguments = [*arguments, *SMALLER.get(name, []), *(TEACHER if "--train_teacher" in arguments else [])]
    sys.argv = ["retainmix", *arguments]
    sys.path[0] = os.getcwd()
    if arguments[0] == "studies":
        _shrink_study(f"{PACKAGE}.evaluation.studies.{arguments[1]}")
    importlib.import_module("retainmix_cli.app").main()


def _shrink_study(name: str) -> None:
    """Let a study have few clips."""
    _shrink_benchmark()
    module = importlib.import_module(name)
    if name.endswith(".thresholds"):
        module.CASES = (("source", 4), ("target", 4))  # type: ignore[attr-defined]
    if name.endswith(".false_alarms"):
        sizes = {"source_references": 15, "target_references": 5, "tests_per_cell": 5, "segments_per_kind": 1}
        module.FACTORY_SIZES = sizes  # type: ignore[attr-defined]


def _shrink_benchmark() -> None:
    """Let the protocol `small` have as few clips as `FACTORY`."""
    benchmark = importlib.import_module(f"{PACKAGE}.data.benchmark")
    sizes = [FACTORY[name] for name in ("source_references", "target_references", "tests_per_cell")]
    benchmark.PROTOCOLS["small"] = benchmark.BenchmarkProtocol("small", *sizes, (-10, 0, 10), (-10, 0))


def _shrink_factory() -> None:
    """Let a factory of the default size have as few clips as `FACTORY`."""
    factory = importlib.import_module(f"{PACKAGE}.data.factory")
    factory.FactoryConfig = functools.partial(factory.FactoryConfig, **FACTORY)


if __name__ == "__main__":
    {"python": python, "accelerate": accelerate, "make": make, "retainmix": retainmix}[sys.argv[1]](sys.argv[2:])

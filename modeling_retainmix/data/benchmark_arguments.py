"""`BenchmarkArguments`: what a benchmark is made of and where it is kept, for every command that scores one."""

import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from huggingface_hub.constants import HF_HOME

from modeling_retainmix.data.benchmark import PROTOCOLS
from modeling_retainmix.data.factory.plan import FactoryConfig


@dataclass(kw_only=True)
class BenchmarkArguments:
    """Options that training (`RunArguments`) and tables (`TablesArguments`) share; `load_benchmark` takes them.

    Raises:
        ValueError: options that do not belong together, an unknown protocol, or sizes that are not a JSON object or
            not those of a factory.
    """

    eval_data: str | None = field(
        default=None,
        metadata={
            "help": "Recordings to evaluate on: a folder in a layout of DCASE Task 2, MIMII DG or ToyADMOS2+, or with "
            "a metadata.csv, or a data set on the Hub; default: the procedural factory."
        },
    )
    noise: str | None = field(
        default=None,
        metadata={"help": "Folder of noise; for --eval_data with stationary/ and non_stationary/ inside."},
    )
    ground_truth: str | None = field(
        default=None,
        metadata={"help": "Folder of the official ground truth, for --eval_data whose tests do not name their label."},
    )
    channel: int | None = field(
        default=None,
        metadata={"help": "Channel to read of recordings with several, from 0; default: refuse such recordings."},
    )
    allow_noise_reuse: bool = field(
        default=False, metadata={"help": "Mix a noise segment into more than one clip where the pool is too small."}
    )
    protocol: str = field(default="small", metadata={"help": "Size of the benchmark.", "choices": sorted(PROTOCOLS)})
    benchmark_seed: int = field(default=0, metadata={"help": "Seed of the procedural factory and of clip selection."})
    factory_config: dict | str | None = field(
        default=None,
        metadata={"help": "Sizes of the procedural factory where they differ from the protocol's (JSON)."},
    )
    cache_dir: str = field(
        default=str(Path(HF_HOME) / "retainmix"),
        metadata={"help": "Folder of generated and decoded data, and of embeddings."},
    )
    data_workers: int | None = field(
        default=None, metadata={"help": "Processes that generate data; default: one per core."}
    )
    cpu_threads: int | None = field(
        default=None,
        metadata={
            "help": "Threads of a process that computes on the CPU; default: the cores, shared among the processes."
        },
    )

    def __post_init__(self) -> None:
        self.factory_options = _factory_options(self.factory_config)
        if self.eval_data is not None and self.noise is None:
            raise ValueError("--eval_data and --noise belong together: give both folders, or neither")
        if self.ground_truth is not None and self.eval_data is None:
            raise ValueError("--ground_truth belongs to --eval_data: give the recordings that it labels")
        if self.protocol not in PROTOCOLS:
            raise ValueError(f"--protocol must be one of {sorted(PROTOCOLS)}, got {self.protocol!r}")


def _factory_options(value: dict | str | None) -> dict[str, Any]:
    options = json_object("factory_config", value)
    known = [size.name for size in fields(FactoryConfig)]
    for name in options:
        if name not in known:
            raise ValueError(f"--factory_config has no {name!r}: its sizes are {', '.join(known)}")
    return options


def json_object(option: str, value: dict | str | None) -> dict[str, Any]:
    """Return a mapping of options: a recipe gives it as such, the command line as JSON.

    Raises:
        ValueError: neither a mapping nor a JSON object.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (json.JSONDecodeError, RecursionError) as error:
            raise ValueError(f"--{option} must be a JSON object, got {value!r}: {error}") from error
    if not isinstance(value, dict | None):
        raise ValueError(f"--{option} must be a JSON object, got {value!r}")
    return value or {}

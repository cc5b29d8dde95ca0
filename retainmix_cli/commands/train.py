"""`retainmix train` and `retainmix pretrain`: the package's training programs, run by `accelerate launch`."""

import re
from collections.abc import Sequence
from json import loads
from pathlib import Path
from typing import Annotated, Any

import typer

from retainmix_cli.output import Json, say
from retainmix_cli.passing_on import launch
from retainmix_cli.signals import when_stopped

Processes = Annotated[
    int | None, typer.Option("--processes", min=1, help="Processes that share the work, one for each GPU.")
]
_ADVICE = "checkpoints are kept; the same command with --resume_from_checkpoint True goes on from the last one"
_ADVICE_OF_SCORES = "scores are written at the end alone; start the same command again"


def train(context: typer.Context, processes: Processes = None, json: Json = False) -> int:
    """Train RetainMix.

    Data, teacher, training, official scores, and a checkpoint folder with its card. Without options it runs the demo.
    The main ones, which the training has with underscores:

    --config RECIPE... (recipes or YAML files, demo by default), --output_dir FOLDER, --model and --teacher ENCODER,
    --train_data FOLDER... --noise FOLDER (own recordings), --eval_data FOLDER, --max_steps N, --learning_rate RATE,
    --seed N, --resume_from_checkpoint True, --push_to_hub True --hub_model_id NAME.

    All of them: retainmix train -- --help
    """
    say("starting the training by accelerate launch")
    only_scores = re.search(r"--do_train[= ](false|f|no|n|0)\b", " ".join(context.args), re.IGNORECASE)
    with when_stopped(_ADVICE_OF_SCORES if only_scores else _ADVICE):
        record = _scores if json else None
        return launch("modeling_retainmix.training.main", _parse_training, context.args, processes, record)


def pretrain(context: typer.Context, processes: Processes = None, json: Json = False) -> int:
    """Pre-train a small BEATs by self-supervision.

    On the procedural factory, or on recordings. The main options of the pre-training, which has them with underscores:

    --output_dir FOLDER (needed), --train_data FOLDER..., --train_noise FOLDER..., --max_steps N, --bf16 True,
    --tokenizer_model ENCODER (second iteration), --resume_from_checkpoint True.

    All of them: retainmix pretrain -- --help
    """
    say("starting the pre-training by accelerate launch")
    with when_stopped(_ADVICE):
        record = _last_log if json else None
        return launch("modeling_retainmix.training.pretraining", _parse_pretraining, context.args, processes, record)


def _scores(folder: Path) -> dict[str, Any]:
    """The rows of the run's table; none where nothing was scored."""
    path = folder / "results.json"
    return {"rows": loads(path.read_text(encoding="utf-8"))["rows"] if path.is_file() else []}


def _last_log(folder: Path) -> dict[str, Any]:
    """The last losses, and the last scores of the probe."""
    lines = (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
    return {name: value for line in lines for name, value in loads(line).items()}


def _parse_training(arguments: Sequence[str]) -> Any:
    from modeling_retainmix.training.recipe import parse_arguments

    return parse_arguments(arguments)


def _parse_pretraining(arguments: Sequence[str]) -> Any:
    from modeling_retainmix.training.pretraining import parse_pretraining

    return parse_pretraining(arguments)

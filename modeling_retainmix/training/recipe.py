"""Recipes: YAML files of options, shipped in `recipes/` or written by the user, which the command line overrides."""

import sys
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from transformers import HfArgumentParser

from modeling_retainmix.training.arguments import RetainMixTrainingArguments
from modeling_retainmix.training.run_arguments import RunArguments

_RECIPES = files("modeling_retainmix.training") / "recipes"


def recipe_names() -> list[str]:
    """Names of the recipes that come with the package."""
    return sorted(entry.name.removesuffix(".yaml") for entry in _RECIPES.iterdir() if entry.name.endswith(".yaml"))


def load_recipe(name_or_path: str) -> dict[str, Any]:
    """Reads a recipe by its name or from a YAML file.

    Raises:
        FileNotFoundError: neither a recipe of the package nor a file.
        ValueError: the file does not hold a mapping.
    """
    if name_or_path in recipe_names():
        text = (_RECIPES / f"{name_or_path}.yaml").read_text()
    elif Path(name_or_path).is_file():
        text = Path(name_or_path).read_text()
    else:
        raise FileNotFoundError(
            f"--config {name_or_path}: no such file, and no recipe of that name; recipes: {', '.join(recipe_names())}"
        )
    recipe = yaml.safe_load(text)
    if not isinstance(recipe, dict):
        raise ValueError(f"--config {name_or_path}: a recipe is a mapping of option names to values")
    return recipe


def parse_arguments(argv: Sequence[str] | None = None) -> tuple[RunArguments, RetainMixTrainingArguments]:
    """Options of a run: defaults, then the recipes (`--config`, else `demo`) in their order, then the command line.

    Raises:
        ValueError: a recipe holds an option that does not exist.
        SystemExit: the command line does, as argparse reports it.
    """
    parser = HfArgumentParser([RunArguments, RetainMixTrainingArguments], description=__doc__)
    parser.add_argument(
        "--config",
        nargs="+",
        default=["demo"],
        help="YAML files or recipes; where two set an option, the later one counts, as in `--config denoising demo` "
        f"(a method at the size of the demo). Recipes: {', '.join(recipe_names())}.",
    )
    arguments = list(sys.argv[1:] if argv is None else argv)
    options = {action.dest for action in parser._actions}
    for config in parser.parse_known_args(arguments)[0].config:
        recipe = load_recipe(config)
        unknown = sorted(set(recipe) - options)
        if unknown:
            raise ValueError(f"--config {config}: unknown options {unknown}; see --help for those that exist")
        parser.set_defaults(**recipe)
    run_args, training_args, _ = parser.parse_args_into_dataclasses(arguments, look_for_args_file=False)
    return run_args, training_args

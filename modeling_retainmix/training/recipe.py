"""Recipes: YAML files of options, shipped in `recipes/` or written by the user, which the command line overrides."""

import argparse
import sys
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, get_type_hints

import yaml
from transformers import HfArgumentParser

from modeling_retainmix.training.arguments import RetainMixTrainingArguments
from modeling_retainmix.training.run_arguments import RunArguments

_RECIPES = files("modeling_retainmix.training") / "recipes"

# In the order of --help: the options of this package, then those of `transformers.TrainingArguments`.
_ARGUMENTS = (RunArguments, RetainMixTrainingArguments)


def recipe_names() -> list[str]:
    """Return the names of the recipes that come with the package."""
    return sorted(entry.name.removesuffix(".yaml") for entry in _RECIPES.iterdir() if entry.name.endswith(".yaml"))


def load_recipe(name_or_path: str) -> dict[str, Any]:
    """Read a recipe by its name or from a YAML file.

    Raises:
        FileNotFoundError: neither a recipe of the package nor a file.
        ValueError: the file is not valid YAML in UTF-8, has tags, or does not hold a mapping.
    """
    if name_or_path in recipe_names():
        content = (_RECIPES / f"{name_or_path}.yaml").read_bytes()
    elif Path(name_or_path).is_file():
        content = Path(name_or_path).read_bytes()
    else:
        raise FileNotFoundError(
            f"--config {name_or_path}: no such file, and no recipe of that name; recipes: {', '.join(recipe_names())}"
        )
    try:
        recipe = yaml.safe_load(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ValueError(f"--config {name_or_path} is not a text in UTF-8 ({error}): save it in UTF-8") from error
    except yaml.YAMLError as error:
        where = " ".join(str(error).split())
        raise ValueError(f"--config {name_or_path} is not valid YAML of plain values ({where}): fix it") from error
    except RecursionError as error:
        raise ValueError(f"--config {name_or_path} is nested too deep: use one mapping of options") from error
    if not isinstance(recipe, dict):
        raise ValueError(f"--config {name_or_path}: a recipe is a mapping of option names to values")
    return recipe


def parse_arguments(argv: Sequence[str] | None = None) -> tuple[RunArguments, RetainMixTrainingArguments]:
    """Parse the options of a run: defaults, then the recipes (`--config`, else `demo`) in their order, then `argv`.

    Args:
        argv: the options; None: those of the command line.

    Raises:
        FileNotFoundError: the recipe does not exist.
        ValueError: a recipe cannot be read, or holds an option that does not exist or a value that does not fit it.
        SystemExit: the command line does, as argparse reports it.
    """
    parser = HfArgumentParser(list(_ARGUMENTS), description=__doc__)
    parser.add_argument(
        "--config",
        nargs="+",
        default=["demo"],
        help="YAML files or recipes; where two set an option, the later one counts, as in `--config denoising demo` "
        f"(a method at the size of the demo). Recipes: {', '.join(recipe_names())}.",
    )
    arguments = list(sys.argv[1:] if argv is None else argv)
    options = {action.dest: action for action in parser._actions}
    hints = {name: str(hint) for dataclass in _ARGUMENTS for name, hint in get_type_hints(dataclass).items()}
    for config in parser.parse_known_args(arguments)[0].config:
        recipe = load_recipe(config)
        unknown = sorted(str(name) for name in recipe if name not in hints)
        if unknown:
            raise ValueError(f"--config {config}: unknown options {unknown}; see --help for those that exist")
        for name, value in recipe.items():
            if not _fits(value, options[name], hints[name]):
                raise ValueError(f"--config {config}: {value!r} is not a valid value of {name}, see --help")
            recipe[name] = _as_option(value, options[name])
        parser.set_defaults(**recipe)
    run_args, training_args, _ = parser.parse_args_into_dataclasses(arguments, look_for_args_file=False)
    return run_args, training_args


def given_options(argv: Sequence[str] | None = None) -> set[str]:
    """Return the names of the options that stand on the command line itself, in no recipe.

    Args:
        argv: the options; None: those of the command line.
    """
    parser = HfArgumentParser(list(_ARGUMENTS))
    for action in parser._actions:
        action.default = argparse.SUPPRESS
    return set(vars(parser.parse_known_args(argv)[0]))


def _fits(value: Any, option: argparse.Action, hint: str) -> bool:
    """Return whether a value of a recipe could stand on the command line; argparse checks only the text there."""
    if value is None:
        return "None" in hint
    if isinstance(value, dict):
        return "dict" in hint
    if isinstance(value, list) and option.nargs != "+" and "list" not in hint:
        return False
    parse: Any = option.type or str
    for item in value if isinstance(value, list) else [value]:
        try:
            parsed = parse(str(item))
        except (ValueError, TypeError, argparse.ArgumentTypeError):
            return False
        if isinstance(item, (dict, list)) or (option.choices and parsed not in option.choices):
            return False
    return True


def _as_option(value: Any, option: argparse.Action) -> Any:
    """Return a value of a recipe as the command line would give it: a single one of several, a number as a name."""
    if option.nargs == "+" and not isinstance(value, (list, type(None))):
        return [value]
    if option.type is str and isinstance(value, (bool, int, float)):
        return str(value)
    return value

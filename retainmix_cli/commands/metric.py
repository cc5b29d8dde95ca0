"""`retainmix metric`: the official score as a metric of `evaluate`."""

from pathlib import Path
from typing import Annotated

import typer

from retainmix_cli.output import Json, say, show

metric = typer.Typer(help="Install the official score as a metric.", no_args_is_help=True)


@metric.command()
def install(json: Json = False) -> None:
    """Make `evaluate.load("dcase_score")` work on this machine, from any folder and offline."""
    say("installing the metric into the cache of evaluate")
    from modeling_retainmix.hub.metric_space import install_metric

    file = install_metric()
    show({"metric": file}, str(file), json)


@metric.command()
def write(
    folder: Annotated[Path, typer.Argument(help="Folder to write the files of the metric's Space into.")],
    json: Json = False,
) -> None:
    """Write the metric's Space, which `retainmix push` uploads."""
    say(f"writing the metric's Space into {folder}")
    from modeling_retainmix.hub.metric_space import write_metric_space

    write_metric_space(folder)
    show({"space": folder}, str(folder), json)

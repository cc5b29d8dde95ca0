"""`retainmix reproduce`, `tables` and `studies`: the paper's tables, and the tables that chose the defaults."""

from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from retainmix_cli.output import say
from retainmix_cli.passing_on import call_main
from retainmix_cli.signals import when_stopped


def reproduce(context: typer.Context) -> int:
    """Score encoders for the paper's tables.

    Tables 2 to 5 and Figure 2 are written beside the published numbers. The main options, with underscores:

    --output_dir FOLDER (needed), --teacher ENCODER, --models ROW=FOLDER..., --seed N, --clip_seconds SECONDS,
    --figure True, --eval_data FOLDER --noise FOLDER (own recordings).

    All of them: retainmix reproduce -- --help
    """
    say("scoring the rows of the paper's tables")
    from modeling_retainmix.evaluation.paper.tables import main

    with when_stopped("rows and embeddings that are done are kept; the same command goes on from them"):
        return call_main(main, context.args)


def tables(folder: Annotated[Path, typer.Argument(help="Output folder of `retainmix reproduce`.")]) -> int:
    """Make the paper's tables again from their rows."""
    say(f"making the tables of {folder}")
    from modeling_retainmix.evaluation.paper.tables import main

    return call_main(main, ["--output_dir", str(folder)])


def studies(
    context: typer.Context,
    study: Annotated[str, typer.Argument(help="Which study; without a known name all are listed.")],
) -> int:
    """Run a study that chooses a default.

    All options of a study: retainmix studies STUDY -- --help
    """
    names = _study_names()
    if study not in names:
        raise typer.BadParameter(f"{study!r} is not a study: use one of {', '.join(names)}")
    say(f"running the study {study}")
    main = import_module(f"modeling_retainmix.evaluation.studies.{study}").main
    with when_stopped("nothing is kept but cached data; run the same command again"):
        return call_main(main, context.args)


def _study_names() -> list[str]:
    """List the modules that are commands, without importing them."""
    folder = Path(__file__).parents[2] / "modeling_retainmix" / "evaluation" / "studies"  # both lie side by side
    return sorted(path.stem for path in folder.glob("*.py") if "\ndef main(" in path.read_text(encoding="utf-8"))

"""`retainmix convert`, `average` and `export`: encoders and detectors in other forms."""

import logging
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated

import typer

from retainmix_cli.detectors import load_detector
from retainmix_cli.options import Detector
from retainmix_cli.output import Json, say, show


def convert(
    checkpoint: Annotated[
        str, typer.Argument(help="Original BEATs, OpenBEATs, EAT or SSLAM: file, folder, Hub name.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write.")],
    base: Annotated[
        str | None, typer.Option(help="Of a fine-tuned OpenBEATs: where its architecture comes from.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Names of the labels: CSV file with the columns mid and display_name.")
    ] = None,
    allow_pickle: Annotated[
        bool, typer.Option("--allow-pickle", help="Also read files that may run code; only from a trusted source.")
    ] = False,
    json: Json = False,
) -> None:
    """Convert an original checkpoint.

    The folder that is written is loaded by transformers and by `fit --model`.
    """
    say(f"converting {checkpoint}")
    from modeling_retainmix import convert_checkpoint

    with redirect_stdout(sys.stderr):  # it says what it has found
        model = convert_checkpoint(checkpoint, output, base, allow_pickle, labels)
    record = {"model": output, "class": type(model).__name__, "layers": model.config.num_hidden_layers}
    show(record, f"the encoder is in {output}", json)


def average(
    models: Annotated[list[str], typer.Argument(help="Students of one start: folders or Hub names, two or more.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write.")],
    json: Json = False,
) -> None:
    """Write the mean of the weights of several students.

    They have to start from one encoder and differ in seed, sounds or recipe. The folder holds an encoder without
    classes, which is loaded by transformers and by `fit --model`.
    """
    say(f"averaging {len(models)} models")
    from modeling_retainmix.training.weight_average import average_models

    model = average_models(models, output)
    record = {"model": output, "average_of": models, "parameters": model.num_parameters()}
    show(record, f"the mean of {len(models)} models is in {output}", json)


def export(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of scorer.onnx and scorer.json.")],
    detector: Detector = Path("detector"),
    int8: Annotated[
        bool, typer.Option("--int8", help="Store weights in 8 bits: a smaller file, other scores.")
    ] = False,
    json: Json = False,
) -> None:
    """Write a detector as one ONNX file.

    It takes samples and gives scores; retainmix_score runs it without torch.
    """
    say(f"exporting {detector}")
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it warns of operators that no detector has
    ready = load_detector(detector)
    ready.export_onnx(output, int8)
    files = [output / name for name in ("scorer.onnx", "scorer.json")]
    size = files[0].stat().st_size
    basis = ready.threshold_basis()
    if basis.num_missing:
        rate = (
            "they bear no verdict"
            if basis.normal is None
            else f"its threshold has {100 / (basis.num_units + 1):.3g} %"
        )
        say(f"warning: the references are too few for a false alarm rate of 10 %: {rate}")
    show({"files": files, "bytes": size}, f"{size / 1e6:.2f} MB: {' and '.join(map(str, files))}", json)

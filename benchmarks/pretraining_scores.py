"""Score the averaged encoder of every checkpoint of a pre-training: its learning curve, on machines that choose.

    python benchmarks/pretraining_scores.py --run outputs/pretraining --real_data DIR --output outputs/curve.csv

Every layer is scored by nearest neighbor and whitened, on the validation machines of the procedural factory and on
real machines (`student_scores.py`), beside log-mel. A checkpoint whose rows are there is not scored again: call it
while the training runs, which keeps its newest checkpoints alone. `draw_results.py` draws the rows.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from student_scores import Scorer
from torch.optim.swa_utils import AveragedModel
from transformers import AutoConfig, AutoFeatureExtractor

from modeling_retainmix import csv_files
from modeling_retainmix.atomic import whole_file
from modeling_retainmix.encoders import BeatsModel
from modeling_retainmix.training.pretraining_trainer import AVERAGE_NAME, BEST_NAME
from modeling_retainmix.training.recipe import parse_arguments

SIZE = Path(__file__).with_name("student_queue.yaml")
COLUMNS = ("step", "system", "layer", "backend", "data", "condition", "score")


def load_averaged(checkpoint: Path, run: Path) -> BeatsModel:
    """Load the averaged encoder of a checkpoint; `best/` of the run holds the configuration.

    Raises:
        FileNotFoundError: the run has no `best/` yet.
    """
    if not (run / BEST_NAME / "config.json").is_file():
        raise FileNotFoundError(f"{run / BEST_NAME} does not exist: the run writes it at its first probe")
    average = AveragedModel(BeatsModel(AutoConfig.from_pretrained(run / BEST_NAME)))
    average.load_state_dict(load_file(checkpoint / AVERAGE_NAME))
    encoder: BeatsModel = average.module
    return encoder.eval()


def checkpoints(run: Path) -> dict[int, Path]:
    """Find the checkpoints of a run by their step, in its order."""
    found = {int(path.parent.name.rsplit("-", 1)[1]): path.parent for path in run.glob(f"checkpoint-*/{AVERAGE_NAME}")}
    return dict(sorted(found.items()))


def main(argv: Sequence[str] | None = None) -> None:
    """Score what is not in the file yet; the rows of a checkpoint are written as a whole."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--run", type=Path, required=True, help="output folder of the pre-training")
    parser.add_argument("--output", type=Path, required=True, help="CSV file, which grows")
    parser.add_argument("--real_data", help="folder of real machines and of noise, as detector_choice takes it")
    parser.add_argument("--size", default=SIZE, help="YAML file of protocol and factory; default: beside this")
    args, options = parser.parse_known_args(argv)
    try:
        found = checkpoints(args.run)
        if not found:
            raise FileNotFoundError(f"{args.run} holds no checkpoint of a pre-training: check the path")
        words = ["--config", "both_0db", str(args.size), "--output_dir", str(args.run), *options]
        arguments, scorer = parse_arguments(words), Scorer(args.real_data)
        rows: list[dict[str, Any]] = []
        if args.output.is_file():
            rows = [row for _, row in csv_files.read_records(args.output)[1]]
        for step, checkpoint in found.items():
            if str(step) in {str(row["step"]) for row in rows}:
                continue
            extractor = AutoFeatureExtractor.from_pretrained(args.run / BEST_NAME)
            encoder = load_averaged(checkpoint, args.run)
            rows += [{"step": step, **row} for row in scorer.teacher(encoder, extractor, *arguments)]
            with whole_file(args.output) as temporary:
                csv_files.write_records(temporary, rows, COLUMNS)
            print(f"step {step}: scored", flush=True)
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()

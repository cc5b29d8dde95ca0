"""Score a student that no recipe makes, such as a mean of weights, and file its rows beside those of the others.

    retainmix average STUDENT... --output outputs/mean
    python benchmarks/student_variants.py outputs/mean --run "mean of ..." --real_data DIR \
        --output benchmarks/student_variants.csv

Checkpoints of a run are students too. Every layer is scored as `student_queue.py` scores its runs
(`student_scores.py`). With `--start` and `--share`, what is scored lies on the line from the encoder that training
started from to the student: start + share (student - start), tensor by tensor. `draw_results.py` makes the tables.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from student_scores import Scorer
from transformers import AutoFeatureExtractor, AutoModel, PreTrainedModel

from modeling_retainmix import csv_files
from modeling_retainmix.atomic import whole_file
from modeling_retainmix.pretrained import load_pretrained
from modeling_retainmix.training.recipe import parse_arguments

SIZE = Path(__file__).with_name("student_queue.yaml")


def load_on_the_way(model: str, start: str | None, share: float) -> PreTrainedModel:
    """Load start + share (model - start), float32, in evaluation mode; the model itself without a start.

    Raises:
        ValueError: the two have other tensors; the message names them.
    """
    encoder: PreTrainedModel = load_pretrained(AutoModel, model, dtype=torch.float32)
    if start is not None:
        begin, end = load_pretrained(AutoModel, start, dtype=torch.float32).state_dict(), encoder.state_dict()
        if {name: tensor.shape for name, tensor in begin.items()} != {name: one.shape for name, one in end.items()}:
            raise ValueError(f"{model} and {start} have other tensors: name the encoder that training started from")
        encoder.load_state_dict({name: begin[name].lerp(tensor, share) for name, tensor in end.items()})
    return encoder.eval()


def main(argv: Sequence[str] | None = None) -> None:
    """Add the rows of one model to the file, as a whole."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("model", help="folder of the student, of a mean or of a checkpoint")
    parser.add_argument("--run", required=True, help="what the tables call it")
    parser.add_argument("--recipe", default="", help="of its training, or of its parts'")
    parser.add_argument("--steps", type=int, default=2000, help="of its training, or of its parts'")
    parser.add_argument("--seed", type=int, default=0, help="of the machines that it is scored on")
    parser.add_argument("--start", help="encoder that training started from")
    parser.add_argument("--share", type=float, default=1.0, help="of the way from the start to the student")
    parser.add_argument("--real_data", help="folder of real machines and of noise, as detector_choice takes it")
    parser.add_argument("--output", type=Path, required=True, help="CSV file, which grows")
    args, options = parser.parse_known_args(argv)
    if args.start is None and args.share != 1.0:
        parser.error(f"--share {args.share:g} is of the way from --start: name that encoder too")
    try:
        filed = [row for _, row in csv_files.read_records(args.output)[1]] if args.output.is_file() else []
        if (args.run, str(args.seed)) in {(str(row["run"]), str(row["seed"])) for row in filed}:
            raise ValueError(f"{args.output} holds {args.run!r} on the machines of seed {args.seed} already")
        words = ["--config", "both_0db", str(SIZE), "--output_dir", args.model, "--do_eval", "False"]
        words += ["--seed", str(args.seed), "--benchmark_seed", str(args.seed), *options]
        encoder = load_on_the_way(args.model, args.start, args.share)
        extractor = AutoFeatureExtractor.from_pretrained(args.model)
        rows = Scorer(args.real_data).student(encoder, extractor, *parse_arguments(words))
        about = {"run": args.run, "recipe": args.recipe, "seed": args.seed, "steps": args.steps, "hours": 0}
        records: list[dict[str, Any]] = [*filed, *({**about, **row} for row in rows)]
        with whole_file(args.output) as temporary:
            csv_files.write_records(temporary, records)
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()

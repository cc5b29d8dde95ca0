"""Train a teacher's students one after the other, and score every layer of each; call it again to go on.

    python benchmarks/student_queue.py --teacher FOLDER --output_dir outputs/queue --real_data DIR --cpu_threads 2

The list begins with both losses at 0 dB (three seeds) and the mixture loss at 20,000 steps; every other method of the
paper, and what goes beyond it, follows at 2,000 steps and one seed. A run that was stopped goes on from its newest
checkpoint, a finished one is not touched again: its scores lie in `OUTPUT_DIR/scores.csv`, beside those of the frozen
teacher, of log-mel and of the oracle on the machines of the same seed (`student_scores.py`). Choices are made on
these scores, so they are of validation machines alone. Options that are not listed go to the training (`--bf16 True`).
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from student_scores import Scorer
from transformers import AutoFeatureExtractor, AutoModel
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import get_last_checkpoint

from modeling_retainmix import csv_files
from modeling_retainmix.atomic import whole_file
from modeling_retainmix.conversion.encoders_by_name import loadable_name
from modeling_retainmix.evaluation.compared_systems import BEYOND, TRAINED
from modeling_retainmix.evaluation.score_encoders import NamedEncoder
from modeling_retainmix.pretrained import load_pretrained
from modeling_retainmix.training.main import main as train
from modeling_retainmix.training.recipe import load_recipe, parse_arguments, recipe_names

SIZE = Path(__file__).with_name("student_queue.yaml")
FROZEN = "frozen"
LONG, SHORT = 20_000, 2_000
# Table 5's other data are of no use here: recordings, and machines that are scored.
OTHER_DATA = ("mixture_audioset_20k", "mixture_with_references")


@dataclass(frozen=True)
class Run:
    """A student to train and score, or the frozen systems to score beside the students of its seed.

    Attributes:
        recipe: of the method, or `FROZEN`.
        steps: optimizer steps.
        seed: of training, training sounds and machines that are scored.
    """

    recipe: str
    steps: int
    seed: int

    def __str__(self) -> str:
        return f"{self.recipe}-{self.steps}-{self.seed}"


def default_runs() -> list[Run]:
    """Return the list in its order."""
    long = [Run("both_0db", LONG, seed) for seed in (0, 1, 2)] + [Run("mixture_0db", LONG, 0)]
    return [*long, *(Run(recipe, SHORT, 0) for recipe in [*TRAINED, *BEYOND] if recipe not in OTHER_DATA)]


def parse_run(text: str) -> Run:
    """Read RECIPE-STEPS-SEED."""
    recipe, *numbers = text.rsplit("-", 2)
    if recipe not in recipe_names() or len(numbers) != 2 or not all(number.isdigit() for number in numbers):
        raise argparse.ArgumentTypeError(f"{text!r} is not RECIPE-STEPS-SEED, as in both_0db_pooled-20000-0")
    return Run(recipe, int(numbers[0]), int(numbers[1]))


class Queue:
    """The runs of an output folder.

    Args:
        args: options of this command.
        options: of the training, behind those of the recipes.

    Raises:
        ValueError: the folder was begun with another teacher, size, other options or other real data.
    """

    def __init__(self, args: argparse.Namespace, options: Sequence[str]) -> None:
        self.folder = Path(args.output_dir)
        self.scores = self.folder / "scores.csv"
        self.size, self.options = args.size, list(options)
        self.teacher = loadable_name(args.teacher)
        self.scorer = Scorer(args.real_data)
        self._check_begun(args.real_data)

    def _check_begun(self, real_data: str | None) -> None:
        encoder = load_pretrained(AutoModel, self.teacher)
        fingerprint = NamedEncoder("teacher", encoder, None, ()).fingerprint
        _, of_training = parse_arguments(self.words(Run("both_0db", LONG, 0)))
        settings = {"teacher": fingerprint, "size": load_recipe(str(self.size))}
        settings["options"] = of_training.method_settings()
        settings["real_data"] = None if real_data is None else str(Path(real_data).resolve())
        path = self.folder / "queue.json"
        if not path.is_file():
            self.folder.mkdir(parents=True, exist_ok=True)
            with whole_file(path) as temporary:
                temporary.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
        begun = json.loads(path.read_text(encoding="utf-8"))
        differing = [name for name, value in settings.items() if begun.get(name) != value]
        if differing:
            raise ValueError(
                f"{self.folder} was begun with another choice of {' and '.join(differing)}: name another --output_dir"
            )

    def finished(self) -> set[str]:
        """Return the runs whose scores are there."""
        return {row["run"] for row in self._rows()}

    def _rows(self) -> list[dict[str, str]]:
        return [row for _, row in csv_files.read_records(self.scores)[1]] if self.scores.is_file() else []

    def words(self, run: Run) -> list[str]:
        """Return the command line of a run's training, which its scoring reads too (of frozen systems it alone)."""
        recipe = "both_0db" if run.recipe == FROZEN else run.recipe
        return [
            *("--config", recipe, str(self.size), "--model", self.teacher),
            *("--output_dir", str(self.folder / str(run))),
            *("--seed", str(run.seed), "--benchmark_seed", str(run.seed), "--max_steps", str(run.steps or 1)),
            *("--do_eval", "False", *self.options),
        ]

    def do(self, run: Run) -> None:
        """Train a student where its training has not come to its end, score it and file the scores as a whole."""
        folder, hours = self.folder / str(run), 0.0
        if run.recipe != FROZEN:
            if not (folder / "model.safetensors").is_file():
                train([*self.words(run), "--resume_from_checkpoint", "True"])
            hours = training_hours(folder)
        scored = self.scorer.frozen if run.recipe == FROZEN else self.scorer.student
        name = self.teacher if run.recipe == FROZEN else str(folder)
        encoder = load_pretrained(AutoModel, name), AutoFeatureExtractor.from_pretrained(name)
        rows = scored(*encoder, *parse_arguments(self.words(run)))
        about = {"run": str(run), "recipe": run.recipe, "seed": run.seed, "steps": run.steps, "hours": f"{hours:.3f}"}
        records: list[dict[str, Any]] = [*self._rows(), *({**about, **row} for row in rows)]
        with whole_file(self.scores) as temporary:
            csv_files.write_records(temporary, records)


def training_hours(folder: Path) -> float:
    """Return the hours that the steps of a finished training took, over all its calls, by however many processes."""
    checkpoint = get_last_checkpoint(str(folder))
    if checkpoint is None:
        raise FileNotFoundError(f"{folder} holds no checkpoint, which tells how long its steps took")
    state = json.loads(Path(checkpoint, TRAINER_STATE_NAME).read_text(encoding="utf-8"))
    args = json.loads((folder / "training_args.json").read_text(encoding="utf-8"))
    seconds, before = 0.0, 0
    for line in state["log_history"]:
        if "clips_per_second" in line:
            seconds += (line["step"] - before) * args["clips_per_step"] / line["clips_per_second"]
            before = line["step"]
    return seconds / 3600


def main(argv: Sequence[str] | None = None) -> int:
    """Work through the list; a run that fails is named, and the others follow.

    Returns:
        Exit status: 0, or 1 if a run failed.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--teacher", required=True, help="encoder that the students start from: folder or Hub name")
    parser.add_argument("--output_dir", required=True, help="folder of the students and of scores.csv")
    parser.add_argument("--real_data", help="folder of real machines and of noise, as detector_choice takes it")
    parser.add_argument("--size", default=SIZE, help="YAML file of options behind the recipes; default: beside this")
    parser.add_argument(
        "--also", nargs="+", type=parse_run, default=[], metavar="RECIPE-STEPS-SEED", help="runs behind the list"
    )
    args, options = parser.parse_known_args(argv)
    try:
        queue = Queue(args, options)
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    failed = []
    runs = [*default_runs(), *args.also]
    seeds = dict.fromkeys(run.seed for run in runs)
    for run in [*(Run(FROZEN, 0, seed) for seed in seeds), *runs]:
        if str(run) in queue.finished():
            continue
        print(f"{run} begins", flush=True)
        try:
            queue.do(run)
        # The training ends by SystemExit at bad input or a loss that is not finite.
        except (SystemExit, ValueError, OSError, RuntimeError) as end:
            failed.append(str(run))
            print(f"{run} failed, the next one follows: {end}", file=sys.stderr, flush=True)
    if failed:
        print(f"failed: {', '.join(failed)}; the same call tries them again", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

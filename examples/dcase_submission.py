"""Score the evaluation set of DCASE Task 2 (2023 to 2026) and write a submission, which is validated.

python examples/dcase_submission.py --model outputs/retainmix --year 2025 --system team.yaml \
    --development dev_data --evaluation eval_data --output_dir submission

Both data sets lie as the challenge delivers them, `<machine>/{train,test}/`. Those of 2026 have two channels, of which
the near one is read; with `--microphones cancel` the far one is subtracted from it. team.yaml holds what only the team
knows:

    label: Example_EI_task2_1
    name: RetainMix with Mahalanobis distances
    abbreviation: RetainMix
    authors:
      - {firstname: Ada, lastname: Example, email: ada@example.org, corresponding: true,
         affiliation: {institution: Example Institute, department: Acoustics, location: Nowhere}}

Exit status:
    0    the submission is written; what it still lacks is listed
    1    a data set, the model or team.yaml cannot be read or does not fit
    2    a wrong option, or the output cannot be written: another name, permissions, a full disk
    130  Ctrl-C
    143  SIGTERM
After a full disk, Ctrl-C or SIGTERM the scores so far stay in <output_dir>/<label>.scores.csv.partial.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import get_args

import numpy as np
import yaml

from modeling_retainmix import AnomalyDetector, dcase_score
from modeling_retainmix.data import read_recordings
from modeling_retainmix.data.layouts.dcase_sections import FAR_CHANNEL, NEAR_CHANNEL
from modeling_retainmix.detection.settings import Microphones
from modeling_retainmix.detection.windows import ClipScore
from modeling_retainmix.evaluation.challenge.submission import SubmittedSystem, write_submission
from modeling_retainmix.evaluation.results import read_results
from modeling_retainmix.stoppable_csv import OutputError, ResultFile, Stopped, StopSignals, exit_incomplete

FALSE_ALARM_RATE = 0.1


def read_system(path: str) -> SubmittedSystem:
    try:
        return SubmittedSystem(**yaml.safe_load(Path(path).read_text(encoding="utf-8")))
    except (TypeError, yaml.YAMLError) as error:
        raise ValueError(f"{path} is not a valid description of a system (see --help): {error}") from error


def channels_of(options: argparse.Namespace) -> dict[str, int | None]:
    """Return the channels to read, in 2026 by default those of the data sets."""
    near, far = (NEAR_CHANNEL, FAR_CHANNEL) if options.year == 2026 else (None, None)
    channels = {"channel": near if options.channel is None else options.channel}
    if options.microphones != "near" or options.far_channel is not None:
        channels["far_channel"] = far if options.far_channel is None else options.far_channel
    return channels


def score_tests(
    detector: AnomalyDetector,
    folder: str,
    channels: Mapping[str, int | None],
    result: ResultFile,
    signals: StopSignals,
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Return the columns of all tests with their scores, and each machine type's threshold, from its references alone.

    The threshold is for the number of windows that most tests of the machine type have. `channels` are the channels of
    the near and of the far microphone, as `fit` and `score` take them.
    """
    recordings = read_recordings(folder)
    columns = {name: np.asarray(recordings[name]) for name in recordings.column_names}
    columns["score"] = np.zeros(len(recordings))
    columns["file_name"] = np.asarray([Path(path).name for path in recordings["path"]])
    is_test, thresholds = columns["split"] == "test", {}
    for machine_type in np.unique(columns["machine_type"][is_test]).tolist():
        is_type = columns["machine_type"] == machine_type
        references, tests = is_type & (columns["split"] == "train"), is_type & is_test
        if not references.any():
            raise ValueError(f"machine type {machine_type!r} has tests but no references: add its train folder")
        paths, domains = columns["path"][references].tolist(), columns["domain"][references].tolist()
        detector.fit(paths, domains=domains, **channels)
        detector.threshold(FALSE_ALARM_RATE)  # before the tests are read: the references may be too few
        test_paths, num_windows = columns["path"][tests].tolist(), Counter[int]()

        def take(clip: ClipScore, paths: list[str] = test_paths, counts: Counter[int] = num_windows) -> None:
            with signals.hold():
                counts[clip.num_windows] += 1
                result.write([paths[clip.position], clip.score])

        columns["score"][tests] = detector.score(test_paths, **channels, on_score=take)
        ((most_common, _),) = num_windows.most_common(1)
        thresholds[machine_type] = detector.threshold(FALSE_ALARM_RATE, num_windows=most_common)
    return {name: column[is_test] for name, column in columns.items()}, thresholds


def submit(options: argparse.Namespace, system: SubmittedSystem, result: ResultFile, signals: StopSignals) -> None:
    """Score both data sets, write the submission, and print what it lacks."""
    results = read_results(Path(options.model) / "results.json")
    detector = AnomalyDetector.from_pretrained(options.model, microphones=options.microphones)
    channels = channels_of(options)
    known, _ = score_tests(detector, options.development, channels, result, signals)
    development = dcase_score(
        known["score"], (known["label"] == "anomaly").astype(int), known["domain"], known["machine_type"]
    )
    clips, thresholds = score_tests(detector, options.evaluation, channels, result, signals)
    try:
        folder, problems = write_submission(
            options.output_dir, system, options.year, clips, thresholds, detector.settings, results, development
        )
    except OSError as error:
        raise OutputError(f"{options.output_dir} cannot be written ({error.strerror})") from error
    result.discard()
    print(f"official score on the development set: {100 * development['official_score']:.2f} %")
    print("\n".join([f"{folder} is written; {len(problems)} things to fix or to add:", *problems]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="checkpoint folder with the results.json of its training")
    parser.add_argument("--development", required=True, help="folder of the development set, with labels in its names")
    parser.add_argument("--evaluation", required=True, help="folder of the evaluation set and its training clips")
    parser.add_argument("--year", type=int, choices=range(2023, 2027), required=True, help="of the challenge")
    parser.add_argument("--system", required=True, help="YAML file with label, name, abbreviation and authors")
    parser.add_argument("--channel", type=int, help="of recordings with several; default in 2026: 0, the near one")
    parser.add_argument(
        "--microphones", choices=get_args(Microphones), default="near", help="what becomes of the far channel"
    )
    parser.add_argument("--far_channel", type=int, help="of the far microphone; default in 2026: 1")
    parser.add_argument("--output_dir", required=True, help="root of the submission package")
    options = parser.parse_args()
    result = None
    try:
        system = read_system(options.system)
        scores = Path(options.output_dir) / f"{system.label}.scores.csv"
        with StopSignals() as signals, ResultFile(scores, ["file", "score"]) as result:
            submit(options, system, result, signals)
    except (OutputError, Stopped) as error:
        exit_incomplete(error, result)
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()

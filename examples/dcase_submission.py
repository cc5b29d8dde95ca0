"""Scores the evaluation set of DCASE Task 2 (2023 to 2026) and writes a submission, which is validated.

python examples/dcase_submission.py --model outputs/retainmix --year 2025 --system team.yaml \
    --development dev_data --evaluation eval_data --output_dir submission

Both data sets lie as the challenge delivers them, `<machine>/{train,test}/`. team.yaml holds what only the team knows:

    label: Example_EI_task2_1
    name: RetainMix with Mahalanobis distances
    abbreviation: RetainMix
    authors:
      - {firstname: Ada, lastname: Example, email: ada@example.org, corresponding: true,
         affiliation: {institution: Example Institute, department: Acoustics, location: Nowhere}}
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import yaml

from modeling_retainmix import AnomalyDetector, dcase_score
from modeling_retainmix.data import read_recordings
from modeling_retainmix.evaluation.challenge.submission import SubmittedSystem, write_submission
from modeling_retainmix.evaluation.results import read_results


def read_system(path: str) -> SubmittedSystem:
    try:
        return SubmittedSystem(**yaml.safe_load(Path(path).read_text(encoding="utf-8")))
    except (TypeError, yaml.YAMLError) as error:
        raise ValueError(f"{path} is no description of a system as --help shows it: {error}") from error


def score_tests(
    detector: AnomalyDetector, folder: str, channel: int | None
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """The columns of all tests with their scores, and each machine type's threshold, from its references alone."""
    recordings = read_recordings(folder)
    columns = {name: np.asarray(recordings[name]) for name in recordings.column_names}
    columns["score"] = np.zeros(len(recordings))
    columns["file_name"] = np.asarray([Path(path).name for path in recordings["path"]])
    is_test, thresholds = columns["split"] == "test", {}
    for machine_type in np.unique(columns["machine_type"][is_test]).tolist():
        of_type = columns["machine_type"] == machine_type
        references, tests = of_type & (columns["split"] == "train"), of_type & is_test
        if not references.any():
            raise ValueError(f"machine type {machine_type!r} has tests but no references: add its train folder")
        paths, domains = columns["path"][references].tolist(), columns["domain"][references].tolist()
        detector.fit(paths, domains=domains, channel=channel)
        thresholds[machine_type] = detector.threshold(false_alarm_rate=0.1)
        columns["score"][tests] = detector.score(columns["path"][tests].tolist(), channel=channel)
    return {name: column[is_test] for name, column in columns.items()}, thresholds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="checkpoint folder with the results.json of its training")
    parser.add_argument("--development", required=True, help="folder of the development set, with labels in its names")
    parser.add_argument("--evaluation", required=True, help="folder of the evaluation set and its training clips")
    parser.add_argument("--year", type=int, choices=range(2023, 2027), required=True, help="of the challenge")
    parser.add_argument("--system", required=True, help="YAML file with label, name, abbreviation and authors")
    parser.add_argument("--channel", type=int, help="of recordings with several: in 2026, 0 is the near microphone")
    parser.add_argument("--output_dir", required=True, help="root of the submission package")
    options = parser.parse_args()
    try:
        system = read_system(options.system)
        results = read_results(Path(options.model) / "results.json")
        detector = AnomalyDetector.from_pretrained(options.model)
        known, _ = score_tests(detector, options.development, options.channel)
        development = dcase_score(
            known["score"], (known["label"] == "anomaly").astype(int), known["domain"], known["machine_type"]
        )
        clips, thresholds = score_tests(detector, options.evaluation, options.channel)
        folder, problems = write_submission(
            options.output_dir, system, options.year, clips, thresholds, detector.settings, results, development
        )
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    print(f"official score on the development set: {100 * development['official_score']:.2f} %")
    print("\n".join([f"{folder} is written; {len(problems)} things to mend or to add:", *problems]))


if __name__ == "__main__":
    main()

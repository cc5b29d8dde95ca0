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
from datasets import Dataset

from modeling_retainmix import AnomalyDetector, dcase_score
from modeling_retainmix.data import read_recordings
from modeling_retainmix.evaluation.submission import SubmittedSystem, write_submission
from modeling_retainmix.hub.run_record import read_results


def score_tests(detector: AnomalyDetector, recordings: Dataset, channel: int | None) -> tuple[Dataset, dict]:
    """The tests with their scores, and the threshold of each machine type, from its references alone."""
    columns = {name: np.asarray(recordings[name]) for name in ("path", "machine_type", "domain", "split")}
    is_test = columns["split"] == "test"
    scores, thresholds = np.zeros(len(recordings)), {}
    for machine_type in np.unique(columns["machine_type"][is_test]).tolist():
        of_type = columns["machine_type"] == machine_type
        references, tests = of_type & (columns["split"] == "train"), of_type & is_test
        if not references.any():
            raise ValueError(f"machine type {machine_type!r} has tests but no references: add its train folder")
        paths, domains = columns["path"][references].tolist(), columns["domain"][references].tolist()
        detector.fit(paths, domains=domains, channel=channel)
        thresholds[machine_type] = detector.threshold(false_alarm_rate=0.1)
        scores[tests] = detector.score(columns["path"][tests].tolist(), channel=channel)
    tests = recordings.select(np.flatnonzero(is_test)).add_column("score", scores[is_test].tolist())
    return tests.map(lambda row: {"file_name": Path(row["path"]).name}), thresholds


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
        system = SubmittedSystem(**yaml.safe_load(Path(options.system).read_text(encoding="utf-8")))
        results = read_results(Path(options.model) / "results.json")
        detector = AnomalyDetector.from_pretrained(options.model)
        known, _ = score_tests(detector, read_recordings(options.development), options.channel)
        labels = [int(label == "anomaly") for label in known["label"]]
        development = dcase_score(known["score"], labels, known["domain"], known["machine_type"])
        clips, thresholds = score_tests(detector, read_recordings(options.evaluation), options.channel)
        folder, problems = write_submission(
            options.output_dir, system, options.year, clips, thresholds, detector.settings, results, development
        )
    except (ValueError, TypeError, OSError) as error:
        sys.exit(f"error: {error}")
    print(f"official score on the development set: {100 * development['official_score']:.2f} %")
    print("\n".join([f"{folder} is written; {len(problems)} things to mend or to add:", *problems]))


if __name__ == "__main__":
    main()

"""Score a folder of recordings against a folder of healthy ones and write a CSV.

python examples/score_folder.py --references healthy/ --tests suspect/ --output scores.csv

Recordings that cannot be read have no row; they are listed at the end, and the exit status is 1.
"""

import argparse
import csv
import sys
from pathlib import Path

import numpy as np

from modeling_retainmix import AnomalyDetector
from modeling_retainmix.audio_files import find_audio_files

TINY_MODEL = Path(__file__).parents[1] / "hub_cards" / "retainmix-beats-tiny"


def channel(value: str) -> int | str:
    return value if value == "mean" else int(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--model", default=str(TINY_MODEL), help="folder or Hub name of an encoder; default: %(default)s"
    )
    parser.add_argument("--references", required=True, help="folder of recordings of the healthy machine")
    parser.add_argument("--tests", required=True, help="folder of recordings to score")
    parser.add_argument("--layer", type=int, help="layer to read; default: the one that the encoder names")
    parser.add_argument(
        "--channel", type=channel, help="of recordings with several channels: an index from 0, or 'mean'"
    )
    parser.add_argument("--output", default="scores.csv", help="CSV with a row per recording; default: %(default)s")
    options = parser.parse_args()
    broken: list[Exception] = []
    try:
        found = find_audio_files(options.tests)
        if not found.files:
            raise found.error()
        files = found.files
        broken += [ValueError(f"{path} {cause}") for path, cause in found.problems.items()]
        Path(options.output).parent.mkdir(parents=True, exist_ok=True)
        detector = AnomalyDetector.from_pretrained(options.model, layer=options.layer)
        detector.fit(options.references, channel=options.channel)
        threshold = detector.threshold(false_alarm_rate=0.1)
        scores = detector.score(files, channel=options.channel, on_error=broken.append)
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    scored = [(path, score) for path, score in zip(files, scores, strict=True) if not np.isnan(score)]
    with open(options.output, "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "score", "anomalous"])
        rows.writerows([path, score, int(score > threshold)] for path, score in scored)
    anomalous = sum(score > threshold for _, score in scored)
    print(f"{anomalous} of {len(scored)} recordings are above the threshold of 10 % of false alarms, {threshold:.3f}")
    print(f"the scores are in {options.output}")
    if broken:
        total = len(files) + len(found.problems)
        sys.exit("\n".join([f"error: no row for {len(broken)} of {total} recordings:", *map(str, broken)]))


if __name__ == "__main__":
    main()

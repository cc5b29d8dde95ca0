"""Score a folder of recordings against a folder of healthy ones and write a CSV.

python examples/score_folder.py --references healthy/ --tests suspect/ --output scores.csv

Each recording is compared with the threshold of 10 % of false alarms for its length. Recordings that cannot be read
have no row; they are listed at the end.

Rows are written as they come to a file beside the output, scores.csv.partial, which takes its place at the end.

Exit status:
    0    every recording has a row
    1    some recordings cannot be read, or nothing could be scored (no such folder, no encoder, too few references, no
         recording that can be read); then an earlier output is untouched
    2    a wrong option, or the output cannot be written: another name, permissions, a full disk
    130  Ctrl-C
    143  SIGTERM
After a full disk, Ctrl-C or SIGTERM the rows so far stay in the partial file, and an earlier output is untouched.
"""

import argparse
import sys
from functools import cache
from pathlib import Path
from typing import NoReturn

from modeling_retainmix import AnomalyDetector
from modeling_retainmix.audio_files import find_audio_files
from modeling_retainmix.detection.windows import ClipScore
from modeling_retainmix.stoppable_csv import OutputError, ResultFile, Stopped, StopSignals, exit_incomplete

TINY_MODEL = Path(__file__).parents[1] / "hub_cards" / "retainmix-beats-tiny"
FALSE_ALARM_RATE = 0.1


def channel(value: str) -> int | str:
    return value if value == "mean" else int(value)


def exit_without_scores(broken: list[Exception]) -> NoReturn:
    sys.exit("\n".join([f"error: none of {len(broken)} recordings could be read:", *map(str, broken)]))


def score(options: argparse.Namespace, result: ResultFile, signals: StopSignals) -> None:
    """Score all tests, print a summary, and exit with status 1 if some of them, or all, cannot be read."""
    found = find_audio_files(options.tests)
    broken: list[Exception] = [ValueError(f"{path} {cause}") for path, cause in found.problems.items()]
    if not found.files:
        exit_without_scores(broken)
    files = found.files
    detector = AnomalyDetector.from_pretrained(options.model, layer=options.layer)
    detector.fit(options.references, channel=options.channel)
    threshold = cache(lambda num_windows: detector.threshold(FALSE_ALARM_RATE, num_windows=num_windows))
    threshold(1)  # before the tests are read: the references may be too few
    waiting: dict[int, ClipScore] = {}  # scored, while one before them is not
    num_done = num_anomalous = 0

    def write(clip: ClipScore) -> None:
        nonlocal num_anomalous
        if clip.num_windows > 0:
            is_anomalous = clip.score > threshold(clip.num_windows)
            result.write([files[clip.position], clip.score, int(is_anomalous)])
            num_anomalous += is_anomalous

    def take(clip: ClipScore) -> None:
        nonlocal num_done
        with signals.hold():
            waiting[clip.position] = clip
            while num_done in waiting:
                write(waiting.pop(num_done))
                num_done += 1

    try:
        detector.score(files, channel=options.channel, on_error=broken.append, on_score=take)
    except Stopped:
        for index in sorted(waiting):
            write(waiting[index])
        raise
    total = len(files) + len(found.problems)
    num_scored = total - len(broken)
    if num_scored == 0:
        exit_without_scores(broken)
    result.finish()
    print(f"{num_anomalous} of {num_scored} recordings are above the threshold of {FALSE_ALARM_RATE:.0%} false alarms")
    print(f"the scores are in {options.output}")
    if broken:
        sys.exit("\n".join([f"error: no row for {len(broken)} of {total} recordings:", *map(str, broken)]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--model", default=str(TINY_MODEL), help="encoder: folder, Hub name or original .pt; default: %(default)s"
    )
    parser.add_argument("--references", required=True, help="folder of recordings of the healthy machine")
    parser.add_argument("--tests", required=True, help="folder of recordings to score")
    parser.add_argument("--layer", type=int, help="layer to read; default: the one that the encoder names")
    parser.add_argument(
        "--channel", type=channel, help="of recordings with several channels: an index from 0, or 'mean'"
    )
    parser.add_argument("--output", default="scores.csv", help="CSV with a row per recording; default: %(default)s")
    options = parser.parse_args()
    result = None
    try:
        with StopSignals() as signals, ResultFile(options.output, ["file", "score", "anomalous"]) as result:
            score(options, result, signals)
    except (OutputError, Stopped) as error:
        exit_incomplete(error, result)
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()

"""`retainmix-score DETECTOR RECORDING ...`: one row per recording on standard output, all else on standard error.

Exit status: 0 normal, 1 anomalies found, 2 something failed (above 1), 3 wrong usage, 130 after Ctrl-C.
"""

import argparse
import csv
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from retainmix_score.files import find_recordings

if TYPE_CHECKING:
    from retainmix_score.scorer import Scorer

NORMAL, ANOMALIES, FAILED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 3, 130
COLUMNS = ("file", "score", "threshold", "anomalous")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(WRONG_USAGE, f"error: {message}\n")  # argparse's own status would be 2, which says "failed"


def main() -> None:
    """Run the command of the command line and exit with its status."""
    sys.exit(run())


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status.

    Args:
        arguments: without the name of the program; None: those of the process.
    """
    parser = _Parser(prog="retainmix-score", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("detector", help="folder that AnomalyDetector.export_onnx wrote")
    parser.add_argument("recordings", nargs="+", help="files, or folders of them")
    parser.add_argument("--channel", type=_channel, help="of files with several: an index from 0, or 'mean'")
    parser.add_argument("--json", action="store_true", help="JSON lines in place of CSV")
    parser.add_argument("--threads", type=int, help="of the computation; default: as many as fit")
    try:
        options = parser.parse_args(arguments)
    except SystemExit as ended:
        return int(ended.code or 0)
    try:
        return _score_all(options)
    except (ValueError, OSError) as error:
        _say(f"error: {error}")
        return FAILED
    except KeyboardInterrupt:
        _say("stopped: the rows so far are complete")
        return INTERRUPTED


def _score_all(options: argparse.Namespace) -> int:
    found = find_recordings(options.recordings)
    if found.num_others:
        _say(f"{_count(found.num_others, 'other file')} left out, which {_are(found.num_others)} no sound")
    from retainmix_score.scorer import Scorer  # after the options: onnxruntime takes a moment

    scorer = Scorer(options.detector, options.threads)
    write = _json_line if options.json else csv.writer(sys.stdout, lineterminator="\n").writerow
    if not options.json:
        write(COLUMNS)
    failures = anomalies = 0

    def fail(file: str, cause: str) -> None:
        nonlocal failures
        failures += 1
        _say(f"error: {cause}")
        if options.json:
            print(json.dumps({"file": file, "error": cause}), flush=True)

    for path, problem in sorted(found.problems.items()):
        fail(path, f"{path} {problem}")
    for file in found.files:
        try:
            score, threshold = _judge(scorer, file, options.channel)
        except ValueError as error:
            fail(file, str(error))
            continue
        anomalous = None if threshold is None else score > threshold
        anomalies += bool(anomalous)
        write([file, score, threshold, anomalous if options.json or anomalous is None else int(anomalous)])
        sys.stdout.flush()
    if scorer.description["thresholds"] is None:
        _say("no verdicts: the detector had too few references for thresholds when it was exported")
    _say(_summary(anomalies, len(found.files) + len(found.problems), failures))
    return FAILED if failures else ANOMALIES if anomalies else NORMAL


def _summary(anomalies: int, total: int, failures: int) -> str:
    scored = total - failures
    if not scored:
        return f"none of {_count(total, 'recording')} could be scored"
    told = f"{anomalies} of {_count(scored, 'recording')} {_are(anomalies)} anomalous"
    return f"{told}; {failures} could not be scored" if failures else told


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def _judge(scorer: "Scorer", file: str, channel: int | str | None) -> tuple[float, float | None]:
    """Return score and threshold of a recording; the threshold is None where the detector has none."""
    (score,), (num_windows,) = scorer.score_windows(file, channel=channel)
    has_thresholds = scorer.description["thresholds"] is not None
    return float(score), scorer.threshold(int(num_windows)) if has_thresholds else None


def _channel(text: str) -> int | str:
    return text if text == "mean" else int(text)


def _json_line(row: Sequence[Any]) -> None:
    print(json.dumps(dict(zip(COLUMNS, row, strict=True))))


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)

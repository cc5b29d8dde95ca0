"""An exported detector beside the one it comes from: size, speed, deviation of its scores, official score.

    python benchmarks/export.py --output benchmarks/export.csv

On validation machines of the procedural factory, in non-stationary noise at 0 dB, a detector is fitted on 20 source
and 5 target references and exported in float32 and in int8; all three score the same 80 clips of 4 s, one after the
other. Speed is from arrays to scores, in clips per second of processor time, which what else runs on the machine
changes little; of each row the fastest machine counts. Deviations are relative to the detector's score, or to a
standard deviation of the references where that is larger. The official score is that of
DCASE Task 2 since 2022, in percent, over all machines.
"""

import argparse
import tempfile
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from huggingface_hub.constants import HF_HOME
from rows import SAMPLING_RATE, report
from tqdm.auto import tqdm

from modeling_retainmix import AnomalyDetector
from modeling_retainmix.data.benchmark import PROTOCOLS, MachineBenchmark
from modeling_retainmix.data.benchmark_arguments import BenchmarkArguments
from modeling_retainmix.data.benchmark_sources import load_benchmark
from modeling_retainmix.metrics.dcase_score.dcase_score import dcase_score
from retainmix_score import Scorer

PROTOCOL = replace(PROTOCOLS["small"], source_references=20, target_references=5, clip_seconds=4.0)
KIND, SNR_DB = "non_stationary", 0.0
FORMS = ("detector, torch", "graph, float32", "graph, int8")


def mixtures(machine: MachineBenchmark) -> np.ndarray:
    """Return all recordings of a machine in noise, [clips, samples] float32."""
    gain = machine.gain(KIND, SNR_DB)
    return np.concatenate([(clean + gain * noise).numpy() for _, clean, noise in machine.batches(KIND, 64)])


def measure(name: str, machines: list[MachineBenchmark], args: argparse.Namespace) -> list[dict[str, str]]:
    """Measure the rows of one representation."""
    forms = FORMS[:2] if name == "log-mel" else FORMS
    scores, deviations, seconds = defaultdict(list), defaultdict(list), defaultdict(list)
    sizes: dict[str, int] = {}
    labels, domains, types = [], [], []
    for machine in tqdm(machines, desc=name, disable=None):
        clips, tests = mixtures(machine), ~machine.is_reference
        is_target = machine.is_target_domain
        detector = AnomalyDetector.from_pretrained(name, device="cpu", backend=args.backend)
        detector.fit(clips[~tests], SAMPLING_RATE, domains=is_target[~tests])
        with tempfile.TemporaryDirectory() as folder:
            scorers = {FORMS[0]: detector}
            for form in forms[1:]:
                place = Path(folder) / form
                detector.export_onnx(place, int8=form == FORMS[2])
                sizes[form] = (place / "scorer.onnx").stat().st_size
                scorers[form] = Scorer(place, args.threads)
            for form, scorer in scorers.items():
                scorer.score(clips[tests][:1], SAMPLING_RATE)  # warms up
                start = time.process_time()
                values = scorer.score(clips[tests], SAMPLING_RATE)
                seconds[form].append((time.process_time() - start) / tests.sum())
                scores[form].append(values)
                expected = scores[FORMS[0]][-1]
                deviations[form].append(np.abs(values - expected) / np.maximum(np.abs(expected), 1))
        labels += machine.is_anomaly[tests].astype(int).tolist()
        domains += np.where(is_target[tests], "target", "source").tolist()
        types += [machine.machine_type] * int(tests.sum())
    rows = []
    for form in forms:
        official = dcase_score(np.concatenate(scores[form]), labels, domains, types)["official_score"]
        spread = np.concatenate(deviations[form])
        rows.append(
            {
                "representation": Path(name).name,
                "form": form,
                "mb": f"{sizes[form] / 1e6:.2f}" if form in sizes else "",
                "clips_per_cpu_s": f"{1 / min(seconds[form]):.1f}",
                "median_deviation": f"{np.median(spread):.1e}" if form in sizes else "",
                "largest_deviation": f"{spread.max():.1e}" if form in sizes else "",
                "official_score": f"{100 * official:.2f}",
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="hub_cards/retainmix-beats-tiny", help="beside log-mel")
    parser.add_argument("--backend", default="whitened", choices=("knn", "whitened", "mahalanobis"))
    parser.add_argument("--machines", type=int, default=4, help="machine types, in the order of the alphabet")
    parser.add_argument("--threads", type=int, default=1, help="of torch and of onnxruntime")
    parser.add_argument("--cache_dir", default=str(Path(HF_HOME) / "retainmix"), help="folder of the factory's tables")
    parser.add_argument("--output", type=Path, help="CSV file to write")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    arguments = BenchmarkArguments(cache_dir=args.cache_dir, data_workers=1)
    machines = load_benchmark(PROTOCOL, arguments, "validation")[: args.machines]
    rows = [row for name in ("log-mel", args.model) for row in measure(name, machines, args)]
    report(rows, args.output)
    types = ", ".join(machine.machine_type for machine in machines)
    print(f"{args.threads} threads; backend {args.backend}; {types}")


if __name__ == "__main__":
    main()

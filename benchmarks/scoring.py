"""Speed and memory from sound files to `scores.csv`, beside a plain pipeline, on random weights of BEATs' base size.

    python benchmarks/scoring.py --output benchmarks/scoring.csv

One half of the files are references, the other half is scored against them at one layer. The plain pipeline is what
one writes first: one file at a time, all layers, eager attention, float32. Every row runs in a separate process
(which gives its peak memory) on the same files and weights; rows take turns, and the fastest round of each counts. The
last row scores a quarter of the files: its memory shows what depends on their number. Time starts with the list of
files and ends with the written CSV; the models are loaded, and warm from one file. On a GPU: `--device cuda`.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf
import torch
import torchaudio
from rows import SAMPLING_RATE, SIZES, describe, peak_gib, report, run_script, synchronise

from modeling_retainmix import csv_files
from modeling_retainmix.audio_files import list_audio_files
from modeling_retainmix.detection.detector import AnomalyDetector
from modeling_retainmix.detection.settings import DetectorSettings
from modeling_retainmix.encoders import BeatsConfig, BeatsFeatureExtractor, BeatsModel
from modeling_retainmix.training.throughput import forward_flops, matmul_rate

PLAIN, FLOAT32, BFLOAT16 = "plain pipeline, float32", "AnomalyDetector, float32", "AnomalyDetector, bfloat16"
# How far scores may lie from those of the plain pipeline, relative to these.
TOLERANCES = {PLAIN: 0.0, FLOAT32: 1e-3, BFLOAT16: 0.02}

ScoreFunction = Callable[[list[Path], list[Path]], np.ndarray]


def write_inputs(folder: Path, args: argparse.Namespace) -> None:
    """Write random weights, and files of hums in noise."""
    torch.manual_seed(0)
    BeatsModel(BeatsConfig(**SIZES[args.size])).save_pretrained(folder / "model")
    BeatsFeatureExtractor().save_pretrained(folder / "model")
    generator = np.random.default_rng(0)
    seconds = np.arange(round(args.seconds * args.sampling_rate)) / args.sampling_rate
    (folder / "sounds").mkdir()
    for index in range(args.files):
        hum = 0.1 * np.sin(2 * np.pi * generator.uniform(50, 2000) * seconds)
        clip = hum + 0.03 * generator.standard_normal(len(seconds))
        sf.write(folder / "sounds" / f"{index:05d}.{args.format}", clip, args.sampling_rate, subtype="PCM_16")


class Encoding:
    """Count the seconds that a function takes in all."""

    def __init__(self, run: Callable[..., Any], device: str) -> None:
        self.run, self.device, self.seconds = run, device, 0.0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        start = time.perf_counter()
        result = self.run(*args, **kwargs)
        synchronise(self.device)
        self.seconds += time.perf_counter() - start
        return result


def plain_pipeline(folder: Path, layer: int, device: str) -> tuple[ScoreFunction, Encoding, BeatsModel]:
    """Return a scorer clip by clip, with the model as it is loaded."""
    extractor = BeatsFeatureExtractor.from_pretrained(folder)
    model = BeatsModel.from_pretrained(folder, attn_implementation="eager").eval().to(device)

    @torch.no_grad()
    def encode(waveform: np.ndarray) -> torch.Tensor:
        features = extractor(waveform, sampling_rate=SAMPLING_RATE, return_tensors="pt")["input_values"].to(device)
        tokens = model(features, output_hidden_states=True).hidden_states[layer][0]
        return tokens.unflatten(0, (-1, model.config.num_mel_patches)).mean(dim=0).flatten()

    encoding = Encoding(encode, device)

    def embed(path: Path) -> torch.Tensor:
        waveform, sampling_rate = sf.read(path, dtype="float32")
        if sampling_rate != SAMPLING_RATE:
            resampled = torchaudio.functional.resample(torch.from_numpy(waveform), sampling_rate, SAMPLING_RATE)
            waveform = resampled.numpy()
        return encoding(waveform)

    def score(references: list[Path], tests: list[Path]) -> np.ndarray:
        bank = torch.stack([embed(path) for path in references])
        return np.array([float((bank - embed(path)).norm(dim=1).min()) for path in tests])

    return score, encoding, model


def our_detector(
    folder: Path, layer: int, device: str, dtype: torch.dtype, seconds: float
) -> tuple[ScoreFunction, Encoding, BeatsModel]:
    """Return the detector with its default batches, threads and depth."""
    model = BeatsModel.from_pretrained(folder, num_hidden_layers=layer, dtype=dtype)
    settings = DetectorSettings(backend="knn", layer=layer, window_seconds=seconds, hop_seconds=seconds)
    detector = AnomalyDetector(model, BeatsFeatureExtractor.from_pretrained(folder), settings, device)
    encoding = Encoding(detector.embedder.tokens, device)
    detector.embedder.tokens = encoding

    def score(references: list[Path], tests: list[Path]) -> np.ndarray:
        return detector.fit(references).score(tests)

    return score, encoding, model


def measure_row(args: argparse.Namespace) -> dict[str, Any]:
    """Run one row in this process."""
    dtype = torch.bfloat16 if args.row == BFLOAT16 else torch.float32
    build = plain_pipeline if args.row == PLAIN else partial(our_detector, dtype=dtype, seconds=args.seconds)
    score, encoding, model = build(args.folder / "model", args.layer, args.device)
    files = list_audio_files(args.folder / "sounds")[: args.files]
    half = len(files) // 2
    rates = [matmul_rate(args.device, dtype)]
    score(files[:1], files[1:2])  # warms up
    encoding.seconds = 0.0
    start = time.perf_counter()
    scores = score(files[:half], files[half:])
    named_scores = zip((path.name for path in files[half:]), scores, strict=True)
    csv_files.write_rows(args.folder / "scores.csv", named_scores)
    elapsed = time.perf_counter() - start
    peak = peak_gib(args.device)
    matmul_rate.cache_clear()
    rates.append(matmul_rate(args.device, dtype))
    features = BeatsFeatureExtractor().extract_features(torch.zeros(1, round(args.seconds * SAMPLING_RATE)))
    flops = forward_flops(model, input_values=features.to(args.device))
    return {
        "files": len(files),
        "seconds": elapsed,
        "outside": elapsed - encoding.seconds,
        "flops": flops * len(files),
        "matrix_rate": max(rates),
        "peak_gib": peak,
        "scores": scores.tolist(),
    }


def largest_difference(row: str, scores: list[float], plain: list[float]) -> float:
    """Return the largest relative difference from the plain pipeline's scores.

    Raises:
        ValueError: it exceeds the row's tolerance.
    """
    difference = float((np.abs(np.subtract(scores, plain)) / np.abs(plain)).max())
    if not difference <= TOLERANCES[row]:
        raise ValueError(f"scores of {row!r} differ by up to {difference:.1e} from the plain pipeline's")
    return difference


def measure(args: argparse.Namespace) -> list[dict[str, str]]:
    """Measure all rows of the table."""
    quarter = args.files // 4
    keys = [(PLAIN, args.files), (FLOAT32, args.files), (BFLOAT16, args.files), (FLOAT32, quarter)]
    results: dict[tuple[str, int], list[dict[str, Any]]] = {key: [] for key in keys}
    with tempfile.TemporaryDirectory() as name:
        write_inputs(Path(name), args)
        shared = [
            "--folder",
            name,
            "--seconds",
            str(args.seconds),
            "--layer",
            str(args.layer),
            "--device",
            args.device,
        ]
        for turn in range(args.rounds):
            for row, files in keys:
                if files == args.files or turn == 0:  # memory needs no second round
                    results[row, files].append(run_script(__file__, *shared, "--row", row, "--files", str(files)))
    best = {key: min(rounds, key=lambda result: result["seconds"]) for key, rounds in results.items()}
    plain = best[keys[0]]
    rows = []
    for (row, files), rounds in results.items():
        result = best[row, files]
        clips_per_second = files / result["seconds"]
        flops_per_second, matrix_rate = result["flops"] / result["seconds"], max(r["matrix_rate"] for r in rounds)
        whole = files == args.files
        difference = largest_difference(row, result["scores"], plain["scores"]) if whole else None
        rows.append(
            {
                "pipeline": row,
                "files": str(files),
                "clips_per_s": f"{clips_per_second:.2f}",
                "speed_of_plain_pipeline": f"{clips_per_second * plain['seconds'] / args.files:.2f}",
                "s_outside_encoder": f"{result['outside']:.3g}",
                "s_in_all": f"{result['seconds']:.3g}",
                "tflops": f"{flops_per_second / 1e12:.3f}",
                "share_of_matrix_rate": f"{flops_per_second / matrix_rate:.2f}",
                "matrix_tflops": f"{matrix_rate / 1e12:.3f}",
                "peak_memory_gib": f"{max(r['peak_gib'] for r in rounds):.3f}",
                "largest_relative_difference": "" if difference is None else f"{difference:.1e}",
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="base", help="size of the encoder")
    parser.add_argument("--layer", type=int, help="layer that is read; default: that in the middle (6 of 12)")
    parser.add_argument("--files", type=int, default=200, help="half of them references; 8 or more")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of a clip")
    parser.add_argument("--sampling_rate", type=int, default=SAMPLING_RATE, help="of the files, in Hz")
    parser.add_argument("--format", choices=("flac", "wav"), default="flac", help="of the files")
    parser.add_argument("--rounds", type=int, default=2, help="rounds over the rows of all files")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--output", type=Path, help="CSV file to write")
    parser.add_argument("--row", help=argparse.SUPPRESS)  # one row, in a separate process
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)  # of its model and files
    args = parser.parse_args()
    if args.row is not None:
        print(json.dumps(measure_row(args)))
        return
    if args.files < 8:
        parser.error(f"--files {args.files}: use 8 or more")
    args.layer = args.layer or BeatsConfig(**SIZES[args.size]).num_hidden_layers // 2
    report(measure(args), args.output)
    sound = f"{args.seconds:g} s, {args.format} at {args.sampling_rate} Hz"
    print(f"{describe(args.device)}; {args.size}, layer {args.layer}, clips of {sound}, best of {args.rounds}")


if __name__ == "__main__":
    main()

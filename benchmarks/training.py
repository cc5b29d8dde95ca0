"""Speed and memory of training with both losses, beside a plain loop, on random weights of BEATs' base size.

    python benchmarks/training.py --output benchmarks/training.csv

The plain loop is what one writes first: features clip by clip on the CPU, two passes of the teacher, float32, eager
attention. Every row runs in a separate process (which gives its peak memory), rows take turns, the fastest round of
each counts, and each is given as a share of the rate at which the machine multiplies matrices in that process. On a
GPU: `--device cuda --batch_size 64`.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset, Features, List, Value
from rows import SAMPLING_RATE, SIZES, describe, peak_gib, report, run_script, synchronise
from transformers import TrainerCallback

from modeling_retainmix.data.clips import to_waveform
from modeling_retainmix.data.training_pairs import TrainingPairs
from modeling_retainmix.encoders import BeatsConfig, BeatsFeatureExtractor, BeatsForAudioClassification, BeatsModel
from modeling_retainmix.losses import mixture_loss, retainmix_loss, tagging_loss, teacher_target
from modeling_retainmix.mixing import mixing_gains, spec_augment
from modeling_retainmix.training.arguments import RetainMixTrainingArguments
from modeling_retainmix.training.sampler import PairSampler
from modeling_retainmix.training.throughput import forward_flops, matmul_rate
from modeling_retainmix.training.trainer import RetainMixTrainer

ROWS = ("plain loop, float32", "trainer, float32", "trainer, bfloat16")
WARM_UP = 1


def random_pairs(seconds: float) -> TrainingPairs:
    """64 machine clips and 16 noise clips of random int16 samples, in memory-mapped form as far as Arrow goes."""
    generator = np.random.default_rng(0)

    def table(rows: list[dict[str, str]]) -> Dataset:
        audio = generator.normal(0, 3000, (len(rows), round(seconds * SAMPLING_RATE))).astype(np.int16)
        features = {"audio": List(Value("int16")), **dict.fromkeys(rows[0], Value("string"))}
        return Dataset.from_list(
            [{"audio": clip, **row} for clip, row in zip(audio, rows, strict=True)], features=Features(features)
        )

    machines = table([{"machine_type": f"type_{row % 8}", "attributes": ""} for row in range(64)])
    return TrainingPairs(machines, table([{"noise_class": f"noise_{row % 4}"} for row in range(16)]), seconds)


def models(pairs: TrainingPairs, size: str, attention: str) -> tuple[BeatsForAudioClassification, BeatsModel]:
    torch.manual_seed(0)
    config = BeatsConfig(**SIZES[size], num_labels=len(pairs.class_names), attn_implementation=attention)
    return BeatsForAudioClassification(config), BeatsModel(config)


def plain_loop(args: argparse.Namespace, pairs: TrainingPairs) -> tuple[float, float]:
    """Return the seconds of the timed steps, and the operations of an example."""
    device = torch.device(args.device)
    student, teacher = (model.to(device) for model in models(pairs, args.size, "eager"))
    teacher.eval().requires_grad_(False)
    student.train()
    extractor = BeatsFeatureExtractor()
    optimizer = torch.optim.AdamW(student.parameters(), lr=1e-4, weight_decay=1e-3)
    keys = iter(PairSampler(pairs.machine_classes, pairs.noise_classes, 10**6, seed=0))

    def features(waveform: torch.Tensor) -> torch.Tensor:
        return extractor(waveform.numpy(), sampling_rate=SAMPLING_RATE, return_tensors="pt")["input_values"]

    def step() -> None:
        mixtures, targets, noises, labels = [], [], [], torch.zeros(args.batch_size, len(pairs.class_names))
        for index in range(args.batch_size):
            example = pairs[next(keys)]
            target, noise = (
                to_waveform(example[name][None], example[f"{name}_scale"][None]) for name in ("machine", "noise")
            )
            a1, a2 = mixing_gains(target, noise, 0.0, level="target")
            target, noise = a1 * target[0], a2 * noise[0]
            masked = spec_augment(features(target + noise), torch.rand(1, 1, 2), torch.rand(1, 1, 2), 192, 48)
            mixtures.append(masked)
            targets.append(features(target))
            noises.append(features(noise))
            labels[index, [example["machine_class"], example["noise_class"]]] = 1.0
        outputs = student(torch.cat(mixtures).to(device))
        with torch.no_grad():
            machine = teacher(torch.cat(targets).to(device)).last_hidden_state
            noise = teacher(torch.cat(noises).to(device)).last_hidden_state
        loss = retainmix_loss(
            tagging_loss(outputs.logits, labels.to(device)),
            mixture_loss(outputs.last_hidden_state, teacher_target(machine, noise)),
        )
        loss.backward()
        torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    for _ in range(WARM_UP):
        step()
    synchronise(device)
    start = time.perf_counter()
    for _ in range(args.steps):
        step()
    synchronise(device)
    elapsed = time.perf_counter() - start
    values = features(torch.randn(pairs.num_samples)).to(device)
    flops = 3 * forward_flops(student, input_values=values) + 2 * forward_flops(teacher, input_values=values)
    return elapsed, flops


class Stopwatch(TrainerCallback):
    """When each step ended."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.ends: list[float] = []

    def on_step_end(self, *args: object, **kwargs: object) -> None:
        synchronise(self.device)
        self.ends.append(time.perf_counter())


def our_trainer(args: argparse.Namespace, pairs: TrainingPairs, half: bool) -> tuple[float, float]:
    """Return the seconds of the timed steps, and the operations of an example."""
    with tempfile.TemporaryDirectory() as folder:
        training = RetainMixTrainingArguments(
            output_dir=folder,
            clip_seconds=args.seconds,
            per_device_train_batch_size=args.batch_size,
            gradient_accumulation_steps=1,
            max_steps=WARM_UP + args.steps,
            warmup_steps=0,
            bf16=half,
            use_cpu=args.device == "cpu",
            disable_tqdm=True,
            save_strategy="no",
            logging_strategy="no",
        )
        student, teacher = models(pairs, args.size, "sdpa")
        stopwatch = Stopwatch(training.device)
        trainer = RetainMixTrainer(
            student,
            training,
            teacher=teacher,
            train_dataset=pairs,
            feature_extractor=BeatsFeatureExtractor(),
            callbacks=[stopwatch],
        )
        trainer.train()
        assert trainer.flops_per_example is not None
        return stopwatch.ends[-1] - stopwatch.ends[WARM_UP - 1], trainer.flops_per_example


def measure_row(args: argparse.Namespace) -> dict[str, float]:
    """Run one row in this process."""
    pairs = random_pairs(args.seconds)
    half = args.row.endswith("bfloat16")
    dtype = torch.bfloat16 if half else torch.float32
    rates = [matmul_rate(args.device, dtype)]
    elapsed, flops = plain_loop(args, pairs) if args.row.startswith("plain") else our_trainer(args, pairs, half)
    matmul_rate.cache_clear()
    rates.append(matmul_rate(args.device, dtype))
    clips_per_second = args.steps * args.batch_size / elapsed
    return {
        "clips_per_s": clips_per_second,
        "tflops": clips_per_second * flops / 1e12,
        "matrix_tflops": max(rates) / 1e12,
        "peak_gib": peak_gib(args.device),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="base", help="size of student and teacher")
    parser.add_argument("--batch_size", type=int, default=8, help="clips of one step")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of a clip")
    parser.add_argument("--steps", type=int, default=3, help="timed steps of one round, after one that warms up")
    parser.add_argument("--rounds", type=int, default=2, help="rounds over all rows")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--output", type=Path, help="CSV file to write")
    parser.add_argument("--row", help=argparse.SUPPRESS)  # one row, in a separate process
    args = parser.parse_args()
    if args.row is not None:
        print(json.dumps(measure_row(args)))
        return
    results: dict[str, list[dict[str, float]]] = {row: [] for row in ROWS}
    for _ in range(args.rounds):
        for row in ROWS:
            results[row].append(run_script(__file__, *sys.argv[1:], "--row", row))
    rows = []
    plain = max(result["clips_per_s"] for result in results[ROWS[0]])
    for row, rounds in results.items():
        best = max(rounds, key=lambda result: result["clips_per_s"])
        matrix_rate = max(result["matrix_tflops"] for result in rounds)
        rows.append(
            {
                "training": row,
                "clips_per_s": f"{best['clips_per_s']:.2f}",
                "speed_of_plain_loop": f"{best['clips_per_s'] / plain:.2f}",
                "tflops": f"{best['tflops']:.3f}",
                "share_of_matrix_rate": f"{best['tflops'] / matrix_rate:.2f}",
                "matrix_tflops": f"{matrix_rate:.3f}",
                "peak_memory_gib": f"{max(result['peak_gib'] for result in rounds):.2f}",
            }
        )
    report(rows, args.output)
    size = f"{args.size}, batches of {args.batch_size} clips of {args.seconds:g} s"
    print(f"{describe(args.device)}; {size}, best of {args.rounds}")


if __name__ == "__main__":
    main()

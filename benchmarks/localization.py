"""How often the maps of `AnomalyDetector.explain` point at an event whose time and frequency are known.

    python benchmarks/localization.py --model outputs/demo

For each validation machine type of the procedural factory the detector is fitted on clean source references; other
source references get a burst of 0.3 s of noise, as wide as one frequency patch and as loud as the clip (RMS against
RMS), at a random time. A map hits where one of its largest 5 % of cells lies in the burst: in its patch, in a time
column that it touches. Shares of clips with Wilson intervals of 95 %, and what cells drawn by chance would hit.
"""

import argparse
from pathlib import Path

import numpy as np
from huggingface_hub.constants import HF_HOME
from scipy.signal import butter, sosfilt
from scipy.stats import binomtest, hypergeom
from tqdm.auto import tqdm

from modeling_retainmix import AnomalyDetector, markdown
from modeling_retainmix.audio import SAMPLING_RATE
from modeling_retainmix.data.clips import read_clips, read_scales, to_waveform
from modeling_retainmix.data.factory import FactoryConfig, build_factory
from modeling_retainmix.detection.explanation import Explanation

BURST_SECONDS = 0.3
TOP_SHARE = 0.05
MELS, PATCHES = 128, 8
LOW_HZ, HIGH_HZ = 20.0, SAMPLING_RATE / 2


def patch_edges() -> np.ndarray:
    """Return the borders of the frequency patches in Hz, [PATCHES + 1]: halfway between two mel filters' centers."""
    low, high = 1127.0 * np.log1p(np.array([LOW_HZ, HIGH_HZ]) / 700.0)
    mel = low + (high - low) * (np.linspace(0, MELS, PATCHES + 1) + 0.5) / (MELS + 1)
    return 700.0 * np.expm1(mel / 1127.0)


def add_burst(clip: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, int, float]:
    """Return the clip with a burst, the burst's frequency patch, and where it begins, in seconds."""
    patch = int(generator.integers(1, PATCHES))  # the lowest one is narrower than a filter can be steep
    start = generator.uniform(0.2, len(clip) / SAMPLING_RATE - BURST_SECONDS - 0.2)
    low, high = patch_edges()[patch : patch + 2]
    margin = 0.1 * (high - low)
    size = round(BURST_SECONDS * SAMPLING_RATE)
    band = butter(4, [low + margin, high - margin], "bandpass", fs=SAMPLING_RATE, output="sos")
    burst = sosfilt(band, generator.standard_normal(size)) * np.hanning(size)
    burst *= np.sqrt(np.mean(clip**2) / np.mean(burst**2))
    first = round(start * SAMPLING_RATE)
    louder = clip.copy()
    louder[first : first + size] += burst.astype(clip.dtype)
    return louder, patch, start


def burst_cells(explanation: Explanation, patch: int, start: float) -> np.ndarray:
    """Return which cells the burst touches, [T, F] bool."""
    cells = np.zeros(explanation.contributions.shape, dtype=bool)
    begin = np.arange(len(cells)) * explanation.column_seconds
    cells[(begin + explanation.column_seconds > start) & (begin < start + BURST_SECONDS), patch] = True
    return cells


def hits(values: np.ndarray, cells: np.ndarray) -> bool:
    """Return whether one of the largest cells lies in the burst."""
    largest = np.argsort(values, axis=None)[-round(TOP_SHARE * values.size) :]
    return bool(cells.flat[largest].any())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="folder or Hub name of an encoder")
    parser.add_argument("--layer", type=int, help="default: embedding_layer of its config, or the last one")
    parser.add_argument("--references", type=int, default=60, help="per machine type")
    parser.add_argument("--clips", type=int, default=20, help="per machine type")
    parser.add_argument("--seed", type=int, default=0, help="of the bursts")
    parser.add_argument("--cache_dir", default=str(Path(HF_HOME) / "retainmix"), help="folder of the factory's tables")
    args = parser.parse_args()

    machines = build_factory(args.cache_dir, FactoryConfig(version=3))["validation_machines"]
    types, splits, domains = (np.asarray(machines[name]) for name in ("machine_type", "split", "domain"))
    generator = np.random.default_rng(args.seed)
    found: dict[str, list[bool]] = {"contributions": [], "level deviations": []}
    chance = []
    for machine_type in tqdm(sorted(set(types)), disable=None):
        rows = np.flatnonzero((types == machine_type) & (splits == "train") & (domains == "source"))
        rows = rows[: args.references + args.clips]
        clips = to_waveform(read_clips(machines, rows)[0], read_scales(machines, rows)).numpy()
        detector = AnomalyDetector.from_pretrained(args.model, layer=args.layer)
        detector.fit(clips[: args.references], SAMPLING_RATE)
        events = [add_burst(clip, generator) for clip in clips[args.references :]]
        explanations = detector.explain([clip for clip, _, _ in events], SAMPLING_RATE)
        for explanation, (_, patch, start) in zip(explanations, events, strict=True):
            cells = burst_cells(explanation, patch, start)
            found["contributions"].append(hits(explanation.contributions, cells))
            found["level deviations"].append(hits(np.abs(explanation.level_deviations), cells))
            chance.append(hypergeom.sf(0, cells.size, cells.sum(), round(TOP_SHARE * cells.size)))
    rows = []
    for name, outcomes in found.items():
        count, total = sum(outcomes), len(outcomes)
        low, high = binomtest(count, total).proportion_ci(method="wilson")
        interval = f"{100 * low:.1f} to {100 * high:.1f}"
        rows.append([name, str(total), f"{100 * count / total:.1f}", interval])
    rows.append(["by chance", str(len(chance)), f"{100 * np.mean(chance):.1f}", ""])
    print(markdown.table(["map", "clips", "hit %", "95 % interval"], rows, align="lrrl"))


if __name__ == "__main__":
    main()

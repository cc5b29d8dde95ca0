"""How often `AnomalyDetector` points at an event whose time and frequency are known.

    python benchmarks/localization.py --model outputs/demo

For each validation machine type of the procedural factory the detector is fitted on clean source references; other
source references get a burst of 0.3 s of noise, as wide as one frequency patch and as loud as the clip (RMS against
RMS), at a random time.

A map of `explain` hits where one of its largest 5 % of cells lies in the burst: in its patch, in a time column that it
touches. `events` locates a burst where the box of an event (seconds times Hz) holds more than half of the burst's box;
the stricter row asks for an intersection of more than half of the union. False events are those of normal clips that
are no references: further references, and the normal source tests. Shares of clips with Wilson intervals of 95 %, and
what cells drawn by chance would hit.

What decides about events was chosen on `--factory_seed 1` and `2`. With `--recordings` the shares are those of the
tests with an event of each kind, normal and anomalous, of one real machine: a folder with `train` and `test`, files
named as those of DCASE.
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
from modeling_retainmix.detection.events import Event
from modeling_retainmix.detection.explanation import Explanation
from modeling_retainmix.detection.level_cells import band_edges

BURST_SECONDS = 0.3
TOP_SHARE = 0.05
PATCHES = 8


def add_burst(clip: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, int, float]:
    """Return the clip with a burst, the burst's frequency patch, and where it begins, in seconds."""
    patch = int(generator.integers(1, PATCHES))  # the lowest one is narrower than a filter can be steep
    start = generator.uniform(0.2, len(clip) / SAMPLING_RATE - BURST_SECONDS - 0.2)
    low, high = band_edges(PATCHES)[patch : patch + 2]
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


def overlaps(events: list[Event], patch: int, start: float) -> tuple[float, float]:
    """Return the largest share of the burst's box that the box of an event in time holds, and that of their union."""
    low, high = band_edges(PATCHES)[patch : patch + 2]
    area = BURST_SECONDS * (high - low)
    held, union = [0.0], [0.0]
    for event in events:
        if event.lasts:
            continue
        seconds = min(event.end_seconds, start + BURST_SECONDS) - max(event.start_seconds, start)
        common = max(seconds, 0) * max(min(event.high_hz, high) - max(event.low_hz, low), 0)
        box = (event.end_seconds - event.start_seconds) * (event.high_hz - event.low_hz)
        held.append(common / area)
        union.append(common / (area + box - common))
    return max(held), max(union)


def on_factory(args: argparse.Namespace) -> tuple[dict[str, list[bool]], list[float]]:
    """Return which clips of the factory were hit, by map or kind of overlap, and the chance to hit each."""
    config = FactoryConfig(version=3, seed=args.factory_seed)
    machines = build_factory(args.cache_dir, config, splits=("validation",))["validation_machines"]
    columns = ("machine_type", "split", "domain", "label")
    types, splits, domains, labels = (np.asarray(machines[name]) for name in columns)
    generator = np.random.default_rng(args.seed)
    held, union = "events: hold over half of the burst", "events: over half of the union"
    normal = "normal clips with an event"
    found: dict[str, list[bool]] = {"contributions": [], "level deviations": [], held: [], union: [], normal: []}
    chance = []
    for machine_type in tqdm(sorted(set(types)), disable=None):
        is_normal_source = (types == machine_type) & (domains == "source") & (labels == "normal")
        rows = np.concatenate([np.flatnonzero(is_normal_source & (splits == split)) for split in ("train", "test")])
        clips = to_waveform(read_clips(machines, rows)[0], read_scales(machines, rows)).numpy()
        detector = AnomalyDetector.from_pretrained(args.model, layer=args.layer)
        detector.fit(clips[: args.references], SAMPLING_RATE)
        first_normal = args.references + args.clips
        bursts = [add_burst(clip, generator) for clip in clips[args.references : first_normal]]
        louder = [clip for clip, _, _ in bursts]
        explanations, events = detector.explain(louder, SAMPLING_RATE), detector.events(louder, SAMPLING_RATE)
        found[normal] += [bool(found_there) for found_there in detector.events(clips[first_normal:], SAMPLING_RATE)]
        for explanation, there, (_, patch, start) in zip(explanations, events, bursts, strict=True):
            cells = burst_cells(explanation, patch, start)
            found["contributions"].append(hits(explanation.contributions, cells))
            found["level deviations"].append(hits(np.abs(explanation.level_deviations), cells))
            for name, share in zip((held, union), overlaps(there, patch, start), strict=True):
                found[name].append(share > 0.5)
            chance.append(hypergeom.sf(0, cells.size, cells.sum(), round(TOP_SHARE * cells.size)))
    return found, chance


def on_recordings(args: argparse.Namespace) -> dict[str, list[bool]]:
    """Return which tests of a real machine have events, by label and kind of event."""
    folder = Path(args.recordings)
    detector = AnomalyDetector.from_pretrained(args.model, layer=args.layer).fit(folder / "train")
    kinds = {
        "any event": lambda event: True,
        "louder": lambda event: not event.lasts and event.strength > 0,
        "quieter": lambda event: not event.lasts and event.strength < 0,
        "lasting": lambda event: event.lasts,
    }
    found = {}
    for label in ("normal", "anomaly"):
        files = sorted(folder.glob(f"test/*_{label}_*"))
        events = detector.events(files)
        for kind, is_kind in kinds.items():
            found[f"{label}, {kind}"] = [any(map(is_kind, there)) for there in events]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="folder or Hub name of an encoder")
    parser.add_argument("--layer", type=int, help="default: embedding_layer of its config, or the last one")
    parser.add_argument("--references", type=int, default=60, help="per machine type")
    parser.add_argument("--clips", type=int, default=20, help="per machine type")
    parser.add_argument("--seed", type=int, default=0, help="of the bursts")
    parser.add_argument("--factory_seed", type=int, default=0, help="of the machines")
    parser.add_argument("--cache_dir", default=str(Path(HF_HOME) / "retainmix"), help="folder of the factory's tables")
    parser.add_argument("--recordings", help="folder of a real machine in place of the factory")
    args = parser.parse_args()

    found, chance = on_factory(args) if args.recordings is None else (on_recordings(args), [])
    rows = []
    for name, outcomes in found.items():
        count, total = sum(outcomes), len(outcomes)
        low, high = binomtest(count, total).proportion_ci(method="wilson")
        interval = f"{100 * low:.1f} to {100 * high:.1f}"
        rows.append([name, str(total), f"{100 * count / total:.1f}", interval])
    if chance:
        rows.append(["by chance", str(len(chance)), f"{100 * np.mean(chance):.1f}", ""])
    print(markdown.table(["map or events", "clips", "%", "95 % interval"], rows, align="lrrl"))


if __name__ == "__main__":
    main()

"""How often a reference that is far from the others is named when a detector is fitted, and how often a healthy one.

python -m modeling_retainmix.evaluation.studies.odd_references clips/validation_machines --model log-mel

Of the healthy recordings of each machine some are drawn, again and again, and a detector is fitted to them: as they
are, and with one of them replaced by what spoils references (`SPOILED`) or by a faulty recording of the machine. Where
a recording is named by a warning, thresholds would rise to its score (`describe_odd_references`).
"""

import argparse
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import soundfile as sf
from scipy.signal import resample_poly

from modeling_retainmix import markdown
from modeling_retainmix.audio_files import list_audio_files
from modeling_retainmix.detection.detector import AnomalyDetector
from modeling_retainmix.detection.machines import machine_folders, part_of_machine
from modeling_retainmix.shipped import SHIPPED

SIZES = (10, 16, 30)  # numbers of references
CLIPPED_DB = 30.0
# {kind: what the table says}
SPOILED = {
    "healthy": "none",
    "low_rate": "one at half the sampling rate",
    "noise": "one of white noise, as loud",
    "clipped": f"one clipped, {CLIPPED_DB:g} dB above full scale",
    "faulty": "one of a faulty machine",
}
_NAMED = "unlike all others"


def spoil(clip: np.ndarray, rate: int, kind: str, generator: np.random.Generator) -> tuple[np.ndarray, int]:
    """Spoil a clip [samples]: return its samples and its sampling rate in Hz."""
    if kind == "low_rate":
        return resample_poly(clip, 1, 2), rate // 2
    if kind == "noise":
        return generator.normal(0, clip.std(), len(clip)), rate
    return np.clip(clip / np.abs(clip).max() * 10 ** (CLIPPED_DB / 20), -1, 1), rate


def draws(
    healthy: Sequence[Path], faulty: Sequence[Path], num_draws: int, folder: Path, generator: np.random.Generator
) -> Iterator[tuple[str, list[Path], Path | None]]:
    """Draw references: what spoils them, their files, and the file that does.

    Args:
        healthy, faulty: recordings of one machine.
        num_draws: of each number of references that there are enough for.
        folder: takes the spoiled files.
        generator: of the draws.
    """
    for size in SIZES:
        for _ in range(num_draws if size <= len(healthy) else 0):
            drawn = [healthy[index] for index in generator.permutation(len(healthy))[:size]]
            for kind in SPOILED:
                if kind == "healthy":
                    yield kind, drawn, None
                    continue
                odd = folder / f"{kind}.wav"
                is_faulty = kind == "faulty"
                samples, rate = sf.read(faulty[int(generator.integers(len(faulty)))] if is_faulty else drawn[-1])
                if not is_faulty:
                    samples, rate = spoil(samples, rate, kind, generator)
                sf.write(odd, samples, rate)
                yield kind, [*drawn[:-1], odd], odd


def main(argv: Sequence[str] | None = None) -> None:
    """Print a row per kind: draws, those in which the spoiled one is named, and those in which a healthy one is."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("folders", nargs="+", type=Path, help="of machines with train/ and test/, DCASE file names")
    parser.add_argument("--model", default=SHIPPED, help="encoder, as of `AnomalyDetector.from_pretrained`")
    parser.add_argument("--backend", default="whitened", help="of the detector")
    parser.add_argument("--num_draws", type=int, default=5, help="of each machine and number of references")
    parser.add_argument("--seed", type=int, default=0, help="of the draws")
    args = parser.parse_args(argv)
    detector = AnomalyDetector.from_pretrained(args.model, backend=args.backend)
    generator = np.random.default_rng(args.seed)
    counts = {kind: np.zeros(3, dtype=int) for kind in SPOILED}
    machines = [machine for folder in args.folders for machine in machine_folders(folder).values()]
    with tempfile.TemporaryDirectory() as folder:
        for machine in machines:
            healthy = list_audio_files(part_of_machine(machine, "train"))
            faulty = [path for path in list_audio_files(part_of_machine(machine, "test")) if "anomaly" in path.name]
            if not faulty:
                parser.error(f"{machine} has no recording in test/ that is named as an anomaly: use DCASE file names")
            for kind, files, odd in draws(healthy, faulty, args.num_draws, Path(folder), generator):
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always")
                    detector.fit(files)
                named = next((str(one.message) for one in caught if _NAMED in str(one.message)), "")
                is_named = [str(path) in named for path in files]
                counts[kind] += (1, odd is not None and is_named[-1], any(is_named if odd is None else is_named[:-1]))
    what = f"{len(machines)} machine{'s' if len(machines) > 1 else ''}"
    print(f"{what}, {', '.join(map(str, SIZES))} references, {args.model}, {args.backend}.\n")
    rows = [[SPOILED[kind], *map(str, count)] for kind, count in counts.items()]
    print(markdown.table(["Spoiled", "Draws", "The spoiled one is named", "A healthy one is named"], rows, "lrrr"))


if __name__ == "__main__":
    main()

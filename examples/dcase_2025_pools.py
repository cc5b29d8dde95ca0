"""Sort the supplemental clips of DCASE 2025 Task 2 into pools of clean machine sounds and of noise.

    python examples/dcase_2025_pools.py data/dcase2025 pools

A machine type comes with clips of the machine alone or of the noise alone. The first go into
`pools/machines/<type>/train`. Noise goes by whole types: every second one, by name, into `pools/noise` for training,
the others into `pools/evaluation_noise/{stationary,non_stationary}`, by how much their level moves.
"""

import argparse
import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from modeling_retainmix.audio import SAMPLING_RATE, read_audio
from modeling_retainmix.data.recordings import read_recordings

FRAME_SECONDS = 0.1
STEADY_DB = 3.0  # largest deviation of the level of stationary noise


def level_deviation_db(waveform: np.ndarray) -> float:
    """Return the standard deviation over frames of 100 ms of the level in dB."""
    size = round(FRAME_SECONDS * SAMPLING_RATE)
    frames = waveform[: len(waveform) // size * size].reshape(-1, size)
    return float(np.std(10 * np.log10(np.mean(np.square(frames, dtype=np.float64), axis=1) + 1e-12)))


def sort_clips(root: str, output: Path) -> Counter[str]:
    """Copy the supplemental clips below a folder into the pools of another one.

    Returns:
        The number of clips in each pool.

    Raises:
        ValueError: no clean clips, or noise of fewer than two types.
        FileExistsError: the output folder is there.
    """
    table = read_recordings(root, split="supplemental")
    clips = sorted(zip(table["machine_type"], table["path"], table["label"], table["domain"], strict=True))
    noisy = sorted({machine_type for machine_type, _, label, _ in clips if label == "noise"})
    if len(noisy) < 2 or all(label == "noise" for _, _, label, _ in clips):
        raise ValueError(
            f"{root} holds noise of {len(noisy)} machine types: two are needed, and clean clips of others"
        )
    output.mkdir(parents=True)
    counts: Counter[str] = Counter()
    for number, (machine_type, path, label, domain) in enumerate(clips):
        name = f"{machine_type}_{number:04d}{Path(path).suffix}"
        if label != "noise":
            pool, name = "machines", f"section_00_{domain}_train_normal_{number:04d}_{Path(path).suffix}"
            place = output / pool / machine_type / "train" / name
        elif noisy.index(machine_type) % 2 == 0:
            pool = "noise"
            place = output / pool / name
        else:
            steady = level_deviation_db(read_audio(path)) <= STEADY_DB
            pool = f"evaluation_noise/{'stationary' if steady else 'non_stationary'}"
            place = output / pool / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
        counts[pool] += 1
    return counts


def main(argv: Sequence[str] | None = None) -> None:
    """Make the pools and print their sizes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="folder of machine types, with their folders `supplemental`")
    parser.add_argument("output", help="folder to make, of the pools")
    args = parser.parse_args(argv)
    try:
        counts = sort_clips(args.data, Path(args.output))
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    for pool, count in sorted(counts.items()):
        print(f"{args.output}/{pool}: {count} clips")


if __name__ == "__main__":
    main()

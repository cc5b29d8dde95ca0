"""How like real recordings the procedural factory is: the same statistics of both, side by side.

python -m modeling_retainmix.evaluation.studies.realism --real FOLDER --output benchmarks/factory_realism.csv
python -m modeling_retainmix.evaluation.studies.realism --real FOLDER --factory_version 4

FOLDER is as `read_machine_sets` and `read_noise_set` describe it. A row is in bounds where the factory lies between
half the smaller and twice the larger of the real values; of an area under the curve, what exceeds chance is compared.
"""

import argparse
import csv
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial.distance import cdist
from tqdm.auto import tqdm

from modeling_retainmix.data.factory import FACTORY_VERSIONS
from modeling_retainmix.data.factory.catalogue import MACHINE_TYPES
from modeling_retainmix.evaluation.studies import realism_statistics as statistics
from modeling_retainmix.evaluation.studies.realism_sets import (
    MachineSet,
    NoiseSet,
    make_factory_sets,
    read_machine_sets,
    read_noise_set,
)
from modeling_retainmix.evaluation.studies.realism_statistics import MODULATION_HZ, REGIONS_HZ
from modeling_retainmix.markdown import table as tabulated

MECHANICAL = ("clock_tick", "doing_the_dishes", "helicopter", "running_tap")  # things that run, tick or clatter
MIXING_DRAWS = 5
DIRECTION_RECORDINGS, DIRECTION_CLIPS = 6, 2  # per machine: the number of directions grows with that of the clips
CHANCE = 50.0


@dataclass(frozen=True)
class Row:
    """One statistic of all sets.

    Attributes:
        name: what is measured.
        unit: of the values.
        real: {name of a real set: value}.
        factory: {version of the factory: value}.
    """

    name: str
    unit: str
    real: dict[str, float]
    factory: dict[int, float]

    @property
    def bounds(self) -> tuple[float, float]:
        """Half the smaller and twice the larger of the real values; of an AUC, what exceeds chance is compared."""
        values = list(self.real.values())
        if self.unit != "AUC %":
            return 0.5 * min(values), 2.0 * max(values)
        return CHANCE + 0.5 * (min(values) - CHANCE), min(CHANCE + 2.0 * (max(values) - CHANCE), 100.0)

    def within(self, version: int) -> bool:
        """Whether a version of the factory lies within the bounds."""
        low, high = self.bounds
        return low <= self.factory[version] <= high


Values = dict[tuple[str, str], float]  # {(name of a row, its unit): value}


def machine_values(machines: MachineSet, noise: np.ndarray) -> Values:
    """Return the statistics of a machine set; segments of noise [segments, samples] are mixed with it at 0 dB."""
    stats, normal = machines.statistics, ~machines.is_anomaly
    groups = np.char.add(machines.unit, np.where(machines.is_target_domain, " target", " source"))
    within, between = statistics.variance_components(
        stats.spectrum[normal], machines.recording[normal], groups[normal]
    )
    values: Values = {}
    for label, variance in (("within", within), ("between", between)):
        values |= _by_region(f"normal clips, spread {label} recordings", "dB", variance)
    values["normal clips, directions that hold 90 % of the spread", ""] = _directions(machines)
    for label, data in (("spectrum", stats.spectrum), ("fluctuation", stats.fluctuation)):
        effect = statistics.fault_effect(data, machines.fault, machines.recording, groups)
        values |= _by_region(f"fault, effect on the {label}", "deviations", np.square(effect))
    values |= _by_rate("normal clips", stats.modulation[normal])
    bands = statistics.all_bands()
    values |= _aucs("clean", stats.spectrum[:, bands], machines)
    generator = np.random.default_rng(0)
    draws = []
    for _ in range(MIXING_DRAWS):
        mixtures = statistics.mixed(machines.waveforms, noise, generator)
        draws.append(_aucs("at 0 dB", statistics.mean_spectrum(mixtures)[:, bands], machines))
    return values | mean_values(draws)


def noise_values(noise: NoiseSet, by_class: bool) -> Values:
    """Return the statistics of a noise set; clips spread about the mean of their class, or about that of all."""
    classes = noise.classes if by_class else np.full(len(noise.classes), "all")
    first = noise.is_first  # pieces of one file are no clips of their own
    spread = statistics.within_class_spread(noise.statistics.spectrum[first], classes[first])
    values = _by_region("noise, spread from clip to clip", "dB", np.square(spread))
    values |= _by_region("noise, spread within a clip", "dB", np.square(noise.statistics.drift).mean(axis=0))
    return values | _by_rate("noise", noise.statistics.modulation)


def mean_values(each: Sequence[Values]) -> Values:
    """Return the mean of the same statistics of several sets."""
    return {key: float(np.mean([values[key] for values in each])) for key in each[0]}


def _by_region(name: str, unit: str, variance: np.ndarray) -> Values:
    """Root of the mean variance of a region's bands, from that of all bands [128]."""
    means = {region: variance[statistics.region_bands(region)].mean() for region in REGIONS_HZ}
    return {(f"{name}, {low:g} to {high:g} Hz", unit): float(np.sqrt(mean)) for (low, high), mean in means.items()}


def _by_rate(name: str, modulation: np.ndarray) -> Values:
    means = np.sqrt(np.square(modulation).mean(axis=0))
    return {
        (f"{name}, modulation of the level at {low:g} to {high:g} Hz", "dB"): float(mean)
        for (low, high), mean in zip(MODULATION_HZ, means, strict=True)
    }


def _aucs(label: str, features: np.ndarray, machines: MachineSet) -> Values:
    """AUC of the plain and of the whitened nearest reference; features [clips, bands] of all clips."""
    reference, test = machines.is_reference, ~machines.is_reference
    bank, queries = features[reference], features[test]
    scores = {
        "nearest reference": cdist(queries, bank).min(axis=1),
        "whitened nearest reference": statistics.whitened_distances(
            queries, bank, machines.is_target_domain[reference]
        ),
    }
    return {
        (f"log-mel mean, {name}, {label}", "AUC %"): statistics.mean_auc(
            score, machines.is_anomaly[test], machines.is_target_domain[test]
        )
        for name, score in scores.items()
    }


def _directions(machines: MachineSet) -> float:
    """Median over machines of the number of directions, from equally many recordings and clips of each."""
    counts = []
    normal, bands = ~machines.is_anomaly, statistics.all_bands()
    for unit in np.unique(machines.unit[normal]):
        inside = normal & (machines.unit == unit)
        recordings = np.unique(machines.recording[inside])
        chosen = np.linspace(0, len(recordings) - 1, min(DIRECTION_RECORDINGS, len(recordings))).round().astype(int)
        rows = np.concatenate(
            [np.flatnonzero(inside & (machines.recording == name))[:DIRECTION_CLIPS] for name in recordings[chosen]]
        )
        residuals = machines.statistics.spectrum[rows][:, bands]
        for domain in (False, True):
            in_domain = machines.is_target_domain[rows] == domain
            if in_domain.any():
                residuals[in_domain] -= residuals[in_domain].mean(axis=0)
        counts.append(statistics.directions_for(residuals))
    return float(np.median(counts))


def compare(real: Path, versions: Sequence[int], sizes: dict[str, float] | None = None, seed: int = 0) -> list[Row]:
    """Measure the recordings of a folder and the validation machines of some versions of the factory.

    Args:
        real: folder of the recordings.
        versions: of the factory.
        sizes: fields of `FactoryConfig` that differ from the study's.
        seed: of the factory.
    """
    stationary = read_noise_set(real, ["stationary"])
    real_machines = {
        machines.name: machine_values(machines, stationary.waveforms)
        for machines in tqdm(read_machine_sets(real), desc="real machines", disable=None)
    }
    real_noise = {
        "stationary folder": noise_values(stationary, by_class=False),
        "mechanical classes": noise_values(read_noise_set(real, classes=MECHANICAL), by_class=True),
    }
    factory_machines, factory_noise = {}, {}
    sites = {machine_type.name: machine_type.factory for machine_type in MACHINE_TYPES["validation"]}
    for version in versions:
        machines, noise = make_factory_sets(version, sizes, seed)
        steady = noise["stationary"]
        factory_machines[version] = mean_values(
            [
                machine_values(each, steady.waveforms[steady.classes == sites[each.name]])
                for each in tqdm(machines, desc=f"factory version {version}", disable=None)
            ]
        )
        factory_noise[version] = {kind: noise_values(each, by_class=True) for kind, each in noise.items()}
    rows = [
        Row(
            name,
            unit,
            {each: values[name, unit] for each, values in real_machines.items()},
            {version: values[name, unit] for version, values in factory_machines.items()},
        )
        for name, unit in next(iter(real_machines.values()))
    ]
    for kind in ("stationary", "non_stationary"):
        rows += [
            Row(
                f"{kind.replace('_', '-')} {name}",
                unit,
                {each: values[name, unit] for each, values in real_noise.items()},
                {version: values[kind][name, unit] for version, values in factory_noise.items()},
            )
            for name, unit in real_noise["mechanical classes"]
        ]
    return rows


def write_csv(path: Path, rows: Sequence[Row]) -> None:
    """Write rows with their bounds; cells of the other rows' real sets stay empty."""
    sets = list(dict.fromkeys(name for row in rows for name in row.real))
    versions = list(rows[0].factory)
    header = ["statistic", "unit", *sets, "lowest", "highest"]
    header += [column for version in versions for column in (f"factory {version}", f"factory {version} within")]
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        for row in rows:
            cells = [f"{row.real[name]:.2f}" if name in row.real else "" for name in sets]
            cells += [f"{bound:.2f}" for bound in row.bounds]
            for version in versions:
                cells += [f"{row.factory[version]:.2f}", "yes" if row.within(version) else "no"]
            writer.writerow([row.name, row.unit, *cells])


def markdown(rows: Sequence[Row]) -> str:
    """Return a table for each group of real sets; a value out of bounds is in bold."""
    tables, versions = [], list(rows[0].factory)
    for sets, group in itertools.groupby(rows, key=lambda row: list(row.real)):
        header = ["statistic", "unit", *sets, "bounds", *(f"version {version}" for version in versions)]
        cells = [
            [
                row.name,
                row.unit,
                *(f"{row.real[name]:.2f}" for name in sets),
                "{:.2f} to {:.2f}".format(*row.bounds),
                *(
                    f"{row.factory[version]:.2f}" if row.within(version) else f"**{row.factory[version]:.2f}**"
                    for version in versions
                ),
            ]
            for row in group
        ]
        tables.append(tabulated(header, cells, "ll" + "r" * (len(header) - 2)))
    return "\n\n".join(tables)


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table as Markdown, and write it where `--output` names a file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--real", type=Path, required=True, help="folder of the real recordings")
    parser.add_argument(
        "--factory_version", type=int, nargs="+", choices=FACTORY_VERSIONS, default=list(FACTORY_VERSIONS)
    )
    parser.add_argument("--seed", type=int, default=0, help="of the factory")
    parser.add_argument("--output", type=Path, help="CSV file that the table is written to as well")
    args = parser.parse_args(argv)
    rows = compare(args.real, args.factory_version, seed=args.seed)
    print(markdown(rows))
    for version in args.factory_version:
        inside = sum(row.within(version) for row in rows)
        print(f"\nVersion {version}: {inside} of {len(rows)} rows within the bounds.")
    if args.output:
        write_csv(args.output, rows)


if __name__ == "__main__":
    main()

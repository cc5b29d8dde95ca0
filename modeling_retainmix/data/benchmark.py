"""The controlled benchmark of the paper (section 4.1, Table 1): Factory A, Factory B and Mismatch at chosen SNRs.

Every clean recording is paired once with a stationary and once with a non-stationary noise segment; the SNR only
scales the noise. A subset at an SNR is two selections of mixtures: references and tests. Mismatch needs no mixture
of its own: its references are Factory B's and its tests are Factory A's.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from datasets import Dataset

from modeling_retainmix.data.clips import INT16_SCALE, read_clips, read_scales, to_waveform

KINDS = ("stationary", "non_stationary")
DOMAINS = ("source", "target")

# subset -> (kind of noise on the references, kind of noise on the tests)
SUBSETS = {
    "Factory A": ("stationary", "stationary"),
    "Factory B": ("non_stationary", "non_stationary"),
    "Mismatch": ("non_stationary", "stationary"),
}


@dataclass(frozen=True)
class BenchmarkProtocol:
    """How many clips of a section of a machine type are used, how long they are, and at which SNRs they are mixed.

    Attributes:
        name: `small`, `full` or a name of the user's.
        source_references, target_references: normal reference clips of each domain, at most.
        tests_per_cell: test clips of each cell of domain x label, at most.
        snr_db: target signal-to-noise ratios in dB.
        low_snr_db: those among them that the "low" column of a table averages over.
        clip_seconds: clips are cut, or padded with zeros, to this length in seconds.
    """

    name: str
    source_references: int
    target_references: int
    tests_per_cell: int
    snr_db: tuple[float, ...]
    low_snr_db: tuple[float, ...]
    clip_seconds: float = 10.0


PROTOCOLS = {
    "small": BenchmarkProtocol("small", 100, 10, 20, (-10, 0, 10), (-10, 0)),
    "full": BenchmarkProtocol("full", 990, 10, 50, (-10, -5, 0, 5, 10, 20, 30), (-10, -5, 0)),
}


@dataclass(frozen=True)
class MachineBenchmark:
    """The clean recordings of one machine type, or of one of its sections, each with its noise segment of either kind.

    Attributes:
        machine_type: name of the machine type; where it has several sections, with this one: `fan/01`.
        clean: table of recordings (int16 column `audio`), `clean_rows` [n] the rows in use.
        noise: table of noise segments, `noise_rows[kind]` [n] the segment of each recording.
        is_reference, is_anomaly, is_target_domain: [n] bool, what each recording is.
        num_samples: length of a clip in samples.
        clean_power, noise_power[kind]: mean of squares over all samples of the machine type's clips in use, full
            scale = 1.
        reused_segments: how many times a segment was used a second time or more, over both kinds.
        rules: year of DCASE Task 2 whose official score these recordings have.
    """

    machine_type: str
    clean: Dataset
    noise: Dataset
    clean_rows: np.ndarray
    noise_rows: dict[str, np.ndarray]
    is_reference: np.ndarray
    is_anomaly: np.ndarray
    is_target_domain: np.ndarray
    num_samples: int
    clean_power: float
    noise_power: dict[str, float]
    reused_segments: int
    rules: int = 2023

    def gain(self, kind: str, snr_db: float) -> float:
        """Amplitude factor of the noise: the expected SNR over the machine type is `snr_db` (paper, section 4.1)."""
        return float(np.sqrt(self.clean_power / self.noise_power[kind] / 10.0 ** (snr_db / 10.0)))

    def batches(self, kind: str, batch_size: int) -> Iterator[tuple[slice, torch.Tensor, torch.Tensor]]:
        """Yield (positions, clean [batch, samples], noise [batch, samples]), float32 waveforms before scaling.

        The mixture at an SNR is `clean + gain(kind, snr_db) * noise`.
        """
        for start in range(0, len(self.clean_rows), batch_size):
            positions = slice(start, start + batch_size)
            clean = self._waveforms(self.clean, self.clean_rows[positions])
            yield positions, clean, self._waveforms(self.noise, self.noise_rows[kind][positions])

    def _waveforms(self, table: Dataset, rows: np.ndarray) -> torch.Tensor:
        """[rows, samples] float32"""
        return to_waveform(read_clips(table, rows, self.num_samples)[0], read_scales(table, rows))

    @cached_property
    def fingerprint(self) -> str:
        """Hash of every sample that is mixed, and of the powers that set the gains: equal data, equal mixtures."""
        digest = hashlib.sha256(repr([self.num_samples, self.clean_power, self.noise_power]).encode())
        pools = [(self.clean, self.clean_rows)] + [(self.noise, self.noise_rows[kind]) for kind in KINDS]
        for table, rows in pools:
            for start in range(0, len(rows), 256):
                part = rows[start : start + 256]
                digest.update(read_clips(table, part, self.num_samples)[0].tobytes())
                scales = read_scales(table, part)
                if (scales != 1).any():
                    digest.update(scales.tobytes())
        return digest.hexdigest()

    def counts(self) -> dict[str, int]:
        """Number of clips of each role, as a table of results prints them."""
        test = ~self.is_reference
        return {
            "source references": int((self.is_reference & ~self.is_target_domain).sum()),
            "target references": int((self.is_reference & self.is_target_domain).sum()),
            "normal tests": int((test & ~self.is_anomaly).sum()),
            "anomalous tests": int((test & self.is_anomaly).sum()),
        }


def build_benchmark(
    clean: Dataset,
    noise: Dataset,
    protocol: BenchmarkProtocol,
    seed: int = 0,
    sampling_rate: int = 16000,
    allow_noise_reuse: bool = False,
    rules: int = 2023,
) -> list[MachineBenchmark]:
    """Pair clean recordings with noise segments, machine type by machine type.

    Counts of the protocol are maxima. Within a machine type every recording gets a different segment of each kind, at
    one gain; where recordings and noise name a factory, it is the same one. Sections have separate references and
    tests. Which clips and segments are taken depends on the seed and the machine type's name alone. Tests of one
    domain alone, as all are in DCASE Task 2 of 2020, do if no machine type has others.

    Args:
        clean: recordings with columns audio, machine_type, domain, split, label and, optionally, factory and section.
        noise: segments with columns audio, kind and, optionally, factory; all at least a clip long.
        protocol: counts, clip length and SNRs.
        seed: of the selection.
        sampling_rate: of both tables, in Hz.
        allow_noise_reuse: use segments again where the pool is too small, instead of raising.
        rules: year of DCASE Task 2 whose official score the recordings have (`dcase_score`).

    Returns:
        One `MachineBenchmark` per section of a machine type, sorted by name.

    Raises:
        ValueError: a section has no references, or a cell of its tests is empty, or a machine type too few segments.
    """
    num_samples = round(protocol.clip_seconds * sampling_rate)
    columns = {name: np.asarray(clean[name]) for name in ("machine_type", "domain", "split", "label")}
    columns["section"] = np.asarray(clean["section"]) if "section" in clean.column_names else np.full(len(clean), "")
    test_split_domains = columns["domain"][columns["split"] == "test"]
    test_domains = [domain for domain in DOMAINS if domain in test_split_domains] or DOMAINS
    factories = np.asarray(clean["factory"]) if "factory" in clean.column_names else np.full(len(clean), "")
    benchmark = []
    for machine_type in sorted(set(clean["machine_type"])):
        generator = np.random.default_rng([seed, *machine_type.encode()])
        in_machine_type = columns["machine_type"] == machine_type
        sections = np.unique(columns["section"][in_machine_type]).tolist()
        names = [machine_type] if len(sections) == 1 else [f"{machine_type}/{section}" for section in sections]
        chosen = [
            _select_recordings(
                columns, in_machine_type & (columns["section"] == section), name, protocol, test_domains, generator
            )
            for name, section in zip(names, sections, strict=True)
        ]
        rows = np.concatenate(chosen)
        pools = {kind: _noise_pool(noise, kind, str(factories[rows[0]])) for kind in KINDS}
        for kind, pool in pools.items():
            if len(pool) == 0 or (len(pool) < len(rows) and not allow_noise_reuse):
                factory_text = f" of factory {str(factories[rows[0]])!r}" if factories[rows[0]] else ""
                raise ValueError(
                    f"machine type {machine_type!r} has {len(rows)} clips but only {len(pool)} {kind} noise segments "
                    f"of {protocol.clip_seconds:g} s{factory_text}: {len(rows) - len(pool)} are missing. Add noise "
                    "recordings, or allow reuse (--allow_noise_reuse)."
                )
        noise_rows = {kind: _deal(pool, len(rows), generator) for kind, pool in pools.items()}
        clean_power = _mean_power(clean, rows, num_samples)
        noise_power = {kind: _mean_power(noise, noise_rows[kind], num_samples) for kind in KINDS}
        last = 0
        for name, section_rows in zip(names, chosen, strict=True):
            first, last = last, last + len(section_rows)
            benchmark.append(
                MachineBenchmark(
                    machine_type=name,
                    clean=clean,
                    noise=noise,
                    clean_rows=section_rows,
                    noise_rows={kind: dealt[first:last] for kind, dealt in noise_rows.items()},
                    is_reference=columns["split"][section_rows] == "train",
                    is_anomaly=columns["label"][section_rows] == "anomaly",
                    is_target_domain=columns["domain"][section_rows] == "target",
                    num_samples=num_samples,
                    clean_power=clean_power,
                    noise_power=noise_power,
                    reused_segments=sum(max(0, last - max(first, len(pool))) for pool in pools.values()),
                    rules=rules,
                )
            )
    return benchmark


def domains_of_tests(benchmark: Sequence[MachineBenchmark]) -> list[str]:
    """The domains that tests are of: "source", "target" or both; the official score is another one without both."""
    is_target_domain = np.concatenate([machine.is_target_domain[~machine.is_reference] for machine in benchmark])
    return [domain for domain in DOMAINS if (is_target_domain == (domain == "target")).any()]


def with_snr(protocol: BenchmarkProtocol, snr_db: tuple[float, ...]) -> BenchmarkProtocol:
    """The protocol with other SNRs; its low ones are those that were low before."""
    return replace(protocol, snr_db=snr_db, low_snr_db=tuple(s for s in snr_db if s in protocol.low_snr_db))


def _select_recordings(
    columns: dict[str, np.ndarray],
    in_section: np.ndarray,
    name: str,
    protocol: BenchmarkProtocol,
    test_domains: Sequence[str],
    generator: np.random.Generator,
) -> np.ndarray:
    """Rows of the references, then of the tests; at most as many of each cell as the protocol says."""
    maxima = {
        ("train", "source", "normal"): protocol.source_references,
        ("train", "target", "normal"): protocol.target_references,
    } | {("test", d, label): protocol.tests_per_cell for d in test_domains for label in ("normal", "anomaly")}
    chosen = []
    for (split, domain, label), maximum in maxima.items():
        cell = np.flatnonzero(
            in_section & (columns["split"] == split) & (columns["domain"] == domain) & (columns["label"] == label)
        )
        if len(cell) == 0 and split == "test":
            raise ValueError(
                f"machine type {name!r} has no {domain} {label} test clip: its score is undefined. "
                "Add such clips, or take the machine type out."
            )
        chosen.append(np.sort(generator.permutation(cell)[:maximum]))
    if len(chosen[0]) + len(chosen[1]) == 0:
        raise ValueError(f"machine type {name!r} has no normal reference clip: put clips into its train folder.")
    return np.concatenate(chosen)


def _noise_pool(noise: Dataset, kind: str, factory: str) -> np.ndarray:
    """Rows of the segments of a kind that suit recordings of a factory; one that is not named suits all."""
    rows = np.asarray(noise["kind"]) == kind
    if factory and "factory" in noise.column_names:
        rows &= np.isin(noise["factory"], [factory, ""])
    return np.flatnonzero(rows)


def _deal(pool: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    """`count` rows of the pool in random order; none comes again before all others have come."""
    rounds = [generator.permutation(pool) for _ in range(-(-count // len(pool)))]
    return np.concatenate(rounds)[:count]


def _mean_power(table: Dataset, rows: np.ndarray, num_samples: int, batch_size: int = 256) -> float:
    """Mean of squares over all samples of all clips, full scale = 1; padding does not count."""
    total, count = 0.0, 0
    for start in range(0, len(rows), batch_size):
        clips, lengths = read_clips(table, rows[start : start + batch_size], num_samples)
        scales = read_scales(table, rows[start : start + batch_size]).astype(np.float64)
        total += float(np.square(clips.astype(np.float64) * scales[:, None]).sum())
        count += int(lengths.sum())
    power = total / max(count, 1) * INT16_SCALE**2
    if power == 0.0:
        raise ValueError(f"all {len(rows)} clips of a benchmark cell are silent: rows {rows[:5].tolist()} ...")
    return power

"""Is the procedural factory a benchmark? Bounds that a version of the generator must keep before it is frozen.

Official scores in %, nearest neighbor (K = 1, the nearer of both domains, no normalization), log-mel mean unless an
encoder is named. A benchmark on which everything wins, or everything loses, tells methods apart no better than one
whose anomalies can be found by their level.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from datasets import Dataset

from modeling_retainmix.data.benchmark import KINDS, PROTOCOLS, MachineBenchmark
from modeling_retainmix.data.factory import FACTORY_VERSION
from modeling_retainmix.detection.nearest_search import knn_distance
from modeling_retainmix.evaluation.embeddings import EmbedFunction, embed_mixtures, embed_oracle
from modeling_retainmix.evaluation.scores import BenchmarkScores, score_benchmark
from modeling_retainmix.metrics.dcase_score.dcase_score import dcase_score, harmonic_mean

# As many tests as per-type and per-mechanism bounds need: 125 per cell are 100 anomalies of a mechanism in two types.
ACCEPTANCE_PROTOCOL = replace(
    PROTOCOLS["small"], name="acceptance", tests_per_cell=125, snr_db=(0, 30), low_snr_db=(0,), clip_seconds=4.0
)
ENCODER_PROTOCOL = replace(ACCEPTANCE_PROTOCOL, name="small", tests_per_cell=PROTOCOLS["small"].tests_per_cell)
MIN_CLIPS = 100  # normals and anomalies behind a per-type or per-mechanism bound

# How far apart the mean noises of both kinds may lie, in distances of normal clips to their nearest reference. That
# distance is four times as large in version 4 (32.0 against 7.9 dB over 128 bands), so the same shift is a quarter.
SHIFT_BOUNDS = {3: 6.0, 4: 1.5}

INF = float("inf")
ANY = (-INF, INF)

# name, features of the references, features of the tests, bounds of the mean, bounds of every machine type
_LOG_MEL_CHECKS = (
    ("level and crest factor alone", "level", "level", (-INF, 54), (-INF, 60)),
    ("noise alone, Factory A", "noise stationary", "noise stationary", (45, 55), ANY),
    ("noise alone, Factory B", "noise non_stationary", "noise non_stationary", (45, 55), ANY),
    ("noise alone, Mismatch", "noise non_stationary", "noise stationary", (45, 55), ANY),
    ("log-mel mean, clean clips", "clean", "clean", (80, INF), ANY),
    ("log-mel mean, Mismatch 0 dB", "non_stationary 0", "stationary 0", (52, 72), ANY),
)


@dataclass(frozen=True)
class Check:
    """One row of the report.

    Attributes:
        name: what is measured.
        values: {machine type: value}.
        bounds: lowest and highest value allowed for the mean over machine types.
        each: the same for every machine type.
        arithmetic: take the arithmetic mean instead of the harmonic one (values that are no scores).
    """

    name: str
    values: Mapping[str, float]
    bounds: tuple[float, float] = ANY
    each: tuple[float, float] = ANY
    arithmetic: bool = False

    @property
    def mean(self) -> float:
        """Mean over machine types."""
        values = list(self.values.values())
        return float(np.mean(values) if self.arithmetic else harmonic_mean(values))

    @property
    def passed(self) -> bool:
        """Whether the mean and every machine type keep their bounds."""
        low, high = self.each
        return self.bounds[0] <= self.mean <= self.bounds[1] and all(low <= v <= high for v in self.values.values())


@dataclass(frozen=True)
class LogMelTable:
    """Features of one machine type's clips, clips in the order of the benchmark.

    Attributes:
        machine: the benchmark of the machine type.
        faults: [clips] mechanism of each clip, "" for normals.
        features: {name: [clips, dim]}: "level" (level and crest factor of the clean clips, standardised over the
            references), and log-mel means of the "clean" clips, of the noise alone, as loud as at 0 dB
            ("noise stationary", "noise non_stationary"), and of the mixtures ("stationary 0", "non_stationary 0").
    """

    machine: MachineBenchmark
    faults: np.ndarray
    features: Mapping[str, torch.Tensor]


def log_mel_table(machine: MachineBenchmark, embed: EmbedFunction, batch_size: int = 64) -> LogMelTable:
    """Computes the features of one machine type; `embed` gives the view "log-mel"."""
    parts: dict[str, list[torch.Tensor]] = {}
    for kind in KINDS:
        gain = machine.gain(kind, 0.0)
        for _, clean, noise in machine.batches(kind, batch_size):
            waveforms = {f"noise {kind}": gain * noise, f"{kind} 0": clean + gain * noise}
            if kind == KINDS[0]:  # both kinds come with the same clean clips
                waveforms["clean"] = clean
                parts.setdefault("level", []).append(level_and_crest(clean))
            for name, values in waveforms.items():
                parts.setdefault(name, []).append(embed(values)["log-mel"].cpu())
    features = {name: torch.cat(batches) for name, batches in parts.items()}
    references = features["level"][torch.from_numpy(machine.is_reference)]
    features["level"] = (features["level"] - references.mean(dim=0)) / references.std(dim=0)
    return LogMelTable(machine, np.asarray(machine.clean[machine.clean_rows]["fault"]), features)


def level_and_crest(waveforms: torch.Tensor) -> torch.Tensor:
    """Level and crest factor of waveforms [batch, samples], in dB: [batch, 2]."""
    rms = waveforms.square().mean(dim=1).sqrt()
    return 20.0 * torch.stack([rms, waveforms.abs().amax(dim=1) / rms], dim=1).log10()


def official_score(table: LogMelTable, references: str, tests: str, fault: str | None = None) -> float:
    """Official score of one machine type in %.

    Args:
        table: features of the machine type.
        references, tests: names of the features of the reference clips and of the test clips.
        fault: count only the anomalies of this mechanism; None: all.
    """
    machine = table.machine
    test = ~machine.is_reference
    if fault is not None:
        test &= ~machine.is_anomaly | (table.faults == fault)
    queries, bank = table.features[tests][torch.from_numpy(test)], table.features[references]
    distance = knn_distance(queries, bank[torch.from_numpy(machine.is_reference)])
    domains = np.where(machine.is_target_domain[test], "target", "source").tolist()
    result = dcase_score(distance.double().numpy(), machine.is_anomaly[test].astype(np.int64), domains=domains)
    return 100.0 * float(result["official_score"])


def log_mel_checks(tables: Sequence[LogMelTable], version: int = FACTORY_VERSION) -> list[Check]:
    """The checks that need no encoder; `tables` has one entry per machine type of a version of the factory."""
    checks = [
        Check(name, {t.machine.machine_type: official_score(t, references, tests) for t in tables}, bounds, each)
        for name, references, tests, bounds, each in _LOG_MEL_CHECKS
    ]
    shifts = {t.machine.machine_type: noise_shift(t) for t in tables}
    return [*checks, Check("shift between the kinds of noise", shifts, (-INF, SHIFT_BOUNDS[version]), arithmetic=True)]


def noise_shift(table: LogMelTable) -> float:
    """How far the mean stationary noise lies from the mean non-stationary noise, both as loud as at 0 dB, measured by
    the mean distance of a clean normal test clip to its nearest clean reference (log-mel means).
    """
    machine, features = table.machine, table.features
    normal_tests = torch.from_numpy(~machine.is_reference & ~machine.is_anomaly)
    references = features["clean"][torch.from_numpy(machine.is_reference)]
    nearest = knn_distance(features["clean"][normal_tests], references).mean()
    shift = features["noise stationary"].mean(dim=0) - features["noise non_stationary"].mean(dim=0)
    return float(shift.norm() / nearest)


def mechanism_checks(tables: Sequence[LogMelTable]) -> list[Check]:
    """Two checks per fault mechanism, over the machine types that have it: clean clips, and Factory A at 0 dB.

    Raises:
        ValueError: too few clips for a bound; the tests are to hold `MIN_CLIPS` normals and anomalies of each.
    """
    checks = []
    for fault in sorted({fault for table in tables for fault in table.faults.tolist()} - {""}):
        having = [table for table in tables if (table.faults == fault).any()]
        count = sum(int((table.faults == fault).sum()) for table in having)
        if count < MIN_CLIPS:
            raise ValueError(f"{count} anomalies of mechanism {fault!r} are too few: a bound needs {MIN_CLIPS}")
        for name, features, bounds in (
            ("clean clips", "clean", (60, INF)),
            ("Factory A 0 dB", "stationary 0", (-INF, 95)),
        ):
            values = {t.machine.machine_type: official_score(t, features, features, fault) for t in having}
            checks.append(Check(f"{fault}, {name}", values, bounds))
    return checks


def encoder_checks(benchmark: Sequence[MachineBenchmark], embed: EmbedFunction) -> list[Check]:
    """The checks on a small tagging encoder.

    Args:
        benchmark: machine types under `ENCODER_PROTOCOL`.
        embed: gives one view, the encoder's last layer.
    """
    at_zero = replace(ENCODER_PROTOCOL, snr_db=(0,))
    mixture = score_benchmark(benchmark, ENCODER_PROTOCOL, lambda m: embed_mixtures(m, ENCODER_PROTOCOL, embed))
    oracle = score_benchmark(benchmark, at_zero, lambda m: embed_oracle(m, at_zero, embed))
    mixture_0, mixture_30 = (_mismatch_scores(mixture, snr_db) for snr_db in ENCODER_PROTOCOL.snr_db)
    oracle_0 = _mismatch_scores(oracle, 0)
    checks = [
        Check("encoder, Mismatch 0 dB", mixture_0, (55, 75)),
        Check("encoder, Mismatch 30 dB", mixture_30, (82, INF)),
        Check("encoder, oracle at Mismatch 0 dB", oracle_0),
    ]
    gain = {"all": checks[2].mean - checks[0].mean}
    return [*checks, Check("encoder, oracle minus mixture at Mismatch 0 dB", gain, (5, INF), arithmetic=True)]


def _mismatch_scores(scores: Mapping[Hashable, BenchmarkScores], snr_db: float) -> dict[str, float]:
    """{machine type: official score in %} of the only view."""
    (view,) = scores.values()
    machines = view.cells["Mismatch"][snr_db]["machines"]
    return {name: 100.0 * float(result["official_score"]) for name, result in machines.items()}


def same_samples(tables: Sequence[Mapping[str, Dataset]]) -> bool:
    """Whether several builds of one configuration hold the same samples in every table."""
    first = tables[0]
    return all(
        build[name].data.column("audio").equals(table.data.column("audio"))
        for build in tables[1:]
        for name, table in first.items()
    )

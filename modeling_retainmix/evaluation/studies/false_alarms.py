"""False alarms and hits of thresholds from few recording sessions, on real machines and on those of the factory.

python -m modeling_retainmix.evaluation.studies.false_alarms --real_data FOLDER --output benchmarks/false_alarms.csv

The detector is that of the log-mel statistics in a whitened space, without normalization. Clips of 2.5 s are embedded
once. A group is what was recorded in one session: all sensors or machines at a time. So many groups of references are
drawn, again and again, a threshold is taken from them alone, and the tests, which are of other sessions, are held
against it. Where a rule has no threshold for a rate, the table says how many groups it needs; the row "borne" is for
the smallest rate that the groups bear, 1 / (groups + 1).

Rules: "no groups", the quantile that leaves one clip out at a time; "quantile", which leaves out a group; "gamma", the
distribution fitted to the same scores; "shrunk", Student's distribution of their logarithms with the spread between
groups shrunk to that of the other machines, factory and real ones apart; "cross", the cross-conformal p-value.
"""

import argparse
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats
from sklearn.metrics import roc_auc_score
from tqdm.auto import tqdm

from modeling_retainmix import csv_files, markdown
from modeling_retainmix.audio import SAMPLING_RATE, audio_sources
from modeling_retainmix.data.factory import FACTORY_VERSION
from modeling_retainmix.detection.calibration import NormalScores
from modeling_retainmix.detection.clip_embedding import embed_clips
from modeling_retainmix.detection.conformal import CrossScores
from modeling_retainmix.detection.detector import AnomalyDetector
from modeling_retainmix.detection.domain_scores import DomainScores
from modeling_retainmix.detection.threshold import needed_units, score_threshold
from modeling_retainmix.detection.vector_layout import LOG_MEL
from modeling_retainmix.evaluation.studies.realism_sets import MachineSet, make_factory_sets, read_machine_sets

RATES = (0.05, 0.1, 0.2)
GROUPS = (3, 5, 20)  # and all that there are
RULES = ("no groups", "quantile", "gamma", "shrunk", "cross")
FACTORY_SIZES = {"source_references": 90, "target_references": 10, "tests_per_cell": 50, "segments_per_kind": 1}

_PRIOR_FREEDOM = 10  # degrees of freedom that the spread of other machines counts as


@dataclass(frozen=True)
class EmbeddedMachine:
    """Clips of one machine set, embedded.

    Attributes:
        name: of the row that it is averaged in.
        vectors: [clips, D].
        group: [clips] the session of each.
        is_reference, is_anomaly, is_target_domain: [clips] bool.
    """

    name: str
    vectors: torch.Tensor
    group: np.ndarray
    is_reference: np.ndarray
    is_anomaly: np.ndarray
    is_target_domain: np.ndarray


def shrunk_threshold(
    scores: np.ndarray, unit: np.ndarray, rate: float, pooled_variance: float, freedom: float = _PRIOR_FREEDOM
) -> float:
    """Return the quantile of a further clip if the logarithms of scores are a group's mean plus the clip's own part.

    The variance of a clip of a new group, s^2, is that of the groups' means, or of the clips if larger; shrunk to that
    of other machines s0^2 it is (f0 s0^2 + f s^2) / (f0 + f) with f = groups - 1 degrees of freedom. The mean of so
    few groups errs as well, so the clip follows Student's distribution of f0 + f degrees of freedom, wider by
    sqrt(1 + 1 / groups).

    Args:
        scores: [n] of normal clips, positive.
        unit: [n] the group of each.
        rate: of false alarms.
        pooled_variance: s0^2, see `log_variance`.
        freedom: f0.
    """
    mean, variance, count = _log_moments(scores, unit)
    total = freedom + count - 1
    variance = (freedom * pooled_variance + (count - 1) * variance) / total
    return float(np.exp(mean + stats.t.isf(rate, total) * np.sqrt(variance * (1 + 1 / count))))


def log_variance(scores: np.ndarray, unit: np.ndarray) -> float:
    """Variance of the logarithms of scores [n] of clips of a new group, from those of a few groups."""
    return _log_moments(scores, unit)[1]


def measure(
    machine: EmbeddedMachine,
    detector: AnomalyDetector,
    num_groups: int,
    num_draws: int,
    pooled_variance: float,
    generator: np.random.Generator,
) -> Iterator[dict[str, Any]]:
    """Draw groups of references, and yield false alarms, hits and AUC for each draw, rule and rate, in [0, 1].

    Rates that a rule cannot have are left out; the rate None is the smallest one that the groups bear.
    """
    settings, layout = detector.settings, detector.embedder.layout
    groups = np.unique(machine.group[machine.is_reference])
    tests, is_anomaly = (
        machine.vectors[torch.from_numpy(~machine.is_reference)],
        machine.is_anomaly[~machine.is_reference],
    )
    borne = 1 / (num_groups + 1)
    for _ in range(1 if num_groups == len(groups) else num_draws):
        rows = machine.is_reference & np.isin(machine.group, generator.choice(groups, num_groups, replace=False))
        vectors, is_target = machine.vectors[torch.from_numpy(rows)], torch.from_numpy(machine.is_target_domain[rows])
        unit = np.unique(machine.group[rows], return_inverse=True)[1].astype(np.int64)
        clip = np.arange(len(unit))
        by_group = DomainScores(settings, vectors, torch.from_numpy(unit), is_target, layout)
        normal = by_group.leave_one_out()
        by_clip = DomainScores(settings, vectors, torch.from_numpy(clip), is_target, layout).leave_one_out()
        cross = CrossScores(settings, vectors, unit, is_target, layout)
        windows = NormalScores(cross.values, clip, unit, np.zeros_like(clip), np.zeros_like(clip))
        p_values = cross.p_values(cross.scores(tests).numpy(), windows, np.ones(len(tests), dtype=int), settings)
        scores = by_group.scores(tests)
        auc = roc_auc_score(is_anomaly, scores)
        for nominal in (*RATES, None):
            rate = borne if nominal is None else nominal
            thresholds = {
                "no groups": score_threshold(by_clip, rate),
                "quantile": score_threshold(normal, rate, recording=unit),
                "gamma": score_threshold(normal, rate, "gamma"),
                "shrunk": shrunk_threshold(normal, unit, rate, pooled_variance),
            }
            alarms = {rule: scores > threshold for rule, threshold in thresholds.items()}
            alarms["cross"] = p_values <= rate + 1e-9
            for rule in RULES:
                if rule in ("quantile", "cross") and needed_units(rate) > num_groups:
                    continue
                found = alarms[rule]
                yield {
                    "rule": rule,
                    "nominal": nominal,
                    "false_alarms": found[~is_anomaly].mean(),
                    "hits": found[is_anomaly].mean(),
                    "auc": auc,
                }


def study(
    machines: Sequence[EmbeddedMachine], detector: AnomalyDetector, num_draws: int, seed: int
) -> list[dict[str, Any]]:
    """Make one row per set of machines, number of groups, rule and rate, in %.

    Args:
        machines: those of one name are averaged, with equal weights.
        detector: settings, and layout of its vectors.
        num_draws: of groups.
        seed: of the draws.
    """
    generator = np.random.default_rng(seed)
    variances = [_variance_of_all(machine, detector) for machine in machines]
    counts = [len(np.unique(machine.group[machine.is_reference])) for machine in machines]
    found: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for place, machine in enumerate(tqdm(machines, desc="machines", disable=None)):
        others = [v for index, v in enumerate(variances) if index != place] or [variances[place]]
        for num_groups in sorted({*(count for count in GROUPS if count <= counts[place]), counts[place]}):
            for draw in measure(machine, detector, num_groups, num_draws, float(np.mean(others)), generator):
                key = (machine.name, num_groups, draw["nominal"], draw["rule"])
                found.setdefault(key, []).append(draw)
    rows = []
    for name, num_groups in sorted({key[:2] for key in found}):
        for nominal in (*RATES, None):
            for rule in RULES:
                draws = found.get((name, num_groups, nominal, rule))
                rows.append(
                    {"machines": name, "groups": num_groups, "nominal": nominal, "rule": rule} | _cells(draws, nominal)
                )
    return rows


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Make a Markdown table with a column per rule, false alarms / hits in %."""
    lines = []
    for name, num_groups, nominal in dict.fromkeys((row["machines"], row["groups"], row["nominal"]) for row in rows):
        cells = {
            row["rule"]: row["note"] or f"{row['false_alarms']:.0f} / {row['hits']:.0f}"
            for row in rows
            if (row["machines"], row["groups"], row["nominal"]) == (name, num_groups, nominal)
        }
        rate = f"{100 / (num_groups + 1):.0f} % (borne)" if nominal is None else f"{nominal:.0%}".replace("%", " %")
        lines.append([name, str(num_groups), rate, *(cells[rule] for rule in RULES)])
    return markdown.table(["Machines", "Groups", "Nominal", *RULES], lines, "lrr" + "r" * len(RULES))


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table, and write the CSV file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--real_data", help="folder of real machines with a MANIFEST.csv, see `read_machine_sets`")
    parser.add_argument("--num_draws", type=int, default=20, help="of groups")
    parser.add_argument("--seed", type=int, default=0, help="of the factory and of the draws")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="of the embeddings")
    parser.add_argument("--output", help="CSV file that the rows are written to as well")
    args = parser.parse_args(argv)
    options: dict[str, Any] = {"layer": LOG_MEL, "backend": "whitened", "normalization": "none"}
    detector = AnomalyDetector.from_pretrained(LOG_MEL, device=args.device, **options)
    real = [] if args.real_data is None else read_machine_sets(Path(args.real_data))
    real_rows = study([_embedded(one, one.name, detector) for one in real], detector, args.num_draws, args.seed)
    factory, _ = make_factory_sets(FACTORY_VERSION, FACTORY_SIZES, args.seed)
    machines = [_embedded(one, f"factory ({len(factory)} machines)", detector) for one in factory]
    rows = [*real_rows, *study(machines, detector, args.num_draws, args.seed)]
    print(table(rows))
    if args.output:
        csv_files.write_records(args.output, rows)


def _embedded(machine: MachineSet, name: str, detector: AnomalyDetector) -> EmbeddedMachine:
    sources = audio_sources(machine.waveforms, SAMPLING_RATE)
    embedded = embed_clips(detector.embedder, sources, detector.settings.windows, detector.batch_size, name)
    group = np.array([recording.split("#")[0] for recording in machine.recording])  # of all machines at a time
    flags = (machine.is_reference, machine.is_anomaly, machine.is_target_domain)
    return EmbeddedMachine(name, embedded.vectors, group, *flags)


def _variance_of_all(machine: EmbeddedMachine, detector: AnomalyDetector) -> float:
    rows = machine.is_reference
    unit = np.unique(machine.group[rows], return_inverse=True)[1].astype(np.int64)
    vectors, is_target = machine.vectors[torch.from_numpy(rows)], torch.from_numpy(machine.is_target_domain[rows])
    layout = detector.embedder.layout
    scores = DomainScores(detector.settings, vectors, torch.from_numpy(unit), is_target, layout).leave_one_out()
    return log_variance(scores, unit)


def _log_moments(scores: np.ndarray, unit: np.ndarray) -> tuple[float, float, int]:
    """Mean and variance of the logarithms for a clip of a new group, and the number of groups."""
    logs = np.log(scores)
    units = np.unique(unit)
    means = np.array([logs[unit == one].mean() for one in units])
    within = float(np.mean([logs[unit == one].var() for one in units]))
    return float(means.mean()), float(means.var(ddof=1)) + within, len(units)


def _cells(draws: Sequence[dict[str, Any]] | None, nominal: float | None) -> dict[str, Any]:
    if draws is None:
        assert nominal is not None
        return {"false_alarms": None, "hits": None, "auc": None, "note": f"needs {needed_units(nominal)} groups"}
    means = {
        key: round(100 * float(np.mean([draw[key] for draw in draws])), 1) for key in ("false_alarms", "hits", "auc")
    }
    return {**means, "note": ""}


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of few groups, which are the point
        main()

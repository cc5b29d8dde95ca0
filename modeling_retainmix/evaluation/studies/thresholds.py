"""How many normal clips a threshold from the references alone calls anomalous, beside the share that was asked for.

python -m modeling_retainmix.evaluation.studies.thresholds --model outputs/demo

The normal clips of a machine type and domain, mixed with stationary noise at 0 dB, are split at random, again and
again: some are references, from which the threshold is taken as `AnomalyDetector` does (leave one recording out), the
others are held out and scored. Clips of several windows are drawn from these at random: their score is the largest,
and their threshold that of so many windows.
"""

import itertools
from collections.abc import Sequence

import numpy as np
import torch
from tqdm.auto import tqdm

from modeling_retainmix import markdown
from modeling_retainmix.data.benchmark import with_snr
from modeling_retainmix.detection.domain_scores import DomainScores
from modeling_retainmix.detection.settings import DetectorSettings
from modeling_retainmix.detection.threshold import ThresholdMethod, score_threshold
from modeling_retainmix.detection.vector_layout import VectorLayout
from modeling_retainmix.evaluation.embeddings import embed_mixtures
from modeling_retainmix.evaluation.studies.encoder_on_factory import factory_parser, load_encoder_and_machines

METHODS: tuple[ThresholdMethod, ...] = ("quantile", "gamma")
CASES = (("source", 100), ("source", 10), ("target", 10))  # domain and number of references
WINDOWS = (1, 11, 59)  # of a clip: 10 s, 1 min and 5 min by the detector's defaults


def false_alarm_rates(
    embeddings: torch.Tensor,
    num_references: int,
    false_alarm_rate: float,
    num_draws: int,
    generator: np.random.Generator,
    settings: DetectorSettings,
    layout: VectorLayout,
    num_windows: int = 1,
) -> dict[ThresholdMethod, float]:
    """Measure the share of held-out normal clips above the threshold, mean over random splits.

    Args:
        embeddings: [clips, dim] of normal clips of one machine type and domain.
        num_references: clips of a split that the threshold is taken from; the others are held out.
        false_alarm_rate: that the threshold is asked for.
        num_draws: number of splits.
        generator: of the splits.
        settings: of the detector.
        layout: blocks and bands of an embedding.
        num_windows: of a held-out clip, drawn from the embeddings that are held out; as many clips as these.

    Returns:
        {method: share in [0, 1]}.

    Raises:
        ValueError: no clip would be held out.
    """
    if num_references >= len(embeddings):
        raise ValueError(
            f"{num_references} references of {len(embeddings)} normal clips leave none to hold out: use fewer "
            "references, or more clips"
        )
    rates: dict[ThresholdMethod, list[float]] = {method: [] for method in METHODS}
    recording_index, is_target_domain = torch.arange(num_references), torch.zeros(num_references, dtype=torch.bool)
    for _ in range(num_draws):
        drawn = embeddings[torch.from_numpy(generator.permutation(len(embeddings)))]
        references, held_out = drawn[:num_references], drawn[num_references:]
        scores = DomainScores(settings, references, recording_index, is_target_domain, layout)
        reference_scores, held_out_scores = scores.leave_one_out(), scores.scores(held_out)
        if num_windows > 1:
            windows = generator.integers(len(held_out), size=(len(held_out), num_windows))
            held_out_scores = held_out_scores[windows].max(axis=1)
        for method in METHODS:
            threshold = score_threshold(
                reference_scores, false_alarm_rate, method, scores.lower_bound, num_stretches=num_windows
            )
            rates[method].append(float((held_out_scores > threshold).mean()))
    return {method: float(np.mean(shares)) for method, shares in rates.items()}


def main(argv: Sequence[str] | None = None) -> None:
    """Print a row per domain, number of references, number of windows and method, as Markdown."""
    parser = factory_parser(__doc__, output=False)
    parser.add_argument("--false_alarm_rate", type=float, default=0.1, help="that the thresholds are asked for")
    parser.add_argument("--num_draws", type=int, default=20, help="splits of a machine type's clips")
    args = parser.parse_args(argv)
    loaded = load_encoder_and_machines(args)
    protocol, settings = with_snr(loaded.protocol, (0.0,)), DetectorSettings()
    generator = np.random.default_rng(args.seed)
    rates: dict[tuple[str, int, int, ThresholdMethod], list[float]] = {}
    for machine in tqdm(loaded.machines, desc="machine types", disable=None):
        (embeddings,) = embed_mixtures(machine, protocol, loaded.embedder.embed).values()
        for (domain, num_references), num_windows in itertools.product(CASES, WINDOWS):
            normal = ~machine.is_anomaly & (machine.is_target_domain == (domain == "target"))
            machine_rates = false_alarm_rates(
                embeddings["stationary", 0.0][torch.from_numpy(normal)],
                num_references,
                args.false_alarm_rate,
                args.num_draws,
                generator,
                settings,
                loaded.embedder.layout,
                num_windows,
            )
            for method, rate in machine_rates.items():
                rates.setdefault((domain, num_references, num_windows, method), []).append(100 * rate)
    print(f"{loaded.sentence} False alarms in %, nominal {args.false_alarm_rate:.0%}.\n")
    rows = [
        [*map(str, case), f"{np.mean(shares):.1f}", f"{min(shares):.1f} to {max(shares):.1f}"]
        for case, shares in rates.items()
    ]
    header = ["Domain", "References", "Windows", "Method", "Mean", "Machine types"]
    print(markdown.table(header, rows, "lrrlrl"))


if __name__ == "__main__":
    main()

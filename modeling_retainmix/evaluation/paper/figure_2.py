"""Figure 2 of the paper: the official score by layer, as a picture, Markdown and CSV."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from modeling_retainmix import csv_files, markdown
from modeling_retainmix.evaluation.bootstrap import bootstrap_replicates, confidence_interval, official_scores
from modeling_retainmix.evaluation.results import write_results
from modeling_retainmix.evaluation.scores import ClipScores
from modeling_retainmix.json_files import read_json
from modeling_retainmix.metrics.dcase_score.dcase_score import harmonic_mean

_NOTE = (
    "The paper prints no number of this figure. Its text (section 4.4) names the best layers on DCASE2023T2 and "
    "DCASE2025T2: 4 and 12 of its method, 4 and 8 of the baseline."
)


@dataclass(frozen=True)
class LayerScores:
    """Official scores in % of the layers of one encoder, of one seed.

    Attributes:
        data: name of the data that were scored.
        encoder: as the legend names it.
        seed: that the encoder is filed under.
        scores: {layer: official score; over a benchmark's cells their harmonic mean}.
        confidence_intervals: {layer: 95 % bootstrap interval of the score}.
    """

    data: str
    encoder: str
    seed: int
    scores: Mapping[int, float]
    confidence_intervals: Mapping[int, tuple[float, float]]


def layer_scores(data: str, encoder: str, seed: int, layers: Mapping[int, ClipScores], benchmark: str) -> LayerScores:
    """Score layers, with confidence intervals; `benchmark` keys the draws as in `bootstrap_replicates`."""
    scores, intervals = {}, {}
    for layer, clips in sorted(layers.items()):
        whole = np.ones((1, len(clips.machine_types)))
        cells = np.stack([official_scores(values, clips, whole) for values in clips.scores.values()])
        replicates = np.stack(list(bootstrap_replicates(clips, benchmark).values()))
        scores[layer] = 100 * float(harmonic_mean(cells)[0])
        intervals[layer] = confidence_interval(100 * harmonic_mean(replicates))
    return LayerScores(data, encoder, seed, scores, intervals)


def write_layer_scores(folder: str | os.PathLike[str], name: str, found: LayerScores) -> None:
    """Write `<folder>/<data>_<name>_seed<seed>.json`."""
    record = {
        "data": found.data,
        "encoder": found.encoder,
        "seed": found.seed,
        "layers": [[layer, score, *found.confidence_intervals[layer]] for layer, score in found.scores.items()],
    }
    write_results(Path(folder) / f"{found.data}_{name}_seed{found.seed}.json", record)


def read_layer_scores(folder: str | os.PathLike[str]) -> list[LayerScores]:
    """Read all layer scores of a folder, by file name; an absent folder has none.

    Raises:
        ValueError: a file is broken; the message names it.
    """
    found = []
    for path in sorted(Path(folder).glob("*.json")):
        try:
            record = read_json(path)
            scores = {layer: score for layer, score, _, _ in record["layers"]}
            intervals = {layer: (low, high) for layer, _, low, high in record["layers"]}
            found.append(LayerScores(record["data"], record["encoder"], record["seed"], scores, intervals))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path} does not hold scores of layers ({error}): remove it and score again") from error
    return found


def write_figure(folder: Path, found: Sequence[LayerScores]) -> list[Path]:
    """Write `figure_2.md`, `figure_2.csv` and `figure_2.png`: a panel per data set, a line per encoder.

    Lines are means over seeds. Bands are the confidence interval of a single seed, or one standard deviation over
    several seeds.

    Raises:
        ValueError: the picture needs matplotlib, which is not installed.
    """
    paths = [folder / f"figure_2.{suffix}" for suffix in ("md", "csv", "png")]
    paths[0].write_text(_markdown(found), encoding="utf-8")
    records = []
    for one in found:
        for layer, score in one.scores.items():
            low, high = one.confidence_intervals[layer]
            numbers = {name: f"{value:.3f}" for name, value in (("score", score), ("low", low), ("high", high))}
            records.append({"data": one.data, "encoder": one.encoder, "seed": one.seed, "layer": layer, **numbers})
    csv_files.write_records(paths[1], records)
    _draw(paths[2], found)
    return paths


def _markdown(found: Sequence[LayerScores]) -> str:
    layers = sorted({layer for one in found for layer in one.scores})
    rows = []
    for (data, encoder), seeds in _groups(found).items():
        cells = []
        for layer in layers:
            values = [one.scores[layer] for one in seeds if layer in one.scores]
            spread = f" ± {np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
            cells.append(f"{np.mean(values):.1f}{spread}" if values else "-")
        rows.append([data, encoder, str(len(seeds)), *cells])
    header = ["Data", "Encoder", "Seeds", *(f"Layer {layer}" for layer in layers)]
    table = markdown.table(header, rows, align="ll" + "r" * (len(header) - 2))
    return f"# Figure 2: official score in % by layer\n\n{table}\n\n{_NOTE}\n"


def _groups(found: Sequence[LayerScores]) -> dict[tuple[str, str], list[LayerScores]]:
    groups: dict[tuple[str, str], list[LayerScores]] = {}
    for one in found:
        groups.setdefault((one.data, one.encoder), []).append(one)
    return groups


def _draw(path: Path, found: Sequence[LayerScores]) -> None:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ValueError(f"{path.name} needs matplotlib: pip install retainmix[plots]") from error
    names = list(dict.fromkeys(one.data for one in found))
    colors = {name: f"C{index}" for index, name in enumerate(dict.fromkeys(one.encoder for one in found))}
    figure = Figure(figsize=(4.8 * len(names), 3.8), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        for (data, encoder), seeds in _groups(found).items():
            if data == name:
                layers = sorted(set.intersection(*(set(one.scores) for one in seeds)))
                values = np.array([[one.scores[layer] for layer in layers] for one in seeds])
                mean = values.mean(axis=0)
                if len(seeds) > 1:
                    low, high = mean - values.std(axis=0, ddof=1), mean + values.std(axis=0, ddof=1)
                else:
                    low, high = np.array([seeds[0].confidence_intervals[layer] for layer in layers]).T
                axes.plot(layers, mean, marker="o", color=colors[encoder], label=encoder)
                axes.fill_between(layers, low, high, color=colors[encoder], alpha=0.15, linewidth=0)
                axes.set_xticks(layers)
        axes.set(title=name, xlabel="layer", ylabel="official score in %")
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
    figure.savefig(path, dpi=150)

"""Tables 2 to 5 of the paper and the summary over seeds, as Markdown and CSV, our figures beside the paper's."""

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from modeling_retainmix.data.benchmark import SUBSETS
from modeling_retainmix.evaluation import compared_systems
from modeling_retainmix.evaluation.paper import published_numbers
from modeling_retainmix.evaluation.paper.row_files import ScoredRow
from modeling_retainmix.evaluation.paper.row_summary import (
    Estimate,
    Figure,
    difference,
    estimate,
    paper_value,
    paper_value_table_3,
)
from modeling_retainmix.hub.result_tables import protocol_sentence

_CSV_COLUMNS = ("row", "system", "layer", "figure", "seeds", "mean", "std", "low", "high", "paper")
_ALL = tuple(SUBSETS)
_NOTE = (
    "The paper's means are over the SNRs of the heading: as printed, or of its printed cells where it averages over "
    "others. Its figures seem to be normalised between domains."
)


@dataclass(frozen=True)
class PaperTable:
    """A table of the paper: its rows (keys of `compared_systems`), its columns, and where the paper's figures are."""

    name: str
    title: str
    keys: tuple[str, ...]
    figures: tuple[Figure, ...]
    paper: Callable[[str, Figure], float | None]
    note: str


def paper_tables(rows: Sequence[ScoredRow]) -> list[PaperTable]:
    """Tables 2 to 5 with the SNRs and machine types of these rows, which share a protocol."""
    snr_db = tuple(float(value) for value in rows[0].protocol["snr_db"])
    cells = [Figure(f"{subset} {snr:g} dB", (subset,), (snr,)) for subset in SUBSETS for snr in snr_db]
    mismatch = [figure for figure in cells if figure.subsets == ("Mismatch",)]
    mismatch += _unique(
        Figure(f"Hmean {_braces(snrs)}", ("Mismatch",), snrs) for snrs in (snr_db, published_numbers.SNR_DB)
    )
    at_0_db = (("Mismatch",), (0.0,))
    machines = sorted({name for row in rows for name in row.protocol["clips"]})
    machines += [name for name in published_numbers.TABLE_3_MACHINES if name not in map(str.lower, machines)]
    by_machine = [Figure(name, *at_0_db, machine=name) for name in machines]
    return [
        PaperTable(
            "table_2",
            "Table 2: encoders under different noise conditions",
            compared_systems.TABLE_2,
            (*cells, *headline_figures(rows)),
            paper_value,
            _NOTE,
        ),
        PaperTable(
            "table_3",
            "Table 3: feature alignment, Mismatch at 0 dB",
            compared_systems.TABLE_3,
            (*by_machine, Figure("Hmean", *at_0_db)),
            paper_value_table_3,
            "The paper's figures are not normalised between domains. Its models are those of ±5 dB.",
        ),
        PaperTable(
            "table_4",
            "Table 4: SNRs of the mixtures in training, tagging loss, Mismatch",
            compared_systems.TABLE_4,
            tuple(mismatch),
            paper_value,
            _NOTE,
        ),
        PaperTable(
            "table_5",
            "Table 5: training data, mixture loss at ±5 dB, Mismatch",
            compared_systems.TABLE_5,
            tuple(mismatch),
            paper_value,
            _NOTE,
        ),
    ]


def headline_figures(rows: Sequence[ScoredRow]) -> tuple[Figure, ...]:
    """Harmonic means over the low and over all SNRs, those of the rows' protocol and those of the paper."""
    protocol = rows[0].protocol
    ours = [tuple(float(snr_db) for snr_db in protocol[name]) for name in ("low_snr_db", "snr_db")]
    return _unique(
        Figure(f"Hmean {_braces(snrs)}", _ALL, snrs)
        for snrs in (*ours, published_numbers.LOW_SNR_DB, published_numbers.SNR_DB)
    )


def write_tables(folder: Path, rows: Sequence[ScoredRow]) -> list[Path]:
    """Writes Tables 2 to 5 and the summary over seeds as `<name>.md` and `<name>.csv`; returns the Markdown files."""
    by_key = _by_key(rows)
    paths = []
    for table in paper_tables(rows):
        paths.append(folder / f"{table.name}.md")
        paths[-1].write_text(table_markdown(table, by_key), encoding="utf-8")
        _write_csv(folder / f"{table.name}.csv", _table_records(table, by_key))
    paths.append(folder / "summary.md")
    paths[-1].write_text(summary_markdown(rows), encoding="utf-8")
    _write_csv(folder / "summary.csv", _summary_records(rows))
    return paths


def table_markdown(table: PaperTable, by_key: Mapping[str, Sequence[ScoredRow]]) -> str:
    """A table with two lines per system: ours, and the paper's where it has the row."""
    lines = [
        f"# {table.title}\n",
        _header(["System", "Layer", "Seeds", "", *(figure.name for figure in table.figures)], 1),
    ]
    for key in table.keys:
        rows = by_key.get(key, [])
        papers = [table.paper(key, figure) for figure in table.figures]
        in_paper = any(value is not None for value in papers)
        if rows or in_paper:
            ours = [_text(estimate(rows, figure), len(figure.cells) > 1) for figure in table.figures]
            lines.append(_line([compared_systems.NAMES[key], _layers(rows), str(len(rows) or "-"), "ours", *ours]))
        if in_paper:
            lines.append(_line(["", "", "", "paper", *("-" if v is None else f"{v:.1f}" for v in papers)]))
    return "\n".join([*lines, "", _legend(by_key), "", table.note, ""])


def summary_markdown(rows: Sequence[ScoredRow]) -> str:
    """Per row the mean over seeds, its spread and interval, and the difference to the frozen backbone."""
    by_key = _by_key(rows)
    figures = headline_figures(rows)
    ours = [figure for figure in figures if estimate(rows[:1], figure)]
    heads = [
        text
        for figure in ours
        for text in (figure.name, "95 % interval", "less frozen, same layer", "95 % interval", "paper")
    ] + [f"paper, {figure.name}" for figure in figures if figure not in ours]
    lines = ["# Summary over seeds\n", _header(["System", "Layer", "Seeds", *heads], 1)]
    for key, name in compared_systems.NAMES.items():
        own = by_key.get(key, [])
        papers = {figure: paper_value(key, figure) for figure in figures}
        if not own and all(value is None for value in papers.values()):
            continue
        cells = []
        for figure in ours:
            against = None if key == compared_systems.FROZEN_SAME else _difference(by_key, key, figure)
            value = estimate(own, figure)
            cells += [
                _mean(value),
                _interval(value),
                _mean(against, "+"),
                _interval(against, "+"),
                _number(papers[figure]),
            ]
        cells += [_number(papers[figure]) for figure in figures if figure not in ours]
        lines.append(_line([name, _layers(own), str(len(own) or "-"), *cells]))
    return "\n".join([*lines, "", _legend(by_key), "", _NOTE, ""])


def _table_records(table: PaperTable, by_key: Mapping[str, Sequence[ScoredRow]]) -> list[dict[str, object]]:
    records = []
    for key in table.keys:
        rows = by_key.get(key, [])
        for figure in table.figures:
            value, paper = estimate(rows, figure), table.paper(key, figure)
            if value is not None or paper is not None:
                records.append(_record(key, rows, figure.name, value, paper))
    return records


def _summary_records(rows: Sequence[ScoredRow]) -> list[dict[str, object]]:
    by_key = _by_key(rows)
    records = []
    for key in compared_systems.NAMES:
        own = by_key.get(key, [])
        for figure in headline_figures(rows):
            value, paper = estimate(own, figure), paper_value(key, figure)
            if value is not None or paper is not None:
                records.append(_record(key, own, figure.name, value, paper))
            against = None if key == compared_systems.FROZEN_SAME else _difference(by_key, key, figure)
            if against is not None:
                records.append(_record(key, own, f"{figure.name} less frozen, same layer", against, None))
    return records


def _difference(by_key: Mapping[str, Sequence[ScoredRow]], key: str, figure: Figure) -> Estimate | None:
    return difference(by_key.get(key, []), by_key.get(compared_systems.FROZEN_SAME, []), figure)


def _record(
    key: str, rows: Sequence[ScoredRow], figure: str, value: Estimate | None, paper: float | None
) -> dict[str, object]:
    low, high = (value.interval or (None, None)) if value else (None, None)
    numbers = {"mean": value and value.mean, "std": value and value.std, "low": low, "high": high, "paper": paper}
    return {
        "row": key,
        "system": compared_systems.NAMES[key],
        "layer": _layers(rows),
        "figure": figure,
        "seeds": value.seeds if value else 0,
        **{name: "" if number is None else f"{number:.3f}" for name, number in numbers.items()},
    }


def _write_csv(path: Path, records: Sequence[Mapping[str, object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, _CSV_COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(records)


def _legend(by_key: Mapping[str, Sequence[ScoredRow]]) -> str:
    """What was scored, and what stands behind ± and brackets."""
    rows = [row for own in by_key.values() for row in own]
    seeds = sorted({row.seed for row in rows})
    protocol = {**rows[0].protocol, "clips": {name: c for row in rows for name, c in row.protocol["clips"].items()}}
    protocol["noise_segments_reused"] = max(row.protocol["noise_segments_reused"] for row in rows)
    shared = (
        "; its ends are means over seeds, which share the recordings" if any(row.recordings for row in rows) else ""
    )
    return (
        f"{protocol_sentence(protocol)} Seeds {', '.join(map(str, seeds))}: mean ± standard deviation over seeds; in "
        "brackets the 95 % bootstrap interval of that mean over 1000 draws of the test clips within machine type, "
        f"domain and label (references and training are not drawn again{shared}). A dash: not run, or not in the "
        "paper."
    )


def _by_key(rows: Sequence[ScoredRow]) -> dict[str, list[ScoredRow]]:
    by_key: dict[str, list[ScoredRow]] = {}
    for row in sorted(rows, key=lambda row: row.seed):
        by_key.setdefault(row.key, []).append(row)
    return by_key


def _unique(figures) -> tuple[Figure, ...]:
    return tuple(dict.fromkeys(figures))


def _braces(snr_db: Sequence[float]) -> str:
    return "{" + ", ".join(f"{value:g}" for value in snr_db) + "}"


def _layers(rows: Sequence[ScoredRow]) -> str:
    return ", ".join(str(layer) for layer in dict.fromkeys(row.layer for row in rows) if layer) or "-"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _mean(value: Estimate | None, sign: str = "") -> str:
    if value is None:
        return "-"
    return f"{value.mean:{sign}.1f}" + ("" if value.std is None else f" ± {value.std:.1f}")


def _interval(value: Estimate | None, sign: str = "") -> str:
    if value is None or value.interval is None:
        return "-"
    return "[" + ", ".join(f"{end:{sign}.1f}" for end in value.interval) + "]"


def _text(value: Estimate | None, with_interval: bool) -> str:
    return f"{_mean(value)} {_interval(value)}" if value and with_interval else _mean(value)


def _header(names: Sequence[str], left: int) -> str:
    return _line(names) + "\n|" + "---|" * left + "---:|" * (len(names) - left)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"

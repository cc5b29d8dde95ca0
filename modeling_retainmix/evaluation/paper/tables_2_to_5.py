"""Tables 2 to 5 of the paper and the summary over seeds, as Markdown and CSV, our figures beside the paper's."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from modeling_retainmix import csv_files, markdown
from modeling_retainmix.data.benchmark import SUBSETS
from modeling_retainmix.evaluation.compared_systems import (
    BACKBONES,
    BY_KEY,
    FROZEN_BEST,
    FROZEN_LAST,
    FROZEN_SAME,
    LOG_MEL_ROWS,
    ORACLE,
    RANDOM,
    SYSTEMS,
)
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

# The systems of each table, by key
_FROZEN = (FROZEN_LAST, FROZEN_SAME, FROZEN_BEST)
_AT_5_DB = ("tagging_pm5db", "mixture_pm5db", "both_pm5db")
_AT_0_DB = ("tagging_0db", "mixture_0db", "both_0db")
_TABLE_2 = (
    *(*LOG_MEL_ROWS, RANDOM, *BACKBONES, *_FROZEN, "denoising", "denoising_linear_mixup", "denoising_snr_mixup"),
    *(*_AT_5_DB, *_AT_0_DB, ORACLE),
)
_TABLE_3 = (*LOG_MEL_ROWS, *_FROZEN, ORACLE, *_AT_5_DB, *_AT_0_DB)
_TABLE_4 = (
    *(
        *LOG_MEL_ROWS,
        *_FROZEN,
        "tagging_plus10db",
        "tagging_plus5db",
        "tagging_0db",
        "tagging_minus5db",
        "tagging_minus10db",
    ),
    *("tagging_pm5db", "tagging_pm10db"),
)
_TABLE_5 = (*LOG_MEL_ROWS, *_FROZEN, "mixture_audioset_20k", "mixture_pm5db", "mixture_with_references")
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
    """Return Tables 2 to 5 with the SNRs and machine types of these rows, which share a protocol."""
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
            _TABLE_2,
            (*cells, *headline_figures(rows)),
            paper_value,
            _NOTE,
        ),
        PaperTable(
            "table_3",
            "Table 3: feature alignment, Mismatch at 0 dB",
            _TABLE_3,
            (*by_machine, Figure("Hmean", *at_0_db)),
            paper_value_table_3,
            "The paper's figures are not normalised between domains. Its models are those of ±5 dB.",
        ),
        PaperTable(
            "table_4",
            "Table 4: SNRs of the mixtures in training, tagging loss, Mismatch",
            _TABLE_4,
            tuple(mismatch),
            paper_value,
            _NOTE,
        ),
        PaperTable(
            "table_5",
            "Table 5: training data, mixture loss at ±5 dB, Mismatch",
            _TABLE_5,
            tuple(mismatch),
            paper_value,
            _NOTE,
        ),
    ]


def headline_figures(rows: Sequence[ScoredRow]) -> tuple[Figure, ...]:
    """Return harmonic means over the low and over all SNRs, those of the rows' protocol and those of the paper."""
    protocol = rows[0].protocol
    ours = [tuple(float(snr_db) for snr_db in protocol[name]) for name in ("low_snr_db", "snr_db")]
    return _unique(
        Figure(f"Hmean {_braces(snrs)}", _ALL, snrs)
        for snrs in (*ours, published_numbers.LOW_SNR_DB, published_numbers.SNR_DB)
    )


def write_tables(folder: Path, rows: Sequence[ScoredRow]) -> list[Path]:
    """Write Tables 2 to 5 and the summary over seeds as `<name>.md` and `<name>.csv`; return the Markdown files."""
    by_key = _by_key(rows)
    paths = []
    for table in paper_tables(rows):
        paths.append(folder / f"{table.name}.md")
        paths[-1].write_text(table_markdown(table, by_key), encoding="utf-8")
        csv_files.write_records(folder / f"{table.name}.csv", _table_records(table, by_key), _CSV_COLUMNS)
    paths.append(folder / "summary.md")
    paths[-1].write_text(summary_markdown(rows), encoding="utf-8")
    csv_files.write_records(folder / "summary.csv", _summary_records(rows), _CSV_COLUMNS)
    return paths


def table_markdown(table: PaperTable, by_key: Mapping[str, Sequence[ScoredRow]]) -> str:
    """Return a table with two lines per system: ours, and the paper's where it has the row."""
    lines = []
    for key in table.keys:
        rows = by_key.get(key, [])
        papers = [table.paper(key, figure) for figure in table.figures]
        in_paper = any(value is not None for value in papers)
        if rows or in_paper:
            ours = [_text(estimate(rows, figure), len(figure.cells) > 1) for figure in table.figures]
            lines.append([BY_KEY[key].label, _layers(rows), str(len(rows) or "-"), "ours", *ours])
        if in_paper:
            lines.append(["", "", "", "paper", *map(_number, papers)])
    header = ["System", "Layer", "Seeds", "", *(figure.name for figure in table.figures)]
    return f"# {table.title}\n\n{_markdown(header, lines)}\n\n{_legend(by_key)}\n\n{table.note}\n"


def summary_markdown(rows: Sequence[ScoredRow]) -> str:
    """Return per system the mean over seeds, its spread and interval, and the difference to the frozen teacher."""
    by_key = _by_key(rows)
    figures = headline_figures(rows)
    ours = [figure for figure in figures if estimate(rows[:1], figure)]
    columns = ("{}", "95 % interval", "less frozen, same layer", "95 % interval", "paper")
    heads = [column.format(figure.name) for figure in ours for column in columns]
    heads += [f"paper, {figure.name}" for figure in figures if figure not in ours]
    lines = []
    for system in SYSTEMS:
        scored = by_key.get(system.key, [])
        papers = {figure: paper_value(system.key, figure) for figure in figures}
        if not scored and all(value is None for value in papers.values()):
            continue
        cells = []
        for figure in ours:
            value, against = estimate(scored, figure), _difference(by_key, system.key, figure)
            cells += [_mean(value), _interval(value), _mean(against, "+"), _interval(against, "+")]
            cells.append(_number(papers[figure]))
        cells += [_number(papers[figure]) for figure in figures if figure not in ours]
        lines.append([system.label, _layers(scored), str(len(scored) or "-"), *cells])
    table = _markdown(["System", "Layer", "Seeds", *heads], lines)
    return f"# Summary over seeds\n\n{table}\n\n{_legend(by_key)}\n\n{_NOTE}\n"


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
    for key in BY_KEY:
        scored = by_key.get(key, [])
        for figure in headline_figures(rows):
            value, paper = estimate(scored, figure), paper_value(key, figure)
            if value is not None or paper is not None:
                records.append(_record(key, scored, figure.name, value, paper))
            against = _difference(by_key, key, figure)
            if against is not None:
                records.append(_record(key, scored, f"{figure.name} less frozen, same layer", against, None))
    return records


def _difference(by_key: Mapping[str, Sequence[ScoredRow]], key: str, figure: Figure) -> Estimate | None:
    """Return the figure of a system less that of the frozen teacher at the same layer; None for that row itself."""
    if key == FROZEN_SAME:
        return None
    return difference(by_key.get(key, []), by_key.get(FROZEN_SAME, []), figure)


def _record(
    key: str, rows: Sequence[ScoredRow], figure: str, value: Estimate | None, paper: float | None
) -> dict[str, object]:
    low, high = (value.confidence_interval or (None, None)) if value else (None, None)
    numbers = {"mean": value and value.mean, "std": value and value.std, "low": low, "high": high, "paper": paper}
    return {
        "row": key,
        "system": BY_KEY[key].label,
        "layer": _layers(rows),
        "figure": figure,
        "seeds": value.seeds if value else 0,
        **{name: "" if number is None else f"{number:.3f}" for name, number in numbers.items()},
    }


def _legend(by_key: Mapping[str, Sequence[ScoredRow]]) -> str:
    """Return the sentences under a table: what was scored, and what ± and brackets mean."""
    rows = [row for scored in by_key.values() for row in scored]
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
    if value is None or value.confidence_interval is None:
        return "-"
    return "[" + ", ".join(f"{end:{sign}.1f}" for end in value.confidence_interval) + "]"


def _text(value: Estimate | None, with_interval: bool) -> str:
    return f"{_mean(value)} {_interval(value)}" if value and with_interval else _mean(value)


def _markdown(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    return markdown.table(header, lines, align="l" + "r" * (len(header) - 1))

"""Markdown: tables, and text of unknown origin in it that stays text."""

import re
from collections.abc import Iterable, Sequence

from tabulate import TableFormat, tabulate

# What begins HTML, a code span, a cell, an entity or the address of a link.
_SPECIAL = re.compile(r"[\\`|]|<(?=[A-Za-z/!?])|&(?=#?\w+;)|(?<=\])\(")
_ENTITIES = {"<": "&lt;", "&": "&amp;"}


def table(header: Sequence[str], rows: Iterable[Sequence[str]], align: str) -> str:
    """Return a table in the dialect of GitHub and of the Hub; cells are escaped.

    Args:
        header: headings of the columns.
        rows: cells, as many per row as there are headings.
        align: one letter per column, `l` (left) or `r` (right).

    Raises:
        ValueError: a row, or `align`, has another length than `header`.
    """
    cells = [[escape(cell) for cell in row] for row in (header, *rows)]
    lengths = {len(align), *map(len, cells)}
    if len(lengths) > 1:
        raise ValueError(f"the header has {len(header)} columns, other rows or `align` have {sorted(lengths)}")
    rule = "|" + "".join({"l": "---|", "r": "---:|"}[side] for side in align)
    # Cells are not padded to equal widths: in a repository, a changed number changes one line.
    layout = TableFormat(
        lineabove=None,
        linebelowheader=lambda widths, sides: rule,
        linebetweenrows=None,
        linebelow=None,
        headerrow=_row,
        datarow=_row,
        padding=0,
        with_header_hide=None,
    )
    return tabulate(cells[1:], cells[0], layout, numalign=None, stralign=None, disable_numparse=True)


def escape(text: str) -> str:
    """Return text in one line in which nothing is HTML, code, a link or the border of a cell."""
    return _SPECIAL.sub(lambda found: _ENTITIES.get(found[0], f"\\{found[0]}"), _one_line(text))


def code_span(text: str) -> str:
    """Return text as inline code, whatever backticks it holds."""
    text = _one_line(text)
    ticks = "`" * (_longest_run(text, start=0) + 1)
    padding = " " if "`" in text else ""
    return f"{ticks}{padding}{text}{padding}{ticks}"


def code_block(text: str, language: str = "") -> str:
    """Return text as a fenced block of code; the fence is longer than every run of backticks in the text."""
    fence = "`" * max(3, _longest_run(text, start=2) + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def _row(cells: Sequence[str], widths: Sequence[int], sides: Sequence[str]) -> str:
    return "|" + "|".join(f" {cell} " if cell else " " for cell in cells) + "|"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _longest_run(text: str, start: int) -> int:
    return max([start, *(len(run) for run in re.findall("`+", text))])

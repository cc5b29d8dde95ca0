"""The columns of a table of recordings, and rows of metadata turned into them."""

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from datasets import Dataset, Features, Value

from modeling_retainmix.audio_files import table_paths

COLUMNS = ("path", "machine_type", "section", "domain", "split", "label", "attributes", "factory", "fault")
SUPPLEMENTAL = "supplemental"
_NAMES = {  # of a column in metadata: ours, and that of the RMIS data sets on the Hub
    "machine_type": ("machine_type", "mt"),
    "section": ("section", "sec"),
    "domain": ("domain",),
    "split": ("split",),
    "label": ("label", "status"),
    "attributes": ("attributes", "attri"),
    "factory": ("factory",),
    "fault": ("fault",),
}
METADATA_COLUMNS = tuple(name for names in _NAMES.values() for name in names)
_LABELS = {"normal": "normal", "anomaly": "anomaly", "abnormal": "anomaly", "": ""}


def recordings_table(rows: list[dict[str, str]]) -> Dataset:
    """Rows as a table of string columns, in the order of `COLUMNS`.

    Raises:
        ValueError: a file name is not UTF-8.
    """
    table_paths(row["path"] for row in rows)
    features = Features({name: Value("string") for name in COLUMNS})
    return Dataset.from_list([{name: row[name] for name in COLUMNS} for row in rows], features=features)


def check_columns(columns: Iterable[str], known: Iterable[str], where: str) -> None:
    """Refuse columns that would be ignored although they look like known ones: `Domain`, `machine type`, `labels`.

    Raises:
        ValueError: such a column; the message begins with `where`.
    """
    plain = {_plain(name): name for name in known}
    for column in columns:
        close = difflib.get_close_matches(_plain(column), plain, n=1, cutoff=0.83)
        if column not in plain.values() and close and abs(len(close[0]) - len(_plain(column))) <= 1:
            raise ValueError(
                f"{where} has a column {column!r}, which is not read and looks like {plain[close[0]]!r}: rename it, "
                "or remove it"
            )


def row_from_metadata(entry: Mapping[str, Any], where: str, split: str | None = None) -> dict[str, str]:
    """Check a row of metadata and gives it the columns of a table of recordings, without the path.

    Args:
        entry: {column: value}. `machine_type` (or `mt`) is needed; without such a column, `label` is taken
            for it, as in data sets for audio classification. `section` (`sec`; a number, `section_03` or `id_03`) is
            "00" where it is missing, `domain` "source", `label` (`status`: normal, anomaly or abnormal) "normal" for
            references and empty for tests; `attributes` (`attri`), `factory` and `fault` are empty.
        where: file and line, for messages.
        split: "train" or "test" without a column `split`.

    Raises:
        ValueError: a missing column or a value that breaks a rule; the message gives `where`.
    """
    values = {column: _find(entry, names) for column, names in _NAMES.items()}
    if values["machine_type"] is None and values["label"] not in (None, *_LABELS):
        values["machine_type"], values["label"] = values["label"], None
    split = values["split"] or split
    if not values["machine_type"]:
        raise ValueError(f"{where} has no machine type: add the column machine_type (or mt)")
    if split not in ("train", "test", SUPPLEMENTAL):
        raise ValueError(f"{where} has the split {split!r}: use train, test or {SUPPLEMENTAL} in the column split")
    section = re.fullmatch(r"(?:section_|id_)?(\d+)", values["section"] or "00")
    if section is None:
        raise ValueError(f"{where} has the section {values['section']!r}: use a number such as 00")
    default_domain = "" if split == "test" and "domain" in entry else "source"
    domain = values["domain"] or default_domain
    if domain not in ("source", "target", ""):
        raise ValueError(f"{where} has the domain {domain!r}: use source or target")
    label = _LABELS.get(values["label"] or ("" if split == "test" else "normal"))
    if label is None:
        raise ValueError(f"{where} has the label {values['label']!r}: use normal or anomaly")
    if split == "train" and label != "normal":
        raise ValueError(f"{where} is labelled {label!r}, but references must be normal: give it the split test")
    checked = {"section": section[1].zfill(2), "domain": domain, "split": split, "label": label}
    return {column: values[column] or "" for column in _NAMES} | checked


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower()).rstrip("s")


def _find(entry: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    """The value of the first of these columns that is there, as text."""
    present = [entry[name] for name in names if name in entry]
    return str(present[0]).strip() if present and present[0] is not None else None

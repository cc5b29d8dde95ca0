"""Recordings in a data set on the Hub, with the columns of RMIS or with ours."""

from collections.abc import Mapping

from datasets import Audio, ClassLabel, Dataset, Features, Value, concatenate_datasets, load_dataset

from modeling_retainmix.data.layouts.columns import COLUMNS, METADATA_COLUMNS, check_columns, row_from_metadata
from modeling_retainmix.data.layouts.metadata_csv import FILE_COLUMN


def read_hub_table(name: str, split: str | None = None) -> Dataset:
    """List the recordings of a data set.

    Args:
        name: of a data set with one audio column and columns as in `row_from_metadata` (those of RMIS: audio,
            file_name, mt, sec, domain, status, attri). Without a column `split`, the name of a split, which holds
            "train" or "test", tells it.
        split: "train" or "test": only these recordings, where there may be splits of other names; None: all.

    Returns:
        A table of recordings with the columns `audio` (an Audio feature that is not decoded) and `file_name` (empty
        where the data set has none) in place of `path`.

    Raises:
        FileNotFoundError: the data set does not exist, or the Hub cannot be reached.
        ValueError: no audio column or several, a split that is neither, no recording, or a row that breaks a rule.
    """
    parts = []
    for part, table in load_splits(name).items():
        check_columns(table.column_names, ["audio", FILE_COLUMN, *METADATA_COLUMNS], f"{name}, split {part},")
        kinds = [kind for kind in ("train", "test") if kind in part]
        if "split" not in table.column_names and len(kinds) != 1 and split is None:
            raise ValueError(f"the split {part!r} of {name} names neither train nor test: add a column split")
        if "split" in table.column_names or kinds == [split] or split is None:
            recordings = _recordings(table, f"{name}, split {part}", kinds[0] if kinds else None)
            rows = [row for row, kind in enumerate(recordings["split"]) if split in (None, kind)]
            parts.append(recordings.select(rows))
    if not sum(map(len, parts)):
        wanted = "recording" if split is None else f"recording of the split {split}"
        raise ValueError(f"the data set {name} has no {wanted}: check the name")
    return concatenate_datasets(parts)


def load_splits(name: str) -> Mapping[str, Dataset]:
    """The splits of a data set: the column `audio`, not decoded, and the others, in which classes have their names.

    Errors as in `read_hub_table`.
    """
    try:
        splits = load_dataset(name)
    except (OSError, ValueError) as error:  # no such data set, no connection
        raise FileNotFoundError(f"{name} is neither a folder nor a data set on the Hub ({error})") from error
    return {split: _with_plain_columns(table, name) for split, table in splits.items()}


def _with_plain_columns(table: Dataset, name: str) -> Dataset:
    audio = [column for column, feature in table.features.items() if isinstance(feature, Audio)]
    if len(audio) != 1:
        raise ValueError(f"the data set {name} has {len(audio)} audio columns ({', '.join(audio)}), one is needed")
    for column, feature in table.features.items():
        if isinstance(feature, ClassLabel):
            names = feature.int2str(table[column][:])
            table = table.remove_columns([column]).add_column(column, names)
    table = table.cast_column(audio[0], Audio(decode=False))
    return table if audio == ["audio"] else table.rename_column(audio[0], "audio")


def _recordings(table: Dataset, where: str, split: str | None) -> Dataset:
    rows = [
        {FILE_COLUMN: str(entry.get(FILE_COLUMN) or "")} | row_from_metadata(entry, f"{where}, row {index}", split)
        for index, entry in enumerate(table.remove_columns(["audio"]))
    ]
    features = Features({column: Value("string") for column in (FILE_COLUMN, *COLUMNS[1:])})
    return concatenate_datasets([table.select_columns(["audio"]), Dataset.from_list(rows, features=features)], axis=1)

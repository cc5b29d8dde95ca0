"""Recordings in a data set on the Hub, with the columns of RMIS or with ours."""

from datasets import Audio, ClassLabel, Dataset, Features, Value, concatenate_datasets, load_dataset

from modeling_retainmix.data.dcase_folder import COLUMNS
from modeling_retainmix.data.metadata_folder import FILE_COLUMN
from modeling_retainmix.data.recording_columns import row_from_metadata


def read_hub_table(name: str) -> Dataset:
    """Lists the recordings of a data set, all splits of it.

    Args:
        name: of a data set with one audio column and columns as in `row_from_metadata` (those of RMIS: audio,
            file_name, mt, sec, domain, status, attri). Without a column `split`, the name of a split, which holds
            "train" or "test", tells it.

    Returns:
        A table of recordings with the columns `audio` (an Audio feature that is not decoded) and `file_name` (empty
        where the data set has none) in place of `path`.

    Raises:
        FileNotFoundError: there is no such data set, or no connection.
        ValueError: no audio column or several, a split that is neither, or a row that breaks a rule.
    """
    try:
        splits = load_dataset(name)
    except (OSError, ValueError) as error:  # no such data set, no connection
        raise FileNotFoundError(f"{name} is neither a folder nor a data set on the Hub ({error})") from error
    return concatenate_datasets([_read_split(table, name, split) for split, table in splits.items()])


def _read_split(table: Dataset, name: str, split: str) -> Dataset:
    audio = [column for column, feature in table.features.items() if isinstance(feature, Audio)]
    if len(audio) != 1:
        raise ValueError(f"the data set {name} has {len(audio)} audio columns ({', '.join(audio)}), one is needed")
    told = [kind for kind in ("train", "test") if kind in split]
    if len(told) != 1 and "split" not in table.column_names:
        raise ValueError(f"the split {split!r} of {name} names neither train nor test: add a column split")
    entries = table.remove_columns(audio)
    for column, feature in entries.features.items():
        if isinstance(feature, ClassLabel):
            names = feature.int2str(entries[column][:])
            entries = entries.remove_columns([column]).add_column(column, names)
    rows = [
        {FILE_COLUMN: str(entry.get(FILE_COLUMN) or "")}
        | row_from_metadata(entry, f"{name}, split {split}, row {index}", told[0] if told else None)
        for index, entry in enumerate(entries)
    ]
    features = Features({column: Value("string") for column in (FILE_COLUMN, *COLUMNS[1:])})
    sounds = table.select_columns(audio).cast_column(audio[0], Audio(decode=False))
    if audio != ["audio"]:
        sounds = sounds.rename_column(audio[0], "audio")
    return concatenate_datasets([sounds, Dataset.from_list(rows, features=features)], axis=1)

"""Folders with metadata files are read; what lines and files do not agree on is named."""

import pytest

from modeling_retainmix.data.layouts.metadata_csv import read_metadata_folder


@pytest.fixture
def root(tmp_path):
    for name in ("train/a.wav", "test/b.wav", "test/c.flac"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "train/metadata.csv").write_text("file_name,machine_type,attributes\na.wav,fan,spd_1\n")
    (tmp_path / "test/metadata.csv").write_text("file_name,mt,status\nb.wav,fan,normal\nc.flac,fan,anomaly\n")
    return tmp_path


def test_folders_tell_the_split_and_lines_the_rest(root):
    told = [(row["path"], row["split"], row["label"], row["attributes"]) for row in read_metadata_folder(root)]
    assert sorted(told) == [
        (str(root / "test/b.wav"), "test", "normal", ""),
        (str(root / "test/c.flac"), "test", "anomaly", ""),
        (str(root / "train/a.wav"), "train", "normal", "spd_1"),
    ]


def test_when_one_file_lists_all_then_its_split_column_counts(root):
    for file in root.glob("*/metadata.csv"):
        file.unlink()
    lines = ["file_name,machine_type,split,label"]
    lines += ["train/a.wav,fan,test,anomaly", "test/b.wav,fan,train,", "test/c.flac,fan,test,"]
    (root / "metadata.csv").write_text("\ufeff" + "\r\n".join(lines) + "\r\n", encoding="utf-8")
    told = [(row["split"], row["label"]) for row in read_metadata_folder(root)]
    assert told == [("test", "anomaly"), ("train", "normal"), ("test", "")]


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("path,machine_type\na.wav,fan\n", ValueError, r"metadata\.csv has no column file_name"),
        ("file_name,machine_type\n../../a.wav,fan\n", ValueError, r"csv, line 2 lists .*a\.wav, which lies outside"),
        ("file_name,machine_type\n/a.wav,fan\n", ValueError, r"csv, line 2 lists /a\.wav, which lies outside"),
        ("file_name,machine_type\nz.wav,fan\n", FileNotFoundError, r"z\.wav does not exist, but .*csv, line 2 lists"),
        ("file_name,machine_type\na.wav,fan\na.wav,fan\n", ValueError, "line 3 lists .* for the second time"),
        ("file_name,machine_type\n", ValueError, r"train/a\.wav is in no metadata\.csv"),
        ("file_name,machine_type\na.wav,\n", ValueError, r"train/metadata\.csv, line 2 has no machine type"),
    ],
)
def test_when_lines_and_files_disagree_then_error_names_them(root, text, error, message):
    (root / "train/metadata.csv").write_text(text)
    with pytest.raises(error, match=message):
        read_metadata_folder(root)


def test_when_there_is_no_metadata_then_error_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds no metadata\.csv"):
        read_metadata_folder(tmp_path)


def test_when_the_metadata_are_not_in_utf_8_then_error_names_the_file(root):
    (root / "train/metadata.csv").write_bytes("file_name,machine_type\na.wav,fräse\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"train/metadata\.csv is not in UTF-8: save it as UTF-8"):
        read_metadata_folder(root)

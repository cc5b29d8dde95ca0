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
    with pytest.raises(ValueError, match=r"train/metadata\.csv is not in UTF-8: save it in that encoding"):
        read_metadata_folder(root)


def test_when_two_lines_name_two_links_to_one_file_then_both_are_recordings(root):
    for name in ("d.wav", "e.wav"):
        (root / "train" / name).symlink_to(root / "train" / "a.wav")
    (root / "train/metadata.csv").write_text("file_name,machine_type\n" + "".join(f"{n}.wav,fan\n" for n in "ade"))
    rows = [row for row in read_metadata_folder(root) if row["split"] == "train"]
    assert [row["path"].rsplit("/", 1)[1] for row in rows] == ["a.wav", "d.wav", "e.wav"]


@pytest.mark.parametrize("link", ["a.wav", "sub"])
def test_when_a_line_names_a_link_out_of_the_folder_then_it_is_refused(root, tmp_path_factory, link):
    outside = tmp_path_factory.mktemp("outside")
    (outside / "a.wav").write_bytes(b"secret")
    if link == "a.wav":
        (root / "train/a.wav").unlink()
        (root / "train/a.wav").symlink_to(outside / "a.wav")
    else:
        (root / "train/sub").symlink_to(outside)
        (root / "train/metadata.csv").write_text("file_name,machine_type\nsub/a.wav,fan\na.wav,fan\n")
    where = rf"line 2 lists .*a\.wav, which is a link out of {root}, to {outside}/a\.wav"
    with pytest.raises(ValueError, match=where):
        read_metadata_folder(root)


def test_when_the_folder_is_a_snapshot_of_the_hub_cache_then_its_links_are_read(tmp_path):
    snapshot = tmp_path / "snapshots" / "main"
    (tmp_path / "blobs").mkdir()
    snapshot.mkdir(parents=True)
    (tmp_path / "blobs" / "1").write_text("file_name,machine_type\na.wav,fan\n")
    (tmp_path / "blobs" / "2").write_bytes(b"")
    (snapshot / "metadata.csv").symlink_to(tmp_path / "blobs" / "1")
    (snapshot / "a.wav").symlink_to(tmp_path / "blobs" / "2")
    assert [row["path"] for row in read_metadata_folder(snapshot)] == [str(snapshot / "a.wav")]


def test_when_lines_name_what_cannot_be_read_then_error_gives_the_cause(root):
    (root / "train/a.wav").unlink()
    (root / "train/a.wav").symlink_to(root / "gone.wav")
    cause = r"a\.wav, which .*line 2 lists, is a link to .*gone\.wav, which does not exist"
    with pytest.raises(ValueError, match=cause):
        read_metadata_folder(root)


def test_when_a_column_looks_like_a_known_one_then_error_names_it(root):
    (root / "train/metadata.csv").write_text("file_name,machine_type,Domain\na.wav,fan,target\n")
    with pytest.raises(ValueError, match=r"metadata\.csv has a column 'Domain', .* looks like 'domain'"):
        read_metadata_folder(root)
    (root / "train/metadata.csv").write_text("File Name,machine_type\na.wav,fan\n")
    with pytest.raises(ValueError, match=r"metadata\.csv has a column 'File Name', .* looks like 'file_name'"):
        read_metadata_folder(root)


def test_when_commas_are_followed_by_spaces_then_columns_are_found(root):
    (root / "train/metadata.csv").write_text("file_name, machine_type, domain\na.wav, fan, target\n")
    (row,) = [row for row in read_metadata_folder(root) if row["split"] == "train"]
    assert (row["machine_type"], row["domain"]) == ("fan", "target")


def test_hidden_and_system_folders_hold_no_metadata(root):
    for name in (".git", "__MACOSX"):
        (root / name).mkdir()
        (root / name / "metadata.csv").write_text("broken")
    assert len(read_metadata_folder(root)) == 3

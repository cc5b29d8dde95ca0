"""One walk finds every recording; what cannot be read is listed with its cause, and what belongs to systems is not."""

import os
import socket

import numpy as np
import pytest
import soundfile as sf

from modeling_retainmix import audio_files
from modeling_retainmix.audio import audio_sources
from modeling_retainmix.audio_files import find_audio_files, list_audio_files, shown_name, table_paths, walk_folder

TONE = (0.5 * np.sin(0.1 * np.arange(4000))).astype(np.float32)


def write(path, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, TONE, 16000, **options)
    return path


def names(root):
    return [path.relative_to(root).as_posix() for path in list_audio_files(root)]


def test_when_folder_holds_sound_in_subfolders_then_files_are_sorted(tmp_path):
    for name in ("b.wav", "a.WAV", "sub/c.flac"):
        write(tmp_path / name)
    (tmp_path / "notes.txt").write_text("text")
    assert names(tmp_path) == ["a.WAV", "b.wav", "sub/c.flac"]


def test_when_folder_is_missing_or_empty_then_error_names_it(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
        list_audio_files(tmp_path / "nowhere")
    (tmp_path / "void").mkdir()
    with pytest.raises(ValueError, match="void holds no sound file"):
        audio_sources(tmp_path / "void")


@pytest.mark.parametrize(
    "name",
    [
        ".Trash-1000/files/a.wav",
        ".git/annex/a.wav",
        "__MACOSX/a.wav",
        "sub/__MACOSX/._a.wav",
        "._a.wav",
        ".a.wav.Xy12z",
        "$RECYCLE.BIN/a.wav",
        "System Volume Information/a.wav",
        "@eaDir/a.wav",
        "lost+found/a.wav",
        "Thumbs.db",
        "sub/desktop.ini",
    ],
)
def test_what_systems_put_beside_recordings_is_left_out(tmp_path, name):
    write(tmp_path / "a.wav")
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_bytes((tmp_path / "a.wav").read_bytes())
    assert names(tmp_path) == ["a.wav"]


def test_when_the_root_or_its_parent_is_hidden_then_it_is_read(tmp_path):
    write(tmp_path / ".cache" / ".data" / "sub" / "a.wav")
    assert names(tmp_path / ".cache" / ".data") == ["sub/a.wav"]


def test_links_are_followed_and_two_links_to_one_file_are_two_recordings(tmp_path):
    root = tmp_path / "root"
    write(tmp_path / "blobs" / "content.wav")
    write(tmp_path / "elsewhere" / "deep" / "c.wav")
    root.mkdir()
    for name in ("a.wav", "b.wav"):
        (root / name).symlink_to(tmp_path / "blobs" / "content.wav")
    (root / "linked").symlink_to(tmp_path / "elsewhere")
    assert names(root) == ["a.wav", "b.wav", "linked/deep/c.wav"]


def test_when_links_go_round_then_each_recording_is_found_once(tmp_path):
    write(tmp_path / "one" / "a.wav")
    write(tmp_path / "two" / "b.wav")
    (tmp_path / "one" / "up").symlink_to(tmp_path)
    (tmp_path / "two" / "self").symlink_to(tmp_path / "two")
    assert names(tmp_path) == ["one/a.wav", "two/b.wav"]


def test_when_links_lead_to_a_folder_by_too_many_ways_then_error_says_so(tmp_path):
    for number in range(7):
        write(tmp_path / str(number) / "a.wav")
    for number in range(7):
        for other in range(7):
            (tmp_path / str(number) / f"to-{other}").symlink_to(tmp_path / str(other))
    with pytest.raises(ValueError, match="by more than 100 ways: remove some"):
        list_audio_files(tmp_path)


FORMATS = [
    ("a.rf64", "RF64", "PCM_16"),
    ("a.w64", "W64", "PCM_16"),
    ("a.caf", "CAF", "PCM_16"),
    ("a.au", "AU", "PCM_16"),
    ("a.opus", "OGG", "OPUS"),
    ("a.aifc", "AIFF", "PCM_16"),
    ("a.mp3", "MP3", "MPEG_LAYER_III"),
    ("a.voc", "VOC", "PCM_16"),
]


@pytest.mark.parametrize(("name", "kind", "subtype"), FORMATS)
def test_every_format_of_libsndfile_is_found_and_read(tmp_path, name, kind, subtype):
    write(tmp_path / name, format=kind, subtype=subtype)
    (source,) = audio_sources(tmp_path)
    error = np.abs(source.load() - TONE)[200:3800]
    assert error.max() < (0.1 if kind in ("OGG", "MP3") else 1e-4)


@pytest.mark.parametrize("name", ["flac.wav", "wave.mp3", "wave.raw", "wave.bin", "wave"])
def test_when_the_suffix_lies_then_the_content_counts(tmp_path, name):
    write(tmp_path / name, format=name.split(".")[0].upper().replace("WAVE", "WAV"))
    (source,) = audio_sources(tmp_path)
    np.testing.assert_allclose(source.load(), TONE, atol=1e-4)


def make_problem(tmp_path, kind):
    if kind.startswith("."):
        path = tmp_path / f"b{kind}"
        path.write_bytes(b"\x00\x00\x00\x20ftypM4A ")
    else:
        path = tmp_path / "b.wav"
        if kind == "dangling":
            path.symlink_to(tmp_path / "absent")
        elif kind == "loop":
            path.symlink_to(path)
        elif kind == "pipe":
            os.mkfifo(path)
        elif kind == "socket":
            with socket.socket(socket.AF_UNIX) as server:
                server.bind(str(path))
    return path


@pytest.mark.parametrize(
    ("kind", "cause"),
    [
        (".m4a", "has the format m4a, which cannot be read"),
        (".3gp", "has the format 3gp, which cannot be read"),
        (".MP4", "has the format mp4, which cannot be read"),
        (".wav.gz", "is compressed: unpack it"),
        (".m4a.bz2", "is compressed: unpack it"),
        (".AAC", "has the format aac, which cannot be read"),
        (".raw", "has the format raw, which cannot be read"),
        (".wma", "has the format wma, which cannot be read"),
        ("dangling", r"is a link to .*absent, which does not exist"),
        ("loop", "cannot be opened .*symbolic links"),
        ("pipe", "is not a regular file"),
        ("socket", "is not a regular file"),
    ],
)
def test_what_looks_like_sound_and_cannot_be_read_is_listed_with_its_cause(tmp_path, monkeypatch, kind, cause):
    monkeypatch.chdir(tmp_path)  # the name of a socket must be short
    write(tmp_path / "a.wav")
    path = make_problem(tmp_path.relative_to(tmp_path), kind)
    found = find_audio_files(tmp_path)
    assert [file.name for file in found.files] == ["a.wav"]
    assert [problem.name for problem in found.problems] == [path.name]
    with pytest.raises(ValueError, match=f"{path.name} {cause}"):
        list_audio_files(tmp_path)
    first, second = audio_sources(tmp_path)
    assert len(first.load()) == 4000
    with pytest.raises(ValueError, match=f"{path.name} {cause}"):
        second.load()


def test_when_a_subfolder_cannot_be_opened_then_it_is_a_problem(tmp_path, monkeypatch):
    write(tmp_path / "a.wav")
    write(tmp_path / "locked" / "b.wav")
    scan = os.scandir

    def refuse(path):
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(audio_files.os, "scandir", refuse)
    with pytest.raises(ValueError, match=r"locked cannot be opened \(Permission denied\)"):
        list_audio_files(tmp_path)


def test_when_there_are_many_problems_then_the_error_counts_them(tmp_path, monkeypatch):
    monkeypatch.setattr(audio_files, "SHOWN_FILES", 2)
    for number in range(4):
        (tmp_path / f"{number}.m4a").touch()
    with pytest.raises(ValueError, match=r"^4 recordings cannot be read: .*0\.m4a.*; .*1\.m4a.*; and 2 more$"):
        list_audio_files(tmp_path)


def test_when_a_name_is_not_utf_8_then_it_is_read_and_shown_but_not_put_into_a_table(tmp_path):
    path = os.path.join(os.fsencode(tmp_path), b"fr\xe4se.wav")
    write(tmp_path / "a.wav")
    os.rename(tmp_path / "a.wav", path)
    (source,) = audio_sources(tmp_path)
    assert source.name.endswith("fr\\udce4se.wav") and source.name == shown_name(os.fsdecode(path))
    assert len(source.load()) == 4000
    with pytest.raises(ValueError, match=r"fr\\udce4se\.wav has a name that is not UTF-8.*: rename it"):
        table_paths(list_audio_files(tmp_path))


def test_when_a_path_is_longer_than_libsndfile_takes_then_it_is_read(tmp_path):
    folder = tmp_path.joinpath(*["f" * 200] * 7)
    write(tmp_path / "a.wav")
    folder.mkdir(parents=True)
    os.rename(tmp_path / "a.wav", folder / "a.wav")
    (source,) = audio_sources(tmp_path)
    assert len(source.name) > 1024
    assert len(source.load()) == 4000


def test_a_caller_may_leave_folders_out(tmp_path):
    write(tmp_path / "train" / "a.wav")
    write(tmp_path / "test" / "b.wav")
    walked = []
    for folder, children, _ in walk_folder(tmp_path):
        walked.append(folder.name)
        children[:] = [name for name in children if name != "test"]
    assert walked == [tmp_path.name, "train"]


def test_when_files_and_folders_are_given_then_each_recording_is_listed_once(tmp_path):
    single, inside = write(tmp_path / "z.wav"), write(tmp_path / "folder" / "a.wav")
    (tmp_path / "folder" / "b.m4a").touch()
    found = audio_files.find_recordings([single, tmp_path / "folder", inside])
    assert found.files == [single, inside] and list(found.problems) == [tmp_path / "folder" / "b.m4a"]
    with pytest.raises(FileNotFoundError, match=r"nowhere\.wav does not exist"):
        audio_files.find_recordings([tmp_path / "nowhere.wav"])
    with pytest.raises(ValueError, match="no recording is given"):
        audio_files.find_recordings([])

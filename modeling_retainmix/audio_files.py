"""Which files of a folder are recordings: one walk with one rule, for detector inputs, readers of tables and noise.

- Linked folders are followed; a link to a folder that holds it is not. Two links to one file are two recordings.
- Left out below the root: hidden files and folders (`.git`, `._*`, `.Trash-1000`), and what systems put beside
  recordings (`_SYSTEM_FOLDERS`). How the root itself is called, or where it lies, plays no part.
- A file is a recording when its suffix is one of a format that the installed libsndfile reads, or when it begins as a
  file of such a format does. The format is always read from the content: a suffix may be wrong.
- What looks like a recording and cannot be read is a problem, with its cause: sound of another format, a link to
  nothing, what is not a regular file, a folder without permission.
"""

import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import soundfile as sf

SHOWN_FILES = 20  # as many as an error lists

# libsndfile's name of a format: suffixes. RAW has no header, HTK no mark, and SD2 keeps its header in another file;
# MAT files are read by content alone, as most of them hold no sound.
_FORMAT_SUFFIXES = {
    "WAV": (".wav", ".wave", ".bwf"),
    "RF64": (".rf64",),
    "W64": (".w64",),
    "AIFF": (".aiff", ".aif", ".aifc"),
    "AU": (".au", ".snd"),
    "CAF": (".caf",),
    "FLAC": (".flac",),
    "OGG": (".ogg", ".oga", ".opus"),
    "MP3": (".mp3", ".mp2", ".mp1"),
    "VOC": (".voc",),
    "NIST": (".sph", ".nist"),
    "IRCAM": (".sf", ".ircam"),
    "SVX": (".svx", ".8svx", ".16svx"),
    "PAF": (".paf",),
    "PVF": (".pvf",),
    "AVR": (".avr",),
    "XI": (".xi",),
    "SDS": (".sds",),
    "WVE": (".wve",),
}
_READABLE = frozenset(suffix for name in sf.available_formats() for suffix in _FORMAT_SUFFIXES.get(name, ()))
# Sound that libsndfile does not read, or that has no header; what phones and cameras make of it among the films.
_FOREIGN = """
.mp4 .m4r .3gp .3gpp .mov .webm .mkv .avi
.m4a .m4b .aac .adts .alac .wma .amr .awb .ape .wv .mka .weba .ac3 .eac3 .dts .dsf .dff .tta .tak .spx .mpc .ra .3ga
.qcp .gsm .raw .pcm .shn
"""
_OTHER_SOUND = frozenset([*_FOREIGN.split(), *(s for suffixes in _FORMAT_SUFFIXES.values() for s in suffixes)]) - (
    _READABLE
)

_COMPRESSED = frozenset({".gz", ".bz2", ".xz", ".zst"})

_SYSTEM_FOLDERS = frozenset(
    {"__macosx", "@eadir", "#recycle", "#snapshot", "$recycle.bin", "system volume information", "lost+found"}
)
_SYSTEM_FILES = frozenset({"thumbs.db", "desktop.ini", "ehthumbs.db"})
_MOST_WAYS = 100  # by which links may lead to one folder


@dataclass
class FoundFiles:
    """What lies in a folder.

    Attributes:
        files: the recordings, sorted by path.
        problems: {path: why it cannot be read} of what looks like a recording, or is a folder that cannot be opened.
    """

    files: list[Path] = field(default_factory=list)
    problems: dict[Path, str] = field(default_factory=dict)

    def error(self) -> ValueError:
        """One error that names the problems, the first twenty of them with their causes."""
        return unreadable_error([f"{shown_name(path)} {why}" for path, why in self.problems.items()])


def unreadable_error(messages: Sequence[str]) -> ValueError:
    """Make one error of those of several recordings, of which it shows the first twenty."""
    shown = list(messages[:SHOWN_FILES])
    if len(messages) > SHOWN_FILES:
        shown.append(f"and {len(messages) - SHOWN_FILES} more")
    count = f"{len(messages)} recordings cannot be read: " if len(messages) > 1 else ""
    return ValueError(count + "; ".join(shown))


def find_audio_files(folder: str | os.PathLike[str], may_be_empty: bool = False) -> FoundFiles:
    """List the recordings of a folder and its subfolders, and what looks like one but cannot be read.

    Args:
        folder: where they lie.
        may_be_empty: whether nothing may be found.

    Raises:
        FileNotFoundError: the folder does not exist.
        ValueError: it holds neither recordings nor problems, or links lead to one folder by more than 100 ways.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{shown_name(folder)} does not exist or is not a folder: check the path")
    found = FoundFiles()
    for place, _, names in walk_folder(folder, found.problems):
        for name in names:
            path = place / name
            suffix = path.suffix.lower()
            problem = unreadable(path) if suffix in _READABLE or suffix in _OTHER_SOUND else None
            if problem is not None:
                found.problems[path] = problem
            elif is_sound_file(path):
                found.files.append(path)
            elif suffix in _OTHER_SOUND:
                found.problems[path] = f"has the format {suffix[1:]}, which cannot be read: convert it to WAV or FLAC"
            elif suffix in _COMPRESSED and Path(path.stem).suffix.lower() in _READABLE | _OTHER_SOUND:
                found.problems[path] = "is compressed: unpack it"
    if not found.files and not found.problems and not may_be_empty:
        kind = "is a saved detector, and " if (folder / "detector.json").is_file() else ""
        raise ValueError(f"{shown_name(folder)} {kind}holds no sound file (.wav, .flac, .mp3 ...): check the path")
    found.files.sort()
    found.problems = dict(sorted(found.problems.items()))
    return found


def find_recordings(paths: Iterable[str | os.PathLike[str]]) -> FoundFiles:
    """List files as given, and the recordings of folders; one that is reached twice is listed once.

    Raises:
        FileNotFoundError: a path does not exist.
        ValueError: as `find_audio_files`, or no path is given.
    """
    found = FoundFiles()
    for path in map(Path, paths):
        if path.is_dir():
            inside = find_audio_files(path)
            found.files += inside.files
            found.problems |= inside.problems
        elif path.exists() or path.is_symlink():
            found.files.append(path)
        else:
            raise FileNotFoundError(f"{shown_name(path)} does not exist: check the path")
    found.files = list(dict.fromkeys(found.files))
    if not found.files and not found.problems:
        raise ValueError("no recording is given: name files or folders")
    return found


def list_audio_files(folder: str | os.PathLike[str]) -> list[Path]:
    """List the recordings of a folder and its subfolders, sorted by path.

    Raises:
        FileNotFoundError: the folder does not exist.
        ValueError: it holds no recording, or what looks like one and cannot be read; the message names all such files.
    """
    found = find_audio_files(folder)
    if found.problems:
        raise found.error()
    return found.files


def walk_folder(
    root: str | os.PathLike[str], problems: dict[Path, str] | None = None
) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Walk a folder by the rule of this module, as `os.walk` does.

    Args:
        root: the folder.
        problems: takes the folders that cannot be opened, with the cause.

    Yields:
        A folder, the names of its subfolders, and those of all else in it, both sorted. Names that are removed from
        the first list are not walked.

    Raises:
        ValueError: links lead to one folder by more than 100 ways.
    """
    yield from _walk(Path(root), frozenset(), Counter(), {} if problems is None else problems)


def unreadable(path: Path) -> str | None:
    """Why a path cannot be read as a file, as the end of a sentence that begins with its name; None: it can."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        if path.is_symlink():
            return f"is a link to {shown_name(os.readlink(path))}, which does not exist: restore that or remove it"
        return "does not exist: check the path"
    except OSError as error:
        return f"cannot be opened ({error.strerror}): check the path and its permissions"
    if stat.S_ISDIR(mode):
        return "is a folder, not a sound file: check the path"
    return None if stat.S_ISREG(mode) else "is not a regular file: remove it"


def is_sound_file(path: Path) -> bool:
    """Whether a file is a recording by its suffix or by its first bytes."""
    return path.suffix.lower() in _READABLE or _begins_as_sound(path)


def shown_name(path: str | os.PathLike[str]) -> str:
    """A path as text that can be printed and written; bytes that are not UTF-8 become `\\udcXX`."""
    return os.fspath(path).encode("utf-8", "backslashreplace").decode()


def table_paths(paths: Iterable[str | Path]) -> list[str]:
    """Paths as a string column of a table takes them.

    Raises:
        ValueError: a name is not UTF-8.
    """
    texts = [str(path) for path in paths]
    for text in texts:
        if shown_name(text) != text:
            raise ValueError(f"{shown_name(text)} has a name that is not UTF-8, which a table cannot hold: rename it")
    return texts


def _walk(
    folder: Path, above: frozenset[tuple[int, int]], ways: Counter[tuple[int, int]], problems: dict[Path, str]
) -> Iterator[tuple[Path, list[str], list[str]]]:
    folders: list[str] = []
    names: list[str] = []
    try:
        status = folder.stat()
        identity = (status.st_dev, status.st_ino)
        if identity in above:  # a link to a folder that holds it
            return
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if _is_folder(entry):
                    if entry.name.lower() not in _SYSTEM_FOLDERS:
                        folders.append(entry.name)
                elif entry.name.lower() not in _SYSTEM_FILES:
                    names.append(entry.name)
    except OSError as error:
        problems[folder] = f"cannot be opened ({error.strerror}): check its permissions"
        return
    ways[identity] += 1
    if ways[identity] > _MOST_WAYS:
        raise ValueError(f"links lead to {shown_name(folder)} by more than {_MOST_WAYS} ways: remove some of them")
    folders.sort()
    yield folder, folders, sorted(names)
    for name in folders:
        yield from _walk(folder / name, above | {identity}, ways, problems)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a loop of links, or a link whose end cannot be looked at
        return False


def _begins_as_sound(path: Path) -> bool:
    """Whether a file begins with the mark of a format that libsndfile reads."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return False
        with path.open("rb") as file:
            head = file.read(16)
    except OSError:
        return False
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"FORM"):
        return head[8:12] in (b"WAVE", b"AIFF", b"AIFC", b"8SVX", b"16SV")
    marks = (b"fLaC", b"OggS", b"caff", b".snd", b"dns.", b"ID3", b"Creative Voice", b"NIST_1A", b"ALawSoundFile")
    return head.startswith((*marks, b"riff\x2e\x91\xcf\x11"))

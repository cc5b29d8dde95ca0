"""Which files of a folder are recordings, by the rule of the detector's package (`modeling_retainmix.audio_files`).

Linked folders are followed. Hidden files and folders, and what systems put beside recordings, are left out. A file is
a recording by its suffix, if the installed libsndfile reads that format, or by its first bytes.
"""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import soundfile

# libsndfile's name of a format: suffixes.
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
READABLE = frozenset(suffix for name in soundfile.available_formats() for suffix in _FORMAT_SUFFIXES.get(name, ()))
# Sound of other formats, and films with sound.
_FOREIGN = """
.mp4 .m4r .3gp .3gpp .mov .webm .mkv .avi
.m4a .m4b .aac .adts .alac .wma .amr .awb .ape .wv .mka .weba .ac3 .eac3 .dts .dsf .dff .tta .tak .spx .mpc .ra .3ga
.qcp .gsm .raw .pcm .shn
"""
OTHER_SOUND = (
    frozenset([*_FOREIGN.split(), *(s for suffixes in _FORMAT_SUFFIXES.values() for s in suffixes)]) - READABLE
)

_COMPRESSED = frozenset({".gz", ".bz2", ".xz", ".zst"})
_SYSTEM_FOLDERS = frozenset(
    {"__macosx", "@eadir", "#recycle", "#snapshot", "$recycle.bin", "system volume information", "lost+found"}
)
_SYSTEM_FILES = frozenset({"thumbs.db", "desktop.ini", "ehthumbs.db"})
_MOST_WAYS = 100  # by which links may lead to one folder
_MARKS = (b"fLaC", b"OggS", b"caff", b".snd", b"dns.", b"ID3", b"Creative Voice", b"NIST_1A", b"ALawSoundFile")


@dataclass
class FoundFiles:
    """What was found at the places that a user named.

    Attributes:
        files: the recordings, in the order of the places, those of a folder sorted by path.
        problems: {path: why it cannot be read} of what looks like a recording, or is a folder that cannot be opened.
        num_others: files that are neither.
    """

    files: list[str] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)
    num_others: int = 0


def find_recordings(places: Sequence[str]) -> FoundFiles:
    """List files as given, and the recordings of folders; no sound is read.

    Raises:
        FileNotFoundError: a place does not exist.
        ValueError: a folder holds no recording, or links lead to one by more than 100 ways.
    """
    found = FoundFiles()
    for place in places:
        if os.path.isdir(place):
            _search(place, found)
        elif os.path.lexists(place):
            found.files.append(place)  # reading it says what is wrong
        else:
            raise FileNotFoundError(f"{place} does not exist: check the path")
    return found


def _search(folder: str, found: FoundFiles) -> None:
    inside: list[str] = []
    problems: dict[str, str] = {}
    for path in _walk(Path(folder), frozenset(), Counter(), problems):
        suffix = path.suffix.lower()
        if suffix in READABLE | OTHER_SOUND and not path.is_file():
            problems[str(path)] = "is not a regular file, or a link to nothing: remove it"
        elif suffix in READABLE or _begins_as_sound(path):
            inside.append(str(path))
        elif suffix in OTHER_SOUND:
            problems[str(path)] = f"has the format {suffix[1:]}, which cannot be read: convert it to WAV or FLAC"
        elif suffix in _COMPRESSED and Path(path.stem).suffix.lower() in READABLE | OTHER_SOUND:
            problems[str(path)] = "is compressed: unpack it"
        else:
            found.num_others += 1
    if not inside and not problems:
        raise ValueError(f"{folder} holds no sound file ({', '.join(sorted(READABLE))}): check the path")
    found.files += sorted(inside, key=Path)
    found.problems |= problems


def _walk(
    folder: Path, above: frozenset[tuple[int, int]], ways: Counter[tuple[int, int]], problems: dict[str, str]
) -> Iterator[Path]:
    try:
        status = folder.stat()
        entries = [entry for entry in os.scandir(folder) if not entry.name.startswith(".")]
    except OSError as error:
        problems[str(folder)] = f"cannot be opened ({error.strerror}): check its permissions"
        return
    identity = (status.st_dev, status.st_ino)
    if identity in above:  # a link to a folder that holds it
        return
    ways[identity] += 1
    if ways[identity] > _MOST_WAYS:
        raise ValueError(f"links lead to {folder} by more than {_MOST_WAYS} ways: remove some of them")
    for entry in entries:
        path = folder / entry.name
        if path.is_dir():
            if entry.name.lower() not in _SYSTEM_FOLDERS:
                yield from _walk(path, above | {identity}, ways, problems)
        elif entry.name.lower() not in _SYSTEM_FILES:
            yield path


def _begins_as_sound(path: Path) -> bool:
    """Whether a file begins with the mark of a format that libsndfile reads."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            head = file.read(16)
    except OSError:
        return False
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"FORM"):
        return head[8:12] in (b"WAVE", b"AIFF", b"AIFC", b"8SVX", b"16SV")
    return head.startswith((*_MARKS, b"riff\x2e\x91\xcf\x11"))

"""Does a sound file hold what its header declares? Lengths in all containers that libsndfile reads and that have one.

FLAC and MP3 are compared while they are decoded, VOC and HTK by libsndfile; IRCAM, PAF and PVF declare no length.

libsndfile reads as many samples as header and file both have, without a word about the difference. A file whose copy
was cut, whose recorder stopped, or that grew past 4 GiB, where a 32-bit length begins again at 0, would be scored by
a part of its sound.
"""

import enum
import math
import os
import re
import struct
from typing import BinaryIO, NamedTuple

_MOST_CHUNKS = 10_000
_SHORT = 64  # bytes: some recorders count their header as sound
_TRAILING = 4096  # bytes behind the last chunk: tags that other programs append
_BEGINS, _ENDS = 2, 4  # flags of an Ogg page: of the first one of a stream, of the last one
_HEADER = 1024  # bytes, of which every header of a fixed layout needs fewer
# Marks of formats that declare no length, with the bytes of their headers
_ENDLESS = {b"\x64\xa3": 1024, b"fap ": 2048, b" paf": 2048, b"PVF1": 64}
_SDS_BLOCK, _SDS_SOUND = 127, 120  # bytes of a block, and of samples in it
_MAT4_WIDTHS = (8, 4, 4, 2, 2, 1)  # bytes of a value, by the digit for its type
_UNKNOWN_32 = (0xFFFFFFFF, 0x80000000, 0x7FFFFFFF, 0x7FFFF000)  # what programs write that cannot go back to the header
_UNKNOWN_64 = 2**64 - 1


class Length(enum.Enum):
    """What a header says about the length of the sound."""

    DECLARED = "declared, or of a format whose decoder notices"
    SHORT = "declared, and a few bytes more than the file holds"
    UNKNOWN = "not declared: the sound ends with the file"


class _Chunks(NamedTuple):
    """How a container lays out its chunks: `<id><size><content>`, one after the other."""

    first: int  # where in the file the first one begins
    id_bytes: int
    size: str  # format of `struct`
    sound: bytes  # id of the chunk that holds the samples
    counts_header: bool = False  # whether the size includes id and size
    alignment: int = 2


def check_length(file: BinaryIO, name: str) -> Length:
    """Compare what a file declares with what it holds; its position is the beginning afterwards.

    Raises:
        ValueError: the file holds less sound than it declares, or more; the message begins with `name`.
    """
    size = file.seek(0, os.SEEK_END)
    head = _read(file, 0, _HEADER)
    try:
        if head[:4] == b"OggS":
            _check_pages(file, size, name)
        elif head[:10] == b"MATLAB 5.0" or head[20:30] == b"samplerate":
            _check_matrices(file, size, head, name)
        elif (fixed := _fixed_length(head)) is not None:
            return _check_fixed(*fixed, size, name)
        elif (layout := _layout(head)) is not None:
            return _check_chunks(file, size, layout, head, name)
        elif any(head.startswith(mark) and size > header for mark, header in _ENDLESS.items()):
            return Length.UNKNOWN
    except (struct.error, IndexError):  # too short for a header, which libsndfile says better
        pass
    finally:
        file.seek(0)
    return Length.DECLARED


def _fixed_length(head: bytes) -> tuple[int, int] | None:
    """Read a header of a fixed layout.

    Returns:
        Where the sound begins, and how many bytes of it the header declares; None: the file has another header, or one
        that does not tell.
    """
    if head.startswith(b"NIST_1A"):
        length = _nist_length(head)
        return None if length is None else (1024, length)
    if head.startswith(b"2BIT"):  # AVR
        (is_stereo, bits), (frames,) = struct.unpack(">HH", head[12:16]), struct.unpack(">I", head[26:30])
        return 128, frames * bits // 8 * (2 if is_stereo else 1)
    if head[:4] in (b".snd", b"dns."):  # AU
        start, length = struct.unpack(">II" if head[:4] == b".snd" else "<II", head[4:12])
        return start, length
    if head.startswith(b"ALawSoundFile"):  # WVE
        return 32, *struct.unpack(">I", head[18:22])
    if head[:2] == b"\x01\x04":  # MPC2K
        (frames,) = struct.unpack("<I", head[30:34])
        return 42, 2 * frames * (2 if head[21] else 1)
    if head[:2] == b"\xf0\x7e" and head[3:4] == b"\x01":  # SDS: numbers of seven bits, samples of two to four of them
        samples, bits = head[10] | head[11] << 7 | head[12] << 14, head[6]
        per_block = _SDS_SOUND // max(-(-bits // 7), 2)
        return 21, -(-samples // per_block) * _SDS_BLOCK
    if head.startswith(b"Extended Instrument: "):  # XI: headers of all samples, then their bytes
        (count,) = struct.unpack("<H", head[296:298])
        headers = (head[298 + 40 * index :][:4] for index in range(min(count, (_HEADER - 298) // 40)))
        return 298 + 40 * count, sum(struct.unpack("<I", header)[0] for header in headers)
    return None


def _check_fixed(start: int, declared: int, size: int, name: str) -> Length:
    length = _compare(name, declared, size - start, _UNKNOWN_32)
    if length is Length.DECLARED and size - start - declared > _TRAILING:
        raise _goes_on(name, size - start - declared)
    return length


def _layout(head: bytes) -> _Chunks | None:
    if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
        return _Chunks(12, 4, "<I", b"data")
    if head[:4] == b"RIFX" and head[8:12] == b"WAVE":
        return _Chunks(12, 4, ">I", b"data")
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return _Chunks(12, 4, ">I", b"SSND")
    if head[:4] == b"FORM" and head[8:12] in (b"8SVX", b"16SV"):
        return _Chunks(12, 4, ">I", b"BODY")
    if head[:4] == b"caff":
        return _Chunks(8, 4, ">Q", b"data", alignment=1)
    if head[:4] == b"riff" and head[24:28] == b"wave":
        return _Chunks(40, 16, "<Q", b"data", counts_header=True, alignment=8)
    return None


def _check_chunks(file: BinaryIO, size: int, layout: _Chunks, head: bytes, name: str) -> Length:
    position, header = layout.first, layout.id_bytes + struct.calcsize(layout.size)
    found: Length | None = None
    long_size = None  # of the sound, in RF64
    for _ in range(_MOST_CHUNKS):
        start = position + header
        if start > size:
            break
        chunk = _read(file, position, header)
        (length,) = struct.unpack(layout.size, chunk[layout.id_bytes :])
        length -= header if layout.counts_header else 0
        if found is not None and (not chunk[:4].isascii() or (not chunk[:4].isalnum() and b"\0" in chunk[:4])):
            break
        if chunk[:4] == b"ds64" and head[:4] == b"RF64":
            (long_size,) = struct.unpack("<8xQ", _read(file, start, 16))
        if chunk[:4] == layout.sound and found is None:
            if length == _UNKNOWN_32[0] and long_size is not None:
                length = long_size
            found = _compare(name, length, size - start, _UNKNOWN_64 if layout.size[1] == "Q" else _UNKNOWN_32)
            if found is Length.UNKNOWN:
                return found
        elif length < 0 or start + length > size + _SHORT:
            break
        position = start + length
        position += -position % layout.alignment
    if found is Length.DECLARED and size - position > _TRAILING:
        raise _goes_on(name, size - position)
    return found or Length.DECLARED


def _goes_on(name: str, rest: int) -> ValueError:
    return ValueError(
        f"{name} holds {rest} bytes behind the sound that its header declares: its recorder stopped before it had "
        "written the length, or the file grew past 4 GiB. Rewrite the header (sox --ignore-length), or record in RF64"
    )


def _compare(name: str, declared: int, there: int, unknown: int | tuple[int, ...]) -> Length:
    if declared in (unknown if isinstance(unknown, tuple) else (unknown,)) or (declared == 0 and there > _TRAILING):
        return Length.UNKNOWN
    if declared > there + _SHORT:
        raise ValueError(
            f"{name} is cut: its header declares {declared} bytes of sound, and the file holds {max(there, 0)} of "
            "them. Copy it again, or rewrite its header (sox --ignore-length)"
        )
    return Length.SHORT if declared > there else Length.DECLARED


def _check_pages(file: BinaryIO, size: int, name: str) -> None:
    """Walk the pages of an Ogg file: the last one says that it is the last, and no second stream follows."""
    position, flags, begun = 0, 0, False
    while (header := _read(file, position, 27 + 255))[:4] == b"OggS" and len(header) > 27:
        flags = header[5]
        if flags & _BEGINS and begun:
            raise ValueError(
                f"{name} holds several streams one after the other, of which only the first would be read: convert it"
            )
        begun = begun or not flags & _BEGINS
        segments = header[27 : 27 + header[26]]
        position += 27 + len(segments) + sum(segments)
    if not flags & _ENDS or position > size:
        raise ValueError(f"{name} is cut: its last Ogg page is missing. Copy it again, or decode what is left of it")


def _check_matrices(file: BinaryIO, size: int, head: bytes, name: str) -> None:
    """Walk the matrices of a MAT file of version 4 or 5, whose header gives the size of each.

    A few missing bytes say nothing here: libsndfile declares some more than it writes.
    """
    is_old = head[:10] != b"MATLAB 5.0"
    little = head[:2] == b"\0\0" and head[3:4] == b"\0" if is_old else head[126:128] == b"IM"
    order, position, header = "<" if little else ">", 0 if is_old else 128, 20 if is_old else 8
    for _ in range(_MOST_CHUNKS):
        start = position + header
        if start > size:
            break
        numbers = struct.unpack(f"{order}{header // 4}I", _read(file, position, header))
        if is_old:
            kind, rows, columns, is_complex, name_length = numbers
            digit = kind // 10 % 10
            if digit >= len(_MAT4_WIDTHS):
                break
            start += name_length
            length = rows * columns * _MAT4_WIDTHS[digit] * (2 if is_complex else 1)
        else:
            length = numbers[1]
        _compare(name, length, size - start, ())
        position = start + length + (0 if is_old else -length % 8)


def _nist_length(text: bytes) -> int | None:
    """Bytes of sound that the text of a NIST Sphere header declares; None where it is compressed or does not tell."""
    fields = dict(re.findall(rb"(\w+) -\w+ (\S+)", text))
    names = (b"sample_count", b"sample_n_bytes", b"channel_count")
    if b"embedded" in fields.get(b"sample_coding", b"") or not all(fields.get(name, b"").isdigit() for name in names):
        return None
    return math.prod(int(fields[name]) for name in names)


def _read(file: BinaryIO, position: int, count: int) -> bytes:
    file.seek(position)
    return file.read(count)

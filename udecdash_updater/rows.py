r"""A dump's file -> checked lines for COPY, rejects aside: streaming, whatever the file's size.

This is the careful way, line by line; the fast one is `verbatim`.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import xxhash
from isal import igzip, isal_zlib

from udecdash_updater import compiled, meter
from udecdash_updater.errors import DumpError
from udecdash_updater.language import because, say

BLOCK = 128 * 1024
LONGEST = 16 << 20  # far beyond any text of Canvas; what holds a line in memory must know an end
Reject = Callable[[int, str], None]
"""Is told a line's number (from 1) and why it is left out."""
_TRAILER = 8
_AFTER_ALL_TIMES = b"~"
_LONG = 1 << 20
_PAIR_OR_DOT = re.compile(rb"(\\\\)|\\\.")
END_OF_COPY = b"\\."
WIDTH = "columns instead of"
_INFLATE_ERROR: type[Exception] = isal_zlib.error  # type: ignore[assignment] # isal types it as an instance


def open_file(path: Path, *, heard: bool = True) -> BinaryIO:
    """The file's plain bytes: decompressed when its name ends in .gz. `heard`: the run's progress counts them."""
    raw = meter.opened(path) if heard else io.FileIO(path)
    if path.suffix != ".gz":
        return io.BufferedReader(raw)
    file = igzip.open(raw, "rb")  # type: ignore[no-untyped-call] # isal has none
    file.myfileobj = raw  # what GzipFile closes with itself
    return cast("BinaryIO", file)


def trailer(path: Path) -> int | None:
    """The CRC-32 and length at a gzip archive's end as one number: two contents hardly ever share it.

    None for other files, and where it cannot be read.
    """
    if path.suffix != ".gz":
        return None
    with contextlib.suppress(OSError), path.open("rb") as file:
        file.seek(-_TRAILER, os.SEEK_END)
        return int.from_bytes(file.read(_TRAILER), "little", signed=True)
    return None


def checksum(path: Path) -> int:
    """The CRC-32 of an unpacked file, which has no trailer to tell it. Raises DumpError where it cannot be read."""
    found = 0
    with reading(path) as file:
        while block := file.read(BLOCK):
            found = isal_zlib.crc32(block, found)
    return found


@contextlib.contextmanager
def reading(path: Path, *, heard: bool = True) -> Iterator[BinaryIO]:
    """`open_file`, closed at the end. Raises DumpError that names the file and its damage, whenever that shows."""
    try:
        with open_file(path, heard=heard) as file:
            yield file
    except EOFError:  # it also stands for bytes that are no archive, at the beginning or behind the end
        raise DumpError(say("archive cut", path=path)) from None
    except (igzip.BadGzipFile, _INFLATE_ERROR) as error:
        raise DumpError(say("archive broken", path=path, why=str(error))) from None
    except OSError as error:
        raise DumpError(say("file unreadable", path=path, why=because(error))) from None


def demand_sound(path: Path) -> None:
    """Read an archive up to its trailer. Raises DumpError that names the file and its damage."""
    for _ in _blocks(path):
        pass


def content(path: Path) -> str:
    """`demand_sound`, and a digest of what the archive holds."""
    found = xxhash.xxh3_128()
    for block in _blocks(path):
        found.update(block)
    return found.hexdigest()


def earliest(path: Path, place: int) -> str:
    """`demand_sound`, and the earliest timestamp in the column at `place` (from 0) on the way; empty where none is.

    Texts are compared, not times: they are of one form, year first.
    """
    looked_for = _earliest_by(place)
    first, rest = _AFTER_ALL_TIMES, b"\n"
    for block in _blocks(path):
        looked = rest + block
        end = looked.rfind(b"\n")
        first = min(first, looked_for(looked, max(end, 0)))
        rest = looked[end:] if end >= 0 else b""
        if len(rest) > _LONG:  # its timestamp has been seen; carrying such a line along would copy it again and again
            first, rest = min(first, looked_for(rest, len(rest))), b""
    first = min(first, looked_for(rest, len(rest)))
    return "" if first == _AFTER_ALL_TIMES else first.partition(b"\t")[0].decode("ascii", "replace")


def _earliest_by(place: int) -> Callable[[bytes, int], bytes]:
    """Tells the earliest timestamp in column `place` of the lines that begin before a place in the bytes."""
    if loops := compiled.LOOPS:
        return lambda looked, end: loops.earliest(looked, end, place) or _AFTER_ALL_TIMES
    stamps = _stamps(place).findall
    return lambda looked, end: min(stamps(looked, 0, end), default=_AFTER_ALL_TIMES)


def _stamps(place: int) -> re.Pattern[bytes]:
    """The timestamps in column `place` of lines that follow a newline each, with some of what stands behind."""
    # Anchored at the newline before it, the search runs from line to line: four times as fast as with ^. Fields that
    # may go on over a newline are found three times as fast; where one is left out, that skips lines without any stamp.
    before = rb"[^\t]*\t" if place == 1 else rb"[^\t\n]*\t" * place
    return re.compile(rb"\n" + before + rb"([0-9]{4}-[0-9]{2}-[0-9]{2}[ T].{1,19})")


def _blocks(path: Path) -> Iterator[bytes]:
    with reading(path) as file:
        if path.stat().st_size == 0:
            raise DumpError(say("file empty", path=path))
        while block := file.read(BLOCK):
            yield block


def header(path: Path) -> tuple[str, ...]:
    """The column names in the first line of an unpacked file."""
    with path.open("rb") as file:
        line = file.readline(1 << 16)
    try:
        return tuple(line.decode("ascii").rstrip("\r\n").split("\t"))
    except UnicodeDecodeError:
        raise DumpError(say("no header", path=path)) from None


class LineReader(io.RawIOBase):
    """Lines of our own making as a file for COPY: `read` joins what the iterator yields, whole lines with newline."""

    def __init__(self, lines: Iterator[bytes]) -> None:
        super().__init__()
        self._lines = lines
        self._joined = b""
        self._given = 0

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes, empty at the end."""
        if self._given >= len(self._joined):
            self._joined, self._given = self._join(size), 0
        self._given += size
        return self._joined[self._given - size : self._given]

    def _join(self, size: int) -> bytes:
        parts, length = [], 0
        for line in self._lines:
            parts.append(line)
            length += len(line)
            if length >= size:
                break
        return b"".join(parts)


def skip_header(file: BinaryIO) -> BinaryIO:
    """The file after its first line."""
    file.readline()
    return file


def fault(line: bytes, columns: int) -> str:
    r"""Why a line (without its newline) cannot be a row of `columns` fields, or empty. Types are PostgreSQL's to judge.

    >>> fault(b"1\ta", 2), fault(b"1", 2), fault(b"1\t2\t3", 2)
    ('', '1 columns instead of 2', '3 columns instead of 2')
    >>> fault(b"\\.", 1), fault(b"a\x00", 1), fault(b"\xff", 1), fault(b"a\rb", 1)
    ('end-of-copy mark', 'NUL byte', 'not UTF-8', 'carriage return inside the line')
    """
    if line == END_OF_COPY:
        return "end-of-copy mark"
    if (found := line.count(b"\t") + 1) != columns:
        return f"{found} {WIDTH} {columns}"
    return unreadable(line)


def unreadable(line: bytes) -> str:
    r"""Why PostgreSQL could not read a line's bytes, or empty; its columns are not looked at.

    >>> unreadable(b"a\\"), unreadable(b"a\\\tb"), unreadable(b"a\\\\\tb\\n\\.")
    ('backslash before the end of the line', 'backslash before a tab', '')
    """
    if b"\x00" in line:
        return "NUL byte"
    if b"\r" in line:
        return "carriage return inside the line"
    if b"\\" in line:
        single = line.replace(b"\\\\", b"")
        if single.endswith(b"\\"):
            return "backslash before the end of the line"
        if b"\\\t" in single:
            return "backslash before a tab"
    return "" if is_utf8(line) else "not UTF-8"


def mended(line: bytes) -> bytes:
    r"""A sound line as COPY must get it: `\.` in a field is an escaped dot (rule F2), but COPY would end there.

    >>> mended(b"a\\.b\\\\.\\n") == b"a.b\\\\.\\n"
    True
    """
    return _PAIR_OR_DOT.sub(lambda found: found[1] or b".", line) if b"\\." in line else line


def is_utf8(line: bytes) -> bool:
    """Whether the bytes are UTF-8; a part of a file that begins and ends with a line is, where all its lines are."""
    if line.isascii():
        return True
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


@dataclass(slots=True)
class Tally:
    """What is counted on the way through a file, apart from what arrives."""

    lines: int = 0
    filtered: int = 0


def lines(file: BinaryIO) -> Iterator[bytes | None]:
    r"""Each line without its end, which is LF or CRLF; None for a line that is longer than LONGEST.

    >>> list(lines(io.BytesIO(b"a\n\nb\r\nc")))
    [b'a', b'', b'b', b'c']
    """
    return (line and line.removesuffix(b"\r") for line in _newline_ended(file))


def _newline_ended(file: BinaryIO) -> Iterator[bytes | None]:
    rest: bytes | None = b""
    while block := file.read(BLOCK):
        first, *others = block.split(b"\n")
        rest = None if rest is None or len(rest) + len(first) > LONGEST else rest + first
        if others:
            yield rest
            yield from others[:-1]
            rest = others[-1]
    if rest != b"":
        yield rest


TOO_LONG = f"longer than {LONGEST >> 20} MB"


def joined(lines: Iterable[bytes]) -> bytes:
    """The lines as they stand in a file, each with its newline."""
    return b"\n".join([*lines, b""])


def sound_lines(file: BinaryIO, columns: int, tally: Tally, reject: Reject) -> Iterator[tuple[int, bytes]]:
    """Each sound line with its number (from 1), newline included; `reject` is told number and reason of the others.

    `tally` counts every line.
    """
    for number, line in enumerate(lines(file), start=1):
        tally.lines = number
        if line is None:
            reject(number, TOO_LONG)
        elif reason := fault(line, columns):
            reject(number, reason)
        else:
            yield number, mended(line) + b"\n"

"""The web log's lines: those that are kept (rule R1) as lines for COPY, block by block and so fast."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import BinaryIO

from udecdash_updater import compiled, rows
from udecdash_updater.dump import DumpFile
from udecdash_updater.errors import DumpError
from udecdash_updater.language import say
from udecdash_updater.weblog import is_trash

# The dashboard's columns of requests, by the contract; the file has 28.
KEPT = (
    "id",
    "timestamp",
    "user_id",
    "course_id",
    "quiz_id",
    "discussion_id",
    "conversation_id",
    "assignment_id",
    "url",
    "user_agent",
)
FILTERED_BY = ("real_user_id", "developer_key_id")
_LOOKED_AT = ("id", "timestamp", "user_id", "course_id", "url", *FILTERED_BY)
_NULL = b"\\N"
_DIGITS_TO_ZERO = bytes.maketrans(b"123456789", b"000000000")
_STAMPS = {b"0000-00-00 00:00:00" + (b"." + b"0" * digits if digits else b"") for digits in range(10)}
_MILLISECONDS = 23  # rule R5: what follows would be rounded by the column
_ODD = re.compile(rb"\\(?:[\t\n.]|\Z)")
_BLOCK = 1 << 16
_LONGEST_RUN = 63  # of backslashes; a longer one gets the closer look


@dataclass(frozen=True, slots=True)
class _Layout:
    """A line's width, what makes its fields the columns, where those are that count, and what takes the kept ones.

    `all_places` are those of the kept ones and of those that filter.
    """

    width: int
    change: Callable[[list[bytes]], None] | None
    places: tuple[int, ...]
    kept: Callable[[Sequence[bytes]], tuple[bytes, ...]]
    all_places: tuple[int, ...]


Heed = Callable[[Sequence[bytes]], None]
"""Is told the ids of rows that are kept, or refused only by a closer look, as the file spells them."""


def kept_lines(
    plain: BinaryIO, file: DumpFile, tally: rows.Tally, reject: rows.Reject, heed: Heed | None = None
) -> Iterator[tuple[int, bytes]]:
    """The rows that are kept, each with its number in the file, as lines for COPY of the columns KEPT.

    `tally` counts lines and what is filtered; `reject` is told the rows that cannot be loaded, `heed` the ids as they
    pass. Raises DumpError when the file lacks a column.
    """
    layout = _layout(file)
    for piece in pieces(plain):
        numbers, block = _sifted(piece, layout, tally, reject, heed)
        for number, line in zip(numbers, block.split(b"\n"), strict=False):
            yield number, line + b"\n"


def kept_blocks(
    plain: BinaryIO, file: DumpFile, tally: rows.Tally, reject: rows.Reject, heed: Heed | None = None
) -> Iterator[bytes]:
    """The same without numbers, many lines together."""
    layout = _layout(file)
    for piece in pieces(plain):
        block = _at_a_glance(piece, layout, tally, heed)
        if block is None:
            _, block = _sifted(piece, layout, tally, reject, heed)
        if block:
            yield block


def _at_a_glance(piece: bytes | None, layout: _Layout, tally: rows.Tally, heed: Heed | None) -> bytes | None:
    """What `_sifted` makes of lines that are all kept or filtered as they stand; None where one needs a closer look."""
    if compiled.LOOPS is None or piece is None or layout.change:
        return None
    found = compiled.LOOPS.sift(piece, layout.width, layout.all_places)
    if found is None:
        return None
    lines, filtered, ids, block = found
    if b"\x00" in block or not rows.is_utf8(block):
        return None
    tally.lines += lines
    tally.filtered += filtered
    if heed:
        heed(ids)
    return block


_Sifted = tuple[list[int], bytes]
"""Numbers of lines, and these lines, each with its newline."""


def _sifted(piece: bytes | None, layout: _Layout, tally: rows.Tally, reject: rows.Reject, heed: Heed | None) -> _Sifted:
    if piece is None:
        tally.lines += 1
        reject(tally.lines, rows.TOO_LONG)
        return [], b""
    lines = piece.split(b"\n")
    if not lines[-1]:
        lines.pop()
    if b"\r" in piece:
        lines = [line.removesuffix(b"\r") for line in lines]
    first = tally.lines + 1
    tally.lines += len(lines)
    numbers, ids, kept = _sift(lines, first, layout, tally, reject)
    if heed:
        heed(ids)
    block = rows.joined(kept)
    return (numbers, block) if _is_plain(block) else _readable(numbers, kept, reject)


def pieces(file: BinaryIO) -> Iterator[bytes | None]:
    """The file in pieces that end with a line; None for a line that is longer than rows.LONGEST."""
    parts: list[bytes] = []
    size = 0  # of the line that has no end yet; its parts are forgotten when it is too long
    while block := file.read(_BLOCK):
        end, first = block.rfind(b"\n") + 1, block.find(b"\n")
        if size + (first if end else len(block)) > rows.LONGEST:
            parts.clear()
            if end:
                yield None
                yield block[first + 1 : end]
        elif end:
            yield b"".join([*parts, block[:end]])
        if end:
            parts.clear()
        if size <= rows.LONGEST or end:
            parts.append(block[end:])
        size = len(block) - end + (0 if end else size)
    if size > rows.LONGEST:
        yield None
    elif size:
        yield b"".join(parts)


def _is_plain(block: bytes) -> bool:
    """Whether no line of the block needs a look at its bytes: what `rows.unreadable` and `rows.mended` look for."""
    if b"\x00" in block or b"\r" in block or any(_opens(block, found.start()) for found in _ODD.finditer(block)):
        return False
    return rows.is_utf8(block)


def _opens(block: bytes, place: int) -> bool:
    """Whether the backslash at `place` escapes what follows, and is not escaped itself."""
    before = block[max(0, place - _LONGEST_RUN) : place + 1]
    run = len(before) - len(before.rstrip(b"\\"))
    return run % 2 == 1 or run > _LONGEST_RUN


def _layout(file: DumpFile) -> _Layout:
    place = {name: n for n, name in enumerate(file.columns)}
    if lacking := [name for name in (*KEPT, *FILTERED_BY) if name not in place]:
        raise DumpError(say("lacks columns", file=f"requests/{file.name}", names=", ".join(lacking)))
    looked_at, kept, filtering = (tuple(place[name] for name in names) for names in (_LOOKED_AT, KEPT, FILTERED_BY))
    return _Layout(len(place) - file.lacking, file.change, looked_at, itemgetter(*kept), kept + filtering)


def _sift(
    lines: Sequence[bytes], first: int, layout: _Layout, tally: rows.Tally, reject: rows.Reject
) -> tuple[list[int], list[bytes], list[bytes]]:
    """Rule R1, line by line: numbers, ids and lines of what is kept, without a look at their bytes."""
    numbers: list[int] = []
    ids: list[bytes] = []
    kept: list[bytes] = []
    width, change, columns = layout.width, layout.change, layout.kept
    key, time, user, course, url, real_user, developer_key = layout.places
    for number, line in enumerate(lines, start=first):
        fields = line.split(b"\t")
        if len(fields) != width:
            reject(number, f"{len(fields)} columns instead of {width}")
            continue
        if change:
            change(fields)
        if (
            fields[user] == _NULL
            or fields[course] == _NULL
            or fields[real_user] != _NULL
            or fields[developer_key] != _NULL
            or is_trash(fields[url])
        ):
            if all(value == _NULL or value.isdigit() for value in (fields[real_user], fields[developer_key])):
                tally.filtered += 1
            else:  # nothing shows that a program or a proxy asked
                reject(number, "real_user_id or developer_key_id: is not a number")
        elif fields[time].translate(_DIGITS_TO_ZERO) not in _STAMPS or fields[key] == _NULL:
            reject(number, _fault(fields[key], fields[time]))
        else:
            fields[time] = fields[time][:_MILLISECONDS]
            numbers.append(number)
            ids.append(fields[key])
            kept.append(b"\t".join(columns(fields)))
    return numbers, ids, kept


def _readable(numbers: Sequence[int], lines: Sequence[bytes], reject: rows.Reject) -> _Sifted:
    """Those of the lines that PostgreSQL can read, as it must get them."""
    found: dict[int, bytes] = {}
    for number, line in zip(numbers, lines, strict=True):
        if reason := rows.unreadable(line):
            reject(number, reason)
        else:
            found[number] = rows.mended(line)
    return list(found), rows.joined(found.values())


def _fault(key: bytes, stamp: bytes) -> str:
    """Why a request cannot be loaded. Rule R5: it has a timestamp, UTC and of the log's own form, which may be cut."""
    if key == _NULL:
        return "id: is NULL"
    return "timestamp: is NULL" if stamp == _NULL else "timestamp: is not of the form YYYY-MM-DD HH:MM:SS.fff"

"""The web log of Canvas Data 2 in the form of Canvas Data 1's, line by line, so that one road loads both."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import BinaryIO, cast

from udecdash_updater import dap_schema, rows
from udecdash_updater.dap_batches import WEB_LOGS, Batch
from udecdash_updater.dap_ids import Ids
from udecdash_updater.dap_schema import ACTION
from udecdash_updater.dump import REQUESTS, DumpFile
from udecdash_updater.errors import DumpError
from udecdash_updater.sieve import FILTERED_BY, KEPT, pieces

_NULL = b"\\N"
_NEEDED = ("id", "timestamp", "user_id", "course_id", "url")
_IDS = ("course_id", "quiz_id", "discussion_id", "conversation_id", "assignment_id")
_KNOWN = 1 << 18  # ids remembered for each column
_NUMBER = re.compile(rb"-?[0-9]{1,19}")

_Change = tuple[int, Callable[[bytes], bytes]]


def files(batches: Sequence[Batch]) -> list[DumpFile]:
    """The files of the web log's batches, as files of requests. Raises DumpError for a file without its first line."""
    return [
        DumpFile(
            table=REQUESTS,
            path=path,
            size=batch.files[place].size,
            columns=_columns(dap_schema.columns(path, batch.name)),
            header=True,
            checksum=rows.trailer(path),
            label=f"{batch.folder.name}/{path.name}",
        )
        for batch in batches
        if batch.name == WEB_LOGS
        for place, path in enumerate(batch.paths)
    ]


def _columns(header: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the file, and at the end those that are looked at and that this version of the table lacks."""
    if lacking := [name for name in _NEEDED if name not in header]:
        raise DumpError(f"{WEB_LOGS} lacks the columns {', '.join(lacking)}.")
    return (*header, *(name for name in (*KEPT, *FILTERED_BY) if name not in header))


def with_ids(file: DumpFile, ids: Ids) -> DumpFile:
    """The file with what turns its bytes into lines of the log's own form, ids made the dashboard's."""
    width = len(dap_schema.columns(file.path, WEB_LOGS))
    changes = _changes(file.columns[:width], ids)
    user, action = file.columns.index("user_id"), file.columns.index(ACTION) if ACTION in file.columns else -1

    def translate(plain: BinaryIO) -> BinaryIO:
        lines = _translated(plain, width, len(file.columns) - width, changes, (user, action))
        return cast("BinaryIO", rows.LineReader(lines))

    return replace(file, translate=translate)


def _changes(columns: Sequence[str], ids: Ids) -> list[_Change]:
    changes: list[_Change] = [(columns.index("timestamp"), _stamp)]
    if ids.shard or ids.users:
        changes += [(columns.index(name), _mapped(ids.of)) for name in _IDS if name in columns]
        changes.append((columns.index("user_id"), _mapped(ids.user)))
    return changes


def _mapped(of: Callable[[int], int]) -> Callable[[bytes], bytes]:
    @functools.lru_cache(maxsize=_KNOWN)
    def changed(field: bytes) -> bytes:
        return b"%d" % of(int(field)) if _NUMBER.fullmatch(field) else field  # another is its own reject

    return changed


def _stamp(field: bytes) -> bytes:
    """`2026-11-01T12:00:00.000Z` as Canvas Data 1 wrote it; whether it is a time at all is judged with the others."""
    return field[:10] + b" " + field[11:-1] if field[10:11] == b"T" and field.endswith(b"Z") else field


def _translated(
    plain: BinaryIO, width: int, lacking: int, changes: Sequence[_Change], places: tuple[int, int]
) -> Iterator[bytes]:
    """Many lines at a time, which costs half of what line by line does."""
    user, action = places
    end = b"\t\\N" * lacking
    for piece in pieces(plain):
        if piece is None:
            yield b"x" * (rows.LONGEST + 1) + b"\n"  # its own reject, as the line itself would be
            continue
        lines = piece.replace(b"\r\n", b"\n").removesuffix(b"\r").split(b"\n")
        for number, line in enumerate(lines):
            fields = line.split(b"\t")
            if len(fields) != width:  # its own reject
                continue
            for place, change in changes:
                fields[place] = change(fields[place])
            if action >= 0 and fields[action] == b"D":  # nothing but its key came: it is filtered (R1)
                fields[user] = _NULL
            lines[number] = b"\t".join(fields) + end
        yield b"\n".join(lines)

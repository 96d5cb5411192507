"""The request log: filtered on its way into staging, then appended, each request once and in load order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain, islice
from operator import itemgetter
from typing import BinaryIO

from udecdash_updater import db, rows
from udecdash_updater.dump import REQUESTS, Dump, DumpFile
from udecdash_updater.errors import DumpError
from udecdash_updater.interactions import is_trash
from udecdash_updater.logs import LOGGER
from udecdash_updater.rejects import FileCount, Reject, Rejects, too_many
from udecdash_updater.settings import Settings
from udecdash_updater.staging import STAGING, copy_batches

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
_FILTERED_BY = ("real_user_id", "developer_key_id")
_NULL = b"\\N"
_MILLISECONDS = 23  # rule R5: what follows would be rounded by the column
_LINES_A_BLOCK = 512


@dataclass(frozen=True, slots=True)
class RequestsLoaded:
    """What a load of requests did."""

    counts: tuple[FileCount, ...]
    rejects: tuple[Reject, ...]
    skipped: int

    @property
    def new(self) -> int:
        """Requests that were not there before."""
        return sum(count.loaded for count in self.counts)


_Numbered = tuple[int, DumpFile]
_Counted = list[tuple[int, FileCount]]
_Way = Callable[[db.Cursor, db.Composable, Iterator[tuple[int, bytes]], rows.Reject], int]


@dataclass(slots=True)
class _Tally:
    lines: int = 0
    filtered: int = 0
    earliest: bytes = b""


def load(settings: Settings, dump: Dump, files: Sequence[DumpFile], run: int) -> RequestsLoaded:
    """Load the request files given: all of them, or nothing.

    Raises DumpError when too many lines cannot be loaded, DatabaseError when PostgreSQL fails.
    """
    with db.told("loading requests"), db.opened(settings) as connection:
        with db.transaction(connection) as cursor:
            _create_staging(cursor)
        staged = _stage_all(settings, list(enumerate(files)))
        rejects = tuple(reject for _, found in staged for reject in found)
        if len(rejects) > settings.max_rejected_rows:
            raise too_many(rejects, settings.max_rejected_rows)
        counts = dict(chain.from_iterable(counted for counted, _ in staged))
        with db.transaction(connection) as cursor:
            _rank(cursor, counts)
            loaded = _append(cursor, counts)
            db.insert_many(cursor, "record_files", [count.row(run) for count in loaded])
            db.insert_many(cursor, "record_rejects", [(run, r.table, r.file, r.line, r.reason) for r in rejects])
            _drop_staging(cursor)
    return RequestsLoaded(tuple(loaded), rejects, len(dump.files.get(REQUESTS, ())) - len(files))


def _create_staging(cursor: db.Cursor) -> None:
    _drop_staging(cursor)
    db.run(cursor, "create_request_staging")
    db.run(cursor, "create_request_files")


def _drop_staging(cursor: db.Cursor) -> None:
    db.run(cursor, "drop_request_staging")
    db.run(cursor, "drop_request_files")


def _stage_all(settings: Settings, files: list[_Numbered]) -> list[tuple[_Counted, list[Reject]]]:
    streams: list[list[_Numbered]] = [[] for _ in range(min(settings.load_connections, len(files)))]
    for numbered in sorted(files, key=lambda item: -item[1].size):
        min(streams, key=lambda stream: sum(file.size for _, file in stream)).append(numbered)
    with ThreadPoolExecutor(max(1, len(streams))) as pool:
        return list(pool.map(lambda item: _stage_stream(settings, *item), enumerate(streams)))


def _stage_stream(settings: Settings, stream: int, files: list[_Numbered]) -> tuple[_Counted, list[Reject]]:
    gate = Rejects(REQUESTS, settings.max_rejected_rows)
    with db.told("staging requests"), db.opened(settings) as connection, db.transaction(connection) as cursor:
        table = db.identifier(STAGING, f"{REQUESTS}_{stream}")
        db.run(cursor, "create_request_stream", table=table)
        counted = []
        for number, file in files:
            cursor.execute(db.statement("number_file", table=table, column=db.identifier("file")), {"number": number})
            counted.append((number, _copy_file(cursor, table, file, gate)))
        cursor.execute(db.statement("analyze", table=table))
    return counted, gate.rejects


def _copy_file(cursor: db.Cursor, table: db.Composable, file: DumpFile, gate: Rejects) -> FileCount:
    before = len(gate.rejects)
    try:
        with db.savepoint(cursor, "file"):
            return _copy_by(_copy_blocks, cursor, table, file, gate)
    except db.BAD_ROW:
        LOGGER.warning("requests/%s goes line by line: it holds rows that COPY refuses", file.name)
        del gate.rejects[before:]
        return _copy_by(_copy_lines, cursor, table, file, gate)


def _copy_by(way: _Way, cursor: db.Cursor, table: db.Composable, file: DumpFile, gate: Rejects) -> FileCount:
    tally, before = _Tally(), len(gate.rejects)
    with rows.reading(file.path) as plain:
        body = rows.skip_header(plain) if file.header else plain
        kept = filtered(body, file, tally, lambda n, why: gate.add(file.name, n, why))
        loaded = way(cursor, table, kept, lambda n, why: gate.add(file.name, n, why))
    rejected = len(gate.rejects) - before
    if tally.lines != loaded + tally.filtered + rejected:
        raise DumpError(f"requests/{file.name}: {tally.lines} lines were read, {loaded} arrived in PostgreSQL.")
    earliest = tally.earliest.decode("ascii", "replace") or None
    return FileCount(file, tally.lines, loaded, tally.filtered, 0, rejected, earliest)


def _copy_blocks(
    cursor: db.Cursor, table: db.Composable, lines: Iterator[tuple[int, bytes]], reject: rows.Reject
) -> int:
    blocks = iter(lambda: b"".join([line for _, line in islice(lines, _LINES_A_BLOCK)]), b"")
    return db.copy_in(cursor, table, ("line", *KEPT), rows.LineReader(blocks))


def _copy_lines(
    cursor: db.Cursor, table: db.Composable, lines: Iterator[tuple[int, bytes]], reject: rows.Reject
) -> int:
    return copy_batches(cursor, table, ("line", *KEPT), lines, reject)


def filtered(plain: BinaryIO, file: DumpFile, tally: _Tally, reject: rows.Reject) -> Iterator[tuple[int, bytes]]:
    """Rule R1: the rows that are kept, as lines of (line number, *KEPT) for COPY, each with its number in the file.

    `tally` counts lines and what is filtered, and notes the file's earliest timestamp; `reject` is told the rest.
    """
    width, place = len(file.columns), {name: n for n, name in enumerate(file.columns)}
    if lacking := [name for name in (*KEPT, *_FILTERED_BY) if name not in place]:
        raise DumpError(f"requests/{file.name} lacks the columns {', '.join(lacking)}.")
    user, course, url, time = (place[name] for name in ("user_id", "course_id", "url", "timestamp"))
    real_user, developer_key = (place[name] for name in _FILTERED_BY)
    kept = itemgetter(*(place[name] for name in KEPT))
    earliest = b""
    for number, raw in enumerate(plain, start=1):
        tally.lines = number
        fields = raw.removesuffix(b"\n").removesuffix(b"\r").split(b"\t")
        if len(fields) != width:
            reject(number, f"{len(fields)} columns instead of {width}")
            continue
        stamp = fields[time]
        if (not earliest or stamp < earliest) and stamp[:1].isdigit():
            tally.earliest = earliest = stamp[:_MILLISECONDS]
        if (
            fields[user] == _NULL
            or fields[course] == _NULL
            or fields[real_user] != _NULL
            or fields[developer_key] != _NULL
            or is_trash(fields[url])
        ):
            tally.filtered += 1
            continue
        fields[time] = stamp[:_MILLISECONDS]
        line = b"%d\t%b\n" % (number, b"\t".join(kept(fields)))
        if reason := _fault(stamp, line):
            reject(number, reason)
        else:
            yield number, line


def _fault(stamp: bytes, line: bytes) -> str:
    if stamp == _NULL:
        return "timestamp: is NULL"
    return rows.fault(line[:-1], len(KEPT) + 1)


def _rank(cursor: db.Cursor, counts: dict[int, FileCount]) -> None:
    """Rule R14: files by their earliest timestamp, then by name."""
    order = sorted(counts, key=lambda number: (counts[number].earliest or "", counts[number].file.name))
    db.insert_many(cursor, "rank_request_files", [(number, rank) for rank, number in enumerate(order)])


def _append(cursor: db.Cursor, counts: dict[int, FileCount]) -> list[FileCount]:
    db.run(cursor, "lock_requests")
    adopted = not db.one(cursor, "any_course_noted")[0]
    before = 0 if adopted else db.one(cursor, "requests_top")[0]
    if adopted:
        db.run(cursor, "note_unresolved_courses")
    repeated: dict[int, int] = dict(db.rows(cursor, "delete_repeated_requests"))
    first, last = db.one(cursor, "staged_request_span")
    known: dict[int, int] = dict(db.rows(cursor, "delete_known_requests", {"first": first, "last": last}))
    inserted = db.run(cursor, "insert_requests")
    db.run(cursor, "note_requested_courses", {"before": before})
    loaded = [_less(count, repeated.get(number, 0) + known.get(number, 0)) for number, count in counts.items()]
    if inserted != sum(count.loaded for count in loaded):
        raise DumpError(f"requests: {inserted} rows were written where {sum(c.loaded for c in loaded)} were due.")
    return loaded


def _less(count: FileCount, repeated: int) -> FileCount:
    return replace(count, loaded=count.loaded - repeated, repeated=repeated)

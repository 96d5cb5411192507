"""The request log: filtered on its way into staging, then appended, each request once and in load order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain
from typing import BinaryIO

from udecdash_updater import admission, canvas, dashboard, db, drift, ledger, limits, refusals, rows
from udecdash_updater.copying import copy_batches, demand_width, reconciled
from udecdash_updater.dump import REQUESTS, Dump, DumpFile
from udecdash_updater.language import Told, say
from udecdash_updater.logs import LOGGER
from udecdash_updater.rejects import FileCount, Reject, Rejects, too_many
from udecdash_updater.settings import Settings
from udecdash_updater.sieve import KEPT, Heed, kept_blocks, kept_lines
from udecdash_updater.staging import STAGING
from udecdash_updater.suspects import Suspects


@dataclass(frozen=True, slots=True)
class RequestsLoaded:
    """What a load of requests did.

    `skipped`: files that were loaded before; `vanished`: courses whose newest request was no longer there before it;
    `drift`: what schema.json declares otherwise than at the last load.
    """

    counts: tuple[FileCount, ...]
    rejects: tuple[Reject, ...]
    skipped: int
    vanished: int = 0
    drift: tuple[Told, ...] = ()

    @property
    def new(self) -> int:
        """Requests that were not there before."""
        return sum(count.loaded for count in self.counts)


def known_files(cursor: db.Cursor) -> set[tuple[str, int, int | None]]:
    """Name, size and checksum of every request file that was loaded, by us or by the first updater.

    The first updater's own record, where DB_SCHEMA still has it, holds no checksum.
    """
    ours = db.rows(cursor, "loaded_request_files")
    recorded = db.one(cursor, "table_exists", {"table": "package_files_loaded"})[0]
    return set(ours) | set(db.rows(cursor, "files_of_the_first_updater") if recorded else ())


_LITTLE = 4 << 20  # bytes of files on disk: less is staged by one connection, for all that tables and commits cost
_MODEST = 256 << 20  # the same: the index of their ids stays in a server's memory
_TARGET = db.identifier(REQUESTS)
_HERE = db.identifier("pg_temp", "_staged_requests")
_ASIDE = db.identifier(STAGING, REQUESTS)
_Numbered = tuple[int, DumpFile]
_Counted = list[tuple[int, FileCount]]


Also = Callable[[db.Cursor], None]
"""What else the transaction that loads requests records."""


def load(settings: Settings, dump: Dump, files: Sequence[DumpFile], run: int) -> RequestsLoaded:
    """Load the request files given, in the order of rule R14: all of them in one transaction, or nothing.

    An empty table is filled directly, and what it lacks of indexes is built on the way or afterwards; to a full one,
    what is new is appended from staging. Raises DumpError when too many lines cannot be loaded, DatabaseError when
    PostgreSQL fails.
    """
    changed: list[Told] = []

    def also(cursor: db.Cursor) -> None:
        if REQUESTS in dump.tables:
            changed.extend(drift.of_requests(cursor, run, dump.tables[REQUESTS]))

    with db.told("loading requests"), db.opened(settings) as connection:
        loaded = load_by(connection, settings, dump, files, run, also)
    return replace(loaded, drift=tuple(changed))


def load_by(
    connection: db.Connection,
    settings: Settings,
    dump: Dump | None,
    files: Sequence[DumpFile],
    run: int,
    also: Also | None = None,
) -> RequestsLoaded:
    """`load` by a connection that is there already, outside of a transaction; PostgreSQL's errors as they are."""
    ordered = sorted(files, key=lambda file: (file.earliest, file.name))
    with connection.cursor() as cursor:
        by_comparison = db.one(cursor, "has_rows", table=_TARGET)[0] or _demands_other_ids(cursor)
        vanished = int(db.one(cursor, "vanished_requests")[0])  # a load covers up what others have deleted
    way = _append if by_comparison else _fill
    counts, rejects = way(settings, connection, ordered, run, also)
    known = len(dump.files.get(REQUESTS, ())) - len(files) if dump else 0
    return RequestsLoaded(tuple(counts), tuple(rejects), known, vanished)


def _demands_other_ids(cursor: db.Cursor) -> bool:
    """Whether a found table takes no id twice: then repeated requests must be told before they are written."""
    return any(unique.columns == {"id"} for unique in canvas.look(cursor, REQUESTS).uniques)


_Done = tuple[list[FileCount], list[Reject]]


def _fill(settings: Settings, connection: db.Connection, files: list[DumpFile], run: int, also: Also | None) -> _Done:
    """The first load: COPY straight into the table; local_id then tells which file a row came from.

    The index of ids is filled on the way while it is small, and what may stand twice is looked up in it; of a large
    load it would leave the server's memory, and is built of sorted rows afterwards.
    """
    gate = Rejects(REQUESTS, settings.max_rejected_rows)
    with db.transaction(connection) as cursor:
        watched = _begin(cursor, settings)
        db.run(cursor, "drop_requests_time")
        suspects = _suspects(cursor, files)
        tops, counts = [], []
        for file in files:
            counts.append(_copy_file(_Into(cursor, _TARGET, suspects.note if suspects else None), file, gate))
            tops.append(db.one(cursor, "requests_top")[0])
        for top, times in _delete_repeated(cursor, tops, suspects):
            place = tops.index(top)
            counts[place] = counts[place].without(repeated=times)
        _end(cursor, run, watched, counts, gate.rejects, also)
    return counts, gate.rejects


def _suspects(cursor: db.Cursor, files: Sequence[DumpFile]) -> Suspects | None:
    """What watches for repeats of a small load, where equal ids are equal texts; then the index of ids is there."""
    kind = canvas.look(cursor, REQUESTS).types.get("id", "")
    if sum(file.size for file in files) > _MODEST or not kind.startswith(("character varying", "text")):
        return None
    dashboard.index_requests_id(cursor)
    return Suspects()


def _delete_repeated(cursor: db.Cursor, tops: Sequence[int], suspects: Suspects | None) -> list[db.Row]:
    """Of each id the first request stays; how many went, by the newest local_id of their file."""
    if suspects is None or suspects.ids is None:
        return db.rows(cursor, "delete_repeated_rows", {"tops": tops})
    # What is no text was refused, and is nowhere to be found.
    ids = b"\n".join(one for one in suspects.ids if b"\x00" not in one and rows.is_utf8(one)).decode()
    return db.rows(cursor, "delete_suspected_rows", {"tops": tops, "ids": ids}) if ids else []


def _append(settings: Settings, connection: db.Connection, files: list[DumpFile], run: int, also: Also | None) -> _Done:
    """A later load: the files into staging, what is known already left out, the rest in load order."""
    if sum(file.size for file in files) <= _LITTLE:
        with db.transaction(connection) as cursor:
            gate = _stage_here(cursor, settings)
            counts = [_copy_numbered(cursor, _HERE, number, file, gate) for number, file in enumerate(files)]
            return _insert(cursor, settings, _HERE, counts, gate.rejects, run, also)
    with db.transaction(connection) as cursor:
        _drop_staging(cursor)
        db.run(cursor, "create_request_staging", staging=_ASIDE, parts=_staged_columns(cursor))
    staged = _stage_all(settings, list(enumerate(files)))
    rejects = [reject for _, found in staged for reject in found]
    if len(rejects) > settings.max_rejected_rows:
        raise too_many(rejects, settings.max_rejected_rows)
    by_number = dict(chain.from_iterable(counted for counted, _ in staged))
    with db.transaction(connection) as cursor:
        counts = [by_number[number] for number in range(len(files))]
        done = _insert(cursor, settings, _ASIDE, counts, rejects, run, also)
        _drop_staging(cursor)
    return done


def _stage_here(cursor: db.Cursor, settings: Settings) -> Rejects:
    """A staging of this transaction alone: what a small night costs is connections, commits and tables, not rows."""
    db.run(cursor, "plain_pages")
    db.run(cursor, "stage_compared", table=_HERE, parts=_staged_columns(cursor))
    return Rejects(REQUESTS, settings.max_rejected_rows)


def _insert(
    cursor: db.Cursor,
    settings: Settings,
    staging: db.Composable,
    counts: list[FileCount],
    rejects: list[Reject],
    run: int,
    also: Also | None,
) -> _Done:
    watched = _begin(cursor, settings)
    dashboard.index_requests(cursor)  # what is known is looked up in them
    counts, refused = admission.admit(cursor, staging, counts, settings.max_rejected_rows)
    rejects = [*rejects, *refused]
    if len(rejects) > settings.max_rejected_rows:
        raise too_many(rejects, settings.max_rejected_rows)
    _end(cursor, run, watched, counts, rejects, also)
    return counts, rejects


_Watched = int | None
"""The newest local_id before a load, where something acts on what is written and all of it must be looked for then."""


def _begin(cursor: db.Cursor, settings: Settings) -> _Watched:
    db.run(cursor, "more_memory", {"helpers": str(settings.load_connections - 1)})
    db.run(cursor, "group_by", {"hash": "off"})
    db.run(cursor, "judge_at_once")
    db.run(cursor, "lock_requests")
    db.run(cursor, "mend_sequence")
    if not db.one(cursor, "has_rows", table=_TARGET)[0]:
        db.run(cursor, "forget_requested_courses")
        db.run(cursor, "forget_marks")
    return int(db.one(cursor, "requests_top")[0]) if refusals.acting_on(cursor, REQUESTS) else None


def _end(
    cursor: db.Cursor,
    run: int,
    watched: _Watched,
    counts: list[FileCount],
    rejects: Sequence[Reject],
    also: Also | None,
) -> None:
    """In the same transaction: indexes where missing, which courses got requests, and the ledger's record."""
    if watched is not None:
        has = db.one(cursor, "requests_since", {"top": watched})[0]
        refusals.demand_all(cursor, REQUESTS, has, sum(count.loaded for count in counts))
    dashboard.index_requests(cursor)
    db.run(cursor, "group_by", {"hash": "on"})
    if not db.one(cursor, "any_course_noted")[0]:
        db.run(cursor, "note_unresolved_courses")
    # The bound as a value: then PostgreSQL knows that few are newer, and does not read all of the history.
    db.run(cursor, "note_requested_courses", {"newest": db.one(cursor, "newest_noted")[0]})
    db.insert_many(cursor, "record_files", [count.row(run) for count in counts])
    db.insert_many(cursor, "record_rejects", [(run, r.table, r.file, r.line, r.reason) for r in rejects])
    if also:
        also(cursor)
    ledger.demand_newest(cursor, run)


def _staged_columns(cursor: db.Cursor) -> db.Composable:
    """Staging asks of a row what the table asks, so that COPY tells the line that breaks it."""
    found = canvas.look(cursor, REQUESTS)
    needed = {"id", "timestamp", *found.required}
    kinds = {name: found.types.get(name, "text") for name in KEPT}
    parts = [db.definition(name, kind + (" not null" if name in needed else "")) for name, kind in kinds.items()]
    parts += [limits.clause(check) for check in found.checks if check.columns <= set(KEPT)]
    return db.comma([db.definition("file", "integer not null"), *parts])


def _drop_staging(cursor: db.Cursor) -> None:
    db.run(cursor, "drop_request_staging", staging=_ASIDE)


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
        db.run(cursor, "create_request_stream", table=table, staging=_ASIDE)
        counted = [(number, _copy_numbered(cursor, table, number, file, gate)) for number, file in files]
        cursor.execute(db.statement("analyze", table=table))
    return counted, gate.rejects


@dataclass(frozen=True, slots=True)
class _Into:
    """Where a file's rows go, and who is told their ids."""

    cursor: db.Cursor
    table: db.Composable
    heed: Heed | None = None


def _copy_numbered(cursor: db.Cursor, table: db.Composable, number: int, file: DumpFile, gate: Rejects) -> FileCount:
    cursor.execute(db.statement("number_file", table=table, column=db.identifier("file")), {"number": number})
    return _copy_file(_Into(cursor, table), file, gate)


def _copy_file(into: _Into, file: DumpFile, gate: Rejects) -> FileCount:
    before = len(gate.rejects)
    try:
        with db.savepoint(into.cursor, "file"):
            return _copy_by(_copy_blocks, into, file, gate)
    except db.REFUSED:
        LOGGER.warning(say("line by line", table=REQUESTS, file=file.name))
        del gate.rejects[before:]
        return _copy_by(_copy_lines, into, file, gate)


_Way = Callable[[_Into, DumpFile, BinaryIO, rows.Tally, rows.Reject], int]


def _copy_by(way: _Way, into: _Into, file: DumpFile, gate: Rejects) -> FileCount:
    tally, before = rows.Tally(), len(gate.rejects)

    def reject(number: int, reason: str) -> None:
        gate.add(file.name, number, reason)

    with rows.reading(file.path) as plain:
        body = rows.skip_header(plain) if file.header else plain
        loaded = way(into, file, body, tally, reject)
    file.demand_as_found()
    demand_width(file, tally, gate.rejects[before:])
    rejected = len(gate.rejects) - before
    if into.table == _TARGET and refusals.acting_on(into.cursor, REQUESTS):
        refusals.demand_all(into.cursor, REQUESTS, loaded, tally.lines - tally.filtered - rejected)
    return reconciled(file, tally, loaded, rejected)


def _copy_blocks(into: _Into, file: DumpFile, body: BinaryIO, tally: rows.Tally, reject: rows.Reject) -> int:
    blocks = kept_blocks(body, file, tally, reject, into.heed)
    return db.copy_in(into.cursor, into.table, KEPT, rows.LineReader(blocks))


def _copy_lines(into: _Into, file: DumpFile, body: BinaryIO, tally: rows.Tally, reject: rows.Reject) -> int:
    return copy_batches(into.cursor, into.table, KEPT, kept_lines(body, file, tally, reject, into.heed), reject)

"""The full tables: staged side by side, then published by one transaction that makes them what the dump says."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from queue import Empty, SimpleQueue

from udecdash_updater import (
    accounts,
    db,
    foreign_keys,
    ledger,
    lines,
    places,
    plausibility,
    prints,
    refusals,
    swaps,
    touched,
)
from udecdash_updater.accounts import Published
from udecdash_updater.canvas import key_of
from udecdash_updater.changes import digest, same_key
from udecdash_updater.dump import Dump, Table
from udecdash_updater.errors import TableError
from udecdash_updater.language import say
from udecdash_updater.line_blocks import UnlikeError
from udecdash_updater.lines import Done
from udecdash_updater.logs import LOGGER
from udecdash_updater.options import RunOptions
from udecdash_updater.plausibility import Arrival, Doubt
from udecdash_updater.prints import Print
from udecdash_updater.rejects import Reject, too_many
from udecdash_updater.settings import Settings
from udecdash_updater.staging import STAGING, Staged, Standing, Way, source, stage

# Foreign keys that hang on each other need a turn each; a trigger that looks at other rows could go on for ever.
TURNS = 8
_WRITES = {"update_changed": "t", "insert_new": ""}  # what the rows are called that a statement writes


def load(settings: Settings, dump: Dump, run: int, options: RunOptions) -> list[Published]:
    """Stage every full table's files and publish them all in one transaction, the ledger's record in it.

    Raises ImplausibleError when the dump looks wrong and `options` do not accept that,
     DumpError when the dump cannot be trusted, DatabaseError when PostgreSQL fails; nothing is published then.
    """
    staged, refused = stage_all(settings, dump), dict[str, dict[str, str]]()
    for _ in range(TURNS):
        demand_few_rejects([reject for one in staged for reject in one.rejects], settings)
        try:
            return _publish_all(settings, dump, run, options, staged)
        except TableError:
            if not _more_refused(settings, staged, refused):
                raise
        staged = [_stage_again(settings, dump, one, refused.get(one.table.name)) for one in staged]
    demand_few_rejects([reject for one in staged for reject in one.rejects], settings)
    return _publish_all(settings, dump, run, options, staged)


def _publish_all(
    settings: Settings, dump: Dump, run: int, options: RunOptions, staged: Sequence[Staged]
) -> list[Published]:
    with db.told("publishing the tables"), db.opened(settings) as connection:
        with db.transaction(connection) as cursor:
            db.compress_wal_well(cursor)
            doubts = plausibility.demand(_doubts(cursor, dump, staged, settings, options), options.accept)
            touched.begin(cursor)
            published = publish(cursor, staged, settings.db_schema)
            accounts.record(cursor, run, staged, published)
            plausibility.record(cursor, run, doubts)
            ledger.demand_newest(cursor, run)
        with connection.cursor() as cursor:
            clear_staging(cursor)
    return published


def _more_refused(settings: Settings, staged: Sequence[Staged], refused: dict[str, dict[str, str]]) -> bool:
    doing = db.told("looking for what the tables refuse")
    with doing, db.opened(settings) as connection, db.transaction(connection) as cursor:
        new = find_refused(cursor, staged, settings, refused)
        connection.rollback()
    return new


def find_refused(
    cursor: db.Cursor, staged: Sequence[Staged], settings: Settings, refused: dict[str, dict[str, str]]
) -> bool:
    """Add the rows that the tables refuse, by table and key; whether there are any besides those known already.

    What it did must be rolled back.
    """

    def write(one: Staged, step: str, part: db.Composable) -> None:
        db.run(cursor, step, None, **_parts(cursor, one, step, part))

    found = refusals.find(cursor, staged, write, settings.max_rejected_rows + 1)
    new = any(rows.keys() - refused.get(table, {}).keys() for table, rows in found.items())
    for table, rows in found.items():
        LOGGER.warning(say("staged again", table=table, count=len(rows)))
        refused[table] = refused.get(table, {}) | rows
    return new


def _stage_again(settings: Settings, dump: Dump, one: Staged, refused: Mapping[str, str] | None) -> Staged:
    if not refused:
        return one
    name = one.table.name
    with db.told(f"staging {name}"), db.opened(settings) as connection, db.transaction(connection) as cursor:
        db.run(cursor, "load_session")
        db.run(cursor, "drop_staging", tables=db.identifier(STAGING, name))
        return stage(cursor, one.table, dump.files[name], settings, Standing.of(cursor, [one.table]), refused)


def demand_few_rejects(rejects: Sequence[Reject], settings: Settings) -> None:
    """Raises DumpError above MAX_REJECTED_ROWS."""
    if len(rejects) > settings.max_rejected_rows:
        raise too_many(rejects, settings.max_rejected_rows)


def stage_all(settings: Settings, dump: Dump) -> list[Staged]:
    """COPY every full table's files into staging, in LOAD_CONNECTIONS streams side by side, the largest tables first.

    Raises DumpError when more than MAX_REJECTED_ROWS lines were left out, DatabaseError when PostgreSQL fails.
    """
    with db.told("preparing staging"), db.opened(settings) as connection, connection.cursor() as cursor:
        clear_staging(cursor)
        db.run(cursor, "create_differing")
        db.run(cursor, "create_line_blocks")
        standing = Standing.of(cursor, dump.full_tables())
    waiting: SimpleQueue[Table] = SimpleQueue()
    for table in sorted(dump.full_tables(), key=lambda t: -sum(f.size for f in dump.files[t.name])):
        waiting.put(table)
    with ThreadPoolExecutor(settings.load_connections) as pool, _drained(waiting):
        streams = [pool.submit(_stream, settings, dump, standing, waiting) for _ in range(settings.load_connections)]
        staged = [one for stream in streams for one in stream.result()]
    return sorted(staged, key=lambda one: one.table.name)  # whichever stream was faster


def _stream(settings: Settings, dump: Dump, standing: Standing, waiting: SimpleQueue[Table]) -> list[Staged]:
    """Stage tables from the queue, one after the other, until none is left."""
    staged = []
    with db.told("staging the tables"), db.opened(settings) as connection, _drained(waiting):
        with connection.cursor() as cursor:
            db.run(cursor, "load_session")
        for table in _taken(waiting):
            with db.told(f"staging {table.name}"), db.transaction(connection) as cursor:
                staged.append(stage(cursor, table, dump.files[table.name], settings, standing))
        blocks = [(one.known.number, block) for one in staged if one.known for block in one.blocks]
        if blocks:
            with db.transaction(connection) as cursor:
                lines.stage_changed(cursor, blocks)
    return staged


@contextlib.contextmanager
def _drained(waiting: SimpleQueue[Table]) -> Iterator[None]:
    """Nothing waits at the end: who fails, or is interrupted, ends every stream after the table that it is at."""
    try:
        yield
    finally:
        deque(_taken(waiting), maxlen=0)


def _taken(waiting: SimpleQueue[Table]) -> Iterator[Table]:
    with contextlib.suppress(Empty):
        while True:
            yield waiting.get_nowait()


def clear_staging(cursor: db.Cursor) -> None:
    """Drop what an earlier run or this one left in staging."""
    left = [db.identifier(STAGING, name) for (name,) in db.rows(cursor, "left_in_staging")]
    if left:
        db.run(cursor, "drop_staging", tables=db.comma(left))


def _doubts(
    cursor: db.Cursor,
    dump: Dump,
    staged: Sequence[Staged],
    settings: Settings,
    options: RunOptions,
) -> list[Doubt]:
    had = {one.table.name: one.had for one in staged}
    arrivals = [Arrival(one.table.name, one.loaded, one.newest, one.digest) for one in staged]
    absent = plausibility.absent(cursor, dump, options.tables)
    there = [one for one in arrivals if one.table not in {doubt.table for doubt in absent}]
    shrunk = plausibility.shrunk(there, had, settings.max_shrink_percent)
    return [*absent, *shrunk, *plausibility.outdated(cursor, there)]


def publish(cursor: db.Cursor, staged: Sequence[Staged], schema: str) -> list[Published]:
    """Make each table what its staging says: vanished rows deleted, new and changed written, the others untouched.

    `schema` is DB_SCHEMA. Raises TableError when something else writes into a table.
    """
    _move_in(cursor, [one for one in staged if one.way is Way.BUILT], schema)
    keys = foreign_keys.find(cursor, [one.table.name for one in staged])
    foreign_keys.defer(cursor, keys)
    published = [_publish_table(cursor, one) for one in staged]
    lines.publish(cursor, [done for _, done in published if done])
    foreign_keys.judge(cursor, keys)
    return [told for told, _ in published]


def _move_in(cursor: db.Cursor, built: Sequence[Staged], schema: str) -> None:
    """Tables that were built aside come to DB_SCHEMA, with the grants that tables made there would have."""
    for one in built:
        name = db.identifier(STAGING, one.table.name)
        for taken, free in db.rows(cursor, "taken_names", {"table": name.as_string(cursor)}):
            db.run(cursor, "rename_index", index=db.identifier(STAGING, taken), free=db.identifier(free))
        db.run(cursor, "move_in", table=name, schema=db.identifier(schema))
    tables = db.comma([db.identifier(one.table.name) for one in built])
    for grantee, privilege, grantable in db.rows(cursor, "promised_grants") if built else ():
        option = db.raw("with grant option" if grantable else "")
        db.run(cursor, "grant", privilege=db.raw(privilege), tables=tables, grantee=db.raw(grantee), option=option)


def _publish_table(cursor: db.Cursor, staged: Staged) -> tuple[Published, Done | None]:
    """What was done to a table; and what is to be kept of it, unless somebody else has written."""
    name, changes = staged.table.name, staged.changes
    with db.told(f"publishing {name}"):
        taken = _print_of_taken(cursor, staged)
        added = Decimal(0) if staged.way is Way.BUILT else _write(cursor, staged)
        after, has = _stands(cursor, staged, taken, added or Decimal(0))
    if added is None or has != staged.loaded or staged.had + changes.new - changes.gone != has:
        told = say("table interferes", table=name, has=has, staged=staged.loaded)
        raise TableError(told, hint=refusals.meddling(cursor, name))
    done = Done(staged.table, staged.counts, staged.newest, staged.known, after) if after else None
    if staged.kept and not done:
        lines.forget(cursor, staged.table)
    unkept = lines.unkept(staged.table, staged.counts) if done and not staged.known else None
    published = Published(name, has, changes.new, changes.changed + changes.moved, changes.gone, unkept)
    return published, done


def _stands(cursor: db.Cursor, staged: Staged, taken: Decimal, added: Decimal) -> tuple[Print | None, int]:
    """The table's print now, None where somebody else has written or nobody asks; and how many rows it holds."""
    if staged.kept and staged.way is Way.BUILT:
        return staged.kept, staged.kept.rows
    if staged.kept and not _tells_places(staged):
        return prints.after(cursor, staged.table.name, staged.kept, taken)
    if staged.way is Way.DIFFERING and not staged.changes.any:
        return staged.kept, staged.had
    has = int(db.one(cursor, "count_rows", table=db.identifier(staged.table.name))[0])
    # If somebody else has written, this is not the table's print, and the next night compares all lines.
    return Print(has, staged.kept.places - taken + added) if staged.kept else None, has


def _tells_places(staged: Staged) -> bool:
    """Whether the places of the rows that are written can be told while they are: partitions and rules forbid it."""
    return staged.way is Way.DIFFERING and bool(staged.known and staged.known.plain)


def keep_lines(settings: Settings, published: Sequence[Published]) -> None:
    """Keep the lines of tables that were loaded by all of them, so that the next night parses only what differs.

    A table whose lines cannot be kept is loaded by all of them again. Raises DumpError when a file is damaged by now,
    DatabaseError when PostgreSQL fails.
    """
    unkept = [one.unkept for one in published if one.unkept]
    if not unkept:
        return
    with db.told("keeping the lines"), db.opened(settings) as connection:
        for one in unkept:
            with contextlib.suppress(UnlikeError, *db.BAD_ROW), db.transaction(connection) as cursor:
                lines.keep(cursor, one)


def _print_of_taken(cursor: db.Cursor, staged: Staged) -> Decimal:
    """The part of the table's print that the publish takes away."""
    if staged.way is not Way.CHANGED or not staged.kept or not staged.changes.any:
        return staged.taken
    same_row = db.statement("same_place") if staged.changes.placed else same_key(key_of(staged.table))
    return prints.of_taken(cursor, staged.table.name, source(staged), same_row)


def _write(cursor: db.Cursor, staged: Staged) -> Decimal | None:
    """Write what differs; the sum of the places where rows stand now, as far as `_tells_places`.

    None where other rows were touched than were found to differ.
    """
    added = Decimal(0)
    for name, due in refusals.steps_of(staged):
        if due:
            rows, places = _run(cursor, name, staged)
            added += places
            if rows != due:
                return None
    return added


def _run(cursor: db.Cursor, name: str, staged: Staged) -> tuple[int, Decimal]:
    if name == "insert_new" and staged.changes.placed and staged.known:
        return places.insert(cursor, staged.known.number, staged.table, staged.found, source(staged))
    place = _WRITES.get(name) if _tells_places(staged) else None
    columns, parts = staged.table.column_names, _parts(cursor, staged, name)
    told = prints.place(place) if place is not None else None

    def write() -> tuple[int, Decimal]:
        return touched.run(cursor, name, staged.table.name, columns, parts, told)

    return swaps.past(cursor, staged, source(staged), write) if name == "update_changed" else write()


def _parts(cursor: db.Cursor, staged: Staged, name: str, part: db.Composable | None = None) -> dict[str, db.Composable]:
    """What a statement of the publish needs; `part` of the staging instead of all of it."""
    table, found = staged.table, staged.found
    written, apart = found.written(table), found.kept_apart(table)
    everything: dict[str, Callable[[], db.Composable]] = {
        "target": lambda: db.identifier(table.name),
        "staging": lambda: part or source(staged),
        "columns": lambda: db.identifiers(written),
        "assignments": lambda: db.comma(
            [db.statement("assign", column=db.identifier(n)) for n in written if n not in apart]
        ),
        "same_key": lambda: same_key(key_of(table)),
        "target_digest": lambda: digest(cursor, table, found, "t"),
    }
    return {place: value() for place, value in everything.items() if "{" + place + "}" in db.statements()[name]}

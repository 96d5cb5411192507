"""The full tables: staged side by side, then published by one transaction that makes them what the dump says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from udecdash_updater import db, plausibility, touched
from udecdash_updater.canvas import key_of
from udecdash_updater.dump import Dump, DumpFile, Table
from udecdash_updater.errors import DatabaseError
from udecdash_updater.options import RunOptions
from udecdash_updater.plausibility import Arrival, Doubt
from udecdash_updater.rejects import too_many
from udecdash_updater.settings import Settings
from udecdash_updater.staging import STAGING, Staged, stage

_HASHES_RECORDS = 14  # the first PostgreSQL that hashes whole rows


@dataclass(frozen=True, slots=True)
class Published:
    """What the publish did to a table."""

    table: str
    rows: int
    new: int
    changed: int
    gone: int


def load(settings: Settings, dump: Dump, run: int, options: RunOptions) -> list[Published]:
    """Stage every full table's files and publish them all in one transaction, the ledger's record in it.

    Raises ImplausibleError when the dump looks wrong and `options` do not accept that,
     DumpError when the dump cannot be trusted, DatabaseError when PostgreSQL fails; nothing is published then.
    """
    staged = stage_all(settings, dump)
    rejects = [reject for one in staged for reject in one.rejects]
    if len(rejects) > settings.max_rejected_rows:
        raise too_many(rejects, settings.max_rejected_rows)
    with db.told("publishing the tables"), db.opened(settings) as connection:
        with db.transaction(connection) as cursor:
            had = {one.table.name: _rows(cursor, one.table) for one in staged}
            doubts = plausibility.demand(_doubts(cursor, dump, staged, had, settings, options), options.accept)
            touched.begin(cursor)
            published = publish(cursor, staged, had)
            record(cursor, run, staged, published)
            plausibility.record(cursor, run, doubts)
        with db.transaction(connection) as cursor:
            for one in staged:
                cursor.execute(db.statement("drop_staging", table=db.identifier(STAGING, one.table.name)))
    return published


def stage_all(settings: Settings, dump: Dump) -> list[Staged]:
    """COPY every full table's files into staging, LOAD_CONNECTIONS tables at a time, the largest first.

    Raises DumpError when more than MAX_REJECTED_ROWS lines were left out, DatabaseError when PostgreSQL fails.
    """
    tables = sorted(dump.full_tables(), key=lambda t: -sum(f.size for f in dump.files[t.name]))
    with ThreadPoolExecutor(settings.load_connections) as pool:
        return list(pool.map(lambda table: _stage_alone(settings, table, dump.files[table.name]), tables))


def _stage_alone(settings: Settings, table: Table, files: Sequence[DumpFile]) -> Staged:
    with db.told(f"staging {table.name}"), db.opened(settings) as connection, db.transaction(connection) as cursor:
        return stage(cursor, table, files, settings)


def _rows(cursor: db.Cursor, table: Table) -> int:
    return int(db.one(cursor, "count_rows", table=db.identifier(table.name))[0])


def _doubts(
    cursor: db.Cursor,
    dump: Dump,
    staged: Sequence[Staged],
    had: Mapping[str, int],
    settings: Settings,
    options: RunOptions,
) -> list[Doubt]:
    arrivals = [Arrival(one.table.name, one.loaded, one.newest, one.digest) for one in staged]
    absent = plausibility.absent(cursor, dump, options.tables)
    there = [one for one in arrivals if one.table not in {doubt.table for doubt in absent}]
    shrunk = plausibility.shrunk(there, had, settings.max_shrink_percent)
    return [*absent, *shrunk, *plausibility.outdated(cursor, there)]


def publish(cursor: db.Cursor, staged: Sequence[Staged], had: Mapping[str, int]) -> list[Published]:
    """Make each table what its staging says: vanished rows deleted, new and changed written, the others untouched.

    `had`: how many rows each table holds. Raises DatabaseError when something else writes into a table.
    """
    by_name = sorted(staged, key=lambda one: one.table.name)
    return [_publish_table(cursor, one, had[one.table.name]) for one in by_name]


def _publish_table(cursor: db.Cursor, staged: Staged, had: int) -> Published:
    name = staged.table.name
    with db.told(f"publishing {name}"):
        if not had:
            new, changed, gone = _run(cursor, "first_insert", staged), 0, 0
        elif not key_of(staged.table):
            gone, new, changed = _run(cursor, "multiset_delete", staged), _run(cursor, "multiset_insert", staged), 0
        else:
            new, changed, gone = _merge(cursor, staged)
        has = db.one(cursor, "count_rows", table=db.identifier(name))[0]
    if has != staged.loaded or had + new - gone != has:
        raise DatabaseError(
            f"{name} holds {has} rows after the publish and {staged.loaded} were staged; nothing was published.",
            hint="A trigger, rule or row policy on the table changes what is written; look at its definition.",
        )
    return Published(name, has, new, changed, gone)


def _merge(cursor: db.Cursor, staged: Staged) -> tuple[int, int, int]:
    moved = db.one(cursor, "merge_moved", None, **_parts(cursor, staged, "merge_moved"))[0] if staged.uniques else 0
    gone = _run(cursor, "merge_delete", staged) - moved
    changed = _run(cursor, "merge_update", staged) + moved
    new = _run(cursor, "merge_insert", staged) - moved
    return new, changed, gone


def _run(cursor: db.Cursor, name: str, staged: Staged) -> int:
    return touched.run(cursor, name, staged.table.name, staged.table.column_names, _parts(cursor, staged, name))


def _parts(cursor: db.Cursor, staged: Staged, name: str) -> dict[str, db.Composable]:
    names, key = staged.table.column_names, key_of(staged.table)
    unique = sorted({column for columns in staged.uniques for column in columns if column in names})
    everything = {
        "target": db.identifier(staged.table.name),
        "staging": db.identifier(STAGING, staged.table.name),
        "columns": db.identifiers(names),
        "digest": db.statement(_digest(cursor), columns=db.identifiers(names)),
        "target_columns": db.identifiers(names, prefix="t"),
        "staged_columns": db.identifiers(names, prefix="s"),
        "assignments": db.comma([db.statement("assign", column=db.identifier(n)) for n in names]),
        "same_key": db.both([db.statement("equal", column=db.identifier(n)) for n in key]),
        "same_unique": db.all_of([db.statement("and_same", column=db.identifier(n)) for n in unique]),
    }
    return {part: value for part, value in everything.items() if "{" + part + "}" in db.statements()[name]}


def _digest(cursor: db.Cursor) -> str:
    return "record_digest" if db.version(cursor) >= _HASHES_RECORDS else "text_digest"


def record(cursor: db.Cursor, run: int, staged: Sequence[Staged], published: Sequence[Published]) -> None:
    """Write into the ledger, in the publish's own transaction, what became of each line and table."""
    db.insert_many(cursor, "record_files", [count.row(run) for one in staged for count in one.counts])
    rejects = [(run, r.table, r.file, r.line, r.reason) for one in staged for r in one.rejects]
    db.insert_many(cursor, "record_rejects", rejects)
    by_name = {one.table.name: one for one in staged}
    loads = [
        (run, p.table, p.rows, p.new, p.changed, p.gone, by_name[p.table].newest, by_name[p.table].digest or None)
        for p in published
    ]
    db.insert_many(cursor, "record_table_loads", loads)
    filled = [p.table for p in published if p.new == p.rows > 0]
    touched.record(cursor, run, {p.table for p in published}, filled)

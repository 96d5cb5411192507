"""The tables of Canvas Data 2 in our schema: batches staged side by side, then merged within the publish."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import groupby

from udecdash_updater import dap_schema, db, prints, rows, words
from udecdash_updater.changes import same_key
from udecdash_updater.copying import copy_file
from udecdash_updater.dap_batches import SNAPSHOT, Batch
from udecdash_updater.dap_schema import ACTION, SCHEMA, DapTable
from udecdash_updater.dump import Column, DumpFile, Table
from udecdash_updater.errors import DumpError
from udecdash_updater.language import Words, say
from udecdash_updater.ledger import ensure_schema
from udecdash_updater.prints import Print
from udecdash_updater.rejects import FileCount, Reject, Rejects
from udecdash_updater.settings import Settings
from udecdash_updater.staging import STAGING

_TIME = "_ts"
_META = {_TIME: "text", ACTION: "text"}


@dataclass(frozen=True, slots=True)
class StagedBatches:
    """A table's batches in staging, each key once: the newest of what is said of it.

    `columns` are those that the batches bring; `whole`: the table becomes what they say.
    """

    table: DapTable
    columns: tuple[str, ...]
    counts: tuple[FileCount, ...]
    rejects: tuple[Reject, ...]
    whole: bool
    until: datetime
    version: int


@dataclass(frozen=True, slots=True)
class Merged:
    """What a merge did to a table: rows there now, rows written, rows taken away, columns it gained or that changed.

    `held`: its print, where the server can tell one.
    """

    table: str
    rows: int
    written: int
    gone: int
    altered: tuple[str, ...]
    held: Print | None


@dataclass(frozen=True, slots=True)
class Astray:
    """What is other about a table than its last load left it; `misshapen`: it must be made anew to hold what comes."""

    told: Words
    misshapen: bool = False


def create(cursor: db.Cursor, anew: Sequence[str] = ()) -> None:
    """Our schema, and in it the tables that the dashboard's relations read, even before anything is loaded.

    `anew`: tables that lost a column or their key, and that come whole.
    """
    ensure_schema(cursor, SCHEMA)
    for name in anew:
        db.run(cursor, "dap_drop", table=named(name))
    db.run(cursor, "dap_base")


def named(name: str) -> db.Composable:
    """The table namespace.table in our schema."""
    return db.identifier(SCHEMA, dap_schema.local_name(*name.split(".")))


def loaded(cursor: db.Cursor) -> dict[str, datetime]:
    """Up to when each table is loaded."""
    return dict(db.rows(cursor, "dap_loaded"))


def astray(cursor: db.Cursor) -> dict[str, Astray]:
    """Tables that are no longer as their last load left them, by name.

    Somebody has written into them, emptied, altered or dropped them, or they were restored: only a snapshot brings back
    what Canvas has not changed since.
    """
    judged = {name: _astray(cursor, name, *known) for name, *known in db.rows(cursor, "dap_known_of")}
    return {name: found for name, found in judged.items() if found}


def _astray(
    cursor: db.Cursor, name: str, rows: int, places: Decimal | None, columns: Sequence[str], keyed: bool
) -> Astray | None:
    there = {column for column, _ in db.rows(cursor, "dap_columns", {"table": dap_schema.local_name(*name.split("."))})}
    if not there:
        return Astray(say("dap table dropped"))
    if lacking := [column for column in columns if column not in there]:
        return Astray(say("dap lacks", names=", ".join(lacking)), misshapen=True)
    if not keyed:
        return Astray(say("dap keyless"), misshapen=True)
    now = prints.take(cursor, named(name)) if places is not None else None
    has = now.rows if now else _count(cursor, name)
    if has != rows:
        return Astray(say("dap other count", has=has, had=rows))
    return Astray(say("dap other rows")) if now and now.places != places else None


def _count(cursor: db.Cursor, name: str) -> int:
    return int(db.one(cursor, "count_rows", table=named(name))[0])


def held(cursor: db.Cursor) -> dict[str, int]:
    """How many rows each table held when it was loaded last."""
    return dict(db.rows(cursor, "dap_held"))


def due(batches: Sequence[Batch], until: Mapping[str, datetime]) -> list[Batch]:
    """The batches that are not loaded yet, a table's in their order.

    Raises DumpError where changes begin after the end of what is loaded and no snapshot comes after them: what lies
    between is not there.
    """
    reached, found = dict(until), []
    for batch in batches:
        known = reached.get(batch.name)
        if known is not None and batch.until <= known:
            continue
        if batch.kind != SNAPSHOT and (known is None or (batch.since or batch.until) > known):
            if any(one.name == batch.name and one.kind == SNAPSHOT and one.until >= batch.until for one in batches):
                continue
            raise DumpError(
                say("dap gap", folder=batch.folder, since=batch.since, table=batch.name, known=known),
                hint=say("dap gap hint", folder=batch.folder.parent),
            )
        reached[batch.name] = batch.until
        found.append(batch)
    return found


def stage_all(settings: Settings, batches: Sequence[Batch]) -> list[StagedBatches]:
    """COPY the batches of every table into staging, LOAD_CONNECTIONS tables side by side.

    Raises DumpError when too many lines were left out, DatabaseError when PostgreSQL fails.
    """
    by_table = [list(group) for _, group in groupby(batches, key=lambda batch: batch.name)]
    by_table.sort(key=lambda group: -sum(file.size for batch in group for file in batch.files))
    with ThreadPoolExecutor(settings.load_connections) as pool:
        staged = list(pool.map(lambda group: _stage(settings, group), by_table))
    return sorted(staged, key=lambda one: one.table.name)


def _stage(settings: Settings, batches: Sequence[Batch]) -> StagedBatches:
    table = dap_schema.read(batches)
    files = [_file(batch, place) for batch in batches for place in range(len(batch.files))]
    gate = Rejects(table.name, settings.max_rejected_rows)
    with db.told(f"staging {table.name}"), db.opened(settings) as connection:
        with connection.cursor() as cursor:
            db.run(cursor, "load_session")
        with db.transaction(connection) as cursor:
            names = _create(cursor, table, files)
            counts = [_copy(cursor, table, names, number, file, gate) for number, file in enumerate(files)]
            counts = _settle(cursor, table, counts)
            cursor.execute(db.statement("analyze", table=_staging(table)))
    return StagedBatches(
        table=table,
        columns=tuple(name for name in names if name not in _META),
        counts=tuple(counts),
        rejects=tuple(gate.rejects),
        whole=any(batch.kind == SNAPSHOT for batch in batches),
        until=batches[-1].until,
        version=batches[-1].schema_version,
    )


def _file(batch: Batch, place: int) -> DumpFile:
    path = batch.paths[place]
    return DumpFile(
        table=batch.name,
        path=path,
        size=batch.files[place].size,
        columns=dap_schema.columns(path, batch.name),
        header=True,
        checksum=rows.trailer(path),
        label=f"{batch.folder.name}/{path.name}",
    )


def _staging(table: DapTable) -> db.Composable:
    return db.identifier(STAGING, f"dap:{table.local}")


def _create(cursor: db.Cursor, table: DapTable, files: Sequence[DumpFile]) -> list[str]:
    """The staging of a table with the types that its columns have or will have; its columns."""
    brought = dict.fromkeys([*_META, *table.key, *(name for file in files for name in file.columns)])
    types = _META | wanted(cursor, table)
    kinds = {name: types.get(name, "text") + (" not null" if name in table.key else "") for name in brought}
    parts = [db.definition(name, kind) for name, kind in {**kinds, "_file": "integer"}.items()]
    db.run(cursor, "stage_all", table=_staging(table), parts=db.comma(parts))
    return list(brought)


def _copy(
    cursor: db.Cursor, table: DapTable, names: Sequence[str], number: int, file: DumpFile, gate: Rejects
) -> FileCount:
    staging = _staging(table)
    cursor.execute(db.statement("number_file", table=staging, column=db.identifier("_file")), {"number": number})
    told = Table(table.name, tuple(Column(name, "") for name in names))
    return copy_file(cursor, told, staging, file, gate, words.wordy(wanted(cursor, table).items()))


def _settle(cursor: db.Cursor, table: DapTable, counts: list[FileCount]) -> list[FileCount]:
    """Of what is said of a key the newest stays."""
    key = db.identifiers(table.key)
    if not db.one(cursor, "key_twice", staging=_staging(table), key=key)[0]:
        return counts
    repeated: dict[int, int] = dict(db.rows(cursor, "dap_delete_older", None, staging=_staging(table), key=key))
    return [count.without(repeated=repeated.get(number, 0)) for number, count in enumerate(counts)]


def wanted(cursor: db.Cursor, table: DapTable) -> dict[str, str]:
    """The type of each column that the table has or that the schema gives it.

    A column whose type is another in the schema by now gets one that takes both.
    """
    found: dict[str, str] = dict(db.rows(cursor, "dap_columns", {"table": table.local}))
    both = {name: _wider(found[name], kind) for name, kind in table.types.items() if name in found}
    return {**table.types, **found, **both, **{name: found[name] for name in table.key if name in found}}


def _wider(one: str, other: str) -> str:
    if one == other:
        return one
    return "double precision" if {one, other} == {"bigint", "double precision"} else "text"


def merge(cursor: db.Cursor, staged: StagedBatches) -> Merged:
    """Bring the table up to what its batches say, in the transaction of the publish; what does not change stays."""
    table, target = staged.table, named(staged.table.name)
    altered = _shape(cursor, staged)
    parts = {"target": target, "staging": _staging(table), "same_key": same_key(table.key)}
    with db.told(f"merging {table.name}"):
        gone = db.run(cursor, "dap_delete_vanished" if staged.whole else "dap_delete", None, **parts)
        written = db.run(cursor, "dap_upsert", None, **parts, **_columns(staged))
        held = prints.take(cursor, target)
    there = held.rows if held else _count(cursor, table.name)
    return Merged(table.name, there, written, gone, tuple(altered), held)


def _columns(staged: StagedBatches) -> dict[str, db.Composable]:
    key = staged.table.key
    names = [name for name in staged.columns if name not in key] or list(key)
    values = {name: _after(staged, name) for name in names}
    return {
        "key": db.identifiers(key),
        "columns": db.identifiers(staged.columns),
        "assignments": db.comma(
            [db.statement("dap_assign", column=db.identifier(name), value=value) for name, value in values.items()]
        ),
        "before": db.identifiers(names, prefix="t"),
        "after": db.comma(list(values.values())),
    }


def _after(staged: StagedBatches, name: str) -> db.Composable:
    """A column's value after the merge; what batches before its removal alone bring stays where they say nothing."""
    brought = name in staged.table.types or any(name in count.file.columns for count in staged.counts[-1:])
    return db.statement("dap_new" if brought else "dap_new_or_kept", column=db.identifier(name))


def _shape(cursor: db.Cursor, staged: StagedBatches) -> list[str]:
    """The table with every column that its batches bring; says which it gained or made wider."""
    table, target = staged.table, named(staged.table.name)
    found: dict[str, str] = dict(db.rows(cursor, "dap_columns", {"table": table.local}))
    types = wanted(cursor, table)
    wide = {name: types.get(name, "text") for name in dict.fromkeys([*table.types, *staged.columns])}
    if not found:
        parts = [db.definition(name, kind) for name, kind in wide.items()]
        parts.append(db.statement("primary_key", columns=db.identifiers(table.key)))
        db.run(cursor, "stage_new", table=target, parts=db.comma(parts))
        return []
    added = [name for name in wide if name not in found]
    wider = [name for name, kind in wide.items() if found.get(name, kind) != kind]
    actions = [db.statement("dap_add", column=db.definition(name, wide[name])) for name in added]
    actions += [db.statement("dap_widen", column=db.identifier(name), type=db.raw(wide[name])) for name in wider]
    if actions:
        db.run(cursor, "alter_table", table=target, actions=db.comma(actions))
    if table.name not in loaded(cursor):
        return []  # the table was made ready before anything came: Canvas has changed nothing
    return [f"{table.name}.{name}" for name in (*added, *wider)]


def removed(cursor: db.Cursor, batches: Sequence[Batch]) -> list[str]:
    """Columns that a table had when it was loaded last, and that the schema of its newest batch lacks."""
    had: dict[str, list[str]] = dict(db.rows(cursor, "dap_had_columns"))
    newest = [dap_schema.read(list(group)) for _, group in groupby(batches, key=lambda batch: batch.name)]
    return [f"{table.name}.{name}" for table in newest for name in had.get(table.name, ()) if name not in table.types]


def record(cursor: db.Cursor, run: int, staged: Sequence[StagedBatches], merged: Sequence[Merged]) -> None:
    """Write into the ledger, in the same transaction, what became of each line, and where the next query begins."""
    db.insert_many(cursor, "record_files", [count.row(run) for one in staged for count in one.counts])
    rejects = [(run, r.table, r.file, r.line, r.reason) for one in staged for r in one.rejects]
    db.insert_many(cursor, "record_rejects", rejects)
    done = {one.table: one for one in merged}
    for one in staged:
        record_until(cursor, run, one.table, one.until, one.version, done.get(one.table.name))


def record_until(
    cursor: db.Cursor, run: int, table: DapTable, until: datetime, version: int, merged: Merged | None
) -> None:
    """Write down up to when a table is loaded; `merged` is what that left of it, where it stands in our schema."""
    namespace, _, name = table.name.partition(".")
    values = {"namespace": namespace, "table": name, "until": until, "version": version, "run": run}
    left = {"rows": merged and merged.rows, "places": merged and merged.held and merged.held.places}
    db.run(cursor, "dap_record", {**values, **left, "columns": list(table.types)})

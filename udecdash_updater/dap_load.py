"""A night of Canvas Data 2: its batches merged and the dashboard's relations made of them, in one transaction."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from udecdash_updater import (
    accounts,
    alterations,
    dap_ids,
    dap_relations,
    dap_schema,
    dap_tables,
    dap_weblog,
    db,
    ledger,
    plausibility,
    requests,
    tables,
    touched,
)
from udecdash_updater.accounts import Published
from udecdash_updater.dap_batches import SNAPSHOT, WEB_LOGS, Batch
from udecdash_updater.dap_relations import RELATIONS
from udecdash_updater.dap_tables import Merged, StagedBatches
from udecdash_updater.dump import DumpFile, Table
from udecdash_updater.errors import DumpError, TableError
from udecdash_updater.language import Told, say
from udecdash_updater.options import RunOptions
from udecdash_updater.plausibility import Arrival, Doubt
from udecdash_updater.requests import RequestsLoaded
from udecdash_updater.settings import Settings
from udecdash_updater.staging import Staged


@dataclass(frozen=True, slots=True)
class TablesLoaded:
    """What a load did to the tables of Canvas Data 2 and to the dashboard's relations.

    `waiting`: relations left as they are, because a table that they are made of was never downloaded.
    """

    merged: tuple[Merged, ...]
    published: tuple[Published, ...]
    waiting: tuple[str, ...]
    widened: tuple[Told, ...]


def load(settings: Settings, batches: Sequence[Batch], run: int, options: RunOptions) -> TablesLoaded:
    """Stage the batches that are not loaded yet, then publish: tables, relations and the ledger's record at once.

    Rows that a relation refuses when they are published are found by doing it once more for show, and are rejects then.
    Raises ImplausibleError when a table or relation shrinks too much and `options` do not accept that, DumpError when
    a batch cannot be trusted, SettingsError for a DAP_SHARD that is not this site's, DatabaseError when PostgreSQL
    fails; nothing is published then.
    """
    with db.told("preparing staging"), db.opened(settings) as connection, db.transaction(connection) as cursor:
        tables.clear_staging(cursor)
        astray = dap_tables.astray(cursor)
        loaded = {name: until for name, until in dap_tables.loaded(cursor).items() if name not in astray}
        todo = dap_tables.due([batch for batch in batches if batch.name != WEB_LOGS], loaded)
        whole = {batch.name for batch in todo if batch.kind == SNAPSHOT}
        dap_tables.create(cursor, [name for name, found in astray.items() if found.misshapen and name in whole])
    staged = dap_tables.stage_all(settings, todo)
    tables.demand_few_rejects([reject for one in staged for reject in one.rejects], settings)
    with db.told("publishing the tables"), db.opened(settings) as connection:
        relations, waiting, widened = _prepare(connection, loaded, [one.table.name for one in staged])
        with connection.cursor() as cursor:
            db.run(cursor, "load_session")
        publish = _Publish(settings, staged, relations, run, options)
        merged, published = publish.turns(connection)
        with connection.cursor() as cursor:
            tables.clear_staging(cursor)
    return TablesLoaded(merged, published, waiting, tuple(widened))


@dataclass(frozen=True, slots=True)
class _Publish:
    """What is published, and the rows that the relations refused so far: why, by relation and key."""

    settings: Settings
    staged: Sequence[StagedBatches]
    relations: Sequence[Table]
    run: int
    options: RunOptions
    refused: dict[str, dict[str, str]] = field(default_factory=dict)

    def turns(self, connection: db.Connection) -> _Done:
        """Publish; after each refusal once more, without the rows to blame."""
        for _ in range(tables.TURNS):
            try:
                with db.told("publishing the tables"):
                    return self._whole(connection)
            except TableError:
                if not self._more_refused(connection):
                    raise
        return self._whole(connection)

    def _whole(self, connection: db.Connection) -> _Done:
        with db.transaction(connection) as cursor:
            had = dap_tables.held(cursor)
            merged = [dap_tables.merge(cursor, one) for one in self.staged]
            lost = _shrunk(self.settings, had, {one.table: one.rows for one in merged})
            dap_tables.record(cursor, self.run, self.staged, merged)
            published = self._relations(cursor, self._stage(cursor, merged), lost)
            ledger.demand_newest(cursor, self.run)
        return tuple(merged), tuple(published)

    def _more_refused(self, connection: db.Connection) -> bool:
        with db.told("looking for what the tables refuse"), db.transaction(connection) as cursor:
            merged = [dap_tables.merge(cursor, one) for one in self.staged]
            new = tables.find_refused(cursor, self._stage(cursor, merged), self.settings, self.refused)
            connection.rollback()
        return new

    def _stage(self, cursor: db.Cursor, merged: Sequence[Merged]) -> list[Staged]:
        """What the merged tables make of the relations."""
        settings, refused = self.settings, self.refused
        dap_ids.keep_users(cursor, dap_ids.find(cursor, settings).shard)
        ids = dap_ids.find(cursor, settings)
        held = {one.table: one.held for one in merged}
        marks = dap_relations.marks(cursor, [relation.name for relation in self.relations], held, ids)
        return [
            dap_relations.stage(cursor, one, ids, marks.get(one.name, ""), settings, refused.get(one.name))
            for one in self.relations
        ]

    def _relations(self, cursor: db.Cursor, staged: Sequence[Staged], lost: Sequence[Doubt]) -> list[Published]:
        """Publish the relations, and write down what that changed.

        `lost`: tables that shrank too much; those that a relation has told of already are not asked about twice.
        """
        settings, run = self.settings, self.run
        tables.demand_few_rejects([reject for one in staged for reject in one.rejects], settings)
        accounts.record_rejects(cursor, run, staged)
        incomplete = [count for one in staged for count in one.counts if count.rejected]
        db.insert_many(cursor, "record_files", [count.row(run) for count in incomplete])
        shrunk = _shrunk(settings, {o.table.name: o.had for o in staged}, {o.table.name: o.loaded for o in staged})
        told = {source for doubt in shrunk for source in RELATIONS[doubt.table]}
        doubts = plausibility.demand([*shrunk, *(one for one in lost if one.table not in told)], self.options.accept)
        touched.begin(cursor)
        published = tables.publish(cursor, staged, settings.db_schema)
        accounts.record_loads(cursor, run, staged, published)
        plausibility.record(cursor, run, doubts)
        return [replace(one, unkept=None) for one in published]  # no files: the mark alone is kept


_Done = tuple[tuple[Merged, ...], tuple[Published, ...]]


def removed_columns(settings: Settings, batches: Sequence[Batch]) -> list[str]:
    """Columns, as namespace.table.column, that Canvas has removed since the last load; to be asked before the next."""
    todo = _due(settings, batches)
    with db.told("reading the ledger"), db.opened(settings) as connection, connection.cursor() as cursor:
        return dap_tables.removed(cursor, todo)


def _due(settings: Settings, batches: Sequence[Batch]) -> list[Batch]:
    with db.told("reading the ledger"), db.opened(settings) as connection, connection.cursor() as cursor:
        return dap_tables.due(batches, dap_tables.loaded(cursor))


def _prepare(
    connection: db.Connection, loaded: Collection[str], arriving: Sequence[str]
) -> tuple[list[Table], tuple[str, ...], list[Told]]:
    """The relations that can be made, with every column that they have; those that cannot; and columns added."""
    chosen = dap_relations.choose({*loaded, *arriving})
    with connection.cursor() as cursor:
        relations = dap_relations.tables(cursor, chosen.ready)
        missing = [n for n in chosen.waiting if not db.one(cursor, "table_exists", {"table": n})[0]]
    if missing:
        lacking = sorted({source for name in missing for source in RELATIONS[name]} - set(arriving))
        raise DumpError(
            say("never downloaded", lacking=", ".join(lacking), missing=", ".join(missing)),
            hint=say("never downloaded hint"),
        )
    widened, deferrable = alterations.follow(connection, relations)
    return relations, chosen.waiting, [*widened, *deferrable]


def _shrunk(settings: Settings, had: Mapping[str, int], now: Mapping[str, int]) -> list[Doubt]:
    """Of tables that held so many rows, and hold so many now, those that lost too much."""
    arrivals = [Arrival(name, rows) for name, rows in now.items() if name in had]
    return list(plausibility.shrunk(arrivals, had, settings.max_shrink_percent))


def web_log_files(settings: Settings, batches: Sequence[Batch]) -> list[DumpFile]:
    """The files of the web log that are not loaded yet. Raises DumpError for a gap between what is loaded and them."""
    with db.told("reading the ledger"), db.opened(settings) as connection, connection.cursor() as cursor:
        todo = _due_web_log(cursor, batches)
        known = requests.known_files(cursor)
    return [file for file in dap_weblog.files(todo) if (file.name, file.size, file.checksum) not in known]


def _due_web_log(cursor: db.Cursor, batches: Sequence[Batch]) -> list[Batch]:
    return [batch for batch in dap_tables.due(batches, dap_tables.loaded(cursor)) if batch.name == WEB_LOGS]


def load_web_log(settings: Settings, batches: Sequence[Batch], files: Sequence[DumpFile], run: int) -> RequestsLoaded:
    """Append what is new of the web log to requests, in one transaction; `files` as `web_log_files` found them.

    Raises as `requests.load` does.
    """
    with db.told("loading requests"), db.opened(settings) as connection:
        with connection.cursor() as cursor:
            todo = _due_web_log(cursor, batches)
            ids = dap_ids.find(cursor, settings)
        mapped = [dap_weblog.with_ids(file, ids) for file in files]

        def also(cursor: db.Cursor) -> None:
            for batch in todo:
                dap_tables.record_until(cursor, run, dap_schema.read([batch]), batch.until, batch.schema_version, None)

        return requests.load_by(connection, settings, None, mapped, run, also)

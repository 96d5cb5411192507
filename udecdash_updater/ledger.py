"""The ledger in schema `udecdash`: runs and their stages, the run lock, and its own migrations."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from importlib import resources

from udecdash_updater import db
from udecdash_updater.errors import DatabaseError, RunActiveError, SettingsError, UpdaterError
from udecdash_updater.language import Spoken, Told, say, text
from udecdash_updater.logs import SecretMask
from udecdash_updater.progress import TableProgress
from udecdash_updater.settings import Settings
from udecdash_updater.version import VERSION

SCHEMAS = ("udecdash", "udecdash_staging")
_LOCK_SECONDS = 1.0  # PostgreSQL notices the end of a killed run's session in less
_LEFTOVER_SECONDS = 15
_PAUSE = 0.05
_COLUMNS = {"en": "", "es": "_es"}  # what a column's name ends in, by language


class Ledger:
    """One run's own connection: it holds the run lock for as long as the run lives, and records its stages.

    The lock is PostgreSQL's advisory lock of this session, so a killed run's lock is free at once.
    """

    def __init__(self, connection: db.Connection, run: int, started: datetime, mask: SecretMask) -> None:
        self._connection = connection
        self._mask = mask
        self.run = run
        self.started = started
        self._recorded: frozenset[TableProgress] = frozenset()

    def close(self) -> None:
        """Give the lock back: at once, while the end of the session takes the server a moment."""
        with contextlib.suppress(db.Error), self._connection.cursor() as cursor:
            db.run(cursor, "unlock_run")
        self._connection.close()

    def _write(self, statement: str, **values: object) -> None:
        with db.told(f"writing the ledger ({statement})"), self._connection.cursor() as cursor:
            masked = {name: self._masked(value) for name, value in values.items()}
            db.run(cursor, statement, {"run": self.run, **masked})

    def _masked(self, value: object) -> object:
        if isinstance(value, list):
            return [self._masked(item) for item in value]
        # PostgreSQL has no room for NUL, nor psycopg2 for halves of characters, which file names may hold.
        return (
            self._mask.mask(value).replace("\0", " ").encode(errors="replace").decode()
            if isinstance(value, str)
            else value
        )

    def begin_stage(self, position: int, name: str, began: datetime | None = None) -> None:
        """Record that stage `name`, number `position` of the night, begins now or began at `began` (aware)."""
        self._write("begin_stage", position=position, name=name, began=began)

    def end_stage(self, position: int, outcome: str, error: UpdaterError | None = None) -> None:
        """Record how a stage ended: 'done', 'failed' or 'warning', and why, in both languages."""
        self._write("end_stage", position=position, outcome=outcome, **_in_both("message", error))

    def end_run(self, exit_code: int, error: UpdaterError | None, warnings: Sequence[Told]) -> None:
        """Record how the run ended, in both languages."""
        told = _in_both("error", error) | _in_both("hint", error and error.advice)
        both = {f"warnings{end}": [text(one, language) for one in warnings] for language, end in _COLUMNS.items()}
        self._write("end_run", exit_code=exit_code, **told, **both)

    def record_progress(self, tables: Sequence[TableProgress]) -> None:
        """Record how far each table is, in place of what was recorded before."""
        news = [one for one in tables if one not in self._recorded]
        self._recorded = frozenset(tables)
        with db.told("writing the ledger (progress)"), self._connection.cursor() as cursor:
            if not tables:
                db.run(cursor, "clear_progress")
            values = [(one.table, self.run, one.files, one.done, one.total, one.rows) for one in news]
            db.insert_many(cursor, "record_progress", values)

    def rows(self, name: str) -> list[db.Row]:
        """The rows of a named statement about this run."""
        with db.told(f"reading the ledger ({name})"), self._connection.cursor() as cursor:
            return db.rows(cursor, name, {"run": self.run})


def _in_both(column: str, told: Spoken | None) -> dict[str, str | None]:
    return {column + end: told.text(language) if told else None for language, end in _COLUMNS.items()}


def open_run(settings: Settings, tables: Sequence[str] = ()) -> Ledger:
    """Take the run lock, bring the ledger's schema up to date and begin a run, of these tables alone if any are named.

    Raises RunActiveError naming the holder, DatabaseError when PostgreSQL is away or refuses.
    """
    connection = db.connect(settings, name="udecdash-updater ledger")
    with contextlib.ExitStack() as failing:
        failing.callback(connection.close)
        with db.told("opening the ledger"), connection.cursor() as cursor:
            _lock(cursor)
            _end_leftovers(cursor)
            migrate(connection)
            _claim(cursor, settings.db_schema)
            values = {"host": socket.gethostname(), "pid": os.getpid(), "version": VERSION, "tables": list(tables)}
            run, started = db.one(cursor, "begin_run", values)
            db.run(cursor, "end_abandoned_runs", {"run": run})
        failing.pop_all()
    return Ledger(connection, run, started, SecretMask(settings.secrets()))


def cancel(settings: Settings) -> None:
    """End the statements that this run's sessions are at, but its ledger's; only for a run that holds the run lock.

    Raises DatabaseError.
    """
    with db.looking(settings, "cancelling") as cursor:
        db.run(cursor, "cancel_statements", {"name": db.LOADER})


def demand_newest(cursor: db.Cursor, run: int) -> None:
    """Asked at the end of each transaction that loads. Raises DatabaseError when another run has begun since.

    A run whose own connection is cut loses the lock and does not notice.
    """
    if db.one(cursor, "newer_run", {"run": run})[0]:
        raise DatabaseError(
            say("run lock lost"),
            hint=say("run lock lost hint"),
        )


def _lock(cursor: db.Cursor) -> None:
    limit = time.monotonic() + _LOCK_SECONDS
    while not db.one(cursor, "try_run_lock")[0]:
        if time.monotonic() > limit:
            raise _held(cursor)
        time.sleep(_PAUSE)


def _held(cursor: db.Cursor) -> RunActiveError:
    holder = None
    with contextlib.suppress(db.Error):  # the ledger of the very first run may not be there yet
        holder = next(iter(db.rows(cursor, "run_lock_holder")), None)
    if holder is None or holder[1] is None:
        return RunActiveError(say("run lock unnamed"))
    _, run, host, pid, started = holder
    return RunActiveError(say("run lock held", run=run, pid=pid, host=host, since=f"{started:%Y-%m-%d %H:%M:%S}"))


def _end_leftovers(cursor: db.Cursor) -> None:
    """End sessions of a killed run that the server has not noticed: they would hold locks on what this run needs."""
    limit = time.monotonic() + _LEFTOVER_SECONDS
    while db.one(cursor, "leftover_sessions", {"name": db.LOADER})[0] and time.monotonic() < limit:
        time.sleep(_PAUSE)


def _claim(cursor: db.Cursor, schema: str) -> None:
    """One ledger tells of one DB_SCHEMA: another one would look loaded already."""
    if not demand_schema(cursor, schema):
        db.run(cursor, "record_site", {"schema": schema})


def demand_schema(cursor: db.Cursor, schema: str) -> bool:
    """Whether the ledger tells of `schema`, not of none yet. Raises SettingsError if it tells of another one."""
    claimed = [name for (name,) in db.rows(cursor, "site_schema")]
    if claimed and claimed[0] != schema:
        raise SettingsError([say("problem", name="DB_SCHEMA", what=say("other schema", schema=claimed[0]))])
    return bool(claimed)


def active(cursor: db.Cursor) -> bool:
    """Whether a run is at work: it holds the run lock."""
    return bool(db.rows(cursor, "run_lock_holder"))


def ensure_schema(cursor: db.Cursor, schema: str) -> None:
    """Create a schema where there is none; needs no rights where there is."""
    if not db.one(cursor, "schema_exists", {"schema": schema})[0]:
        cursor.execute(db.statement("create_schema", schema=db.identifier(schema)))


def migrate(connection: db.Connection) -> list[int]:
    """Apply the migrations that this database lacks, each with the record of it in one transaction.

    Returns the numbers applied. Raises DatabaseError when the database is newer than the program.
    """
    with db.transaction(connection) as cursor:
        db.run(cursor, "migration_lock")
        for schema in SCHEMAS:
            ensure_schema(cursor, schema)
        if not db.one(cursor, "migrations_exist")[0]:
            db.run(cursor, "migrations_table")
        known, todo = dict(_migrations()), lacking(cursor)
        for number in todo:
            cursor.execute(known[number][1])
            db.run(cursor, "record_migration", {"number": number, "name": known[number][0]})
    return todo


def lacking(cursor: db.Cursor) -> list[int]:
    """The migrations that this database lacks: all of them before the first night.

    Raises DatabaseError when the database is newer than the program.
    """
    known = dict(_migrations())
    there = db.one(cursor, "migrations_exist")[0]
    applied = {number for (number,) in db.rows(cursor, "applied_migrations")} if there else set()
    if newer := applied - known.keys():
        raise DatabaseError(
            say("ledger newer", number=max(newer)),
            hint=say("ledger newer hint"),
        )
    return sorted(known.keys() - applied)


def _migrations() -> Iterator[tuple[int, tuple[str, str]]]:
    for entry in (resources.files("udecdash_updater") / "sql" / "migrations").iterdir():
        if found := re.match(r"(\d{4})_(\w+)\.sql$", entry.name):
            yield int(found.group(1)), (found.group(2), entry.read_text(encoding="utf-8"))

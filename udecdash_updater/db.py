"""PostgreSQL: connections, named statements, COPY, and errors told without the rows they quote.

The only importer of psycopg2.
"""

from __future__ import annotations

import contextlib
import functools
import io
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import resources
from typing import Any, Protocol

import psycopg2
import psycopg2.errors
import psycopg2.extensions
import psycopg2.extras
from psycopg2 import errorcodes, sql

from udecdash_updater import meter
from udecdash_updater.errors import DatabaseError, TableError
from udecdash_updater.language import Both, Told, say
from udecdash_updater.settings import Settings

Connection = psycopg2.extensions.connection
Cursor = psycopg2.extensions.cursor
Error = psycopg2.Error
NotSupported = psycopg2.errors.FeatureNotSupported
LockedError = psycopg2.errors.LockNotAvailable
UndefinedColumn = psycopg2.errors.UndefinedColumn
UniqueViolation = psycopg2.errors.UniqueViolation
# What a row raises whose key or unique value stands there already.
TAKEN = (UniqueViolation, psycopg2.errors.ExclusionViolation)
TooLongError = psycopg2.errors.StringDataRightTruncation
# What COPY raises for a row that cannot be loaded: bad values, NULL in a key, values PostgreSQL has no room for.
BAD_ROW = (psycopg2.DataError, psycopg2.IntegrityError, psycopg2.errors.ProgramLimitExceeded)
# What else a table may raise for a row: its triggers' own errors.
REFUSED = (*BAD_ROW, psycopg2.errors.RaiseException)
Row = tuple[Any, ...]
Composable = sql.Composable

_GRANTS_PARAMETERS = 15
HASHES_RECORDS = 14  # the first PostgreSQL that hashes whole rows
LOADER = "udecdash-updater"  # the application_name of a run's sessions
WORKER = "udecdash-updater worker"  # that of jobs
READER = "udecdash-updater reader"  # and that of whoever only looks, which no run takes for a killed one's
_CONNECT_TIMEOUT = 10
_LOCK_TIMEOUT = "30s"
# Classes of SQLSTATE whose message quotes values of rows: only the class's name is told.
_QUOTING = {"22", "23", "21", "P0"}
_COUNTED = 16  # one block in so many has its lines counted, for the progress of the run


class Reader(Protocol):
    """What COPY reads from: a file's `read(size)`."""

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes; empty at the end."""


def connect(settings: Settings, *, name: str = LOADER, patient: bool = False) -> Connection:
    """A connection to DB_NAME whose unqualified names are those of DB_SCHEMA, in UTF-8 and UTC.

    It commits each statement outside of `transaction`; a `patient` one waits for locks without end.

    Raises DatabaseError when the server cannot be reached or refuses us.
    """
    with told(f"connecting to {settings.db_host}:{settings.db_port}/{settings.db_name}"):
        connection = psycopg2.connect(
            host=settings.db_host,
            port=settings.db_port,
            dbname=settings.db_name,
            user=settings.db_username,
            password=settings.db_password.get_secret_value() or None,
            sslmode=settings.db_sslmode,
            sslrootcert=settings.db_sslrootcert or None,
            connect_timeout=_CONNECT_TIMEOUT,
            application_name=name,
            client_encoding="UTF8",
            keepalives_idle=60,
        )
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(
                statement("prepare_session"),
                {"schema": settings.db_schema, "lock_timeout": "0" if patient else _LOCK_TIMEOUT},
            )
            if version(cursor) >= _GRANTS_PARAMETERS:
                cursor.execute(statement("compress_wal"))
        return connection


def compress_wal_well(cursor: Cursor) -> None:
    """Compress the WAL's whole pages as well as can be, for the rest of a session that writes hardly anything else."""
    if version(cursor) >= _GRANTS_PARAMETERS:
        cursor.execute(statement("compress_wal_well"))


@contextlib.contextmanager
def opened(settings: Settings, *, name: str = LOADER, patient: bool = False) -> Iterator[Connection]:
    """`connect`, closed at the end; what was not committed is rolled back."""
    connection = connect(settings, name=name, patient=patient)
    try:
        yield connection
    finally:
        connection.close()


@contextlib.contextmanager
def looking(settings: Settings, doing: str = "reading the ledger") -> Iterator[Cursor]:
    """A cursor of whoever only looks, whose errors say what was being done. Raises DatabaseError."""
    with told(doing), opened(settings, name=READER) as connection, connection.cursor() as cursor:
        yield cursor


def version(cursor: Cursor) -> int:
    """The server's major version."""
    return cursor.connection.server_version // 10000


@contextlib.contextmanager
def transaction(connection: Connection, *, repeatable: bool = False) -> Iterator[Cursor]:
    """One transaction: committed at the end, rolled back on an error. `repeatable` fixes its snapshot."""
    level = psycopg2.extensions.ISOLATION_LEVEL_REPEATABLE_READ if repeatable else None
    connection.autocommit = False
    connection.set_session(isolation_level=level or psycopg2.extensions.ISOLATION_LEVEL_READ_COMMITTED)
    try:
        with connection, connection.cursor() as cursor:
            yield cursor
    finally:
        if not connection.closed:
            connection.autocommit = True


@contextlib.contextmanager
def savepoint(cursor: Cursor, name: str) -> Iterator[None]:
    """A part of a transaction that may fail, by whatever exception, without ending it."""
    mark = sql.Identifier(name)
    cursor.execute(sql.SQL("savepoint {}").format(mark))
    whole = False
    try:
        yield
        whole = True
    finally:
        if not cursor.connection.closed:
            if not whole:
                cursor.execute(sql.SQL("rollback to savepoint {}").format(mark))
            cursor.execute(sql.SQL("release savepoint {}").format(mark))


@contextlib.contextmanager
def told(doing: str) -> Iterator[None]:
    """Turns psycopg2's errors into DatabaseError: what was being done and why it failed, no row values.

    Into TableError where a table refuses a row.
    """
    try:
        yield
    except REFUSED as error:
        why = reason(error) + (f" of {error.diag.table_name}" if error.diag.table_name else "")
        raise TableError(Both(f"{doing}: {why}", why), hint=_refused_hint(error)) from None
    except psycopg2.Error as error:
        hint = say("table in use hint") if isinstance(error, LockedError) else ""
        raise DatabaseError(Both(f"{doing}: {(why := reason(error))}", why), hint=hint) from None


def _refused_hint(error: psycopg2.Error) -> Told:
    if isinstance(error, psycopg2.errors.ForeignKeyViolation):
        return say("table referred hint")
    return say("table swap hint", table=error.diag.table_name) if isinstance(error, TAKEN) else ""


def reason(error: psycopg2.Error) -> str:
    r"""Why PostgreSQL refused, safe to show: messages of classes that quote rows become the error's name.

    >>> reason(psycopg2.OperationalError("could not connect\nDETAIL: x"))
    'could not connect'
    """
    code = error.pgcode or ""
    if code[:2] in _QUOTING:
        name = errorcodes.lookup(code).lower().replace("_", " ")
        place = error.diag.column_name or error.diag.constraint_name
        gap = ": no partition takes it" if code == errorcodes.CHECK_VIOLATION and error.diag.table_name else ""
        return f"{name} ({code})" + (f" at {place}" if place else gap)
    lines = (error.diag.message_primary or str(error) or type(error).__name__).strip().splitlines()
    return lines[0] + (f" ({code})" if code else "")


def copy_line(error: psycopg2.Error) -> tuple[int, str] | None:
    """The line (from 1) and column at which a COPY failed, if the error's context tells them, in whatever language."""
    return copy_place(error.diag.context or "")


def copy_place(context: str) -> tuple[int, str] | None:
    """As PostgreSQL words it; lc_messages is the server's, and most of its languages keep the order.

    >>> copy_place('COPY item_dim, line 3, column canvas_id: "x"'), copy_place("COPY item_dim, line 4")
    ((3, 'canvas_id'), (4, ''))
    >>> copy_place("COPY item_dim, línea 3, columna canvas_id: «x»"), copy_place("COPY item_dim, línea 4: «a: b»")
    ((3, 'canvas_id'), (4, ''))
    >>> copy_place("COPY item_dim, ligne 3, colonne canvas_id : « x »"), copy_place("something else")
    ((3, 'canvas_id'), None)
    """
    found = re.search(r"COPY \S+, [^\W\d_]+ (\d+)(?:, [^\W\d_]+ ([a-z]\w*))?", context)
    return (int(found.group(1)), found.group(2) or "") if found else None


def identifier(*names: str) -> sql.Identifier:
    """A quoted identifier, qualified when two names are given."""
    return sql.Identifier(*names)


def identifiers(names: Sequence[str], *, prefix: str = "") -> Composable:
    """Quoted identifiers joined by commas, each after `prefix.` where one is given."""
    return sql.SQL(", ").join(sql.Identifier(*([prefix] if prefix else []), name) for name in names)


def definition(name: str, kind: str) -> Composable:
    """A column's definition: quoted name and a type of our own text."""
    return sql.SQL("{} {}").format(sql.Identifier(name), raw(kind))


def raw(text: str) -> sql.SQL:
    """Text of ours or of PostgreSQL's own catalog as SQL; never anything that came from a dump."""
    return sql.SQL(text)


def literal(value: str | Sequence[int]) -> Composable:
    """A quoted value, for the few statements that take no parameters."""
    return sql.Literal(value)


def comma(parts: Sequence[Composable]) -> Composable:
    """Parts joined by commas."""
    return sql.SQL(", ").join(parts)


def both(parts: Sequence[Composable]) -> Composable:
    """Conditions that must all hold; true when there is none."""
    return sql.SQL(" and ").join(parts) if parts else sql.SQL("true")


@functools.cache
def statements() -> Mapping[str, str]:
    """Every statement of sql/*.sql under its name: `-- name: what it is for`, then the statement."""
    files = sorted(resources.files("udecdash_updater").joinpath("sql").iterdir(), key=lambda entry: entry.name)
    text = "\n".join(entry.read_text(encoding="utf-8") for entry in files if entry.name.endswith(".sql"))
    parts = re.split(r"^-- ([a-z_]+): .*\n", text, flags=re.MULTILINE)[1:]
    return {name: body.strip() for name, body in zip(parts[::2], parts[1::2], strict=True)}


def statement(name: str, **parts: Composable) -> sql.Composed:
    """The statement `name` of sql/*.sql with its {places} filled by identifiers or SQL of ours."""
    return sql.SQL(statements()[name]).format(**parts)


def run(cursor: Cursor, name: str, values: Mapping[str, Any] | None = None, **parts: Composable) -> int:
    """Execute the named statement; the number of rows it touched or returns."""
    cursor.execute(statement(name, **parts), values)
    return cursor.rowcount


def rows(cursor: Cursor, name: str, values: Mapping[str, Any] | None = None, **parts: Composable) -> list[Row]:
    """Execute the named statement; all its rows."""
    run(cursor, name, values, **parts)
    return cursor.fetchall()


def one(cursor: Cursor, name: str, values: Mapping[str, Any] | None = None, **parts: Composable) -> Row:
    """Execute the named statement, which gives exactly one row."""
    found = rows(cursor, name, values, **parts)
    if len(found) != 1:
        raise DatabaseError(say("not one row", name=name, count=len(found)))
    return found[0]


class _Relay:
    """Passes a reader's blocks on and keeps its exception, of which psycopg2 would keep the text only."""

    def __init__(self, source: Reader) -> None:
        self._source = source
        self.error: BaseException | None = None
        self._blocks = self._estimated = 0

    def read(self, size: int = -1, /) -> bytes:
        whole = False
        try:
            block = self._source.read(size)
            whole = True
        finally:
            if not whole:
                self.error = sys.exc_info()[1]
        if not self._blocks % _COUNTED:  # counting each one would cost a twentieth of the COPY
            self._estimate(block.count(b"\n") * _COUNTED)
        self._blocks += 1
        return block

    def _estimate(self, rows: int) -> None:
        meter.sent(rows)
        self._estimated += rows

    def settle(self, rows: int) -> None:
        """So many rows arrived in truth."""
        self._estimate(rows - self._estimated)

    def readline(self, size: int = -1, /) -> bytes:  # asked for by psycopg2's signature, never called
        return self.read(size)


def copy_in(cursor: Cursor, table: Composable, columns: Sequence[str], source: Reader) -> int:
    """COPY text lines from `source` into `columns` of `table`; the number of rows that arrived.

    Raises what `source` raised, or psycopg2's errors.
    """
    command = sql.SQL("copy {} ({}) from stdin").format(table, identifiers(columns))
    relay, arrived = _Relay(source), 0
    try:
        cursor.copy_expert(command, relay)
        arrived = cursor.rowcount
    except psycopg2.errors.QueryCanceled:
        if relay.error is None:
            raise
        raise relay.error from None
    finally:
        relay.settle(arrived)
    return arrived


def copy_lines(cursor: Cursor, table: str, columns: Sequence[str], lines: list[str]) -> None:
    """COPY whole lines, each with its end, into `columns` of `table`, and forget them."""
    if lines:
        copy_in(cursor, sql.Identifier(table), columns, io.BytesIO("".join(lines).encode()))
        lines.clear()


def insert_many(cursor: Cursor, name: str, values: Iterable[Row], **parts: Composable) -> None:
    """Execute the named `insert ... values %s` statement with many rows at once; an iterator's rows as they come."""
    if values:
        psycopg2.extras.execute_values(cursor, statement(name, **parts), values)


def json(value: object) -> psycopg2.extras.Json:
    """A value for a json column."""
    return psycopg2.extras.Json(value)

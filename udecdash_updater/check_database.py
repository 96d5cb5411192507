"""Checks of PostgreSQL and of what the ledger tells: its version, rights, space, clock; runs, jobs, requests."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from udecdash_updater import dap_ids, db, dump, jobs, ledger, maintenance
from udecdash_updater.check_site import STALE_SECONDS, existing
from udecdash_updater.errors import DatabaseError, DumpError
from udecdash_updater.findings import FAILED, Finding, failed, ok, warning
from udecdash_updater.resolution import INTERACTION_TABLES
from udecdash_updater.settings import Settings
from udecdash_updater.units import duration, size

_OLDEST = 120_000
_CLOCK_SECONDS = 5
_OVERDUE_SECONDS = 6 * 3600
_NAMED = 5


def server_fits(settings: Settings, cursor: db.Cursor) -> Iterator[Finding]:
    """Version, encryption, room and clock."""
    version, number, encrypted, remote, clock, stored, folder = db.one(cursor, "server_facts")
    if number < _OLDEST:
        yield failed("postgresql", DatabaseError(f"It is version {version}.", hint="Use PostgreSQL 12 or newer."))
    else:
        yield ok(
            "postgresql", f"version {version}, database {settings.db_name} of {size(stored)}", database_size=stored
        )
    if remote and not encrypted:
        told = "the server is another machine and the connection is not encrypted"
        yield warning("postgresql TLS", told, "Set DB_SSLMODE=verify-full and DB_SSLROOTCERT.")
    elif remote and settings.db_sslmode not in ("verify-ca", "verify-full"):
        told = "the connection is encrypted, but nobody asks for the server's certificate"
        yield warning("postgresql TLS", told, "Set DB_SSLMODE=verify-full and DB_SSLROOTCERT.")
    else:
        yield ok("postgresql TLS", "encrypted, the server is known" if remote else "not needed on one machine")
    yield _room(folder if not remote else None, stored)
    yield clock_agrees("PostgreSQL", clock)


def _room(folder: str | None, stored: int) -> Finding:
    if not folder:
        return ok("postgresql space", "not known: the server is another machine, or does not tell us its folder")
    free = shutil.disk_usage(existing(Path(folder))).free
    told = f"{size(free)} are free"
    if free < stored // 4:
        return warning(
            "postgresql space", f"{told}, the database has {size(stored)}", f"df -h {existing(Path(folder))}"
        )
    return ok("postgresql space", told)


def clock_agrees(whose: str, clock: float) -> Finding:
    """Whether a server's clock, in seconds since 1970, is like ours."""
    apart = abs(time.time() - clock)
    if apart > _CLOCK_SECONDS:
        told = f"this machine and {whose} are {duration(apart)} apart"
        return warning("clock", told, "Let both take the time from a server: timedatectl set-ntp true")
    return ok("clock", f"like that of {whose}")


def rights_suffice(settings: Settings, cursor: db.Cursor) -> Iterator[Finding]:
    """We may create what is missing and write what is there."""
    lacking = []
    for schema in (settings.db_schema, *ledger.SCHEMAS):
        there, may_create, may_create_schemas = db.one(cursor, "schema_rights", {"schema": schema})
        if not (may_create if there else may_create_schemas):
            lacking.append(f"grant create on schema {schema} to {settings.db_username}" if there else
                           f"create schema {schema} authorization {settings.db_username}")  # fmt: skip
    if lacking:
        told = f"{settings.db_username} may not create in the schemas that it needs."
        yield failed("rights", DatabaseError(told, hint="As the database's owner: " + "; ".join(lacking)))
        return
    closed, foreign = db.one(cursor, "table_rights", {"tables": _tables(settings)})
    if closed:
        told = f"{settings.db_username} may not read and write {_some(closed)}."
        hint = f"As their owner: grant select, insert, update, delete on TABLE to {settings.db_username}"
        yield failed("rights", DatabaseError(told, hint=hint))
    elif foreign:
        told = f"{_some(foreign)} belong to another account; columns that a dump gains cannot be added to them"
        yield warning("rights", told, f"As their owner: alter table TABLE owner to {settings.db_username}")
    else:
        yield ok("rights", f"{settings.db_username} may do what a night needs")


def _tables(settings: Settings) -> list[str]:
    """The tables that a night writes, as far as they are known yet."""
    known = {dump.REQUESTS, *INTERACTION_TABLES, "course_interactions", "unprocessable_interactions"}
    if settings.path_data_files:
        try:
            known |= set(dump.read_schema(settings.path_data_files / "schema.json")[1])
        except DumpError:  # another check tells of it
            return sorted(known)
    return sorted(known)


def _some(names: list[str]) -> str:
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def ledger_fits(settings: Settings, cursor: db.Cursor) -> Iterator[Finding]:
    """The ledger is ours, of this version or none yet."""
    todo = ledger.lacking(cursor)
    if not db.one(cursor, "ledger_exists")[0]:
        yield ok("ledger", "none yet; the first night makes it")
        return
    ledger.demand_schema(cursor, settings.db_schema)
    told = f"tells of the schema {settings.db_schema}"
    yield ok("ledger", f"{told}; the next night brings it up to date" if todo else told)


def ids_go_on(settings: Settings, cursor: db.Cursor) -> Iterator[Finding]:
    """Canvas Data 2: the ids of a site that has a history can go on."""
    yield ok("ids", dap_ids.describe(cursor, settings))


def last_run_was_good(cursor: db.Cursor) -> Iterator[Finding]:
    """The last run ended well, and not long ago."""
    found = db.rows(cursor, "last_run")
    if not found:
        yield ok("last run", "there was none yet")
        return
    number, started, ended, code, error, age = found[0]
    told, numbers = f"run {number} began {duration(age)} ago", {"last_run_age": age}
    if ended is None and ledger.active(cursor):
        yield ok("last run", f"{told} and is at work", **numbers)
    elif ended is None or code not in (0, 10):
        yield Finding("last run", FAILED, f"{told} and {_ended(ended, error)}", _again(), code or 1, numbers)
    elif age > STALE_SECONDS:
        yield warning("last run", told, "Look at cron: crontab -l; systemctl status cron", **numbers)
    else:
        took = (ended - started).total_seconds()
        yield ok("last run", f"{told}, took {duration(took)}, exit code {code}", **numbers, last_run_seconds=took)


def _ended(ended: datetime | None, error: str | None) -> str:
    return "was killed" if ended is None else f"failed: {error or 'for an unknown reason'}"


def _again() -> str:
    return "Correct the cause, then: udecdash-updater run"


def page_is_back(settings: Settings, cursor: db.Cursor) -> Iterator[Finding]:
    """The loading page is up only while a run is at work."""
    if maintenance.is_on(settings) and not ledger.active(cursor):
        told = "the loading page is up and no run is at work"
        yield warning("loading page", told, "If nobody put it up by hand: udecdash-updater maintenance off")
    else:
        yield ok("loading page", "up only while a run is at work")


def jobs_are_done(cursor: db.Cursor) -> Iterator[Finding]:
    """No course waits for its interactions longer than it should, and no course's jobs fail."""
    due, found = jobs.due(cursor), db.rows(cursor, "last_run")
    failing = db.rows(cursor, "failing_courses")
    since = found[0][5] if found else 0.0
    told = f"{len(due)} courses are due" if due else "every course is done"
    numbers = {"courses_due": len(due), "courses_failing": len(failing)}
    if failing:
        told = f"{len(failing)} courses fail, as {failing[0][0]}: {failing[0][2]}"
        yield warning("jobs", told, "Correct the cause, then: udecdash-updater requeue", **numbers)
    elif due and since > _OVERDUE_SECONDS and not ledger.active(cursor):
        hint = "See that workers run, then: udecdash-updater requeue"
        yield warning("jobs", f"{told}, {duration(since)} after the last run began", hint, **numbers)
    else:
        yield ok("jobs", told, **numbers)


def requests_stay(cursor: db.Cursor) -> Iterator[Finding]:
    """Nothing else deletes from requests what interactions are made of."""
    if not db.one(cursor, "table_exists", {"table": dump.REQUESTS})[0]:
        yield ok("requests", "the table is not there yet")
        return
    if gone := db.one(cursor, "vanished_requests")[0]:
        told = f"rows vanish from requests: {gone} courses lost their newest one"
        hint = "In the dashboard's backend set DELETE_REQUEST_AFTER_PROCESS=false; then, once: FIRST_DATA_UPDATE=True"
        yield warning("requests", told, hint)
    else:
        yield ok("requests", "nothing vanishes from it")

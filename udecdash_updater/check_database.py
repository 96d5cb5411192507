"""Checks of PostgreSQL and of what the ledger tells: its version, rights, space, clock; runs, jobs, requests."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from udecdash_updater import dap_ids, dap_schema, db, dump, jobs, ledger, maintenance, obstacles
from udecdash_updater.check_site import STALE_SECONDS, existing
from udecdash_updater.dap_relations import RELATIONS
from udecdash_updater.errors import DatabaseError, DumpError, TableError
from udecdash_updater.findings import FAILED, Finding, failed, ok, warning
from udecdash_updater.language import Both, Told, say
from udecdash_updater.resolution import INTERACTION_TABLES
from udecdash_updater.settings import Settings

_OLDEST = 120_000
_CLOCK_SECONDS = 5
_OVERDUE_SECONDS = 6 * 3600
_NAMED = 5


def server_fits(settings: Settings, cursor: db.Cursor) -> Iterator[Finding]:
    """Version, encryption, room and clock."""
    version, number, encrypted, remote, clock, stored, folder = db.one(cursor, "server_facts")
    if number < _OLDEST:
        yield failed("postgresql", DatabaseError(say("database old", version=version), hint=say("database newer")))
    else:
        told: Told = say("database there", version=version, name=settings.db_name, bytes=stored)
        yield ok("postgresql", told, database_size=stored)
    if remote and not encrypted:
        yield warning("postgresql TLS", say("tls none"), say("tls demand"))
    elif remote and settings.db_sslmode not in ("verify-ca", "verify-full"):
        yield warning("postgresql TLS", say("tls unverified"), say("tls demand"))
    else:
        yield ok("postgresql TLS", say("tls fine" if remote else "tls local"))
    yield _room(folder if not remote else None, stored)
    yield clock_agrees("PostgreSQL", clock)


def _room(folder: str | None, stored: int) -> Finding:
    if not folder:
        return ok("postgresql space", say("space unknown"))
    free = shutil.disk_usage(existing(Path(folder))).free
    told = say("space free", bytes=free)
    if free < stored // 4:
        little = say("space little", free=told, stored=stored)
        return warning("postgresql space", little, f"df -h {existing(Path(folder))}")
    return ok("postgresql space", told)


def clock_agrees(whose: str, clock: float) -> Finding:
    """Whether a server's clock, in seconds since 1970, is like ours."""
    apart = abs(time.time() - clock)
    if apart > _CLOCK_SECONDS:
        return warning("clock", say("clock apart", whose=whose, seconds=apart), say("clock set"))
    return ok("clock", say("clock fine", whose=whose))


def rights_suffice(settings: Settings, cursor: db.Cursor) -> Iterator[Finding]:
    """We may create what is missing and write what is there."""
    lacking = []
    for schema in (settings.db_schema, *ledger.SCHEMAS, *([dap_schema.SCHEMA] if settings.from_dap else [])):
        there, may_create, may_create_schemas = db.one(cursor, "schema_rights", {"schema": schema})
        if not (may_create if there else may_create_schemas):
            lacking.append(f"grant create on schema {schema} to {settings.db_username}" if there else
                           f"create schema {schema} authorization {settings.db_username}")  # fmt: skip
    if lacking:
        told = say("rights create", account=settings.db_username)
        hint = say("rights create hint", statements="; ".join(lacking))
        yield failed("rights", DatabaseError(told, hint=hint))
        return
    closed, foreign = db.one(cursor, "table_rights", {"tables": _tables(settings)})
    if closed:
        told = say("rights closed", account=settings.db_username, tables=_some(closed))
        hint = say("rights grant", account=settings.db_username)
        yield failed("rights", DatabaseError(told, hint=hint))
    elif foreign:
        told = say("rights foreign", tables=_some(foreign))
        yield warning("rights", told, say("rights own", account=settings.db_username))
    else:
        yield ok("rights", say("rights fine", account=settings.db_username))


def _tables(settings: Settings) -> list[str]:
    """The tables that a night writes, as far as they are known yet."""
    known = {dump.REQUESTS, *INTERACTION_TABLES, "course_interactions", "unprocessable_interactions"}
    if settings.from_dap:
        return sorted({*known, *RELATIONS})
    if settings.path_data_files:
        try:
            known |= set(dump.read_schema(settings.path_data_files / "schema.json")[1])
        except DumpError:  # another check tells of it
            return sorted(known)
    return sorted(known)


def _some(names: list[str]) -> Told:
    some = ", ".join(names[:_NAMED])
    return say("some and more", some=some, count=len(names) - _NAMED) if len(names) > _NAMED else some


def tables_can_be_filled(settings: Settings, cursor: db.Cursor) -> Iterator[Finding]:
    """What stands in DB_SCHEMA under the names of our tables is a table that a night can fill."""
    tables = _tables(settings)
    found = [failed("tables", TableError(o.told, hint=o.hint)) for o in obstacles.find(cursor, tables)]
    found += [warning("tables", one.told, one.hint) for one in obstacles.suspect(cursor, tables)]
    yield from found or [ok("tables", say("tables fine"))]


def ledger_fits(settings: Settings, cursor: db.Cursor) -> Iterator[Finding]:
    """The ledger is ours, of this version or none yet."""
    todo = ledger.lacking(cursor)
    if not db.one(cursor, "ledger_exists")[0]:
        yield ok("ledger", say("ledger none"))
        return
    ledger.demand_schema(cursor, settings.db_schema)
    yield ok("ledger", say("ledger behind" if todo else "ledger there", schema=settings.db_schema))


def ids_go_on(settings: Settings, cursor: db.Cursor) -> Iterator[Finding]:
    """Canvas Data 2: the ids of a site that has a history can go on."""
    yield ok("ids", dap_ids.describe(cursor, settings))


def last_run_was_good(cursor: db.Cursor) -> Iterator[Finding]:
    """The last run ended well, and not long ago."""
    found = db.rows(cursor, "last_run")
    if not found:
        yield ok("last run", say("run none"))
        return
    number, started, ended, code, error, age, error_es = found[0]
    age = max(0.0, age)  # the clock may have been set back since
    run, numbers = {"run": number, "age": age}, {"last_run_age": age}
    if ended is None and ledger.active(cursor):
        yield ok("last run", say("run at work", **run), **numbers)
    elif ended is None or code not in (0, 10):
        told = (
            say("run killed", **run)
            if ended is None
            else say("run failed", **run, error=Both(error, error_es) if error else say("run failed unknown"))
        )
        yield Finding("last run", FAILED, told, say("run again"), code or 1, numbers)
    elif age > STALE_SECONDS:
        yield warning("last run", say("run old", **run), say("run cron"), **numbers)
    else:
        took = (ended - started).total_seconds()
        yield ok("last run", say("run fine", **run, took=took, code=code), **numbers, last_run_seconds=took)


def page_is_back(settings: Settings, cursor: db.Cursor) -> Iterator[Finding]:
    """The loading page is up only while a run is at work."""
    if maintenance.is_on(settings) and not ledger.active(cursor):
        yield warning("loading page", say("page up"), say("page away"))
    else:
        yield ok("loading page", say("page fine"))


def jobs_are_done(cursor: db.Cursor) -> Iterator[Finding]:
    """No course waits for its interactions longer than it should, and no course's jobs fail."""
    due, found = jobs.due(cursor), db.rows(cursor, "last_run")
    failing = db.rows(cursor, "failing_courses")
    since = found[0][5] if found else 0.0
    told = say("courses due", count=len(due)) if due else say("courses done")
    numbers = {"courses_due": len(due), "courses_failing": len(failing)}
    if failing:
        told = say("courses fail", count=len(failing), course=failing[0][0], why=failing[0][2])
        yield warning("jobs", told, say("courses requeue"), **numbers)
    elif due and since > _OVERDUE_SECONDS and not ledger.active(cursor):
        late = say("courses late", due=told, seconds=since)
        yield warning("jobs", late, say("courses late hint"), **numbers)
    else:
        yield ok("jobs", told, **numbers)


def requests_stay(cursor: db.Cursor) -> Iterator[Finding]:
    """Nothing else deletes from requests what interactions are made of."""
    if not db.one(cursor, "table_exists", {"table": dump.REQUESTS})[0]:
        yield ok("requests", say("requests none"))
        return
    if gone := db.one(cursor, "vanished_requests")[0]:
        yield warning("requests", say("requests vanish", count=gone), say("requests keep"))
    else:
        yield ok("requests", say("requests fine"))

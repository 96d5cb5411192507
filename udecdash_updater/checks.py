"""Whether a night would work, asked before it: named checks, each with what to type. Nothing is changed anywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from udecdash_updater import check_database, check_queue, check_site, config, db, ledger
from udecdash_updater.errors import SettingsError, UpdaterError
from udecdash_updater.findings import Finding, failed, ok
from udecdash_updater.language import because, say
from udecdash_updater.settings import Settings

Check = Callable[[], Iterable[Finding]]


def run(folder: Path, *, notify: bool = False) -> list[Finding]:
    """Check the site whose main.py lies in `folder`; with `notify` a test notice is sent. Never raises UpdaterError."""
    try:
        settings = config.read(folder)
    except SettingsError as error:
        return [failed("settings", error), *_tried("secrets", lambda: check_site.secrets_are_private(folder))]
    return [
        *_site(settings, folder),
        *_database(settings),
        *_queue(settings, folder),
        *_tried("report", lambda: check_site.report_can_be_written(settings)),
        *_tried("mail", lambda: check_site.mail_goes_out(settings, notify=notify)),
    ]


def _tried(name: str, check: Check) -> Iterator[Finding]:
    """What a check finds; what it raises is a failure of that name."""
    try:
        with db.told("it was asked"):
            yield from check()
    except UpdaterError as error:
        yield failed(name, error)
    except OSError as error:
        refused = say("unreadable", path=error.filename, why=because(error))
        yield failed(name, UpdaterError(refused, hint=say("unreadable hint")))


def _site(settings: Settings, folder: Path) -> Iterator[Finding]:
    yield from check_site.program_is_whole()
    yield from _tried("settings", lambda: check_site.settings_are_usable(settings, folder))
    yield from _tried("secrets", lambda: check_site.secrets_are_private(folder))
    yield from _tried("secrets", lambda: check_site.secrets_are_long(settings))
    if settings.embedded_database and settings.path_data_files is None:
        yield ok("demonstration", say("demonstration"))
        return
    yield from _tried("download", lambda: check_site.download_works(settings))
    yield from _tried("dump", lambda: check_site.dump_is_fresh(settings))
    yield from _tried("disk", lambda: check_site.disk_has_room(settings))
    yield from _tried("front end", lambda: check_site.front_end_is_there(settings))


def _database(settings: Settings) -> Iterator[Finding]:
    if settings.embedded_database:
        yield ok("postgresql", say("database embedded"))
        return
    try:
        with _reading(settings) as cursor:
            yield from _tried("postgresql", lambda: check_database.server_fits(settings, cursor))
            yield from _tried("rights", lambda: check_database.rights_suffice(settings, cursor))
            yield from _tried("tables", lambda: check_database.tables_can_be_filled(settings, cursor))
            yield from _tried("ledger", lambda: check_database.ledger_fits(settings, cursor))
            yield from _tried("loading page", lambda: check_database.page_is_back(settings, cursor))
            if settings.from_dap:
                yield from _tried("ids", lambda: check_database.ids_go_on(settings, cursor))
            yield from _records(cursor)
    except UpdaterError as error:
        yield failed("postgresql", error)


def _records(cursor: db.Cursor) -> Iterator[Finding]:
    """What the ledger tells, where it is one that this program can read."""
    if not db.one(cursor, "ledger_exists")[0]:
        return
    yield from _tried("last run", lambda: check_database.last_run_was_good(cursor))
    try:
        readable = not ledger.lacking(cursor)
    except UpdaterError:  # told already
        return
    if readable:
        yield from _tried("jobs", lambda: check_database.jobs_are_done(cursor))
        yield from _tried("requests", lambda: check_database.requests_stay(cursor))


@contextmanager
def _reading(settings: Settings) -> Iterator[db.Cursor]:
    with db.looking(settings, "checking") as cursor:
        db.run(cursor, "only_reading")
        yield cursor


def _queue(settings: Settings, folder: Path) -> Iterator[Finding]:
    if settings.embedded_redis:
        yield ok("redis", say("redis embedded"))
        return
    yield from _tried("redis", lambda: check_queue.redis_fits(settings))
    yield from _tried("workers", lambda: check_queue.workers_run(settings))
    yield from _tried("workers' settings", lambda: check_queue.workers_know(folder))
    yield from _tried("sudo", lambda: check_queue.sudo_is_there(settings))

"""The stages of a night, in the order in which they run; each takes the Night and leaves its mark on it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from udecdash_updater import (
    canvas,
    canvas_cli,
    clearing,
    dashboard,
    db,
    dispatch,
    dump,
    embedded,
    ledger,
    maintenance,
    notices,
    notifier,
    plausibility,
    requests,
    tables,
    workers,
)
from udecdash_updater.demo import site
from udecdash_updater.demo.site import Site
from udecdash_updater.dispatch import Enqueued
from udecdash_updater.dump import Dump, DumpFile
from udecdash_updater.errors import DumpError, UpdaterError
from udecdash_updater.ledger import Ledger
from udecdash_updater.logs import LOGGER
from udecdash_updater.options import RunOptions
from udecdash_updater.report import Summary, summarize
from udecdash_updater.resolution import INTERACTION_TABLES
from udecdash_updater.settings import Settings

_COUNTED = (*INTERACTION_TABLES, "course_interactions", "unprocessable_interactions", "requests")


@dataclass(slots=True)
class Night:
    """One run's state: what earlier stages found out for the later ones. `resources` are closed when it ends."""

    settings: Settings
    resources: contextlib.ExitStack
    waits: bool
    options: RunOptions = field(default_factory=RunOptions)
    site: Site | None = None
    started: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    warnings: list[str] = field(default_factory=list)
    ledger: Ledger | None = None
    cleared: clearing.Cleared | None = None
    dump: Dump | None = None
    request_files: tuple[DumpFile, ...] = ()
    published: bool = False
    enqueued: Enqueued | None = None
    summary: Summary | None = None

    def warn(self, text: str) -> None:
        """Something went wrong that does not end the night; it ends with exit code 10."""
        LOGGER.warning("%s", text)
        self.warnings.append(text)

    def put_back(self) -> None:
        """Put the table folders back that `clear` moved aside, when the night failed before they could be deleted."""
        if self.cleared:
            clearing.put_back(self.cleared)
            self.cleared = None

    @property
    def run(self) -> int:
        """The run's number in the ledger."""
        return self.open_ledger.run

    @property
    def open_ledger(self) -> Ledger:
        """The ledger; it is open from the stage `check` on."""
        if self.ledger is None:
            raise AssertionError("the stage check opens the ledger")
        return self.ledger

    @property
    def found_dump(self) -> Dump:
        """The dump; it is known from the stage `verify` on."""
        if self.dump is None:
            raise AssertionError("the stage verify finds the dump")
        return self.dump


def check(night: Night) -> None:
    """Servers, lock, database, command line and front end are there; what only marrs the night is noted."""
    demonstrates = night.settings.embedded_database and night.settings.path_data_files is None
    night.settings = night.resources.enter_context(embedded.servers(night.settings))
    if demonstrates:  # after the servers, which see to it that no other run is at work in this home
        night.site = night.resources.enter_context(site.opened(night.settings.udecdash_home))
        night.settings = night.settings.model_copy(update=night.site.values)
    settings = night.settings
    night.ledger = ledger.open_run(settings)
    night.resources.callback(night.ledger.close)
    if untold := notices.begun(settings):  # not before the run lock is ours: another run has a heartbeat of its own
        night.warn(untold)
    dashboard.prepare(settings)
    _note(night, settings)
    clearing.recover(settings)
    if settings.enable_download:
        canvas_cli.check(settings)
    if not settings.enable_download and settings.path_data_files and not settings.path_data_files.is_dir():
        raise DumpError(f"PATH_DATA_FILES: {settings.path_data_files} is not a folder.")
    maintenance.check(settings)


def _note(night: Night, settings: Settings) -> None:
    if settings.path_concat != os.sep:
        LOGGER.warning("PATH_CONCAT is not the system's separator; it is not used")
    if not notifier.configured(settings):
        LOGGER.warning("SMTP_HOST or NOTIFICATION_EMAILS is blank: nobody is told by mail when a night fails")
    if away := notifier.answers(settings):
        night.warn(f"no mail can be sent: {away}")
    if away := dispatch.answers(settings):
        LOGGER.warning("%s; the load goes on, its interactions have to wait", away)


def clear(night: Night) -> None:
    """The table folders but requests are moved aside, so that sync fetches each file anew."""
    night.cleared = clearing.clear(night.settings)


def download(night: Night) -> None:
    """The dump is synced, and unpacked where FILE_EXTENSION is not gz."""
    if night.settings.enable_download:
        canvas_cli.sync(night.settings)
    if night.settings.file_extension != "gz" and night.settings.enable_download:
        # unpack ends at a damaged archive, and sync never fetches a name again that is on disk.
        _mend(night, _archives)
        version, found = dump.read_schema(_folder(night) / "schema.json")
        wanted = night.options.tables or tuple(found)
        LOGGER.info("unpacking %d tables of schema %s", len(wanted), version)
        canvas_cli.unpack(night.settings, wanted)


def _folder(night: Night) -> Path:
    folder = night.settings.path_data_files
    if folder is None:
        raise AssertionError("settings without PATH_DATA_FILES are refused")
    return folder


def verify(night: Night) -> None:
    """The dump is whole: archives read to their end, and no table without files that had rows."""
    night.dump, sound = _mend(night, _archives if night.settings.file_extension == "gz" else _unpacked)
    for stranger in night.dump.strangers:
        LOGGER.warning("%s is no file of the dump and was not opened", stranger)
    night.request_files = tuple(file for file in sound if file.table == dump.REQUESTS)
    _demand_tables(night, night.dump)
    if night.cleared:
        clearing.delete(night.cleared)
        night.cleared = None


def _archives(night: Night) -> Dump:
    return dump.only(dump.read(_folder(night)), night.options.tables)


def _unpacked(night: Night) -> Dump:
    unpacked = canvas_cli.unpacked_folder(night.settings)
    found = dump.read(_folder(night), unpacked=unpacked, extension=night.settings.file_extension)
    return dump.only(found, night.options.tables)


def _mend(night: Night, find: Callable[[Night], Dump]) -> tuple[Dump, list[DumpFile]]:
    """The dump and its files to load, every one sound: damaged ones are moved aside and fetched again, once."""
    found = find(night)
    sound, damaged = _verify(night, found)
    if damaged and night.settings.enable_download:
        _fetch_again(night, damaged)
        found = find(night)
        sound, damaged = _verify(night, found)
    if damaged:
        raise dump.damaged_error(damaged)
    return found, sound


def _new_requests(night: Night, found: Dump) -> tuple[DumpFile, ...]:
    with db.told("reading the ledger"), db.opened(night.settings) as connection, connection.cursor() as cursor:
        loaded = requests.known_files(cursor)
    return dump.new_request_files(found, loaded, compare=not night.settings.first_data_update)


def _verify(night: Night, found: Dump) -> tuple[list[DumpFile], dict[DumpFile, str]]:
    full = [file for table in found.full_tables() for file in found.files[table.name]]
    return dump.verify([*full, *_new_requests(night, found)], threads=night.settings.load_connections)


def _fetch_again(night: Night, damaged: dict[DumpFile, str]) -> None:
    aside = _folder(night).parent / f".{_folder(night).name}-damaged"
    moved = [(file, dump.set_aside(file, aside)) for file in damaged]
    night.warn(f"{len(moved)} damaged archives were moved to {aside} and are fetched again")
    try:
        canvas_cli.sync(night.settings)
    except UpdaterError:
        for file, place in moved:  # a dump without them would look whole
            if not file.path.exists():
                place.replace(file.path)
        raise


def _demand_tables(night: Night, found: Dump) -> None:
    with db.told("judging the dump"), db.opened(night.settings) as connection, connection.cursor() as cursor:
        plausibility.demand(plausibility.absent(cursor, found, night.options.tables), night.options.accept)


def maintenance_on(night: Night) -> None:
    """The front end shows its loading page."""
    maintenance.on(night.settings, started=night.open_ledger.started)


def stop_workers(night: Night) -> None:
    """The workers end their jobs and stop; if they do not, the night goes on with a warning."""
    try:
        workers.stop(night.settings)
    except UpdaterError as error:
        night.warn(str(error))


def load_tables(night: Night) -> None:
    """All tables but requests become what the dump says, in one transaction."""
    settings, found = night.settings, night.found_dump
    if not found.full_tables():
        return
    with db.told("preparing the tables"), db.opened(settings) as connection, db.transaction(connection) as cursor:
        added = canvas.widen(cursor, found.full_tables())
    if added:
        night.warn(f"columns that this dump has gained were added: {', '.join(added)}")
    published = tables.load(settings, found, night.run, night.options)
    night.published = True
    for table, reason in night.open_ledger.rows("accepted_doubts"):
        night.warn(f"{table} ({reason}) was accepted as it is")
    changes = [sum(getattr(p, name) for p in published) for name in ("rows", "new", "changed", "gone")]
    LOGGER.info("%d tables: %d rows, %d new, %d changed, %d gone", len(published), *changes)


def load_requests(night: Night) -> None:
    """The requests that are new are appended, in one transaction."""
    if dump.REQUESTS in night.found_dump.tables or not night.options.tables:
        _load_requests(night)
    left_out = night.open_ledger.rows("rejected_lines")[0][0]
    if left_out:
        night.warn(f"{left_out} lines were left out; udecdash.rejects says which and why (run {night.run})")


def _load_requests(night: Night) -> None:
    loaded = requests.load(night.settings, night.found_dump, night.request_files, night.run)
    LOGGER.info("requests: %d new from %d files, %d files were known", loaded.new, len(loaded.counts), loaded.skipped)


def start_workers(night: Night) -> None:
    """The workers run again, whatever happened before."""
    workers.start(night.settings)


def maintenance_off(night: Night) -> None:
    """The front end is back, whatever happened before."""
    maintenance.off(night.settings)


def enqueue(night: Night) -> None:
    """What is due becomes jobs; on the embedded default they are waited for."""
    night.enqueued = dispatch.enqueue(night.settings, night.run)
    if night.waits:
        dispatch.wait(night.settings, night.enqueued)


def report(night: Night) -> None:
    """The night in numbers; without them the night is done as well."""
    try:
        with db.told("counting interactions"), db.opened(night.settings) as connection, connection.cursor() as cursor:
            counts = {name: _count(cursor, name) for name in _COUNTED}
        night.summary = summarize(night.open_ledger, counts)
    except UpdaterError as error:
        night.warn(f"the report could not be made: {error}")


def _count(cursor: db.Cursor, table: str) -> int:
    about = db.one(cursor, "rows_about", {"table": table})[0]
    return int(about or db.one(cursor, "count_rows", table=db.identifier(table))[0])


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of the night.

    `restores`: it runs whatever failed before, to put site and workers back. `ends`: its failure ends the night.
    """

    name: str
    work: Callable[[Night], None]
    restores: bool = False
    ends: bool = True


STAGES = (
    Stage("check", check),
    Stage("clear", clear),
    Stage("download", download),
    Stage("verify", verify),
    Stage("maintenance on", maintenance_on),
    Stage("workers stop", stop_workers),
    Stage("load tables", load_tables),
    Stage("load requests", load_requests),
    Stage("workers start", start_workers, restores=True, ends=False),
    Stage("maintenance off", maintenance_off, restores=True, ends=False),
    Stage("enqueue", enqueue, ends=False),
    Stage("report", report, ends=False),
)

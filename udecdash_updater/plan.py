"""What a night would load, found out without touching anything: `run --dry-run`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from udecdash_updater import canvas_cli, dap, dap_batches, db, dump, ledger, maintenance, plausibility
from udecdash_updater.dump import REQUESTS, Dump, DumpFile
from udecdash_updater.errors import DumpError
from udecdash_updater.language import say
from udecdash_updater.logs import LOGGER
from udecdash_updater.options import RunOptions
from udecdash_updater.requests import known_files
from udecdash_updater.settings import Settings


@dataclass(frozen=True, slots=True)
class PlannedTable:
    """What would be read of a table: files and their bytes; files that are known and left alone; rows it has now."""

    table: str
    files: int
    bytes: int
    known: int
    rows: int | None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a night would load from what lies on disk. `usual`: the seconds that nights took lately, if any did."""

    schema: str
    tables: tuple[PlannedTable, ...]
    strangers: tuple[str, ...] = ()
    usual: float | None = None


def make(settings: Settings, options: RunOptions) -> Plan:
    """Read what lies on disk to its end and compare it with the ledger; nothing is downloaded, written or stopped.

    Raises what the stages check and verify raise: DumpError for a damaged dump or a table that it lacks,
    ImplausibleError, DownloadError, FrontEndError, DatabaseError; SettingsError for a table that is not in the dump.
    """
    if settings.from_dap:
        return _of_batches(settings, options)
    _folder(settings)
    if settings.enable_download:
        canvas_cli.check(settings)
    maintenance.check(settings)
    found = dump.only(find(settings), options.tables)
    with _ledger(settings) as cursor:
        loaded = set(known_files(cursor)) if cursor else set()
        usual = sum(seconds for _, seconds in db.rows(cursor, "usual_stages")) if cursor else 0.0
        rows = {table: last[0] for table, *last in db.rows(cursor, "last_rows")} if cursor else {}
        if cursor:
            plausibility.demand(plausibility.absent(cursor, found, options.tables), options.accept)
    requests = dump.new_request_files(found, loaded, compare=not settings.first_data_update)
    chosen = {name: files for name, files in found.files.items() if name != REQUESTS} | {REQUESTS: requests}
    _demand_sound([file for files in chosen.values() for file in files], settings)
    tables = tuple(_planned(found, name, chosen[name], rows.get(name)) for name in sorted(found.files))
    return Plan(found.version, tables, found.strangers, usual or None)


def _of_batches(settings: Settings, options: RunOptions) -> Plan:
    """What lies on disk of Canvas Data 2; what the next download brings cannot be known."""
    if settings.enable_download:
        dap.check(settings)
    maintenance.check(settings)
    sizes: dict[str, list[int]] = {}
    for batch in dap_batches.read(_folder(settings)):
        if not options.tables or batch.table in options.tables:
            sizes.setdefault(batch.name, []).extend(file.size for file in batch.files)
    with _ledger(settings) as cursor:
        usual = sum(seconds for _, seconds in db.rows(cursor, "usual_stages")) if cursor else 0.0
    tables = tuple(PlannedTable(name, len(found), sum(found), 0, None) for name, found in sizes.items())
    return Plan("of Canvas Data 2", tables, usual=usual or None)


def find(settings: Settings) -> Dump:
    """The dump that lies on disk. Raises DumpError where there is none."""
    folder = _folder(settings)
    if settings.file_extension == "gz":
        return dump.read(folder)
    return dump.read(folder, unpacked=canvas_cli.unpacked_folder(settings), extension=settings.file_extension)


def _folder(settings: Settings) -> Path:
    if settings.path_data_files is None:
        raise DumpError(say("demo no plan"), hint=say("demo no plan hint"))
    return settings.path_data_files


@contextlib.contextmanager
def _ledger(settings: Settings) -> Iterator[db.Cursor | None]:
    """A cursor that can only read; None before the first night, and where the database is started by runs alone."""
    if settings.embedded_database:
        LOGGER.warning(say("embedded not asked"))
        yield None
        return
    with db.looking(settings) as cursor:
        db.run(cursor, "only_reading")
        there = db.one(cursor, "ledger_exists")[0]
        if there and ledger.lacking(cursor):
            LOGGER.warning(say("old ledger not asked"))
            there = False
        yield cursor if there else None


def _demand_sound(files: list[DumpFile], settings: Settings) -> None:
    _, damaged = dump.verify(files, threads=settings.load_connections)
    if damaged:
        raise dump.damaged_error(damaged)


def _planned(found: Dump, name: str, files: tuple[DumpFile, ...], rows: int | None) -> PlannedTable:
    known = len(found.files[name]) - len(files)
    return PlannedTable(name, len(files), sum(file.size for file in files), known, rows)

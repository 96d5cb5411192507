"""Canvas Data 1 as a source: a dump that canvasDataCli keeps in step, every table whole, the web log in files."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from udecdash_updater import (
    alterations,
    canvas_cli,
    clearing,
    db,
    drift,
    dump,
    plausibility,
    requests,
    tables,
)
from udecdash_updater.dump import Dump, DumpFile
from udecdash_updater.errors import UpdaterError
from udecdash_updater.language import Told, say
from udecdash_updater.logs import LOGGER
from udecdash_updater.night import Night, Source


def check(night: Night) -> None:
    """Nothing that was cleared is aside, and canvasDataCli is there."""
    clearing.recover(night.settings)
    if night.settings.enable_download:
        canvas_cli.check(night.settings)


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
        version, found = dump.read_schema(night.data_files / "schema.json")
        wanted = night.options.tables or tuple(found)
        LOGGER.info(say("unpacking", count=len(wanted), version=version))
        canvas_cli.unpack(night.settings, wanted)


def verify(night: Night) -> None:
    """The dump is whole: archives read to their end, and no table without files that had rows."""
    night.dump, sound = _mend(night, _archives if night.settings.file_extension == "gz" else _unpacked)
    for stranger in night.dump.strangers:
        LOGGER.warning(say("stranger", path=stranger))
    night.request_files = tuple(file for file in sound if file.table == dump.REQUESTS)
    _demand_tables(night, night.dump)
    if night.cleared:
        clearing.delete(night.cleared)
        night.cleared = None


def _archives(night: Night) -> Dump:
    return dump.only(dump.read(night.data_files), night.options.tables)


def _unpacked(night: Night) -> Dump:
    unpacked = canvas_cli.unpacked_folder(night.settings)
    found = dump.read(night.data_files, unpacked=unpacked, extension=night.settings.file_extension)
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
    return dump.as_verified(found, sound), sound


def _new_requests(night: Night, found: Dump) -> tuple[DumpFile, ...]:
    with db.told("reading the ledger"), db.opened(night.settings) as connection, connection.cursor() as cursor:
        loaded = requests.known_files(cursor)
    return dump.new_request_files(found, loaded, compare=not night.settings.first_data_update)


def _verify(night: Night, found: Dump) -> tuple[list[DumpFile], dict[DumpFile, Told]]:
    files = [*_full_files(found), *_new_requests(night, found)]
    with night.progress.over(files):
        return dump.verify(files, threads=night.settings.load_connections)


def _full_files(found: Dump) -> list[DumpFile]:
    return [file for table in found.full_tables() for file in found.files[table.name]]


def _fetch_again(night: Night, damaged: dict[DumpFile, Told]) -> None:
    aside = night.data_files.parent / f".{night.data_files.name}-damaged"
    moved: list[tuple[DumpFile, Path]] = []
    try:
        for file in damaged:
            moved.append((file, dump.set_aside(file, aside)))
        night.warn(say("damaged moved", count=len(moved), folder=aside))
        canvas_cli.sync(night.settings)
    except UpdaterError:
        for file, place in moved:  # a dump without them would look whole
            if not file.path.exists():
                shutil.move(place, file.path)
        raise


def _demand_tables(night: Night, found: Dump) -> None:
    with db.told("judging the dump"), db.opened(night.settings) as connection, connection.cursor() as cursor:
        plausibility.demand(plausibility.absent(cursor, found, night.options.tables), night.options.accept)


def load_tables(night: Night) -> None:
    """All tables but requests become what the dump says, in one transaction."""
    settings, found = night.settings, night.found_dump
    if not found.full_tables():
        return
    with db.told("preparing the tables"), db.opened(settings) as connection:
        with connection.cursor() as cursor:
            changed = drift.told(cursor, found.full_tables())
        widened, deferrable = alterations.follow(connection, found.full_tables())
    for told in [*(say("problem", name="schema.json", what=one) for one in (*changed, *widened)), *deferrable]:
        night.warn(told)
    with night.progress.over(_full_files(found)):
        published = tables.load(settings, found, night.run, night.options)
    night.published = published
    for table, reason in night.open_ledger.rows("accepted_doubts"):
        night.warn(say("was accepted", table=table, reason=plausibility.reason(reason)))
    changes = {name: sum(getattr(p, name) for p in published) for name in ("rows", "new", "changed", "gone")}
    LOGGER.info(say("tables loaded", count=len(published), **changes))


def load_requests(night: Night) -> None:
    """The requests that are new are appended, in one transaction."""
    if dump.REQUESTS in night.found_dump.tables or not night.options.tables:
        _load_requests(night)


def _load_requests(night: Night) -> None:
    with night.progress.over(night.request_files):
        loaded = requests.load(night.settings, night.found_dump, night.request_files, night.run)
    for told in loaded.drift:
        night.warn(say("problem", name="schema.json", what=told))
    LOGGER.info(say("requests loaded", new=loaded.new, files=len(loaded.counts), known=loaded.skipped))
    if loaded.vanished and not night.settings.first_data_update:
        night.warn(say("requests vanished", told=say("requests vanish", count=loaded.vanished)))


SOURCE = Source(check, clear, download, verify, load_tables, load_requests)

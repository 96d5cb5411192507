"""Nights for tests: generated dumps, and the loader run on them without the pipeline around it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from udecdash_updater import (
    alterations,
    copying,
    course,
    dashboard,
    db,
    drift,
    dump,
    jobs,
    ledger,
    requests,
    tables,
)
from udecdash_updater.accounts import Published
from udecdash_updater.demo.university import generate
from udecdash_updater.dump import DumpFile, Table
from udecdash_updater.options import RunOptions
from udecdash_updater.rejects import FileCount, Rejects
from udecdash_updater.requests import RequestsLoaded
from udecdash_updater.settings import Settings

SIZE = {"students": 40, "courses": 4, "requests": 1500, "days": 16}


@dataclass(frozen=True)
class Loaded:
    """What one load did."""

    run: int
    published: dict[str, Published]
    requests: RequestsLoaded
    drift: tuple[str, ...]


def make_nights(folder: Path, nights: Sequence[int], *, seed: int = 11, **more: int) -> dict[int, Path]:
    """Generated dumps of these nights below `folder`: the folder of each, with dataFiles and truth.json."""
    for night in nights:
        generate(folder / f"night{night}", seed=seed, night=night, **(SIZE | more))  # type: ignore[arg-type] # sizes are numbers
    return {night: folder / f"night{night}" for night in nights}


def truth(night: Path) -> dict[str, Any]:
    """The truth.json beside a dump."""
    told: dict[str, Any] = json.loads((night / "truth.json").read_text(encoding="utf-8"))
    return told


def load(
    settings: Settings,
    data_files: Path,
    *,
    compare: bool = True,
    accept: Sequence[str] = (),
    unpacked: Path | None = None,
) -> Loaded:
    """Load the dump in `data_files`, or as it was `unpacked`: full tables, then requests.

    Tables to `accept` may look implausible.
    """
    book = ledger.open_run(settings)
    try:
        dashboard.prepare(settings)
        found = dump.read(data_files, unpacked=unpacked, extension="txt" if unpacked else "gz")
        sound, damaged = dump.verify([file for table in found.full_tables() for file in found.files[table.name]])
        if damaged:
            raise dump.damaged_error(damaged)
        found = dump.as_verified(found, sound)
        with db.opened(settings) as connection:
            with connection.cursor() as cursor:
                changed = drift.told(cursor, found.full_tables())
            widened, deferrable = alterations.follow(connection, found.full_tables())
        published = tables.load(settings, found, book.run, RunOptions(accept=frozenset(accept)))
        tables.keep_lines(settings, published)
        with db.opened(settings) as connection, connection.cursor() as cursor:
            loaded = requests.known_files(cursor)
        files, damaged = dump.verify(dump.new_request_files(found, loaded, compare=compare))
        assert not damaged
        done = requests.load(settings, found, files, book.run)
        book.end_run(0, None, [])
    finally:
        book.close()
    told = tuple(map(str, (*changed, *widened, *deferrable, *done.drift)))
    return Loaded(book.run, {one.table: one for one in published}, done, told)


def process(settings: Settings, run: int) -> int:
    """Judge all that is due, as workers would; how many courses were due."""
    with db.opened(settings, patient=True) as connection:
        with connection.cursor() as cursor:
            courses = [due.course for due in jobs.due(cursor)]
        for number in courses:
            while any(done.left for done in course.process_slice(connection, settings, run, [number])):
                pass
    return len(courses)


def write_archive(path: Path, content: bytes) -> Path:
    """A .gz of these bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content, mtime=0))
    return path


def mini_dump(folder: Path, tables_: dict[str, list[tuple[str, str]]], files: dict[str, dict[str, bytes]]) -> Path:
    """A dump of one's own: tables with (column, type) each, and the plain content of each table's files by name."""
    entries = {
        name: {"tableName": name, "columns": [{"name": column, "type": kind} for column, kind in columns]}
        for name, columns in tables_.items()
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "schema.json").write_text(json.dumps({"version": "4.2.6", "schema": entries}), encoding="utf-8")
    for table, named in files.items():
        for name, content in named.items():
            write_archive(folder / table / name, content)
    return folder


def watch_copies(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tables whose files are read as a whole by COPY from now on, as they come."""
    seen: list[str] = []
    whole = copying.copy_file

    def watched(
        cursor: db.Cursor,
        table: Table,
        staging: db.Composable,
        file: DumpFile,
        gate: Rejects,
        wordy: Mapping[str, bool],
        refused: Mapping[str, str] | None,
    ) -> FileCount:
        seen.append(table.name)
        return whole(cursor, table, staging, file, gate, wordy, refused)

    monkeypatch.setattr("udecdash_updater.staging.copy_file", watched)
    return seen

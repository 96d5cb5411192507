"""Nights of Canvas Data 2 for tests: batches on disk as a download leaves them, and the load run on them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from udecdash_updater import dap_batches, dap_load, dashboard, dump, ledger
from udecdash_updater.dap_batches import INCREMENTAL, SNAPSHOT, Batch, BatchFile
from udecdash_updater.dap_load import TablesLoaded
from udecdash_updater.demo.canvas_data_2 import tell
from udecdash_updater.options import RunOptions
from udecdash_updater.requests import RequestsLoaded
from udecdash_updater.settings import Settings

FIRST = datetime(2026, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True)
class DapLoaded:
    """What one load did."""

    run: int
    tables: TablesLoaded
    requests: RequestsLoaded


def moment(night: int) -> datetime:
    """When a night's data was complete."""
    return FIRST + timedelta(days=night)


def put(folder: Path, name: str, lines: Sequence[str], *, night: int, since: int | None = None,
        schema: object = None) -> Batch:  # fmt: skip
    """A batch of one file with these lines, header first; a snapshot, or the changes since a night."""
    namespace, _, table = name.partition(".")
    kind = SNAPSHOT if since is None else INCREMENTAL
    place = dap_batches.new_folder(folder, namespace, table, kind)
    content = gzip.compress("".join(f"{line}\n" for line in lines).encode(), mtime=0)
    (place / "part-00000.tsv.gz").write_bytes(content)
    files = (BatchFile("part-00000.tsv.gz", len(content)),)
    began = None if since is None else moment(since)
    batch = Batch(place, namespace, table, kind, 1, began, moment(night), files)
    dap_batches.finish(batch, schema or default_schema(lines[0]))  # type: ignore[arg-type] # tests know their own
    return batch


def default_schema(header: str) -> dict[str, object]:
    """A schema in which the key is a number and all values are texts."""
    columns = [name.partition(".") for name in header.split("\t")]
    parts = {
        "key": {"properties": {name: {"type": "integer"} for part, _, name in columns if part == "key"}},
        "value": {"properties": {name: {"type": "string"} for part, _, name in columns if part == "value"}},
    }
    return {"properties": parts}


def told(served: Path, nights: Path, *numbers: int) -> Path:
    """The generated nights below `nights`, told as Canvas Data 2 below `served`."""
    for night in numbers:
        tell(nights / f"night{night}" / "dataFiles", served, night)
    return served


def fetch(served: Path, folder: Path, night: int, since: int | None = None) -> None:
    """A batch of every table: what the service gives in that night, whole or since another night."""
    for path in sorted((served / f"night{night}").rglob("*.tsv.gz")):
        name = f"{path.parent.name}.{path.name.removesuffix('.tsv.gz')}"
        schema = json.loads(path.with_name(path.name.replace(".tsv.gz", ".schema.json")).read_text())["schema"]
        lines = _lines(path)
        if since is not None:
            before = served / f"night{since}" / path.parent.name / path.name
            lines = list(_changes(_lines(before), lines))
        put(folder, name, lines, night=night, since=since, schema=schema)


def _lines(path: Path) -> list[str]:
    return gzip.decompress(path.read_bytes()).decode().removesuffix("\n").split("\n")


def _changes(before: list[str], now: list[str]) -> Iterator[str]:
    """The lines that are new or other than they were, and the keys that are gone."""
    yield f"{now[0]}\tmeta.action"
    known = set(before)
    yield from (f"{line}\tU" for line in now[1:] if line not in known)
    keys = {line.split("\t", 2)[1] for line in now[1:]}
    nothing = "\t\\N" * (now[0].count("\t") - 1)
    gone = dict.fromkeys(line.split("\t", 2)[1] for line in before[1:])
    yield from (f"2026-01-01T00:00:00.000Z\t{key}{nothing}\tD" for key in gone if key not in keys)


def load(settings: Settings, folder: Path, *, accept: Sequence[str] = ()) -> DapLoaded:
    """Load the batches in `folder`, as the stages do."""
    book = ledger.open_run(settings)
    try:
        dashboard.prepare(settings)
        batches = dap_batches.read(folder)
        done = dap_load.load(settings, batches, book.run, RunOptions(accept=frozenset(accept)))
        files, damaged = dump.verify(dap_load.web_log_files(settings, batches))
        assert not damaged
        requests = dap_load.load_web_log(settings, batches, files, book.run)
        book.end_run(0, None, [])
    finally:
        book.close()
    return DapLoaded(book.run, done, requests)

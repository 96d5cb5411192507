"""Batches of Canvas Data 2 on disk: <namespace>/<table>/<batch>/, each the whole answer to one query.

The files in it are as the client left them: TSV in gzip, whose first line names the columns. `batch.json` is written
last and at once, so that a folder without it is a download that did not end.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from udecdash_updater.errors import DumpError
from udecdash_updater.language import Told, because, say

SNAPSHOT = "snapshot"
INCREMENTAL = "incremental"
WEB_LOGS = "canvas_logs.web_logs"
# The tables that the dashboard's relations and the interactions are made of.
NEEDED = (
    "canvas.assignments",
    "canvas.attachments",
    "canvas.communication_channels",
    "canvas.content_tags",
    "canvas.context_external_tools",
    "canvas.context_modules",
    "canvas.conversation_messages",
    "canvas.conversations",
    "canvas.course_sections",
    "canvas.courses",
    "canvas.discussion_entries",
    "canvas.discussion_topics",
    "canvas.enrollment_terms",
    "canvas.enrollments",
    "canvas.quizzes",
    "canvas.users",
    "canvas.wiki_pages",
    WEB_LOGS,
)
_TOLD = "batch.json"
_SCHEMA = "schema.json"
_STAMP = "%Y%m%dT%H%M%S.%fZ"
_BATCH = re.compile(r"(\d{8}T\d{6}\.\d{6}Z)-(snapshot|incremental)")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


@dataclass(frozen=True, slots=True)
class BatchFile:
    """One part of a batch: its name in the batch's folder, and its size in bytes."""

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Batch:
    """The answer to one query, whole on disk.

    A snapshot is all rows of the table at `until` (the service calls it `at`), without meta.action. An incremental is
    what changed from `since` on and before `until`, which is the next query's `since`.
    """

    folder: Path
    namespace: str
    table: str
    kind: str
    schema_version: int
    since: datetime | None
    until: datetime
    files: tuple[BatchFile, ...]

    @property
    def name(self) -> str:
        """The table with its namespace, as in canvas.users."""
        return f"{self.namespace}.{self.table}"

    @property
    def paths(self) -> tuple[Path, ...]:
        """Its files, in the order of their names."""
        return tuple(self.folder / file.name for file in self.files)

    def schema(self) -> dict[str, Any]:
        """The table's JSON schema when it was downloaded. Raises DumpError when it cannot be read."""
        found: dict[str, Any] = _json(self.folder / _SCHEMA)
        return found

    def damage(self) -> Told:
        """Why its files are not those that were downloaded; '' when they are, by their sizes."""
        for file in self.files:
            path = self.folder / file.name
            if not path.is_file():
                return say("not there", path=path)
            if path.stat().st_size != file.size:
                return say("other size", path=path, has=path.stat().st_size, wanted=file.size)
        return ""


def read(folder: Path) -> list[Batch]:
    """The whole batches below PATH_DATA_FILES, by table, and each table's in the order in which they are loaded.

    What came before a table's newest snapshot is left out: the snapshot has it all.
    Raises DumpError when a batch.json cannot be understood.
    """
    found: list[Batch] = []
    for table in _table_folders(folder):
        batches = [_batch(path) for path in _batch_folders(table) if (path / _TOLD).is_file()]
        newest = max((n for n, batch in enumerate(batches) if batch.kind == SNAPSHOT), default=0)
        found += batches[newest:]
    return found


def forget(batches: Iterable[Batch]) -> None:
    """Delete batches that are loaded; one that is half deleted is no batch any more."""
    for batch in batches:
        _delete(batch.folder)


def tidy(folder: Path) -> list[Path]:
    """Delete downloads that did not end, and batches that a later snapshot replaced. Returns their folders."""
    kept = {batch.folder for batch in read(folder)}
    doomed = [path for table in _table_folders(folder) for path in _batch_folders(table) if path not in kept]
    for path in doomed:
        _delete(path)
    return doomed


def new_folder(folder: Path, namespace: str, table: str, kind: str) -> Path:
    """An empty folder for the table's next batch, named so that it comes after those that are there."""
    table_folder = folder / namespace / table
    latest = max((_stamp(path) for path in _batch_folders(table_folder)), default=None)
    now = datetime.now(timezone.utc)
    stamp = now if latest is None or now > latest else latest + timedelta(microseconds=1)
    made = table_folder / f"{stamp.strftime(_STAMP)}-{kind}"
    made.mkdir(parents=True)
    return made


def finish(batch: Batch, schema: dict[str, Any]) -> None:
    """Make a folder whose files are all there a batch: schema.json, then batch.json in one step."""
    _write(batch.folder / _SCHEMA, schema)
    told = asdict(batch) | {"since": written(batch.since), "until": written(batch.until)}
    del told["folder"]
    _write(batch.folder / _TOLD, told)


def _write(path: Path, value: object) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_text(json.dumps(value, indent=1), encoding="utf-8")
    part.replace(path)


def _delete(folder: Path) -> None:
    (folder / _TOLD).unlink(missing_ok=True)
    shutil.rmtree(folder)


def _table_folders(folder: Path) -> Iterator[Path]:
    for namespace in _folders(folder, _NAME):
        yield from _folders(namespace, _NAME)


def _batch_folders(table: Path) -> Sequence[Path]:
    return _folders(table, _BATCH)


def _folders(folder: Path, name: re.Pattern[str]) -> list[Path]:
    """Its real folders with such a name, sorted; none where there is no folder."""
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if name.fullmatch(p.name) and p.is_dir() and not p.is_symlink())


def _stamp(folder: Path) -> datetime:
    return datetime.strptime(folder.name.partition("-")[0], _STAMP).replace(tzinfo=timezone.utc)


def _batch(folder: Path) -> Batch:
    told = _json(folder / _TOLD)
    try:
        if (told["namespace"], told["table"]) != (folder.parent.parent.name, folder.parent.name):
            raise ValueError("names another table")
        if told["kind"] not in (SNAPSHOT, INCREMENTAL):
            raise ValueError("is of no known kind")
        files = tuple(BatchFile(_plain(file["name"]), int(file["size"])) for file in told["files"])
        return Batch(
            folder=folder,
            namespace=told["namespace"],
            table=told["table"],
            kind=told["kind"],
            schema_version=int(told["schema_version"]),
            since=parsed(told["since"]) if told["since"] else None,
            until=parsed(told["until"]),
            files=tuple(sorted(files, key=lambda file: file.name)),
        )
    except (KeyError, TypeError, ValueError) as error:
        why = f"{type(error).__name__}: {error}"
        raise DumpError(say("no batch", path=folder / _TOLD, why=why)) from None


def _plain(name: str) -> str:
    if Path(name).name != name or name in ("", ".", ".."):
        raise ValueError("names a file elsewhere")
    return name


def _json(path: Path) -> Any:  # noqa: ANN401 - JSON is anything
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DumpError(say("unreadable", path=path, why=because(error))) from None
    except ValueError as error:
        raise DumpError(say("no json", path=path, why=str(error))) from None


def parsed(text: str) -> datetime:
    """The time that an ISO 8601 text with a zone means, in UTC. Raises ValueError for any other text.

    >>> parsed("2026-11-01T12:00:00.5Z").isoformat()
    '2026-11-01T12:00:00.500000+00:00'
    """
    found = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)", text)
    if not found:
        raise ValueError("is no time with a zone")
    whole, fraction, zone = found.groups()
    zoned = f"{whole}.{(fraction or '0')[:6].ljust(6, '0')}{'+00:00' if zone == 'Z' else zone}"
    return datetime.fromisoformat(zoned).astimezone(timezone.utc)


def written(moment: datetime | None) -> str | None:
    """A time as the service writes it; None for none."""
    return moment.astimezone(timezone.utc).isoformat().replace("+00:00", "Z") if moment else None

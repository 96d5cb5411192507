"""Query jobs: they wait, run, and end complete or failed; their files are told as objects."""

from __future__ import annotations

import shutil
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from itertools import chain, islice
from pathlib import Path
from typing import Any

from ..archive import Archive
from .answers import out_of_range, stamp, unknown
from .served import Result, Row, Served, moment, night_at

DAY = 24 * 3600


@dataclass(frozen=True, slots=True)
class Query:
    """What a job was asked for, and the night that answers."""

    namespace: str
    table: str
    mode: str | None
    since: datetime | None
    until: datetime | None
    night: int


@dataclass(slots=True)
class Job:
    """A query's job. `polls` is how often it is still told as unfinished; `error` what it fails with."""

    query: Query
    polls: int
    expires: datetime
    schema_version: int
    error: dict[str, object] | None = None
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    objects: dict[str, Path] = field(default_factory=dict)
    started: int = 0

    def told(self) -> dict[str, Any]:
        """The job as the API tells it, no member more than the client knows."""
        found: dict[str, Any] = {"id": self.id, "expires_at": stamp(self.expires)}
        if self.polls > 0:
            self.started += 1
            self.polls -= 1
            return found | {"status": "waiting" if self.started == 1 else "running"}
        if self.error:
            return found | {"status": "failed", "error": self.error}
        found |= {"status": "complete", "objects": [{"id": name} for name in self.objects]}
        found |= {"schema_version": self.schema_version}
        at = stamp(self.query.until or moment(self.query.night))
        return found | ({"since": stamp(self.query.since), "until": at} if self.query.since else {"at": at})


class Jobs:
    """All jobs of the server; their files lie in `folder`, `part_rows` rows in each."""

    def __init__(self, served: Served, folder: Path, part_rows: int, seconds: int = DAY) -> None:
        self._served = served
        self._folder = folder
        self._part_rows = part_rows
        self._seconds = seconds
        self._jobs: dict[str, Job] = {}
        self._lock = threading.Lock()

    def start(
        self, query: Query, *, polls: int = 0, error: dict[str, object] | None = None, twice: bool = False
    ) -> Job:
        """A job for `query`: one that exists and did not fail, or a new one. Raises the API's errors."""
        with self._lock:
            self._demand_range(query)
            for job in self._jobs.values():
                if job.query == query and not job.error and not error and _alive(job):
                    return job
            version = int(self._served.schema(query.namespace, query.table)["version"])
            job = Job(query, polls, _now() + timedelta(seconds=self._seconds), version, error)
            if not error:
                self._write(job, twice)
            self._jobs[job.id] = job
            return job

    def job(self, number: str) -> Job:
        """A job by its id. Raises the API's 404, also for one that has expired."""
        job = self._jobs.get(number)
        if job is None or not _alive(job):
            raise unknown("job", number)
        return job

    def object(self, number: str) -> Path:
        """An object's file. Raises the API's 404."""
        for job in self._jobs.values():
            if number in job.objects and _alive(job):
                return job.objects[number]
        raise unknown("object", number)

    def _demand_range(self, query: Query) -> None:
        earliest, latest = moment(self._served.nights()[0]), moment(query.night)
        if query.since and not earliest <= query.since <= latest:
            raise out_of_range(earliest, latest)

    def _write(self, job: Job, twice: bool) -> None:
        query, folder = job.query, self._folder / job.id
        folder.mkdir(parents=True)
        if query.since is None:
            result = self._served.snapshot(query.namespace, query.table)
        else:
            result = self._served.changes(query.namespace, query.table, night_at(query.since))
        rows = chain.from_iterable((row, row) for row in result.rows) if twice else result.rows
        for number, path in enumerate(_parts(folder, result, iter(rows), self._part_rows)):
            job.objects[f"{job.id}/part-{number:05}"] = path
        if not job.objects:
            shutil.rmtree(folder)


def _parts(folder: Path, result: Result, rows: Iterator[Row], most: int) -> Iterator[Path]:
    """The rows in files of at most `most`; no row, no file."""
    for first in rows:
        path = folder / f"part-{uuid.uuid4()}-c000.tsv.gz"
        with Archive(path) as archive:
            archive.write("\t".join(result.columns) + "\n")
            for row in chain([first], islice(rows, most - 1)):
                archive.write("\t".join(row) + "\n")
        yield path


def _alive(job: Job) -> bool:
    return job.expires > _now()


def _now() -> datetime:
    return datetime.now(timezone.utc)

"""What is left to do, as the ledger tells: courses that are due, and the newest run's jobs, queue by queue."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from udecdash_updater import db, jobs
from udecdash_updater.errors import UpdaterError
from udecdash_updater.settings import Settings


@dataclass(frozen=True, slots=True)
class Waiting:
    """The jobs of one queue."""

    queue: str
    waiting: int
    running: int
    failed: int


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is left to do; `due` and `queues` are None when PostgreSQL does not answer."""

    due: int | None
    queues: tuple[Waiting, ...] | None

    @property
    def failed(self) -> int:
        """How many jobs have failed."""
        return sum(queue.failed for queue in self.queues or ())


def read(settings: Settings) -> Backlog:
    """What is left to do now, as the ledger tells; never raises because PostgreSQL is away."""
    with (
        contextlib.suppress(UpdaterError),  # the night's own stages tell of it
        db.looking(settings) as cursor,
    ):
        queues = tuple(Waiting(*row) for row in db.rows(cursor, "jobs_by_queue"))
        return Backlog(len(jobs.due(cursor)), queues)
    return Backlog(None, None)

"""What is left to do: courses that are due, as the ledger tells, and the jobs in Redis, queue by queue."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from rq import Queue

from udecdash_updater import dispatch
from udecdash_updater.errors import UpdaterError
from udecdash_updater.queues import queue_names
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
    """What is left to do; `due` and `queues` are None when PostgreSQL or Redis does not answer."""

    due: int | None
    queues: tuple[Waiting, ...] | None

    @property
    def failed(self) -> int:
        """How many jobs have failed, as far as Redis tells."""
        return sum(queue.failed for queue in self.queues or ())


def read(settings: Settings) -> Backlog:
    """What is left to do now; never raises because a server is away."""
    due, queues = None, None
    with contextlib.suppress(UpdaterError):  # the night's own stages tell of it
        due = len(dispatch.due_courses(settings))
    with contextlib.suppress(UpdaterError):
        queues = _queues(settings)
    return Backlog(due, queues)


def _queues(settings: Settings) -> tuple[Waiting, ...]:
    with dispatch.redis_of(settings) as connection:
        found = [Queue(name, connection=connection, serializer="json") for name in queue_names(settings)]
        return tuple(
            Waiting(queue.name, queue.count, queue.started_job_registry.count, queue.failed_job_registry.count)
            for queue in found
        )

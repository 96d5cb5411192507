"""What is due becomes jobs in Redis, by course size; the queue is a cache of the ledger and may be lost at any time."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

import redis
from rq import Queue, Retry
from rq.job import Job
from rq.queue import EnqueueData

from udecdash_updater import db, jobs
from udecdash_updater.errors import QueueError
from udecdash_updater.logs import LOGGER
from udecdash_updater.queues import TOO_LONG, queue_for, queue_names
from udecdash_updater.settings import Settings

FUNCTION = "udecdash_updater.jobs.process_courses"
# Forking costs a worker some 14 ms a job, so small courses go together.
_COURSES_A_JOB = 20
_JOB_SECONDS = 3600  # supervisord_config gives a stopping worker as long
_KEPT_SECONDS = 7 * 24 * 3600
_REDIS_SECONDS = 5
_POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Enqueued:
    """What was enqueued: job ids, and the number of courses in them."""

    jobs: tuple[str, ...]
    courses: int


@contextlib.contextmanager
def redis_of(settings: Settings) -> Iterator[redis.Redis]:
    """A connection to REDIS_URL; Redis's own errors become QueueError."""
    url = settings.redis_url.get_secret_value()
    try:
        with redis.Redis.from_url(url, socket_connect_timeout=_REDIS_SECONDS, socket_timeout=60) as connection:
            yield connection
    except (redis.RedisError, OSError) as error:
        raise QueueError(f"Redis (REDIS_URL): {type(error).__name__}: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0]


def answers(settings: Settings) -> str:
    """Why Redis does not answer; empty when it does."""
    try:
        with redis_of(settings) as connection:
            connection.ping()
    except QueueError as error:
        return error.detail
    return ""


def due_courses(settings: Settings) -> list[jobs.Due]:
    """What the ledger says is left to do, as `jobs.due`."""
    with db.told("asking the ledger what is due"), db.opened(settings) as connection, connection.cursor() as cursor:
        return jobs.due(cursor)


def enqueue(settings: Settings, run: int) -> Enqueued:
    """Enqueue jobs for every course that is due; ids are the run's and a number, so that they tell their origin.

    Raises QueueError when Redis is away: the next run finds the same courses due.
    """
    with db.told("asking the ledger what is due"), db.opened(settings) as session, session.cursor() as cursor:
        courses = [due.course for due in jobs.due(cursor)]
        members: dict[int, int] = dict(db.rows(cursor, "course_members", {"courses": courses}))
    by_queue = _by_queue(settings, courses, members)
    names: list[str] = []
    with redis_of(settings) as connection:
        for queue, together in by_queue.items():
            size = 1 if queue == TOO_LONG else _COURSES_A_JOB
            batches = list(jobs.in_batches(together, size))
            ids = [f"run-{run}-{queue}-{number}" for number in range(1, len(batches) + 1)]
            prepared = [_prepared(run, batch, job) for batch, job in zip(batches, ids, strict=True)]
            Queue(queue, connection=connection, serializer="json").enqueue_many(prepared)
            names += ids
    LOGGER.info("%d jobs enqueued for %d courses", len(names), len(courses))
    return Enqueued(tuple(names), len(courses))


def _by_queue(settings: Settings, courses: list[int], members: dict[int, int]) -> dict[str, list[int]]:
    placed = sorted((queue_names(settings).index(_queue(settings, members, c)), c) for c in courses)
    names = queue_names(settings)
    return {names[place]: [course for _, course in group] for place, group in groupby(placed, key=lambda p: p[0])}


def _queue(settings: Settings, members: dict[int, int], course: int) -> str:
    return queue_for(settings, members.get(course, 0))


def _prepared(run: int, courses: list[int], job: str) -> EnqueueData:
    return Queue.prepare_data(
        FUNCTION,
        args=(run, courses),
        job_id=job,
        timeout=_JOB_SECONDS,
        result_ttl=_KEPT_SECONDS,
        failure_ttl=_KEPT_SECONDS,
        retry=Retry(max=3),
        description=f"{len(courses)} courses of run {run}",
    )


def wait(settings: Settings, enqueued: Enqueued) -> None:
    """Wait until nothing is due any more, at most INTERACTIONS_TIMEOUT seconds.

    Raises QueueError that counts the courses left when time is over, or as soon as every job has ended in vain.
    """
    end = time.monotonic() + settings.interactions_timeout
    while left := due_courses(settings):
        ended = _all_ended(settings, enqueued)
        if ended and (left := due_courses(settings)):
            raise QueueError(f"Every job has ended, but {len(left)} courses are not done, {left[0].course} among them.")
        if time.monotonic() > end:
            raise QueueError(f"{len(left)} courses are not done after {settings.interactions_timeout} s.")
        time.sleep(_POLL_SECONDS)


def _all_ended(settings: Settings, enqueued: Enqueued) -> bool:
    with redis_of(settings) as connection:
        found = Job.fetch_many(list(enqueued.jobs), connection=connection, serializer="json")
        return all(job is None or job.is_finished or job.is_failed for job in found)

"""What is due becomes jobs in Redis, by course size; the queue is a cache of the ledger and may be lost at any time."""

from __future__ import annotations

import contextlib
import select
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import redis
from rq import Queue, Retry
from rq.job import Job, JobStatus
from rq.queue import EnqueueData

from udecdash_updater import db, jobs, touched
from udecdash_updater.batches import Batch, batches
from udecdash_updater.errors import QueueError, SettingsError
from udecdash_updater.language import Told, say
from udecdash_updater.logs import LOGGER
from udecdash_updater.queues import queue_names
from udecdash_updater.settings import Settings

FUNCTION = "udecdash_updater.jobs.process_courses"
_PAUSES = [5, 30, 120]  # seconds before a job that failed is tried again
_KEPT_SECONDS = 7 * 24 * 3600
_REDIS_SECONDS = 5
_LOOK_SECONDS = 5.0  # without news of a job: whether one was lost
_WAITING = (JobStatus.QUEUED, JobStatus.SCHEDULED, JobStatus.DEFERRED, JobStatus.CREATED, JobStatus.READY_TO_ENQUEUE)
_ENDED = {JobStatus.FINISHED: "done", JobStatus.FAILED: "failed"}


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
        raise QueueError(say("redis silent", why=_first_line(error) or type(error).__name__)) from None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0]


def answers(settings: Settings) -> Told:
    """Why Redis does not answer; empty when it does."""
    try:
        with redis_of(settings) as connection:
            connection.ping()
    except QueueError as error:
        return error.short
    return ""


def due_courses(settings: Settings) -> list[jobs.Due]:
    """What the ledger says is left to do."""
    with db.told("asking the ledger what is due"), db.opened(settings) as connection, connection.cursor() as cursor:
        return jobs.due(cursor)


def enqueue(settings: Settings, run: int, *, awaited: bool = False) -> Enqueued:
    """Enqueue a job of run `run` for every course that is due and in no job that is alive.

    `awaited`: the run waits for its jobs and tells of their failures; else the last job's worker does.
    Raises QueueError when Redis is away, DatabaseError when PostgreSQL is: the next run finds the same courses due.
    """
    return _enqueue(settings, run, awaited=awaited, again=True)


def requeue(settings: Settings) -> Enqueued:
    """Enqueue what is due and was lost in Redis or has failed, for the newest run; raises as `enqueue`.

    Raises SettingsError for embedded servers: they and their workers run only while a run does.
    """
    if settings.embedded_database or settings.embedded_redis:
        raise SettingsError([say("problem", name="DB_HOST, REDIS_URL", what=say("embedded no requeue"))])
    with db.looking(settings) as cursor:
        run = db.one(cursor, "newest_run")[0]
    return Enqueued((), 0) if run is None else _enqueue(settings, run, awaited=None, again=True)


def _enqueue(settings: Settings, run: int, *, awaited: bool | None, again: bool) -> Enqueued:
    """As `enqueue`; unless `again`, courses that a job of this run gave up are left alone."""
    with redis_of(settings) as connection, db.told("enqueuing"), db.opened(settings) as session:
        with session.cursor() as cursor:
            db.run(cursor, "lock_dispatch")  # until the session ends, so that nobody enqueues the same
            left_alone = _in_hand(cursor, connection, settings, run)
            if not again:
                left_alone |= {course for course, _ in db.rows(cursor, "failed_courses", {"run": run})}
            due = [one for one in jobs.due(cursor) if one.course not in left_alone]
            members: dict[int, int] = dict(db.rows(cursor, "course_members", {"courses": [one.course for one in due]}))
        by_queue = batches(settings, due, members)
        _record(session, run, [batch for found in by_queue.values() for batch in found], awaited=awaited)
        touched.forget(session)
        if again:
            _forget_failures(connection, settings)
        for queue, found in by_queue.items():
            prepared = [_prepared(run, batch) for batch in found]
            Queue(queue, connection=connection, serializer="json").enqueue_many(prepared)
    names = tuple(batch.name(run) for found in by_queue.values() for batch in found)
    if names or again:  # who waits looks often, and mostly finds nothing
        LOGGER.info(say("requeued", jobs=len(names), courses=len(due)))
    return Enqueued(names, len(due))


def _in_hand(cursor: db.Cursor, connection: redis.Redis, settings: Settings, run: int) -> set[int]:
    """The courses of jobs that wait, or that this run's workers work on; jobs that ended unheard are closed."""
    found = db.rows(cursor, "open_jobs")
    kept = _kept(connection, settings)
    alive = Job.fetch_many([name for name, _, _ in found], connection=connection, serializer="json")
    in_hand: set[int] = set()
    closed = []
    for (name, of_run, courses), job in zip(found, alive, strict=True):
        status = job.get_status(refresh=False) if job else None
        if status not in _ENDED and name not in kept:
            status = None
        # What an older run's job works on may have been read before this run's load.
        if status in _WAITING or (status == JobStatus.STARTED and of_run == run):
            in_hand.update(courses)
        elif status != JobStatus.STARTED:
            closed.append((name, _ENDED.get(status, "lost") if status else "lost"))
            if job and status == JobStatus.FAILED:  # its worker could not tell the ledger, so Redis is asked why
                result = job.latest_result()
                why = reason(result.exc_string or "") if result else "the job failed without telling why"
                db.run(cursor, "courses_failed", {"job": name, "error": why})
    db.insert_many(cursor, "close_jobs", closed)
    return in_hand


def reason(account: str) -> str:
    """Of rq's account of an error, what it was: the last line without our wrapping."""
    lines = account.strip().splitlines() or ["the job's process ended"]
    return lines[-1].rpartition("FailedJobError: ")[2].strip()


def _forget_failures(connection: redis.Redis, settings: Settings) -> None:
    """Empty rq's lists of what failed: what of it is still due is enqueued anew, and of all the ledger tells."""
    queues = (Queue(name, connection=connection) for name in queue_names(settings))
    connection.delete(*(queue.failed_job_registry.key for queue in queues))


def _kept(connection: redis.Redis, settings: Settings) -> set[str]:
    """The jobs that rq would find: in a queue, at work or waiting for another try.

    Elsewhere a job is lost, whatever is told of it: rq takes it off its queue before it notes who works on it, and a
    Redis whose memory is full may throw away any of these lists.
    """
    with connection.pipeline() as asked:  # all at the same moment, because jobs move from one to another
        for queue in (Queue(name, connection=connection) for name in queue_names(settings)):
            asked.lrange(queue.key, 0, -1)
            asked.zrange(queue.started_job_registry.key, 0, -1)
            asked.zrange(queue.scheduled_job_registry.key, 0, -1)
        return {name.decode().partition(":")[0] for names in asked.execute() for name in names}


def _record(session: db.Connection, run: int, found: Sequence[Batch], *, awaited: bool | None) -> None:
    rows = [(batch.name(run), run, batch.queue, list(batch.courses), batch.requests) for batch in found]
    with db.transaction(session) as cursor:
        db.insert_many(cursor, "record_jobs", rows)
        db.run(cursor, "await_jobs", {"run": run, "awaited": awaited})


def _prepared(run: int, batch: Batch) -> EnqueueData:
    name = batch.name(run)
    return Queue.prepare_data(
        FUNCTION,
        args=(run, list(batch.courses), name),
        job_id=name,
        timeout=batch.timeout,
        result_ttl=_KEPT_SECONDS,
        failure_ttl=_KEPT_SECONDS,
        retry=Retry(max=len(_PAUSES), interval=_PAUSES),
        description=f"{len(batch.courses)} courses of run {run}",
    )


def wait(settings: Settings, run: int, told: Callable[[int, int], None] = lambda *_: None) -> None:
    """Wait until the jobs have ended, at most INTERACTIONS_TIMEOUT seconds; a job that is lost is enqueued again.

    Jobs tell of their end by a notification, and the ledger is asked whether it was the last one. `told` is called with
    how many have ended, and of how many.
    Raises QueueError that names the courses that failed, or counts those that are not done when time is over.
    """
    end = time.monotonic() + settings.interactions_timeout
    with db.told("waiting for the jobs"), db.opened(settings) as session, session.cursor() as cursor:
        db.run(cursor, "listen")
        while not _ended(cursor, settings, run):
            told(*db.one(cursor, "ended_jobs", {"run": run}))
            if time.monotonic() > end:
                left = len(jobs.due(cursor))
                raise QueueError(say("courses left", count=left, seconds=settings.interactions_timeout))
            if not _notified(session, min(_LOOK_SECONDS, settings.interactions_timeout)):
                _enqueue(settings, run, awaited=True, again=False)
        if failed := db.rows(cursor, "failed_courses", {"run": run}):
            raise jobs.failures(failed)


def _notified(session: db.Connection, seconds: float) -> bool:
    """Wait until another session notifies this one of what it listens to, at most so long; whether one did."""
    if not session.notifies:
        select.select([session], [], [], seconds)
        session.poll()
    heard = bool(session.notifies)
    session.notifies.clear()
    return heard


def _ended(cursor: db.Cursor, settings: Settings, run: int) -> bool:
    """Whether no job is open and nothing is due that could still be done."""
    if db.one(cursor, "any_open_job")[0]:
        return False
    return not _enqueue(settings, run, awaited=True, again=False).jobs

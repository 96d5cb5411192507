"""The worker: rq's own, made safe. `python -m udecdash_updater.worker` listens to all our queues.

Its job dies with it (no second copy beside a retry), it reads JSON only, runs our functions only, and leaves no
row of the database in Redis. `rq worker --worker-class udecdash_updater.worker.Worker ...` gives the same worker.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import os
import signal
import sys
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, NoReturn

import redis
import stamina
from rq import worker_registration
from rq.job import Job as RqJob
from rq.queue import Queue
from rq.serializers import JSONSerializer
from rq.worker import Worker as RqWorker

from udecdash_updater import dispatch, jobs, logs, publishing
from udecdash_updater.errors import QueueError, UpdaterError
from udecdash_updater.guard import die_with_parent
from udecdash_updater.language import say
from udecdash_updater.queues import in_turn
from udecdash_updater.settings import Settings
from udecdash_updater.sources import load_for_worker

# Whoever may write to Redis may name any importable function in a job: these are run, nothing is imported by name.
ALLOWED_FUNCTIONS: dict[str, Callable[..., object]] = {
    "udecdash_updater.jobs.process_courses": functools.partial(jobs.process_courses, ended=publishing.jobs_ended)
}
_REDIS_SECONDS = 60
# A killed worker's job counts as lost after these and rq's own 60 s; then the next worker that looks tries it again.
_MONITORING_SECONDS = 15
_MAINTENANCE_SECONDS = 30
_IDLE_SECONDS = 30 + 15  # rq waits 15 s less for jobs, then an idle worker looks too


class RefusedJobError(UpdaterError):
    """The job names a function that is none of ours."""

    spanish = "El trabajo nombra una función que no es nuestra."
    default_hint = "Find out who may write to Redis; REDIS_URL must be private to the updater and its workers."
    default_hint_es = "Averigüe quién puede escribir en Redis; REDIS_URL debe ser privado del actualizador."


class FailedJobError(Exception):
    """What Redis keeps of a job's error: its kind, its first line if it is safe, and where it was raised."""


class _OnlySafeErrors:
    """Turns whatever the block raises into a FailedJobError without data.

    PostgreSQL's messages carry values of rows; rq would keep message and traceback in Redis and in the log.
    """

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Exception):
            raise FailedJobError(jobs.told(error)) from None


class Job(RqJob):
    """A job that is JSON, names one of ALLOWED_FUNCTIONS and has no callbacks."""

    # rq imports a callback by the name that stands in Redis, as it does the function: we use none.
    success_callback = failure_callback = stopped_callback = None

    def __init__(self, id: str | None = None, connection: redis.Redis | None = None, serializer: Any = None) -> None:  # noqa: ANN401 - rq's signature
        super().__init__(id, connection, JSONSerializer)

    @property
    def func(self) -> Any:  # noqa: ANN401 - rq's signature
        """The job's function; raises RefusedJobError for one that is none of ours."""
        found = ALLOWED_FUNCTIONS.get(self.func_name or "")
        if found is None or self.instance is not None:
            raise RefusedJobError(say("job refused", job=self.id))
        return found

    def perform(self) -> Any:  # noqa: ANN401 - rq's signature
        """Run the job; whatever it raises becomes a FailedJobError."""
        with _OnlySafeErrors():
            return super().perform()

    def send_webhooks(self, *_: object, **__: object) -> None:
        """Nothing: an address that stands in Redis is not to be called."""


class Worker(RqWorker):
    """An rq worker that reads our kind of job only, and whose work horse dies with it."""

    job_class = Job

    def __init__(self, queues: str | Queue | Sequence[str | Queue], *args: Any, **options: Any) -> None:  # noqa: ANN401 - rq's signature
        given = [queues] if isinstance(queues, str | Queue) else list(queues)
        options["connection"] = options.get("connection") or next(q.connection for q in given if isinstance(q, Queue))
        names = [queue if isinstance(queue, str) else queue.name for queue in given]
        # Whatever the command line asked for: the queues are made anew with our class of job and JSON.
        super().__init__(names, *args, **options | {"job_class": Job, "serializer": "json"})

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:  # noqa: ANN401 - rq's signature
        """As rq's; and a Redis that has forgotten this worker is told again who it is and where it listens."""
        super().heartbeat(timeout, pipeline)
        if pipeline is None and not self.connection.hexists(self.key, "queues"):
            self.connection.hset(self.key, mapping=self.serialize())
            worker_registration.register(self)

    def main_work_horse(self, job: RqJob, queue: Queue) -> NoReturn:
        """Run one job in the forked process; it ends when the worker is killed, so that no second copy runs on."""
        die_with_parent(signal.SIGKILL)
        if os.getppid() != self.pid:
            os._exit(1)  # the worker was killed before the kernel was asked
        super().main_work_horse(job, queue)
        raise AssertionError("rq's work horse never returns")

    def handle_job_failure(  # rq's signature
        self,
        job: RqJob,
        queue: Queue,
        started_job_registry: Any = None,  # noqa: ANN401
        exc_string: Any = "",  # noqa: ANN401
        execution: Any = None,  # noqa: ANN401
    ) -> None:
        """Try it again later, as rq does; or write into the ledger that it was given up."""
        last = not job.should_retry
        super().handle_job_failure(job, queue, started_job_registry, exc_string, execution)
        if last:
            with contextlib.suppress(UpdaterError):  # the next run finds out what the ledger was not told
                jobs.give_up(load_for_worker(), job.id, dispatch.reason(exc_string), publishing.jobs_ended)


def connect(settings: Settings) -> redis.Redis:
    """A connection to REDIS_URL; waits a while for a server that is only starting. Raises QueueError."""
    if settings.embedded_redis:
        raise QueueError(say("own workers"))
    connection = redis.Redis.from_url(settings.redis_url.get_secret_value())
    waited = (redis.ConnectionError, redis.BusyLoadingError)
    try:
        for attempt in stamina.retry_context(on=waited, attempts=None, timeout=_REDIS_SECONDS):
            with attempt:
                connection.ping()
    except redis.RedisError as error:
        raise QueueError(say("redis silent", why=type(error).__name__)) from None
    return connection


def main(arguments: Sequence[str] = ()) -> int:
    """Work until a signal asks to stop: TERM lets the job end, a second one ends it too. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m udecdash_updater.worker", description=__doc__)
    parser.add_argument("--first", metavar="QUEUE", default="", help="look into this queue first, then into the others")
    options = parser.parse_args(arguments)
    try:
        settings = load_for_worker()
        logs.configure(settings.secrets(), form=settings.log_format, language=settings.language)
        names = in_turn(settings, options.first)
        connection = connect(settings)
    except UpdaterError as error:
        sys.stderr.write(f"{error}\n{error.hint('en')}\n{error.sentence('es')} {error.hint('es')}\n")
        return error.exit_code
    worker = Worker(
        names,
        connection=connection,
        job_monitoring_interval=_MONITORING_SECONDS,
        maintenance_interval=_MAINTENANCE_SECONDS,
        worker_ttl=_IDLE_SECONDS,
        log_job_description=False,
    )
    # rq's scheduler, which puts failed jobs back after their pause, is a process of the worker's own too.
    os.register_at_fork(after_in_child=lambda: die_with_parent(signal.SIGKILL))
    worker.work(with_scheduler=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

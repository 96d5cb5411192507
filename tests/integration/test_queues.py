"""The queues under a real supervisord, by supervisord_config/'s own file: who works when, and what a stop leaves."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2's class has a lower-case name
from rq import Queue
from rq.job import Job, JobStatus

from tests import work
from tests.installation import SUPERVISORCTL, production_programs, rows, supervisord
from tests.nights import load
from tests.support import until
from udecdash_updater import check_queue, dispatch, workers
from udecdash_updater.embedded import worker_environment
from udecdash_updater.settings import Settings

WORKERS = ["udecdash-workers:course_too_long_00", "udecdash-workers:first_queue_00"]


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as found:
        yield found


@contextlib.contextmanager
def group(services: Settings, home: Path, **more: str) -> Iterator[Settings]:
    """Two workers, one for the smallest courses and one for the largest; yields settings that reach them."""
    environment = worker_environment(services) | {work.MARK: str(home / "mark"), **more}
    with supervisord(home / "s", production_programs(home, "tests.work"), more=environment) as config:
        found = {"server_supervisord_command_path": SUPERVISORCTL, "supervisor_config": config}
        settings = services.model_copy(update=found)
        workers.start(settings)
        yield settings


def hold(client: redis.Redis, queue: str, name: str) -> Job:
    return Queue(queue, connection=client, serializer="json").enqueue("tests.work.hold", name)


def began(home: Path, *names: str) -> bool:
    return until(lambda: all((home / f"mark.{name}").exists() for name in names))


def status(job: Job) -> JobStatus:
    return Job.fetch(job.id, connection=job.connection, serializer="json").get_status()


def test_no_worker_idles_while_any_queue_has_work_and_a_stop_lets_jobs_end(
    services: Settings, client: redis.Redis, home: Path
) -> None:
    with group(services, home) as settings:
        for queue in ("first_queue", "fifth_queue", "course_too_long"):
            jobs = [hold(client, queue, f"{queue}-{number}") for number in range(2)]
            assert began(home, f"{queue}-0", f"{queue}-1")  # both at once: neither ends before the other began
            (home / "mark.go").touch()
            assert until(lambda jobs=jobs: {status(job) for job in jobs} == {JobStatus.FINISHED})  # type: ignore[misc] # its default is a list
            (home / "mark.go").unlink()
        jobs = [hold(client, "fifth_queue", name) for name in "abc"]
        assert began(home, "a", "b")
        with ThreadPoolExecutor() as others:
            stopped = others.submit(workers.stop, settings)
            assert until(lambda: set(workers.state(settings).values()) == {"STOPPING"})
            (home / "mark.go").touch()
        assert stopped.result() == dict.fromkeys(WORKERS, "STOPPED")
        assert [status(job) for job in jobs] == [JobStatus.FINISHED, JobStatus.FINISHED, JobStatus.QUEUED]
        workers.start(settings)
        assert until(lambda: status(jobs[2]) == JobStatus.FINISHED)


def test_giant_courses_hold_up_no_small_one_though_they_keep_every_worker_busy(
    services: Settings, client: redis.Redis, home: Path, small_nights: Path, database: Connection
) -> None:
    run = load(services, small_nights / "night1" / "dataFiles").run
    small, *giants = [due.course for due in dispatch.due_courses(services)]
    rows(database, f"delete from enrollment_dim where course_id = {small} returning 1")
    newest = rows(database, f"select newest from udecdash.course_requests where course_id = {small}")[0][0]
    sized = services.model_copy(update={"queue_limits": (1,)})
    set_newest = "update udecdash.course_requests set newest = {} where course_id = {} returning 1"
    rows(database, set_newest.format(0, small))
    with group(sized, home, **{work.SMALL: str(small)}) as settings, pytest.MonkeyPatch.context() as patched:
        patched.setattr("udecdash_updater.batches._JOB_REQUESTS", 0)  # each course is a job of its own
        dispatch.enqueue(settings, run)
        assert rows(database, "select queue, count(*) from udecdash.jobs group by 1") == [("course_too_long", 2)]
        assert began(home, *map(str, giants))
        rows(database, set_newest.format(newest, small))
        dispatch.enqueue(settings, run)
        assert until(lambda: not dispatch.due_courses(settings))
        first = "select queue from udecdash.jobs where ended_at is not null order by ended_at limit 1"
        assert rows(database, first) == [("first_queue",)]


def test_check_tells_of_queues_without_workers_and_of_small_courses_without_one_of_their_own(
    services: Settings, client: redis.Redis
) -> None:
    def told() -> str:
        return next(str(one.told) for one in check_queue.redis_fits(services) if one.name == "redis workers")

    def listens(name: str, queues: str) -> None:
        client.sadd("rq:workers", f"rq:worker:{name}")
        client.hset(f"rq:worker:{name}", "queues", queues)

    assert told() == "no worker listens"
    services = services.model_copy(update={"queue_limits": (10, 20)})
    listens("one", "first_queue,course_too_long")
    assert told() == "no worker listens to second_queue"
    listens("one", "course_too_long,first_queue,second_queue")
    assert told().startswith("none begins with the smallest courses")
    listens("two", "first_queue,second_queue,course_too_long")
    client.sadd("rq:workers", "rq:worker:gone")
    assert told() == "2 listen to all queues"

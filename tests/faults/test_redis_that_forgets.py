"""A Redis that is killed, emptied, full or throws keys away while jobs are at work: what it forgets is put back."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import redis
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2's class has a lower-case name
from pydantic import SecretStr

from tests import truth
from tests.nights import load
from tests.nights import truth as told
from tests.support import until
from udecdash_updater import course, db, dispatch
from udecdash_updater.binaries import find_redis
from udecdash_updater.course import CourseDone
from udecdash_updater.embedded import worker_environment
from udecdash_updater.errors import QueueError
from udecdash_updater.queues import queue_names
from udecdash_updater.settings import Settings
from udecdash_updater.worker import Worker

_ROUNDS = 20
_SQUEEZED_BYTES = 20_000


@pytest.fixture
def client(home: Path, request: pytest.FixtureRequest) -> Iterator[redis.Redis]:
    """A Redis of the test's own, which keeps its data if the test says so, and begins again when it is killed."""
    path = home / "redis.sock"
    keeps = "yes" if "kept" in request.node.name else "no"
    words = ["--port", "0", "--unixsocket", str(path), "--dir", str(home), "--save", "", "--appendonly", keeps]
    again = ["sh", "-c", 'while :; do "$@"; done', "again", str(find_redis(None, home)), *words]
    with subprocess.Popen(again, stdout=subprocess.DEVNULL, start_new_session=True) as process:
        try:
            with redis.Redis(unix_socket_path=str(path)) as found:
                assert until(lambda: answers(found))
                yield found
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def answers(client: redis.Redis) -> bool:
    with contextlib.suppress(redis.RedisError, OSError):
        return bool(client.ping())
    return False


def killed(client: redis.Redis) -> None:
    """It begins again, with what it has kept."""
    before = client.info()["process_id"]
    os.kill(before, signal.SIGKILL)

    def anew() -> bool:
        return answers(client) and client.info()["process_id"] != before

    assert until(anew)


def kept(client: redis.Redis) -> None:
    killed(client)


def emptied(client: redis.Redis) -> None:
    client.flushall()


def evicting(client: redis.Redis) -> None:
    """Every other key is thrown away, as when its memory is full: lists, jobs, workers, whatever they are."""
    client.delete(*sorted(client.scan_iter())[::2])


def squeezed_and_kept(client: redis.Redis) -> None:
    """Its memory is full, and it throws away what it likes at each write; it begins again with what is left."""
    client.config_set("maxmemory-policy", "allkeys-random")
    client.config_set("maxmemory", client.info("memory")["used_memory"] - _SQUEEZED_BYTES)

    def evicted() -> bool:
        client.set("one more", "")
        return int(client.info("stats")["evicted_keys"]) > 0

    if until(evicted):  # else this goes on for long, and the test fails by its time
        killed(client)


def full(client: redis.Redis) -> None:
    """Nothing more can be written."""
    client.config_set("maxmemory", 1)


@pytest.mark.parametrize("damage", [killed, kept, emptied, evicting, squeezed_and_kept, full])
def test_whatever_redis_forgets_while_jobs_are_at_work_interactions_are_those_of_the_truth(
    postgres: Settings,
    database: Connection,
    client: redis.Redis,
    home: Path,
    small_nights: Path,
    damage: Callable[[redis.Redis], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    services = postgres.model_copy(update={"redis_url": SecretStr(f"unix://{home / 'redis.sock'}")})
    for name, value in worker_environment(services).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(course, "_SLICE", 150)
    monkeypatch.setattr("udecdash_updater.batches._JOB_REQUESTS", 0)  # each course is a job of its own
    whole = course.process_slice

    def process_slice(connection: db.Connection, own: Settings, run: int, courses: Sequence[int]) -> list[CourseDone]:
        done = whole(connection, own, run, courses)
        damage(client)  # in the job's own process: the mark of this slice has moved
        return done

    monkeypatch.setattr(course, "process_slice", process_slice)
    run = load(services, small_nights / "night1" / "dataFiles").run
    due = dispatch.due_courses(services)
    dispatch.enqueue(services, run)
    for _ in range(_ROUNDS):
        with contextlib.suppress(redis.RedisError, QueueError):
            Worker(queue_names(services), connection=redis.Redis(unix_socket_path=str(home / "redis.sock"))).work(
                burst=True
            )
        client.config_set("maxmemory", 0)
        left = dispatch.due_courses(services)
        assert {one.course for one in left} <= {one.course for one in due}  # what is missing is visible
        if not left:
            break
        dispatch.requeue(services)
    night = told(small_nights / "night1")
    assert truth.wrong_interactions(database, night["interactions"]) == []
    assert truth.wrong_unprocessable(database, night["unprocessable"]) == []
    assert dispatch.due_courses(services) == []

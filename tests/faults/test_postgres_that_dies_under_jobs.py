"""PostgreSQL that stops at once while jobs are at work: what a course loses it loses whole, and it is done again.

Sixteen crashes: at random instants, and right after a course's commit, which does not wait for the disk, before its
job's account. The server writes its log late, so that such commits are really lost.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import random
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import redis
from pydantic import SecretStr

from tests import truth
from tests.installation import rows
from tests.nights import load
from tests.nights import truth as told
from tests.postgres import PrivateServer, private_server
from tests.support import connect, short_home, until
from udecdash_updater import course, db, dispatch
from udecdash_updater.course import CourseDone
from udecdash_updater.embedded import worker_environment
from udecdash_updater.errors import UpdaterError
from udecdash_updater.queues import queue_names
from udecdash_updater.settings import Settings
from udecdash_updater.worker import Worker

_CRASHES = 16
_ROUNDS = 200
_MARKS = "select course_id, mark, total, unresolved from udecdash.courses order by course_id"


class Crashes:
    """Stops and starts the server so many times: when a job asks for it, else at a random instant."""

    def __init__(self, server: PrivateServer) -> None:
        self._server, self._wanted, self._over = server, multiprocessing.Event(), multiprocessing.Event()
        self.asked = self.count = 0
        self.thread = threading.Thread(target=self._crash)

    def now(self) -> None:
        """In a job's process: stop the server here, and go on when it is back."""
        if not self._over.is_set() and random.SystemRandom().random() < 0.5:
            self._wanted.set()
            assert until(lambda: not self._wanted.is_set() or self._over.is_set())

    def _crash(self) -> None:
        for _ in range(_CRASHES):
            self.asked += self._wanted.wait(random.uniform(0.02, 0.6))
            self._server.stop_immediately()
            self._server.start()
            self.count += 1
            self._wanted.clear()
        self._over.set()


@pytest.fixture
def server() -> Iterator[PrivateServer]:
    with short_home() as folder, private_server(folder) as found:
        with contextlib.closing(connect(found.settings)) as session:
            session.autocommit = True
            session.cursor().execute("alter system set wal_writer_delay = '10s'")
            session.cursor().execute("select pg_reload_conf()")
        yield found


def contents(settings: Settings, query: str) -> list[tuple[Any, ...]]:
    with contextlib.closing(connect(settings)) as session:
        return rows(session, query)


def test_whenever_postgresql_dies_under_jobs_no_course_is_done_twice_or_forgotten(
    server: PrivateServer,
    embedded_servers: Settings,
    night_1_database: str,
    redis_url: str,
    small_nights: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    services = server.settings.model_copy(update={"redis_url": SecretStr(redis_url)})
    for name, value in worker_environment(services).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(course, "_SLICE", 60)
    monkeypatch.setattr("udecdash_updater.batches._JOB_REQUESTS", 0)  # each course is a job of its own
    monkeypatch.setattr(dispatch, "_PAUSES", [0, 0, 0])  # no scheduler runs here
    crashes, whole = Crashes(server), course.process_slice

    def process_slice(connection: db.Connection, own: Settings, run: int, courses: Sequence[int]) -> list[CourseDone]:
        done = whole(connection, own, run, courses)
        crashes.now()
        return done

    monkeypatch.setattr(course, "process_slice", process_slice)
    run = load(services, small_nights / "night1" / "dataFiles").run
    dispatch.enqueue(services, run)
    crashes.thread.start()
    for _ in range(_ROUNDS):
        Worker(queue_names(services), connection=redis.Redis.from_url(redis_url)).work(burst=True)
        with contextlib.suppress(UpdaterError):
            if not crashes.thread.is_alive() and not dispatch.due_courses(services):
                break
            dispatch.requeue(services)
    crashes.thread.join()
    assert crashes.count == _CRASHES
    assert crashes.asked  # some right after a commit
    assert dispatch.due_courses(services) == []
    night = told(small_nights / "night1")
    with contextlib.closing(connect(services)) as session:
        assert truth.wrong_interactions(session, night["interactions"]) == []
        assert truth.wrong_unprocessable(session, night["unprocessable"]) == []
    undisturbed = embedded_servers.model_copy(update={"db_name": night_1_database})
    assert contents(services, _MARKS) == contents(undisturbed, _MARKS)

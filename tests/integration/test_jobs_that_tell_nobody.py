"""Jobs that fail where the ledger cannot be told: Redis is asked why, and forgets them once they are enqueued anew."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2's class has a lower-case name

from tests.nights import load
from udecdash_updater import check_queue, dispatch, jobs
from udecdash_updater.embedded import worker_environment
from udecdash_updater.errors import DatabaseError, QueueError
from udecdash_updater.findings import OK, WARNING
from udecdash_updater.queues import queue_names
from udecdash_updater.settings import Settings
from udecdash_updater.worker import ALLOWED_FUNCTIONS, Worker

REASON = "password authentication failed"


def worked(services: Settings) -> str:
    """Let a worker do what waits; how `check` finds the jobs in Redis then."""
    with redis.Redis.from_url(services.redis_url.get_secret_value()) as client:
        Worker(queue_names(services), connection=client).work(burst=True)
    [found] = [one for one in check_queue.redis_fits(services) if one.name == "redis jobs"]
    return found.outcome


def refuse(*_: object, **__: object) -> None:
    raise DatabaseError(REASON)


def test_jobs_whose_workers_cannot_log_in_are_told_with_their_reason_and_are_no_warning_once_they_are_done(
    services: Settings, database: Connection, small_nights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in worker_environment(services).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(dispatch, "_PAUSES", [0])
    run = load(services, small_nights / "night1" / "dataFiles").run
    with monkeypatch.context() as patched:
        patched.setitem(ALLOWED_FUNCTIONS, dispatch.FUNCTION, refuse)
        patched.setattr(jobs, "give_up", refuse)
        dispatch.enqueue(services, run, awaited=True)
        assert worked(services) == WARNING
    with pytest.raises(QueueError, match=rf"course \d+: DatabaseError: .*{REASON}"):
        dispatch.wait(services, run)
    assert dispatch.requeue(services).jobs
    assert worked(services) == OK
    assert dispatch.due_courses(services) == []

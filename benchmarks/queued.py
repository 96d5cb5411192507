"""Small courses through Redis to real workers: how much of the time is not the jobs' own, what a second one adds."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import redis
from pydantic import SecretStr
from rq.worker_registration import get_keys

from benchmarks import ground
from benchmarks.ground import Told
from udecdash_updater import dispatch
from udecdash_updater.binaries import find_redis
from udecdash_updater.embedded import worker_environment
from udecdash_updater.settings import Settings

REQUESTS = 50
_SECONDS = 30
_WORKED = "select count(*), sum(seconds) from udecdash.jobs where outcome = 'done'"
_BEGIN = "delete from udecdash.jobs; update udecdash.runs set jobs_ended_at = null"


@contextlib.contextmanager
def redis_server(folder: Path) -> Iterator[SecretStr]:
    """A Redis of the benchmark's own; yields its REDIS_URL."""
    path = folder / "redis.sock"
    command = [str(find_redis(None, folder)), "--port", "0", "--unixsocket", str(path), "--dir", str(folder)]
    with subprocess.Popen([*command, "--save", ""], stdout=subprocess.DEVNULL) as process:
        try:
            _await(path.exists)
            yield SecretStr(f"unix://{path}")
        finally:
            process.terminate()


def drained(settings: Settings, workers: int = 1) -> Told:
    """From the moment at which a night begins to enqueue until its last job has ended; the workers listen already."""
    with ground.session(settings) as cursor:
        cursor.execute(_BEGIN)
    with _listening(settings, workers):
        began = time.perf_counter()
        dispatch.enqueue(settings, 1, awaited=True)
        dispatch.wait(settings, 1)
        seconds = time.perf_counter() - began
    with ground.session(settings) as cursor:
        cursor.execute(_WORKED)
        jobs, worked = cursor.fetchone() or (0, 0.0)
    return {"seconds": seconds, "jobs": jobs, "worked": worked}


@contextlib.contextmanager
def _listening(settings: Settings, workers: int) -> Iterator[None]:
    command = [sys.executable, "-m", "udecdash_updater.worker"]
    with contextlib.ExitStack() as ends, redis.Redis.from_url(settings.redis_url.get_secret_value()) as client:
        client.flushall()
        environment = worker_environment(settings)
        for _ in range(workers):
            process = ends.enter_context(subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL))
            ends.callback(process.terminate)
        _await(lambda: len(get_keys(connection=client)) == workers)
        yield


def _await(ready: Callable[[], bool]) -> None:
    end = time.monotonic() + _SECONDS
    while not ready() and time.monotonic() < end:
        time.sleep(0.05)

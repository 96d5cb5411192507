"""Real workers on a real Redis: what they run, what they refuse, what they leave behind."""

from __future__ import annotations

import base64
import contextlib
import json
import logging
import os
import pickle
import signal
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from pydantic import SecretStr
from rq import Callback, Queue, Retry
from rq import Worker as PlainWorker
from rq.job import Job as PlainJob
from rq.job import JobStatus

from tests import work
from tests.support import alive, until
from udecdash_updater import worker
from udecdash_updater.embedded import worker_environment
from udecdash_updater.errors import QueueError
from udecdash_updater.queues import TOO_LONG, queue_for, queue_names
from udecdash_updater.settings import Settings
from udecdash_updater.worker import Job, Worker

ROOT = Path(__file__).resolve().parents[2]


class Pickled:
    """What runs code as soon as it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return work.leave_mark, ()


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as found:
        yield found


@pytest.fixture
def mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(work.MARK, str(tmp_path / "mark"))
    return tmp_path / "mark"


@pytest.fixture
def ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests' own functions count as ours in this process."""
    for name, function in work.FUNCTIONS.items():
        monkeypatch.setitem(worker.ALLOWED_FUNCTIONS, name, function)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Logging as it was: a worker that works in this process changes it."""
    before = {name: logging.getLogger(name).handlers[:] for name in ("rq.worker", "rq.job")}
    yield
    for name, handlers in before.items():
        logging.getLogger(name).handlers[:] = handlers


def queue(client: redis.Redis, name: str = "first_queue") -> Queue:
    return Queue(name, connection=client, serializer="json")


def burst(client: redis.Redis, *names: str) -> Worker:
    found = Worker(names or ("first_queue",), connection=client)
    found.work(burst=True)
    return found


def plant(client: redis.Redis, data: bytes) -> PlainJob:
    """A job as somebody who may write to Redis puts it there."""
    job = queue(client).enqueue("tests.work.add", 1, 2)
    client.hset(job.key, mapping={"data": zlib.compress(data)})
    return job


def status(job: PlainJob) -> JobStatus:
    return PlainJob.fetch(job.id, connection=job.connection, serializer="json").get_status()


def failure(job: PlainJob) -> str:
    """What Redis keeps about a failed job."""
    found = PlainJob.fetch(job.id, connection=job.connection, serializer="json").latest_result()
    assert found is not None
    assert found.exc_string is not None
    return found.exc_string


def everything(client: redis.Redis) -> str:
    """All text in Redis, also what is packed."""
    found: list[Any] = []
    for key in client.scan_iter():
        if client.type(key) == b"hash":
            found += [value for pair in client.hgetall(key).items() for value in pair]
        elif client.type(key) == b"stream":
            found += [value for _, fields in client.xrange(key) or () for value in (fields or {}).values()]
    texts = []
    for value in found:
        texts.append(value.decode(errors="replace"))
        for unpack in (zlib.decompress, lambda packed: zlib.decompress(base64.b64decode(packed))):
            with contextlib.suppress(zlib.error, ValueError):
                texts.append(unpack(value).decode(errors="replace"))
    return "\n".join(texts)


@contextlib.contextmanager
def working(services: Settings, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A worker process as supervisord starts it."""
    environment = worker_environment(services) | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.work"]
    with (
        log.open("wb") as output,
        subprocess.Popen(command, env=environment, cwd="/", stdout=output, stderr=output) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def test_our_function_is_run_and_its_answer_kept(client: redis.Redis, ours: None) -> None:
    job = queue(client).enqueue("tests.work.add", 20, 22)
    burst(client)
    assert status(job) == JobStatus.FINISHED
    assert PlainJob.fetch(job.id, connection=client, serializer="json").return_value() == 42


def test_a_planted_pickle_is_not_unpacked(client: redis.Redis, mark: Path, ours: None) -> None:
    data = pickle.dumps(("tests.work.add", None, (Pickled(),), {}))
    job = plant(client, data)
    burst(client)
    assert status(job) == JobStatus.FAILED
    assert not mark.exists()
    # The same job does run in a worker that is not ours: the planting is real.
    plant(client, data)
    PlainWorker(["first_queue"], connection=client).work(burst=True)
    assert mark.exists()


def test_a_planted_function_is_refused_by_name(client: redis.Redis, mark: Path, ours: None) -> None:
    functions: list[object] = [
        "os.system",
        "tests.work.leave_mark",
        "builtins.eval",
        "udecdash_updater.worker.main",
        "",
        None,
        7,
        [],
    ]
    jobs = [plant(client, json.dumps([function, None, [f"touch {mark}"], {}]).encode()) for function in functions]
    burst(client)
    assert {status(job) for job in jobs} == {JobStatus.FAILED}
    assert all("RefusedJobError" in failure(job) for job in jobs[:4])
    assert not mark.exists()


def test_what_is_no_job_fails_and_the_worker_goes_on(client: redis.Redis, ours: None) -> None:
    bad = [plant(client, data) for data in (b"", b"[", b"[1, 2]", b"null", b"\x00\xff")]
    bad.append(plant(client, json.dumps(["tests.work.add", "an instance", [1, 2], {}]).encode()))
    good = queue(client).enqueue("tests.work.add", 1, 2)
    burst(client)
    assert {status(job) for job in bad} == {JobStatus.FAILED}
    assert status(good) == JobStatus.FINISHED


def test_planted_callbacks_are_not_run(client: redis.Redis, mark: Path, ours: None) -> None:
    callback = Callback("tests.work.leave_mark")
    for function in ("tests.work.add", "os.system"):
        queue(client).enqueue(function, 1, 2, on_success=callback, on_failure=callback, on_stopped=callback)
    burst(client)
    assert not mark.exists()
    queue(client).enqueue("tests.work.add", 1, 2, on_success=callback)
    PlainWorker(["first_queue"], connection=client, serializer="json").work(burst=True)
    assert mark.exists()


def test_a_jobs_error_leaves_no_row_in_redis_nor_in_the_log(
    client: redis.Redis, services: Settings, tmp_path: Path
) -> None:
    dsn = f"host={services.db_host} dbname={services.db_name} user={services.db_username}"
    job = queue(client).enqueue("tests.work.violate", dsn, retry=Retry(max=1))
    log = tmp_path / "log"
    with working(services, log):
        assert until(lambda: status(job) == JobStatus.FAILED)
    assert "UniqueViolation: SQLSTATE 23505" in failure(job)
    assert "UniqueViolation: SQLSTATE 23505" in log.read_text()
    assert "SQLSTATE 23505" in everything(client)
    assert "Canario" not in everything(client) + log.read_text()


def test_of_our_own_errors_the_first_line_is_kept(client: redis.Redis, ours: None) -> None:
    job = queue(client).enqueue("tests.work.refuse")
    burst(client)
    assert "DumpError: The dump cannot be trusted, so nothing of it was published. course 7 has no table." in failure(
        job
    )
    assert "Canario" not in everything(client)


def test_a_job_over_its_time_is_ended_and_said_so(client: redis.Redis, mark: Path, ours: None) -> None:
    job = queue(client).enqueue("tests.work.sleep", 60, job_timeout=1)
    burst(client)
    assert status(job) == JobStatus.FAILED
    assert "JobTimeoutException" in failure(job)
    assert not mark.exists()


def test_one_worker_empties_all_queues(client: redis.Redis, ours: None) -> None:
    names = queue_names(Settings())
    jobs = [queue(client, name).enqueue("tests.work.add", 1, 2) for name in names for _ in range(2)]
    burst(client, *names)
    assert {status(job) for job in jobs} == {JobStatus.FINISHED}


def test_queues_are_named_as_the_dashboard_names_them() -> None:
    assert queue_names(Settings())[:2] == ("first_queue", "second_queue")
    assert queue_names(Settings())[-2:] == ("tenth_queue", TOO_LONG)
    few = Settings().model_copy(update={"queue_limits": (10, 100)})
    assert queue_names(few) == ("first_queue", "second_queue", TOO_LONG)
    many = Settings().model_copy(update={"queue_limits": tuple(range(1, 13))})
    assert queue_names(many)[-3:] == ("queue_11", "queue_12", TOO_LONG)
    sizes = {0: "first_queue", 10: "first_queue", 11: "second_queue", 100: "second_queue", 101: TOO_LONG}
    assert {size: queue_for(few, size) for size in sizes} == sizes


def test_a_job_dies_with_its_killed_worker(client: redis.Redis, services: Settings, mark: Path, tmp_path: Path) -> None:
    queue(client, TOO_LONG).enqueue("tests.work.sleep", 600, job_timeout=700)
    with working(services, tmp_path / "log") as process:
        note = mark.with_suffix(".pid")
        assert until(lambda: note.exists() and note.read_text() != "")
        horse = int(note.read_text())
        assert alive(horse)
        assert horse != process.pid
        process.kill()
        assert until(lambda: not alive(horse))


def test_a_stop_lets_the_job_end(client: redis.Redis, services: Settings, mark: Path, tmp_path: Path) -> None:
    job = queue(client).enqueue("tests.work.sleep", 1.5)
    with working(services, tmp_path / "log") as process:
        assert until(mark.with_suffix(".pid").exists)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert mark.exists()
    assert status(job) == JobStatus.FINISHED


def test_rqs_own_command_line_gives_the_same_worker(client: redis.Redis, redis_url: str, mark: Path) -> None:
    pickled = plant(client, pickle.dumps(("tests.work.add", None, (Pickled(),), {})))
    named = plant(client, json.dumps(["tests.work.leave_mark", None, [], {}]).encode())
    command = [sys.executable, "-m", "rq.cli", "worker", "--burst", "--url", redis_url]
    command += ["--worker-class", "udecdash_updater.worker.Worker", "first_queue"]
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True, timeout=60)
    assert (status(pickled), status(named)) == (JobStatus.FAILED, JobStatus.FAILED)
    assert not mark.exists()


def test_a_workers_missing_settings_are_told_by_name(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "REDIS_URL": "unix:///nonexistent/r.sock"}
    command = [sys.executable, "-m", "udecdash_updater.worker"]
    done = subprocess.run(command, check=False, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert "DB_NAME" in done.stderr


def test_a_redis_that_is_away_is_waited_for_and_then_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_REDIS_SECONDS", 0.3)
    away = Settings().model_copy(update={"redis_url": SecretStr("unix:///nonexistent/redis.sock")})
    with pytest.raises(QueueError, match="does not answer"):
        worker.connect(away)


def test_a_job_made_by_our_class_is_json(client: redis.Redis) -> None:
    job = Job.create("udecdash_updater.jobs.process_courses", [1, [2]], connection=client)
    assert json.loads(job.data) == ["udecdash_updater.jobs.process_courses", None, [1, [2]], {}]

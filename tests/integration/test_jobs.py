"""Jobs from the ledger through Redis to the tables: each once in effect, whatever dies, fails or forgets."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import redis
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2's class has a lower-case name
from pydantic import SecretStr

from tests import truth
from tests.mail import mail_server
from tests.nights import load
from tests.nights import truth as told
from tests.support import until
from udecdash_updater import backlog, course, db, dispatch, figures, jobs, publishing, sources, summary
from udecdash_updater.course import CourseDone
from udecdash_updater.db import WORKER
from udecdash_updater.embedded import worker_environment
from udecdash_updater.errors import DatabaseError, QueueError, SettingsError
from udecdash_updater.queues import queue_names
from udecdash_updater.settings import Settings
from udecdash_updater.worker import Worker

ROOT = Path(__file__).resolve().parents[2]
REFUSED = """
create function refuse() returns trigger language plpgsql as
    $$ begin if new.course_id = %s then raise exception 'Canario'; end if; return new; end $$;
create trigger refuse before insert on course_interactions for each row execute function refuse()
"""


@pytest.fixture
def client(services: Settings) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(services.redis_url.get_secret_value()) as found:
        yield found


@pytest.fixture
def run(services: Settings, small_nights: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """A night is loaded, and this process's workers have their settings."""
    for name, value in worker_environment(services).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(dispatch, "_PAUSES", [0])
    return load(services, small_nights / "night1" / "dataFiles").run


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the workers write pages."""
    monkeypatch.setenv("REPORT_DIR", str(tmp_path / "report"))
    return tmp_path / "report"


def rows(database: Connection, query: str, *values: object) -> list[tuple[Any, ...]]:
    with database.cursor() as cursor:
        cursor.execute(query, values or None)
        return cursor.fetchall() if cursor.description else []


def one(database: Connection, query: str) -> Any:  # noqa: ANN401 - whatever stands there
    return rows(database, query)[0][0]


def burst(client: redis.Redis) -> None:
    Worker(queue_names(Settings()), connection=client).work(burst=True)


def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each course is a job of its own."""
    monkeypatch.setattr("udecdash_updater.batches._JOB_REQUESTS", 0)


def wrong(database: Connection, small_nights: Path) -> list[str]:
    night = told(small_nights / "night1")
    return [
        *truth.wrong_interactions(database, night["interactions"]),
        *truth.wrong_unprocessable(database, night["unprocessable"]),
    ]


def worker(services: Settings, log: Path) -> subprocess.Popen[bytes]:
    environment = worker_environment(services) | {"PYTHONPATH": str(ROOT)}
    with log.open("ab") as output:
        command = [sys.executable, "-m", "udecdash_updater.worker"]
        return subprocess.Popen(command, env=environment, cwd="/", stdout=output, stderr=output)


def test_jobs_do_what_is_due_and_the_ledger_tells_of_them(
    services: Settings, database: Connection, client: redis.Redis, run: int, small_nights: Path
) -> None:
    enqueued = dispatch.enqueue(services, run)
    assert enqueued.courses == 3
    assert sum(queue.waiting for queue in backlog.read(services).queues or ()) == len(enqueued.jobs)
    assert client.exists(*(f"rq:job:{name}" for name in enqueued.jobs)) == len(enqueued.jobs)
    burst(client)
    assert wrong(database, small_nights) == []
    assert set(rows(database, "select outcome, attempts, error from udecdash.jobs")) == {("done", 1, None)}
    assert one(database, "select jobs_ended_at is not null from udecdash.runs")
    assert dispatch.enqueue(services, run).courses == 0
    account = summary.read(services, run).jobs
    assert account
    assert account.jobs == account.done == len(enqueued.jobs)
    assert (account.failed, account.left, account.courses) == (0, 0, 3)
    assert account.seconds > 0
    assert figures.read(services, run).jobs == account
    assert backlog.read(services).due == backlog.read(services).failed == 0


def test_what_waits_already_is_not_enqueued_again_and_what_redis_forgot_is(
    services: Settings, database: Connection, client: redis.Redis, run: int, small_nights: Path
) -> None:
    enqueued = dispatch.enqueue(services, run)
    assert dispatch.enqueue(services, run).jobs == dispatch.requeue(services).jobs == ()
    assert dispatch.enqueue(services, run + 1).jobs == ()  # the next night begins before the jobs are done
    client.flushall()
    assert dispatch.requeue(services) == enqueued
    burst(client)
    assert wrong(database, small_nights) == []
    assert dispatch.requeue(services).courses == 0


def popped(client: redis.Redis) -> None:
    """Workers die between taking a job off its queue and beginning it."""
    for name in queue_names(Settings()):
        client.delete(f"rq:queue:{name}")


def evicted_at_work(client: redis.Redis) -> None:
    """Jobs are at work when their worker dies, and Redis throws the list of them away."""
    for key in client.scan_iter("rq:job:*"):
        client.hset(key, "status", "started")
    popped(client)


@pytest.mark.parametrize("lost", [popped, evicted_at_work])
def test_jobs_that_stand_in_redis_but_in_no_list_are_lost_and_put_back(
    services: Settings,
    database: Connection,
    client: redis.Redis,
    run: int,
    small_nights: Path,
    lost: Callable[[redis.Redis], None],
) -> None:
    enqueued = dispatch.enqueue(services, run)
    lost(client)
    burst(client)
    assert len(dispatch.due_courses(services)) == 3
    assert dispatch.requeue(services) == enqueued
    burst(client)
    assert wrong(database, small_nights) == []


@pytest.mark.parametrize("name", ["db_host", "redis_url"])
def test_embedded_servers_that_do_not_run_are_told_to_who_wants_to_requeue(name: str) -> None:
    value = SecretStr("embedded") if name == "redis_url" else "embedded"
    with pytest.raises(SettingsError, match="only while a run does"):
        dispatch.requeue(Settings().model_copy(update={name: value}))


def test_jobs_that_are_lost_and_superseded_are_told_as_lost(
    services: Settings, database: Connection, client: redis.Redis, run: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    dispatch.enqueue(services, run)
    client.flushall()
    rows(database, "insert into udecdash.runs (host, pid, version) values ('h', 1, 'v')")
    alone(monkeypatch)
    assert dispatch.requeue(services).courses == 3
    outcomes = dict(rows(database, "select run_id, array_agg(distinct outcome) from udecdash.jobs group by 1"))
    assert outcomes == {run: ["lost"], run + 1: [None]}


def test_a_course_that_fails_stops_no_other_and_one_notice_names_it(
    services: Settings,
    database: Connection,
    client: redis.Redis,
    run: int,
    small_nights: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bad = min(due.course for due in dispatch.due_courses(services))
    rows(database, REFUSED, bad)
    with mail_server() as mail:
        monkeypatch.setenv("SMTP_HOST", "127.0.0.1")
        monkeypatch.setenv("SMTP_PORT", str(mail.port))
        monkeypatch.setenv("SMTP_TLS", "none")
        monkeypatch.setenv("NOTIFICATION_EMAILS", "admin@example.org")
        alone(monkeypatch)
        dispatch.enqueue(services, run)
        burst(client)
        assert [due.course for due in dispatch.due_courses(services)] == [bad]
        assert len(mail.mails) == 1
        assert f"curso {bad}: " in mail.mails[0].text
        assert "Canario" not in mail.mails[0].text
    assert rows(database, "select course_id, failures, failed_run from udecdash.courses where failures > 0") == [
        (bad, 2, run)  # tried twice
    ]
    why = one(database, "select failure from udecdash.courses where failures > 0")
    assert "writing course_interactions: raise exception (P0001)" in why
    assert sorted(rows(database, "select outcome, count(*) from udecdash.jobs group by 1")) == [
        ("done", 2),
        ("failed", 1),
    ]
    rows(database, "drop trigger refuse on course_interactions")
    assert dispatch.requeue(services).courses == 1
    burst(client)
    assert wrong(database, small_nights) == []
    assert one(database, "select sum(failures) from udecdash.courses") == 0


def test_the_last_job_writes_page_and_metrics_of_its_run_anew(
    services: Settings,
    database: Connection,
    client: redis.Redis,
    run: int,
    report: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    metrics = report.with_name("udecdash.prom")
    monkeypatch.setenv("METRICS_FILE", str(metrics))
    monkeypatch.setenv("LANGUAGE", "en")
    alone(monkeypatch)
    dispatch.enqueue(services, run)
    own = sources.load_for_worker()
    rows(database, "update udecdash.runs set ended_at = now(), exit_code = 0")
    assert publishing.publish(own, run, datetime.now(timezone.utc), 0) == []
    page = report / f"run-{run:06d}.html"
    assert "the workers are not done yet: 0 of 3 jobs are done, 0 failed, 0 are at work and 3 wait." in page.read_text()
    burst(client)
    told = page.read_text()
    assert "3 of 3 jobs are done, 0 failed" in told
    assert "not done yet" not in told
    assert "No course waits" in told
    assert "udecdash_courses_due 0.0" in metrics.read_text()


def test_a_run_that_has_not_ended_writes_its_page_itself(
    services: Settings, database: Connection, client: redis.Redis, run: int, report: Path
) -> None:
    rows(database, "update udecdash.runs set ended_at = null, exit_code = null")
    dispatch.enqueue(services, run)
    burst(client)
    assert one(database, "select count(*) from udecdash.jobs where outcome = 'done'") == 3
    assert not report.exists()


def test_in_a_job_of_several_courses_one_that_fails_stops_none(
    services: Settings, database: Connection, client: redis.Redis, run: int
) -> None:
    bad = min(due.course for due in dispatch.due_courses(services))
    rows(database, REFUSED, bad)
    courses = sorted(due.course for due in dispatch.due_courses(services))
    with pytest.raises(DatabaseError, match=f"could not be processed: {bad}$"):
        jobs.process_courses(run, courses)
    assert [due.course for due in dispatch.due_courses(services)] == [bad]


def test_a_job_whose_process_is_killed_every_time_is_given_up_and_told(
    services: Settings, database: Connection, client: redis.Redis, run: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(course, "process_slice", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
    dispatch.enqueue(services, run, awaited=True)
    burst(client)
    assert set(rows(database, "select outcome, attempts from udecdash.jobs")) == {("failed", 2)}
    assert one(database, "select count(*) from udecdash.courses where failed_run is not null") == 3
    assert "signal 9" in one(database, "select min(failure) from udecdash.courses")
    with pytest.raises(QueueError, match="3 courses could not be processed"):
        dispatch.wait(services, run)


def test_a_course_that_kills_every_process_keeps_no_other_of_its_job_from_being_done(
    services: Settings, database: Connection, client: redis.Redis, run: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, killing = course.process_slice, sorted(due.course for due in dispatch.due_courses(services))[1]

    def process_slice(connection: db.Connection, own: Settings, run: int, courses: Sequence[int]) -> list[CourseDone]:
        if killing in courses:
            os.kill(os.getpid(), signal.SIGKILL)
        return whole(connection, own, run, courses)

    monkeypatch.setattr(course, "process_slice", process_slice)
    monkeypatch.setattr(dispatch, "_PAUSES", [0, 0, 0])
    monkeypatch.setattr("udecdash_updater.batches.queue_for", lambda *_: "first_queue")  # one job
    assert len(dispatch.enqueue(services, run).jobs) == 1
    burst(client)
    assert [due.course for due in dispatch.due_courses(services)] == [killing]
    assert rows(database, "select course_id from udecdash.courses where failures > 0") == [(killing,)]


def test_after_its_turn_a_job_goes_on_later(
    services: Settings,
    database: Connection,
    client: redis.Redis,
    run: int,
    small_nights: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jobs, "_TURN_SECONDS", -1.0)
    monkeypatch.setattr(course, "_SLICE", 200)
    dispatch.enqueue(services, run)
    burst(client)
    assert wrong(database, small_nights) == []
    assert one(database, "select max(attempts) from udecdash.jobs") > 1
    assert set(rows(database, "select outcome from udecdash.jobs")) == {("done",)}
    judged, kept = rows(database, "select sum(c.judged), sum(r.total) from udecdash.courses c"
                        " join udecdash.course_requests r using (course_id)")[0]  # fmt: skip
    assert judged == kept


def test_who_waits_is_told_of_the_end_and_puts_back_what_redis_forgets(
    services: Settings,
    database: Connection,
    client: redis.Redis,
    run: int,
    small_nights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dispatch, "_LOOK_SECONDS", 0.5)
    dispatch.enqueue(services, run, awaited=True)
    client.flushall()
    with worker(services, tmp_path / "log") as process:
        try:
            dispatch.wait(services, run)
        finally:
            process.kill()
    assert wrong(database, small_nights) == []
    assert dispatch.due_courses(services) == []


def test_who_waits_in_vain_is_told_how_much_is_left(services: Settings, run: int) -> None:
    hasty = services.model_copy(update={"interactions_timeout": 0})
    dispatch.enqueue(hasty, run, awaited=True)
    with pytest.raises(QueueError, match="3 courses are not done after 0 s"):
        dispatch.wait(hasty, run)


def test_several_workers_on_the_same_courses_at_once_do_each_request_once(
    services: Settings, database: Connection, run: int, small_nights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(course, "_SLICE", 100)
    due = [one.course for one in dispatch.due_courses(services)]

    def work() -> None:
        with db.opened(services, patient=True) as connection:
            for number in due:
                while any(done.left for done in course.process_slice(connection, services, run, [number])):
                    pass

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong(database, small_nights) == []


@pytest.mark.parametrize("seed", range(2))
def test_workers_and_their_jobs_killed_at_any_instant_and_a_redis_that_forgets_change_nothing(
    services: Settings,
    database: Connection,
    client: redis.Redis,
    run: int,
    small_nights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
) -> None:
    chance = random.Random(seed)
    monkeypatch.setattr(course, "_SLICE", 50)
    alone(monkeypatch)
    dispatch.enqueue(services, run)
    for _ in range(5):
        busy = [worker(services, tmp_path / "log") for _ in range(2)]
        assert until(lambda: at_work(database) > 0 or not dispatch.due_courses(services))
        if chance.random() < 0.5:  # the jobs die, and their workers live on for a moment
            rows(database, "select pg_terminate_backend(pid) from pg_stat_activity where application_name = %s", WORKER)
        for process in busy:
            process.kill()
            process.wait()
        assert until(lambda: at_work(database) == 0)
        client.flushall()  # else rq tries a killed worker's job again after a minute
        dispatch.requeue(services)
    burst(client)
    assert wrong(database, small_nights) == []
    assert dispatch.due_courses(services) == []


def at_work(database: Connection) -> int:
    """How many jobs have a session of the database."""
    return int(rows(database, "select count(*) from pg_stat_activity where application_name = %s", WORKER)[0][0])

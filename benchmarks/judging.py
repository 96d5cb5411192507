"""The sides of the benchmark of interactions that do a course's work: ours, by SQL, and the original's way."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import get_context
from pathlib import Path
from unittest import mock

from psycopg2.extensions import cursor as Cursor  # noqa: N812 - psycopg2's class has a lower-case name

from benchmarks import course_by_sql, ground
from benchmarks.ground import Told
from udecdash_updater import course, db, jobs
from udecdash_updater.clock import Clock
from udecdash_updater.embedded import worker_environment
from udecdash_updater.interactions import Classifier
from udecdash_updater.resources import Resources
from udecdash_updater.settings import Settings
from udecdash_updater.weblog import Request

_CONNECT_SECONDS = 60
_TICK = 1 / os.sysconf("SC_CLK_TCK")  # seconds; what took less is told as one
_READ = """
select local_id, id, timestamp::text, user_id, course_id, quiz_id, discussion_id, assignment_id, url, user_agent
from requests where course_id = %s order by local_id
"""
_KINDS = {
    "files": ("file_dim", "attachment"),
    "quizzes": ("quiz_dim", "quiz"),
    "assignments": ("assignment_dim", "assignment"),
    "discussion_topics": ("discussion_topic_dim", "discussion_topic"),
}
_PAGE = """
select p.id, p.canvas_id from wiki_page_dim p join module_item_dim m on m.wiki_page_id = p.id
where m.course_id = %s and p.url = %s
"""
_HIT = """
insert into {}_interactions (course_id, user_id, item_id, item_canvas_id, viewed, url, device)
values (%s, %s, %s, %s, %s, %s, 'DESKTOP') on conflict do nothing
"""
_DAY = "insert into course_interactions values (%s, %s, 202103, %s) on conflict do nothing"
_MISS = "insert into unprocessable_interactions (course_id, user_id, url, log) values (%s, %s, %s, '{}')"


def ours(
    settings: Settings,
    groups: Sequence[Sequence[int]],
    *,
    one_core: bool = False,
    ready: Callable[[], object] = lambda: None,
) -> Told:
    """A worker's work on courses, those of a group together: rows in the database to interactions in the tables.

    `ready` is called when the worker is connected, before anything is measured.
    """
    with db.opened(settings, name=db.WORKER, patient=True) as connection:
        ready()
        with _measured(connection, one_core) as told:
            for group in groups:
                while any(done.left for done in course.process_slice(connection, settings, 1, group)):
                    pass
    return told


def job(settings: Settings, numbers: Sequence[int]) -> Told:
    """The whole of a job on some courses: what `ours` does, the connection, and the job's account in the ledger."""
    with mock.patch.dict(os.environ, worker_environment(settings)):
        began = time.perf_counter()
        jobs.process_courses(1, list(numbers))
        return {"seconds": time.perf_counter() - began}


def by_sql(settings: Settings, number: int, variant: str) -> Told:
    """The same by one statement, on one core, with memory for its sorts."""
    with db.opened(settings) as connection, connection.cursor() as cursor:
        cursor.execute("set work_mem = '64MB'; set max_parallel_workers_per_gather = 0; set jit = off")
        with _measured(connection, True) as told:
            course_by_sql.process(cursor, number, variant)
    return told


@contextlib.contextmanager
def _measured(connection: db.Connection, one_core: bool) -> Iterator[dict[str, float]]:
    """Seconds by the clock, and of processor time: ours and the server's."""
    told: dict[str, float] = {}
    server = connection.info.backend_pid
    with _pinned((os.getpid(), server) if one_core else ()):
        began, client, served = time.perf_counter(), time.process_time(), _processor(server)
        yield told
        told["server"] = max(_processor(server) - served, _TICK)
        told["client"] = time.process_time() - client
        told["seconds"] = time.perf_counter() - began


@contextlib.contextmanager
def _pinned(processes: Sequence[int]) -> Iterator[None]:
    whole = {process: os.sched_getaffinity(process) for process in processes}
    for process, cores in whole.items():
        os.sched_setaffinity(process, {min(cores)})
    yield
    for process, cores in whole.items():
        os.sched_setaffinity(process, cores)


def _processor(process: int) -> float:
    """The seconds of processor time that a process has had."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK


def side_by_side(settings: Settings, shares: Sequence[Sequence[int]]) -> Told:
    """A worker for each share of the courses, all at once, one course after the other, from when all are connected."""
    context = get_context("fork")
    ready = context.Barrier(len(shares) + 1, timeout=_CONNECT_SECONDS)
    workers = [
        context.Process(target=ours, args=(settings, [[number] for number in share]), kwargs={"ready": ready.wait})
        for share in shares
    ]
    for worker in workers:
        worker.start()
    ready.wait()
    began = time.perf_counter()
    for worker in workers:
        worker.join()
    return {"seconds": time.perf_counter() - began}


def read(settings: Settings, number: int) -> list[Request]:
    """A course's requests."""
    with ground.session(settings) as cursor:
        cursor.execute(_READ, [number])
        return [Request._make(row) for row in cursor]


def classification(requests: list[Request], number: int) -> Told:
    """The rules alone, in memory: chunks as jobs take them, and everything that is looked up is there."""
    began = time.perf_counter()
    classifier = Classifier(number + 100, {}, Resources(), Clock("America/Santiago"))
    for chunk in (requests[start : start + 10_000] for start in range(0, len(requests), 10_000)):
        while needs := classifier.needs(chunk):
            for lookup, ids in needs.items():
                found = [(number, number + 1) for number in ids] if lookup.column == "id" else [(n - 1, n) for n in ids]
                classifier.resources.add(lookup, ids, found if lookup.table != "module_item_dim" else [])
        for request in chunk:
            classifier.classify(request)
    return {"seconds": time.perf_counter() - began}


def original(settings: Settings, number: int, *, whole: bool = False) -> Told:
    """The original's way: a query for each lookup, an INSERT for each row; `whole`: all in one transaction."""
    requests, clock = read(settings, number), Clock("America/Santiago")
    with ground.session(settings) as cursor:
        began = time.perf_counter()
        cursor.execute("begin" if whole else "select")
        for request in requests:
            _one_by_one(cursor, clock, request, number)
        cursor.execute("commit" if whole else "select")
        return {"seconds": time.perf_counter() - began}


def _one_by_one(cursor: Cursor, clock: Clock, request: Request, number: int) -> None:
    url, user = request.url or "", request.user_id
    kind, _, part = url.removeprefix(f"/courses/{number + 100}/").partition("/")
    part = part.partition("/")[0]
    table, kind_of = _KINDS.get(kind, ("", "wiki_page"))
    found = None
    if kind == "pages":
        cursor.execute(_PAGE, [number, part])
        found = cursor.fetchone()
    elif table and part.isdigit():
        cursor.execute(f"select id, canvas_id from {table} where canvas_id = %s", [part])
        found = cursor.fetchone()
    if found:
        viewed = clock.viewed(request.timestamp)
        cursor.execute(_HIT.format(kind_of), [number, user, *found, viewed, url])
        cursor.execute(_DAY, [number, user, viewed[:10]])
    else:
        cursor.execute(_MISS, [number, user, url])

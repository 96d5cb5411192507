"""What a run is doing now, as another terminal sees it; the last nights; the courses that are not done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from udecdash_updater import db, jobs, ledger
from udecdash_updater.embedded import visited
from udecdash_updater.errors import DatabaseError
from udecdash_updater.language import Both, say
from udecdash_updater.progress import TableProgress
from udecdash_updater.settings import Settings
from udecdash_updater.summary import jobs_of

NIGHTS = 5
_SHOWN_JOBS = 10


@dataclass(frozen=True, slots=True)
class Running:
    """The run that is at work.

    `rate`: rows a second that this stage has sent to PostgreSQL. `stage_left`: seconds until its files are read, at the
    pace so far. `expected_end`: if the rest takes what it took lately.
    """

    run: int
    host: str
    pid: int
    started: datetime
    seconds: float
    stage: str | None
    stage_seconds: float
    tables: tuple[TableProgress, ...] = ()
    rate: float = 0.0
    stage_left: float | None = None
    expected_end: datetime | None = None


@dataclass(frozen=True, slots=True)
class Night:
    """A run that has ended; `seconds` is None where its kill was not noticed yet. `only`: the tables it was to load."""

    run: int
    started: datetime
    seconds: float | None
    exit_code: int | None
    error: Both | None
    new: int
    changed: int
    gone: int
    only: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Course:
    """A course that is not done: requests that wait to be judged, and unresolved ones to judge again.

    `failures`: of its jobs, in a row; `failure`: the last one's reason.
    """

    course: int
    name: str
    waiting: int = 0
    again: int = 0
    failures: int = 0
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class JobAtWork:
    """A job that has begun and not ended: its courses, requests and tries, and for how many seconds it has been."""

    job: str
    queue: str
    courses: int
    requests: int
    tries: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Jobs:
    """The jobs of the newest run that has any: in all, and what became of them; `waiting` have not begun.

    `busy` are at work; of these `at_work` names those that began first.
    """

    run: int
    jobs: int
    done: int
    failed: int
    lost: int
    waiting: int
    busy: int = 0
    at_work: tuple[JobAtWork, ...] = ()


@dataclass(frozen=True, slots=True)
class Status:
    """The run at work, if one is; the last nights, the newest first; the newest jobs; the courses that are not done."""

    running: Running | None = None
    nights: tuple[Night, ...] = ()
    jobs: Jobs | None = None
    courses: tuple[Course, ...] = ()


def read(settings: Settings, *, nights: int = NIGHTS) -> Status:
    """Look at the ledger, while a run is at work or not. Embedded servers that do not run are started for it.

    Before the first night there is nothing to see. Raises DatabaseError when PostgreSQL is away, or the ledger is one
    of another version.
    """
    with visited(settings) as found, db.looking(found) as cursor:
        db.run(cursor, "only_reading")
        if not db.one(cursor, "ledger_exists")[0]:
            return Status()
        _demand_ledger(cursor)
        running = _running(cursor) if ledger.active(cursor) else None
        values = {"running": running.run if running else None, "limit": nights}
        ended = tuple(_night(row) for row in db.rows(cursor, "last_nights", values))
        return Status(running, ended, _jobs(cursor), _courses(cursor))


def _night(row: db.Row) -> Night:
    run, began, seconds, code, error, spanish, *rest = row
    return Night(run, began, seconds, code, Both(error, spanish) if error else None, *rest)


def _demand_ledger(cursor: db.Cursor) -> None:
    if ledger.lacking(cursor):
        raise DatabaseError(say("ledger older"), hint=say("ledger older hint"))


def _running(cursor: db.Cursor) -> Running | None:
    found = db.rows(cursor, "running")
    if not found:  # it has the lock and is not recorded yet
        return None
    run, host, pid, started, seconds, stage, stage_seconds = found[0]
    tables = tuple(TableProgress(*row) for row in db.rows(cursor, "table_progress", {"run": run}))
    busy = stage_seconds or 0.0
    rate = sum(one.rows for one in tables) / busy if busy else 0.0
    left = expected(db.rows(cursor, "usual_stages"), stage, busy)
    end = started + timedelta(seconds=seconds + left) if left is not None else None
    return Running(run, host, pid, started, seconds, stage, busy, tables, rate, _left(tables, busy), end)


def _left(tables: Sequence[TableProgress], seconds: float) -> float | None:
    done, total = sum(one.done for one in tables), sum(one.total for one in tables)
    return seconds * (total - done) / done if done else None


def expected(usual: Sequence[tuple[str, float]], stage: str | None, seconds: float) -> float | None:
    """Seconds until the run ends, if this stage, at work for so long, and the later ones take what they usually take.

    >>> usual = [("check", 1.0), ("download", 60.0), ("load tables", 100.0), ("report", 1.0)]
    >>> expected(usual, "download", 20.0), expected(usual, "load tables", 300.0), expected([], "check", 1.0)
    (141.0, 1.0, None)
    """
    names = [name for name, _ in usual]
    if stage not in names:
        return None
    place = names.index(stage)
    return max(usual[place][1] - seconds, 0.0) + sum(took for _, took in usual[place + 1 :])


def _jobs(cursor: db.Cursor) -> Jobs | None:
    run = db.one(cursor, "newest_run_with_jobs")[0]
    found = jobs_of(cursor, run) if run else None
    if found is None:
        return None
    at_work = tuple(JobAtWork(*row) for row in db.rows(cursor, "jobs_at_work", {"run": run, "limit": _SHOWN_JOBS}))
    waiting = found.left - found.busy
    return Jobs(run, found.jobs, found.done, found.failed, found.lost, waiting, found.busy, at_work)


def _courses(cursor: db.Cursor) -> tuple[Course, ...]:
    if not db.one(cursor, "table_exists", {"table": "course_dim"})[0]:
        return ()
    due = {one.course: one for one in jobs.due(cursor)}
    failing: dict[int, tuple[int, str]] = {course: (n, why) for course, n, why in db.rows(cursor, "failing_courses")}
    numbers = sorted({*due, *failing})
    names: dict[int, str] = dict(db.rows(cursor, "course_names", {"courses": numbers}))
    return tuple(
        Course(
            number,
            names.get(number) or "",
            due[number].fresh if number in due else 0,
            due[number].again if number in due else 0,
            *failing.get(number, (0, None)),
        )
        for number in numbers
    )

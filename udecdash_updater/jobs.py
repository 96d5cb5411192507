"""What a worker runs: the courses of one job, one after the other; and the job's account in the ledger.

What is due follows from the courses' own state, never from jobs or the queue. A course that fails never stops another.
"""

from __future__ import annotations

import contextlib
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rq import Retry
from rq.timeouts import BaseTimeoutException

from udecdash_updater import course, db, logs, notices, sources
from udecdash_updater.errors import DatabaseError, QueueError, UpdaterError
from udecdash_updater.language import joined, say
from udecdash_updater.logs import LOGGER, SecretMask
from udecdash_updater.notice import Notice
from udecdash_updater.settings import Settings

_TURN_SECONDS = 30.0  # then a job goes back to the end of its queue, so that it never holds up the others
_TURNS = 1_000_000
_TOGETHER = 50  # courses that share a transaction, at most, if they have so few requests
_TOGETHER_REQUESTS = 10_000
_NAMED = 20
Ended = Callable[[Settings, int], None]
"""Is told a worker's settings and the run whose last job has ended."""
_PACKAGE = str(Path(__file__).resolve().parent)


@dataclass(frozen=True, slots=True)
class Due:
    """A course with work left: requests that wait to be judged (about so many), and unresolved ones to judge again."""

    course: int
    fresh: int
    again: int

    @property
    def requests(self) -> int:
        """All of them."""
        return self.fresh + self.again


def due(cursor: db.Cursor) -> list[Due]:
    """What is left to do, by course."""
    return [Due(*row) for row in db.rows(cursor, "due_courses")]


def process_courses(
    run: int, courses: list[int], job: str = "", *, ended: Ended = lambda *_: None
) -> list[list[int]] | Retry:
    """The job: bring the courses' interactions up to date. JSON in, JSON out: [course, judged, interactions] each.

    After its turn it asks to go on later. Settings are those of the worker: its environment, then .env in its folder.
    Raises DatabaseError, at the end, when courses failed; the others are done. `job` is its id in the ledger. `ended`
    is called when it was the last job of a run that does not wait.
    """
    if not courses:
        return []
    own, began = sources.load_for_worker(), time.monotonic()
    with db.opened(own, name=db.WORKER, patient=True) as connection:
        with db.told("beginning a job"), connection.cursor() as cursor:
            attempts = max([attempts for (attempts,) in db.rows(cursor, "start_job", {"job": job})], default=1)
            planned = db.rows(cursor, "failing_last", {"courses": courses})
        work = _Work(connection, own, run, began + _TURN_SECONDS)
        whole = work.through(list(_groups(planned, attempts)))
        if work.failed:
            raise DatabaseError(say("courses not processed", names=_names(work.failed)))
        _account(connection, job, "end_job" if whole else "end_turn", time.monotonic() - began)
        if whole:
            _end_jobs(connection, own, job, ended)
    return work.done if whole else Retry(max=_TURNS)


def _groups(planned: Sequence[db.Row], attempts: int = 1) -> Iterator[list[int]]:
    """Small courses that share a transaction, of rows (course, how often it failed, requests that wait), in order.

    >>> list(_groups([(1, 0, 10), (2, 0, 9_995), (3, 0, 5), (4, 2, 1), (5, 2, 1)]))
    [[1], [2, 3], [4], [5]]

    An attempt that died does not tell of which course: then each is for itself, from both ends in turn.

    >>> list(_groups([(1, 0, 10), (2, 0, 10)], attempts=2)), list(_groups([(1, 0, 10), (2, 0, 10)], attempts=3))
    ([[1], [2]], [[2], [1]])
    """
    if attempts > 1:
        yield from ([number] for number, _, _ in planned[:: -1 if attempts % 2 else 1])
        return
    group: list[int] = []
    waiting = 0
    for number, failures, requests in planned:
        if failures or waiting + requests > _TOGETHER_REQUESTS or len(group) == _TOGETHER:
            yield from [group] if group else []
            group, waiting = [], 0
        group.append(number)
        waiting += _TOGETHER_REQUESTS if failures else requests
    yield from [group] if group else []


def _names(failed: list[int]) -> str:
    more = f" and {len(failed) - _NAMED} more" if len(failed) > _NAMED else ""
    return ", ".join(map(str, failed[:_NAMED])) + more


class _Work:
    """One attempt at a job's courses: what it did, what it could not do, and when its turn is over."""

    def __init__(self, connection: db.Connection, own: Settings, run: int, end: float) -> None:
        self._connection, self._own, self._run, self._end = connection, own, run, end
        self.done: list[list[int]] = []
        self.failed: list[int] = []

    def through(self, groups: Sequence[Sequence[int]]) -> bool:
        """Work on the courses, those of a group together; False when the turn ended before the last one was done."""
        for place, group in enumerate(groups, start=1):
            for number in self._together(group) if len(group) > 1 else group:
                if not self._alone(number):
                    return False
            if place < len(groups) and time.monotonic() > self._end:
                return False
        return True

    def _together(self, group: Sequence[int]) -> Sequence[int]:
        """Small courses in one transaction; those that it did not do: all of them, where one made it fail."""
        try:
            done = course.process_slice(self._connection, self._own, self._run, group)
        except DatabaseError as error:
            if self._connection.closed:
                raise
            LOGGER.warning(say("one by one", count=len(group), why=told(error)))
            return group
        self.done += [[one.course, one.judged, one.interactions] for one in done if not one.left]
        return [one.course for one in done if one.left]

    def _alone(self, number: int) -> bool:
        """One course, slice by slice; False when the turn ended before it was done."""
        judged = written = 0
        left = True
        while left and (done := self._slice(number)):
            judged, written, left = judged + done.judged, written + done.interactions, done.left
            if left and time.monotonic() > self._end:
                return False
        self.done += [[number, judged, written]] * (not left)
        return True

    def _slice(self, number: int) -> course.CourseDone | None:
        try:
            with _failure_noted(self._connection, self._run, number):
                found = course.process_slice(self._connection, self._own, self._run, [number])
                return found[0] if found else None
        except DatabaseError:
            if self._connection.closed:
                raise
            self.failed.append(number)
            return None


@contextlib.contextmanager
def _failure_noted(connection: db.Connection, run: int, number: int) -> Iterator[None]:
    """Whatever the block raises is written down as the course's failure, and goes on its way."""
    whole = False
    try:
        yield
        whole = True
    finally:
        error = sys.exc_info()[1]
        if not whole and error and not connection.closed:
            failure = told(error)
            LOGGER.error(say("course failed", course=number, why=failure))
            with contextlib.suppress(db.Error), connection.cursor() as cursor:
                db.run(cursor, "course_failed", {"course": number, "run": run, "failure": failure})


def told(error: BaseException) -> str:
    """One line on `error` that holds no row's values: kind, SQLSTATE, our own messages' first line, the place."""
    parts = [type(error).__name__]
    if isinstance(error, UpdaterError | BaseTimeoutException):
        parts += str(error).splitlines()[:1]
    if isinstance(state := getattr(error, "pgcode", None), str):
        parts.append(f"SQLSTATE {state}")
    ours = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(_PACKAGE)]
    place = f" ({Path(ours[-1].filename).name}:{ours[-1].lineno} in {ours[-1].name})" if ours else ""
    return logs.hidden(": ".join(parts) + place)


def _account(connection: db.Connection, job: str, what: str, seconds: float = 0.0, error: str | None = None) -> None:
    outcome = "failed" if error else "done"
    with db.told("writing a job's account"), db.transaction(connection) as cursor:
        if error:
            db.run(cursor, "courses_failed", {"job": job, "error": error})
        db.run(cursor, what, {"job": job, "seconds": seconds, "outcome": outcome, "error": error})


def give_up(own: Settings, job: str, error: str, ended: Ended = lambda *_: None) -> None:
    """A job has failed for the last time: say so in the ledger, of its courses too.

    Raises DatabaseError when PostgreSQL is away; then the next run finds it out.
    """
    with db.opened(own, name=db.WORKER, patient=True) as connection:
        _account(connection, job, "end_job", error=error)
        _end_jobs(connection, own, job, ended)


def _end_jobs(connection: db.Connection, own: Settings, job: str, told: Ended) -> None:
    """If this was the last job of its run, and courses failed, tell the administrators once, all courses together."""
    with db.told("ending a run's jobs"), connection.cursor() as cursor:
        ended = db.rows(cursor, "end_jobs", {"job": job})
        failed = db.rows(cursor, "failed_courses", {"run": ended[0][0]}) if ended else []
    if not ended or ended[0][1]:  # a run that waits for its jobs tells of them itself
        return
    told(own, ended[0][0])
    if not failed:
        return
    notice = Notice(ended[0][0], ended[0][2], failures=(("interactions", failures(failed)),))
    for untold in notices.tell(own, notice, SecretMask(own.secrets())):
        LOGGER.error("%s", untold)


def failures(failed: list[db.Row]) -> QueueError:
    """What there is to tell of courses that failed: (course, why) each."""
    named = [say("course and why", course=number, why=why) for number, why in failed[:_NAMED]]
    named += [say("and more", count=len(failed) - _NAMED)] * (len(failed) > _NAMED)
    told = joined(named, before="\n  - ")
    return QueueError(say("courses failed", count=len(failed), told=told), hint=say("courses failed hint"))

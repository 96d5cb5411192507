"""Courses that are due, put together into jobs that are worth their cost; pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from udecdash_updater.jobs import Due
from udecdash_updater.queues import queue_for, queue_names
from udecdash_updater.settings import Settings

# A job costs a worker some 50 ms beside its work (fork, connection, rq's own account), a request some 15 µs, a small
# course some 2 ms beside its requests, as little repeats within it; 12 ms where it has a transaction of its own.
_JOB_REQUESTS = 100_000
_COURSE_REQUESTS = 150
_LEAST_SECONDS = 600
_MOST_SECONDS = 3600  # supervisord_config gives a stopping worker as long
_REQUESTS_A_SECOND = 500  # by far the slowest that was ever seen


@dataclass(frozen=True, slots=True)
class Batch:
    """A job to be: its courses, all of one queue, and about how many requests they have due."""

    queue: str
    courses: tuple[int, ...]
    requests: int

    def name(self, run: int) -> str:
        """The job's id: a run puts a course into one job, so the first of them tells it apart.

        >>> Batch("first_queue", (30, 10), 7).name(5)
        'run-5-course-10'
        """
        return f"run-{run}-course-{min(self.courses)}"

    @property
    def timeout(self) -> int:
        """Seconds after which an attempt is ended: generous, by its size.

        >>> [Batch("first_queue", (1,), requests).timeout for requests in (1, 500_000, 10**9)]
        [600, 1600, 3600]
        """
        return min(_MOST_SECONDS, _LEAST_SECONDS + self.requests // _REQUESTS_A_SECOND)


def batches(settings: Settings, due: Sequence[Due], members: Mapping[int, int]) -> dict[str, list[Batch]]:
    """The jobs for each queue, in the order of the queues; in each the one with most work first.

    >>> due = [Due(1, 10, 0), Due(2, 20, 5), Due(3, 190_000, 0), Due(4, 10, 0)]
    >>> for queue, jobs in batches(Settings(), due, {1: 5, 2: 5, 3: 12, 4: 5000}).items():
    ...     print(queue, [(job.courses, job.requests) for job in jobs])
    first_queue [((3,), 190000), ((2, 1), 35)]
    course_too_long [((4,), 10)]
    """
    by_queue: dict[str, list[Due]] = {name: [] for name in queue_names(settings)}
    for one in due:
        by_queue[queue_for(settings, members.get(one.course, 0))].append(one)
    return {queue: list(_together(queue, courses)) for queue, courses in by_queue.items() if courses}


def _together(queue: str, due: Sequence[Due]) -> Iterator[Batch]:
    courses: list[int] = []
    requests = 0
    for one in sorted(due, key=lambda due: -due.requests):
        if courses and requests + one.requests + _COURSE_REQUESTS * len(courses) > _JOB_REQUESTS:
            yield Batch(queue, tuple(courses), requests)
            courses, requests = [], 0
        courses.append(one.course)
        requests += one.requests
    if courses:
        yield Batch(queue, tuple(courses), requests)

"""What a worker runs. What is due follows from the ledger, never from the queue."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from udecdash_updater import course, db, settings


@dataclass(frozen=True, slots=True)
class Due:
    """A course with work left: requests that wait to be judged (about so many), and unresolved ones to judge again."""

    course: int
    fresh: int
    again: int


def process_courses(run: int, courses: list[int]) -> list[list[int]]:
    """The job: bring the courses' interactions up to date. JSON in, JSON out: [course, judged, interactions] each.

    Settings are those of the worker: its environment, then .env in its folder.
    Raises DatabaseError when PostgreSQL fails; the courses done until then stay done.
    """
    own = settings.load_for_worker()
    with db.opened(own, name="udecdash-updater worker", patient=True) as connection:
        done = [course.process_course(connection, own, run, number) for number in courses]
    return [[one.course, one.judged, one.interactions] for one in done if one]


def due(cursor: db.Cursor) -> list[Due]:
    """What is left to do, by course."""
    return [Due(*row) for row in db.rows(cursor, "due_courses")]


def in_batches(courses: Iterable[int], size: int) -> Iterator[list[int]]:
    """Courses in lists of at most `size`.

    >>> list(in_batches([1, 2, 3], 2))
    [[1, 2], [3]]
    """
    left = iter(courses)
    return iter(lambda: list(islice(left, size)), [])

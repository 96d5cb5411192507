"""A worker that also runs the tests' own functions: `python -m tests.work`; and what must never be run."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psycopg2

from tests.support import until
from udecdash_updater import course, db, jobs, worker
from udecdash_updater.course import CourseDone
from udecdash_updater.errors import DumpError
from udecdash_updater.settings import Settings

MARK = "UDECDASH_TEST_MARK"
SMALL = "UDECDASH_TEST_SMALL"
RESTS = "UDECDASH_TEST_RESTS"
REST_SLICE = 20


def leave_mark(*_: object) -> None:
    """What a planted job or callback would do: write the file that the environment names."""
    Path(os.environ[MARK]).write_text("was here", encoding="utf-8")


def add(one: int, two: int) -> int:
    return one + two


def sleep(seconds: float) -> str:
    """Tell who sleeps, sleep, then leave a mark."""
    Path(os.environ[MARK] + ".pid").write_text(str(os.getpid()), encoding="ascii")
    time.sleep(seconds)
    leave_mark()
    return "slept"


def hold(name: str) -> None:
    """Tell that this job began, then wait until the test lets all of them go."""
    mark = Path(os.environ[MARK])
    mark.with_suffix(f".{name}").touch()
    until(mark.with_suffix(".go").exists)


def violate(dsn: str) -> None:
    """Let PostgreSQL refuse a row, which it names in its message."""
    with psycopg2.connect(dsn) as session, session.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE student (name text PRIMARY KEY)")
        cursor.execute("INSERT INTO student VALUES ('Canario Pérez'), ('Canario Pérez')")


def refuse() -> None:
    raise DumpError("course 7 has no table.\nCanario Pérez")


FUNCTIONS = {f"tests.work.{function.__name__}": function for function in (add, sleep, hold, violate, refuse)}


def make_giants(small: int) -> None:
    """Every course but the small one has no end before that one is done; turns are short."""
    whole, mark = course.process_slice, Path(os.environ[MARK])

    def process_slice(connection: db.Connection, own: Settings, run: int, courses: Sequence[int]) -> list[CourseDone]:
        if small not in courses and not mark.exists():
            for course in courses:
                mark.with_suffix(f".{course}").touch()
            time.sleep(0.02)
            return [CourseDone(course, 0, 0, 0, left=True) for course in courses]
        done = whole(connection, own, run, courses)
        mark.touch()
        return done

    course.process_slice = process_slice
    jobs._TURN_SECONDS = 0.1


def rest_after_slices() -> None:
    """Slices are small, and after each a job says so and rests until there is a mark."""
    whole, mark = course.process_slice, Path(os.environ[MARK])

    def process_slice(connection: db.Connection, own: Settings, run: int, courses: Sequence[int]) -> list[CourseDone]:
        done = whole(connection, own, run, courses)
        for number in courses:
            mark.with_name(f"{mark.name}.{run}-{number}").touch()
        until(mark.exists)
        return done

    course.process_slice = process_slice
    course._SLICE = REST_SLICE


if __name__ == "__main__":
    worker.ALLOWED_FUNCTIONS.update(FUNCTIONS)
    if SMALL in os.environ:
        make_giants(int(os.environ[SMALL]))
    if RESTS in os.environ:
        rest_after_slices()
    sys.exit(worker.main(sys.argv[1:]))

"""A worker that also runs the tests' own functions: `python -m tests.work`; and what must never be run."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import psycopg2

from udecdash_updater import worker
from udecdash_updater.errors import DumpError

MARK = "UDECDASH_TEST_MARK"


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


def violate(dsn: str) -> None:
    """Let PostgreSQL refuse a row, which it names in its message."""
    with psycopg2.connect(dsn) as session, session.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE student (name text PRIMARY KEY)")
        cursor.execute("INSERT INTO student VALUES ('Canario Pérez'), ('Canario Pérez')")


def refuse() -> None:
    raise DumpError("course 7 has no table.\nCanario Pérez")


FUNCTIONS = {f"tests.work.{function.__name__}": function for function in (add, sleep, violate, refuse)}

if __name__ == "__main__":
    worker.ALLOWED_FUNCTIONS.update(FUNCTIONS)
    sys.exit(worker.main())

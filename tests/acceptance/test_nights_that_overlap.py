"""A night whose jobs are still at work when the next one begins: nothing is lost, nothing is there twice."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2's class has a lower-case name

from tests import work
from tests.installation import ROOT, Installation, execute, rows
from tests.nights import load, process
from tests.support import connect, until
from udecdash_updater import course, db, dispatch
from udecdash_updater.embedded import worker_environment
from udecdash_updater.resolution import INTERACTION_TABLES
from udecdash_updater.settings import Settings


@contextlib.contextmanager
def worker(services: Settings, mark: Path) -> Iterator[None]:
    """A worker that rests after each slice of a course until there is a mark."""
    environment = worker_environment(services) | {work.MARK: str(mark), work.RESTS: "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.work"]
    with subprocess.Popen(command, env=environment, cwd="/", stdout=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.kill()


def at_rest(mark: Path, run: int) -> bool:
    """Whether a job of that run has done a slice, and rests in the middle of its course."""
    return bool(list(mark.parent.glob(f"{mark.name}.{run}-*")))


def begun(database: Connection) -> int:
    """The one course of which some requests are judged."""
    found = rows(database, "select course_id from udecdash.courses where mark > 0")
    assert len(found) == 1
    return int(found[0][0])


def interactions(database: Connection) -> dict[str, list[tuple[object, ...]]]:
    """What the dashboard shows, and the requests that found nothing."""
    tables = (*INTERACTION_TABLES, "course_interactions")
    missed = "select log::json->>'id', error_label from unprocessable_interactions order by 1"
    return {table: sorted(rows(database, f"select * from {table}"), key=repr) for table in tables} | {
        "missed": rows(database, missed)
    }


@pytest.fixture
def other(postgres: Settings, database: Connection) -> Iterator[Settings]:
    """A second database."""
    name = f"{postgres.db_name}_other"
    execute(database, f"create database {name} template template0")
    yield postgres.model_copy(update={"db_name": name})
    execute(database, f"drop database {name} (force)")


def test_a_night_whose_jobs_are_still_at_work_when_the_next_begins_goes_on_without_harm(
    installation: Installation,
    services: Settings,
    database: Connection,
    other: Settings,
    small_nights: Path,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    site, mark = installation, home / "mark"
    site.values["SERVER_SUPERVISORD_COMMAND_PATH"] = ""  # nobody stops the workers: they are on other hosts
    site.run()
    with worker(services, mark):
        assert until(lambda: at_rest(mark, 1))
        half_done = begun(database)
        site.serve(2)
        site.forget_regrown(small_nights / "night2")
        site.run()
        with worker(services, mark):
            assert until(lambda: at_rest(mark, 2))  # the same courses, whose first jobs are not done
            assert rows(database, "select distinct outcome from udecdash.jobs") == [(None,)]
            mark.touch()
            assert until(lambda: not rows(database, "select 1 from udecdash.jobs where outcome is null"))
    assert dispatch.due_courses(services) == []
    assert rows(database, "select distinct outcome from udecdash.jobs") == [("done",)]

    # What it should be: the same slice, then the second night, then the rest, one after the other by nobody else.
    monkeypatch.setattr(course, "_SLICE", work.REST_SLICE)
    run = load(other, small_nights / "night1" / "dataFiles").run
    with db.opened(other) as connection:
        assert course.process_slice(connection, other, run, [half_done])
    process(other, load(other, site.data_files).run)
    with contextlib.closing(connect(other)) as alone:
        assert interactions(database) == interactions(alone)

"""A night judges again what may resolve now (R14): all of that, and little else."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2's class has a lower-case name

from tests.nights import load, process
from tests.small_world import COLUMNS, World, change, url
from udecdash_updater import db, jobs, touched
from udecdash_updater.course import process_slice
from udecdash_updater.jobs import Due
from udecdash_updater.resolution import INTERACTION_TABLES
from udecdash_updater.settings import Settings


def rows(database: Connection, query: str) -> list[tuple[Any, ...]]:
    with database.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall() if cursor.description else []


def due(settings: Settings) -> list[Due]:
    with db.opened(settings) as connection, connection.cursor() as cursor:
        return jobs.due(cursor)


def everything(database: Connection) -> list[list[tuple[Any, ...]]]:
    """All that interactions and unresolved requests say, in order."""
    queries = [f"select * from {table} order by 1, 4, 2, 5" for table in INTERACTION_TABLES]
    queries.append("select id, course_id, user_id, url, error_label, error_message, log"
                   " from unprocessable_interactions order by id")  # fmt: skip
    queries.append("select course_id, resource, number from udecdash.wanted order by 1, 2, 3")
    queries.append("select course_id, mark, unresolved from udecdash.courses order by 1")
    return [rows(database, query) for query in queries]


@pytest.fixture
def world() -> World:
    """Two courses; requests of the first one look for things that are not there."""
    found = World()
    for course in (1, 2):
        found.put("course_dim", course)
        found.ask(course, f"/courses/{course + 100}/grades")
    for table in ("file_dim", "quiz_dim", "wiki_page_dim", "module_item_dim"):
        found.put(table, 9, **({"course_id": 2} if table == "module_item_dim" else {}))
    return found


def night(settings: Settings, world: World, folder: Path) -> list[Due]:
    """Load the world as it is now, process what is due; what that was."""
    run = load(settings, world.dump(folder), accept=tuple(COLUMNS)).run
    found = due(settings)
    process(settings, run)
    return found


@pytest.mark.parametrize("seed", range(4))
def test_after_any_changes_judging_everything_again_would_change_nothing(
    postgres: Settings, database: Connection, tmp_path: Path, seed: int
) -> None:
    chance, world = random.Random(seed), World()
    for course in (1, 2):
        world.put("course_dim", course)
    for _ in range(20):
        change(world, chance)
    for _ in range(4):
        for _ in range(25):
            world.ask(course := chance.choice((1, 2)), url(chance, course), quiz_id=chance.choice((None, None, 0, 3)))
        night(postgres, world, tmp_path)
        before = everything(database)
        rows(database, "update udecdash.courses set resources_run = 0")
        assert [one.course for one in due(postgres)] == [1, 2]
        process(postgres, world.nights)
        assert everything(database) == before
        for _ in range(chance.randint(1, 12)):
            change(world, chance)


def test_a_load_that_touches_nothing_makes_nothing_due(postgres: Settings, world: World, tmp_path: Path) -> None:
    world.ask(1, "/courses/101/files/105")
    assert night(postgres, world, tmp_path) == [Due(1, 2, 0), Due(2, 1, 0)]
    assert night(postgres, world, tmp_path) == []


def test_only_the_requests_that_wait_for_what_came_are_judged_again(
    postgres: Settings, database: Connection, world: World, tmp_path: Path
) -> None:
    for wanted in ("/courses/101/files/105", "/courses/101/quizzes/105", "/courses/101/files/105?x", "/courses/101/"):
        world.ask(1, wanted)
    night(postgres, world, tmp_path)
    world.put("file_dim", 5)
    world.put("quiz_dim", 4)
    assert night(postgres, world, tmp_path) == [Due(1, 0, 2)]
    assert rows(database, "select judged, interactions, unresolved from udecdash.courses where course_id = 1") == [
        (2, 2, 3)
    ]
    assert night(postgres, world, tmp_path) == []


def test_a_page_is_waited_for_by_its_course_alone(postgres: Settings, world: World, tmp_path: Path) -> None:
    for course in (1, 2):
        world.ask(course, f"/courses/{course + 100}/pages/a")
    night(postgres, world, tmp_path)
    world.put("wiki_page_dim", 1, url="a")
    assert night(postgres, world, tmp_path) == []
    world.put("module_item_dim", 1, course_id=2, wiki_page_id=1)
    assert night(postgres, world, tmp_path) == [Due(2, 0, 1)]


def test_pages_of_one_name_resolve_when_one_of_them_goes_or_no_item_points_at_it_any_more(
    postgres: Settings, database: Connection, world: World, tmp_path: Path
) -> None:
    for course in (1, 2):
        world.ask(course, f"/courses/{course + 100}/pages/a")
        for page in (course, course + 2):
            world.put("wiki_page_dim", page, url="a")
            world.put("module_item_dim", page, course_id=course, wiki_page_id=page)
    night(postgres, world, tmp_path)
    labels = "select course_id, error_label from unprocessable_interactions where error_label is not null order by 1"
    assert rows(database, labels) == [(1, "multiple_wiki_pages"), (2, "multiple_wiki_pages")]
    del world.tables["wiki_page_dim"][1]
    world.put("module_item_dim", 2, course_id=1, wiki_page_id=2)
    assert night(postgres, world, tmp_path) == [Due(1, 0, 1), Due(2, 0, 1)]
    assert rows(database, "select course_id, item_id from wiki_page_interactions order by 1") == [(2, 4)]
    assert rows(database, labels) == [(1, "multiple_wiki_pages")]  # pages 3 and 2 by now


def test_a_course_that_gets_another_canvas_id_is_judged_as_a_whole(
    postgres: Settings, world: World, tmp_path: Path
) -> None:
    world.ask(1, "/courses/555/files/109")
    night(postgres, world, tmp_path)
    world.put("course_dim", 1, canvas_id=555)
    assert night(postgres, world, tmp_path) == [Due(1, 0, 2)]
    assert night(postgres, world, tmp_path) == []


def test_after_a_load_that_does_not_tell_what_it_touched_everything_is_judged_again(
    postgres: Settings, database: Connection, world: World, tmp_path: Path
) -> None:
    world.ask(1, "/courses/101/external_tools/105")
    night(postgres, world, tmp_path)
    world.put("external_tool_activation_dim", 5)  # the table was empty: a load that fills one does not tell
    assert night(postgres, world, tmp_path) == [Due(1, 0, 2), Due(2, 0, 1)]
    assert rows(database, "select count(*) from context_external_tool_interactions") == [(1,)]
    world.put("quiz_dim", 5)
    load(postgres, world.dump(tmp_path), accept=tuple(COLUMNS))
    rows(database, "delete from udecdash.tracked_loads")
    assert due(postgres) == [Due(1, 0, 1), Due(2, 0, 1)]


def test_what_was_touched_is_forgotten_when_it_was_seen_and_not_before(
    postgres: Settings, database: Connection, world: World, tmp_path: Path
) -> None:
    world.ask(1, "/courses/101/files/105")
    night(postgres, world, tmp_path)
    for number in (4, 5):
        world.put("file_dim", number)
    run = load(postgres, world.dump(tmp_path), accept=tuple(COLUMNS)).run
    kept = "select count(*) from udecdash.touched"
    assert rows(database, kept) == [(4,)]
    with db.opened(postgres) as connection:
        touched.forget(connection)
        assert rows(database, kept) == [(1,)]  # what course 1 still has to look at
        process(postgres, run)
        with database.cursor() as busy:
            busy.execute("select pg_advisory_lock_shared(hashtext('udecdash-updater'), hashtext('jobs'))")
            touched.forget(connection)
            assert rows(database, kept) == [(1,)]  # a job is at work, which may have an older view
            busy.execute("select pg_advisory_unlock_all()")
        touched.forget(connection)
        assert rows(database, kept) == [(0,)]


def test_a_course_of_many_requests_is_done_in_slices_that_each_keep_what_they_did(
    postgres: Settings, database: Connection, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(10):
        world.ask(1, f"/courses/101/{'files/109' if number % 2 else 'grades'}")
    run = load(postgres, world.dump(tmp_path), accept=tuple(COLUMNS)).run
    monkeypatch.setattr("udecdash_updater.course._SLICE", 4)
    process(postgres, run)
    assert rows(database, "select judged, unresolved from udecdash.courses order by course_id") == [(11, 6), (1, 1)]
    assert rows(database, "select count(*) from attachment_interactions") == [(5,)]
    assert due(postgres) == []


def test_courses_that_share_a_transaction_get_what_each_would_get_alone(
    postgres: Settings, database: Connection, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(3)
    monkeypatch.setattr("udecdash_updater.course._CHUNK", 7)
    monkeypatch.setattr("udecdash_updater.course._HELD", 3)
    for night_of in range(2):
        for _ in range(12):
            change(world, chance)
        for course in chance.choices((1, 2), k=40):
            world.ask(course, url(chance, course))
        run = load(postgres, world.dump(tmp_path), accept=tuple(COLUMNS)).run
        with db.opened(postgres) as connection:
            done = process_slice(connection, postgres, run, [2, 1, 777])  # the dump has no course of the last number
        assert [(one.course, one.left) for one in done] == [(1, False), (2, False)]
        assert rows(database, "select count(distinct xmin::text) from udecdash.courses") == [(1,)]
        assert due(postgres) == []
        together = [*without_numbers(database), rows(database, COUNTED)]
        if night_of:
            rows(database, "update udecdash.courses set resources_run = 0")
        else:
            rows(database, f"truncate {', '.join(WRITTEN)}, udecdash.wanted, udecdash.courses")
        process(postgres, run)
        assert together[:-1] == without_numbers(database)
        assert night_of or together[-1] == rows(database, COUNTED)


WRITTEN = (*INTERACTION_TABLES, "course_interactions", "unprocessable_interactions")
COUNTED = "select course_id, mark, total, unresolved, judged, interactions from udecdash.courses order by 1"


def without_numbers(database: Connection) -> list[list[tuple[Any, ...]]]:
    """All that jobs wrote; what found nothing is told by its request, because it is numbered as it came."""
    queries = [f"select t::text from {table} t order by 1" for table in WRITTEN[:-1]]
    queries.append("select log, course_id, user_id, url, error_label, error_message from unprocessable_interactions"
                   " order by 1")  # fmt: skip
    queries.append("select u.log, w.resource, w.course_id from udecdash.wanted w"
                   " join unprocessable_interactions u on u.id = w.number order by 1, 2")  # fmt: skip
    return [rows(database, query) for query in queries]


def test_interactions_that_stand_there_already_stay_and_are_not_counted_again(
    postgres: Settings, database: Connection, world: World, tmp_path: Path
) -> None:
    world.ask(1, "/courses/101/files/109?first", timestamp="2021-05-01 12:00:00")
    night(postgres, world, tmp_path)
    for course, second in ((1, 0), (1, 0), (1, 1), (2, 0), (2, 0)):
        world.ask(course, f"/courses/{course + 100}/files/109?later", timestamp=f"2021-05-01 12:00:0{second}.5")
    run = load(postgres, world.dump(tmp_path), accept=tuple(COLUMNS)).run
    with db.opened(postgres) as connection:
        assert [one.interactions for one in process_slice(connection, postgres, run, [1, 2])] == [1, 1]
    found = rows(database, "select course_id, viewed::time::text, url from attachment_interactions order by 1, 2")
    assert found == [
        (1, "08:00:00", "/courses/101/files/109?first"),
        (1, "08:00:01", "/courses/101/files/109?later"),
        (2, "08:00:00", "/courses/102/files/109?later"),
    ]

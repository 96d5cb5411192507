"""Canvas Data 2 loaded into real servers: the same university gives the same interactions as Canvas Data 1."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2's class has a lower-case name
from psycopg2.sql import SQL, Identifier

from tests import dap_nights, nights, truth
from udecdash_updater.dap_relations import RELATIONS
from udecdash_updater.demo.canvas_data_2 import ELSEWHERE, Ids
from udecdash_updater.demo.university import generate
from udecdash_updater.resolution import INTERACTION_TABLES
from udecdash_updater.settings import Settings

SHARD = 15_772
DAYS = "course_interactions"


@pytest.fixture(scope="module")
def university(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two nights with every expected key (`cd1`), told as Canvas Data 2 (`served`)."""
    folder = tmp_path_factory.mktemp("university")
    for night in (1, 2):
        generate(folder / "cd1" / f"night{night}", seed=5, night=night, students=45, courses=4, requests=1500,
                 days=14, keys=True)  # fmt: skip
    dap_nights.told(folder / "served", folder / "cd1", 1, 2)
    return folder


def expected(university: Path, night: int, view: str) -> dict[str, set[str]]:
    """Each table's keys with device, in local ids: course, item, user, time; and whose days they are."""
    local = Ids(university / "cd1" / f"night{night}" / "dataFiles").local
    found = {}
    for table in INTERACTION_TABLES:
        path = university / "cd1" / f"night{night}" / view / f"{table}.tsv.gz"
        lines = [
            line.replace("\t", "|").split("|") for line in gzip.decompress(path.read_bytes()).decode().splitlines()
        ]
        found[table] = {
            "|".join([local("course_dim", course), item, local("user_dim", user), *rest])
            for course, item, user, *rest in lines
        }
    keys = [key.split("|") for keys in found.values() for key in keys]
    return {**found, DAYS: {f"{course}|{user}|{viewed[:10]}" for course, _, user, viewed, *_ in keys}}


def written(database: Connection, local: Callable[[str, int], str]) -> dict[str, set[str]]:
    """What the interaction tables hold, in local ids."""
    found = {}
    with database.cursor() as cursor:
        for table in INTERACTION_TABLES:
            downloaded = SQL(', downloaded::text::"char"' if table == "attachment_interactions" else "")
            query = "select course_id, item_canvas_id, user_id, viewed, device{} from {}"
            cursor.execute(SQL(query).format(downloaded, Identifier(table)))
            found[table] = {
                "|".join(map(str, (local("course_dim", course), item, local("user_dim", user), *rest)))
                for course, item, user, *rest in cursor.fetchall()
            }
        cursor.execute("select course_id, user_id, interaction_date, year_month from course_interactions")
        days = cursor.fetchall()
    assert all(month == day.year * 100 + day.month for _, _, day, month in days)
    found[DAYS] = {f"{local('course_dim', course)}|{local('user_dim', user)}|{day}" for course, user, day, _ in days}
    return found


def by_canvas_id(database: Connection, *, moved: bool) -> Callable[[str, int], str]:
    """Ids of the database made local: by canvas_id where a row has it, else by the formula.

    Where a site has moved, what follows no formula is an id that Canvas Data 1 gave, as the teller tells such.
    """
    known = {}
    with database.cursor() as cursor:
        for table in ("course_dim", "user_dim"):
            cursor.execute(SQL("select id, canvas_id from {}").format(Identifier(table)))
            known[table] = dict(cursor.fetchall())

    def local(table: str, ident: int) -> str:
        found = known[table].get(ident)
        if found is None:
            shard = ident // 10**13
            found = ident - SHARD * 10**13 if shard == SHARD else ident
            found += ELSEWHERE if moved and shard == 0 else 0
        return str(found)

    return local


def left_over(university: Path) -> dict[str, Any]:
    """The requests that lead nowhere after both nights; an id is the same in both tellings."""
    ids: dict[str, Any] = nights.truth(university / "cd1" / "night2")["cumulative"]["unprocessable_ids"]
    return ids


def wrong(
    database: Connection, due: dict[str, set[str]], *, moved: bool = False
) -> dict[str, tuple[list[str], list[str]]]:
    """What is there and should not be, and what lacks."""
    found = written(database, by_canvas_id(database, moved=moved))
    return {
        table: (sorted(found[table] - due[table])[:5], sorted(due[table] - found[table])[:5])
        for table in due
        if found[table] != due[table]
    }


@pytest.mark.parametrize("shard", [None, SHARD])
def test_a_snapshot_and_then_changes_give_the_interactions_of_canvas_data_1(
    postgres: Settings, database: Connection, university: Path, tmp_path: Path, shard: int | None
) -> None:
    settings = postgres.model_copy(update={"dap_shard": shard})
    dap_nights.fetch(university / "served", tmp_path, 1)
    nights.process(settings, dap_nights.load(settings, tmp_path).run)
    assert wrong(database, expected(university, 1, "keys")) == {}
    told = nights.truth(university / "cd1" / "night1")["unprocessable"]
    assert truth.wrong_unprocessable(database, told) == []  # the same requests, for the same reasons

    dap_nights.fetch(university / "served", tmp_path, 2, since=1)
    nights.process(settings, dap_nights.load(settings, tmp_path).run)
    assert wrong(database, expected(university, 2, "keys-cumulative")) == {}
    assert truth.wrong_ids(database, left_over(university)) == []


def test_a_site_that_moves_keeps_its_history_and_goes_on_from_it(
    postgres: Settings, database: Connection, university: Path, tmp_path: Path
) -> None:
    nights.process(postgres, nights.load(postgres, university / "cd1" / "night1" / "dataFiles").run)
    dap_nights.fetch(university / "served", tmp_path, 2)
    nights.process(postgres, dap_nights.load(postgres, tmp_path).run)
    assert wrong(database, expected(university, 2, "keys-cumulative"), moved=True) == {}
    assert truth.wrong_ids(database, left_over(university)) == []


# What Canvas Data 2 cannot tell (of correct answers not that they are shown once), or
# what no university has and the generator makes: a row of a course that also names
# an account, the author of a topic told otherwise by an entry, the privacy of a deleted tool, an item of two things, a
# file with an id beyond 10^13, a title longer than Canvas allows.
OTHERWISE = {
    *[("conversation_dim", "account_id"), ("external_tool_activation_dim", "account_id"), ("file_dim", "account_id")],
    *[("discussion_entry_fact", "topic_user_id"), ("external_tool_activation_dim", "privacy_level")],
    *[("module_item_dim", "assignment_id"), ("module_item_dim", "file_id"), ("wiki_page_dim", "title")],
    ("quiz_dim", "show_correct_answers"),
}


def columns(database: Connection, table: str) -> list[str]:
    query = "select column_name from information_schema.columns where table_schema = 'public' and table_name = %s"
    with database.cursor() as cursor:
        cursor.execute(query, [table])
        return [name for (name,) in cursor.fetchall()]


def differing(database: Connection, table: str) -> set[tuple[str, str]]:
    """The columns in which a row of the table is not what it was in the schema `before`."""
    key = "id" if table.endswith("_dim") else table.replace("_fact", "_id")
    query = "select count(*) from {0} now join before.{0} was using ({1}) where now.{2} is distinct from was.{2}"
    found = set()
    with database.cursor() as cursor:
        for name in columns(database, table):
            cursor.execute(SQL(query).format(Identifier(table), Identifier(key), Identifier(name)))
            if cursor.fetchone() != (0,):
                found.add((table, name))
    return found


def test_a_site_that_moves_finds_every_row_and_value_as_it_was(
    postgres: Settings, database: Connection, university: Path, tmp_path: Path
) -> None:
    nights.load(postgres, university / "cd1" / "night1" / "dataFiles")
    with database.cursor() as cursor:
        cursor.execute("create schema before")
        for table in RELATIONS:
            cursor.execute(SQL("create table before.{0} as table {0}").format(Identifier(table)))
    dap_nights.fetch(university / "served", tmp_path, 1)
    published = {one.table: one for one in dap_nights.load(postgres, tmp_path).tables.published}
    assert set(published) == set(RELATIONS)
    assert {name for name, one in published.items() if one.new or one.gone} <= {"file_dim"}
    assert set().union(*(differing(database, table) for table in RELATIONS)) <= OTHERWISE
    assert published["course_dim"].rows == 4
    assert published["enrollment_dim"].rows > 50

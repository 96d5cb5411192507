"""Tables that are there before us, in every shape that a dashboard's own migrations give them; and those we make."""

from __future__ import annotations

from pathlib import Path

import pytest
from psycopg2.errors import FeatureNotSupported
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2's class has a lower-case name

from tests.installation import execute, rows
from tests.nights import load, mini_dump
from udecdash_updater import tables
from udecdash_updater.accounts import Published
from udecdash_updater.errors import DatabaseError
from udecdash_updater.settings import Settings

ITEM = [("id", "bigint"), ("canvas_id", "bigint"), ("name", "varchar")]


def night(folder: Path, *files: str, columns: list[tuple[str, str]] | None = None) -> Path:
    """A dump of item_dim alone; each file's lines are given with a comma for each tab and a blank between lines."""
    contents = {
        f"item_dim-{number}-{folder.name}.gz": (text.replace(",", "\t").replace(" ", "\n") + "\n").encode()
        for number, text in enumerate(files)
    }
    return mini_dump(folder, {"item_dim": columns or ITEM}, {"item_dim": contents})


def items(database: Connection) -> list[tuple[object, ...]]:
    return rows(database, "select id, canvas_id, name from item_dim order by id")


MADE = "select"
FOUND = "create table item_dim (id bigint primary key, canvas_id bigint unique, name varchar(256));"
FULL = FOUND + "insert into item_dim values (1, 1, 'a'), (9, 9, 'goes');"


@pytest.mark.parametrize("before", [MADE, FOUND, FULL], ids=["made", "found empty", "found full"])
def test_a_unique_value_of_another_row_is_a_reject_and_the_later_good_copy_of_its_key_arrives(
    postgres: Settings, database: Connection, tmp_path: Path, before: str
) -> None:
    execute(database, before)
    load(postgres, night(tmp_path / "d", "1,1,a 2,1,bad 3,3,c", "2,2,good 3,3,again 1,1,a"), accept=["item_dim"])
    assert items(database) == [(1, 1, "a"), (2, 2, "good"), (3, 3, "c")]
    counts = "select file_name, lines, loaded, repeated, rejected from udecdash.files order by 1"
    assert rows(database, counts) == [("item_dim-0-d.gz", 3, 2, 0, 1), ("item_dim-1-d.gz", 3, 1, 2, 0)]
    assert rows(database, "select file_name, reason from udecdash.rejects") == [
        ("item_dim-0-d.gz", "canvas_id: another row has the same value")
    ]


@pytest.mark.parametrize("before", [MADE, FOUND, FULL], ids=["made", "found empty", "found full"])
def test_of_many_files_each_repeat_is_counted_at_its_own(
    postgres: Settings, database: Connection, tmp_path: Path, before: str
) -> None:
    execute(database, before)
    load(postgres, night(tmp_path / "d", "1,1,a 2,2,b", "2,2,x", "3,3,c 1,1,y 4,4,d 4,4,z"), accept=["item_dim"])
    assert items(database) == [(1, 1, "a"), (2, 2, "b"), (3, 3, "c"), (4, 4, "d")]
    counts = rows(database, "select loaded, repeated from udecdash.files order by file_name")
    assert counts == [(2, 0), (0, 1), (2, 2)]


def test_repeats_of_rows_that_did_not_change_are_found_as_well(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    load(postgres, night(tmp_path / "1", "1,1,a 2,2,b"))
    done = load(postgres, night(tmp_path / "2", "1,1,a 2,2,b", "2,2,b 1,1,other"))
    assert [(count.new, count.changed, count.gone) for count in done.published.values()] == [(0, 0, 0)]
    assert items(database) == [(1, 1, "a"), (2, 2, "b")]
    last = "select loaded, repeated from udecdash.files where run_id = 2 order by file_name"
    assert rows(database, last) == [(2, 0), (0, 2)]


def test_columns_of_types_without_equality_are_compared_by_their_text(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    execute(database, "create table item_dim (id bigint primary key, canvas_id bigint, name json)")
    load(postgres, night(tmp_path / "1", '1,1,{"a":1} 2,2,\\N 3,3,[]'))
    done = load(postgres, night(tmp_path / "2", '1,1,{"a":2} 2,2,\\N 3,3,[]')).published["item_dim"]
    assert (done.new, done.changed, done.gone) == (0, 1, 0)
    found = rows(database, "select id, name::text from item_dim order by id")
    assert found == [(1, '{"a":2}'), (2, None), (3, "[]")]


def test_a_text_that_the_columns_collation_takes_for_the_same_is_a_change_all_the_same(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    collation = "create collation caseless (provider = icu, locale = 'und-u-ks-level2', deterministic = false);"
    named = "create table item_dim (id bigint primary key, canvas_id bigint, name varchar(256) collate caseless)"
    try:
        execute(database, collation + named)
    except FeatureNotSupported:
        pytest.skip("this PostgreSQL was built without ICU")
    load(postgres, night(tmp_path / "1", "1,1,ana 2,2,b"))
    assert load(postgres, night(tmp_path / "2", "1,1,Ana 2,2,b")).published["item_dim"].changed == 1
    assert items(database) == [(1, 1, "Ana"), (2, 2, "b")]


def test_a_table_without_a_key_may_have_columns_without_equality_too(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    name, columns = "quiz_submission_historical_dim", [("id", "bigint"), ("data", "text")]
    execute(database, f"create table {name} (id bigint, data json)")
    for number, content in enumerate([b"1\t{}\n1\t{}\n2\t[]\n", b"1\t{}\n2\t[]\n2\t[]\n"]):
        folder = tmp_path / str(number)
        done = load(postgres, mini_dump(folder, {name: columns}, {name: {f"{name}-{number}.gz": content}}))
    one = done.published[name]
    assert (one.rows, one.new, one.changed, one.gone) == (3, 1, 0, 1)


def test_generated_and_identity_columns_are_loaded_around(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    execute(
        database,
        "create table item_dim (id bigint generated always as identity primary key,"
        " canvas_id bigint generated always as identity, name varchar(256) generated always as ('it') stored,"
        " title text)",
    )
    columns = [*ITEM, ("title", "text")]
    load(postgres, night(tmp_path / "1", "1,1,x,a 2,2,x,b 3,3,x,c", columns=columns))
    done = load(postgres, night(tmp_path / "2", "1,1,y,a 2,2,y,changed 3,8,y,c 4,4,y,d", columns=columns))
    one = done.published["item_dim"]
    assert (one.rows, one.new, one.changed, one.gone) == (4, 1, 2, 0)
    found = rows(database, "select id, canvas_id, name, title from item_dim order by id")
    assert found == [(1, 1, "it", "a"), (2, 2, "it", "changed"), (3, 8, "it", "c"), (4, 4, "it", "d")]


PARTIAL = "create unique index one_name on item_dim (lower(name)) where canvas_id > 0"


def test_values_of_a_partial_unique_index_may_be_swapped_and_a_row_that_breaks_it_is_a_reject(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    execute(database, f"create table item_dim (id bigint primary key, canvas_id bigint, name varchar(256)); {PARTIAL}")
    load(postgres, night(tmp_path / "1", "1,1,a 2,2,b 3,0,a 4,4,A 5,0,a"))
    assert items(database) == [(1, 1, "a"), (2, 2, "b"), (3, 0, "a"), (5, 0, "a")]
    load(postgres, night(tmp_path / "2", "1,1,B 2,2,A 3,0,a 5,5,x 6,6,X"))
    assert items(database) == [(1, 1, "B"), (2, 2, "A"), (3, 0, "a"), (5, 5, "x")]
    reasons = rows(database, "select reason from udecdash.rejects")
    assert reasons == [("canvas_id, name: another row has the same value",)] * 2


def test_a_found_table_that_lost_its_key_and_holds_rows_twice_becomes_what_the_dump_says(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    execute(
        database,
        "create table item_dim (id bigint, canvas_id bigint, name varchar(256));"
        "insert into item_dim values (1, 1, 'a'), (1, 1, 'a'), (2, 2, 'b'), (null, 3, 'c')",
    )
    load(postgres, night(tmp_path / "1", "1,1,a 2,2,new 1,1,a"))
    assert items(database) == [(1, 1, "a"), (2, 2, "new")]


def test_a_table_that_another_program_changes_while_it_is_compared_is_not_published(
    postgres: Settings, database: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(postgres, night(tmp_path / "1", "1,1,a 2,2,b"))
    publish = tables.publish

    def meddled(*given: object) -> list[Published]:
        execute(database, "delete from item_dim where id = 2")
        return publish(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(tables, "publish", meddled)
    with pytest.raises(DatabaseError, match="nothing was published"):
        load(postgres, night(tmp_path / "2", "1,1,changed 2,2,changed"))
    assert items(database) == [(1, 1, "a")]


def test_a_table_that_we_make_has_its_keys_and_the_grants_promised_for_the_schema(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    execute(database, "drop role if exists udt_reader; create role udt_reader")
    promise = "alter default privileges in schema public grant select on tables to udt_reader"
    execute(database, promise)
    load(postgres, night(tmp_path / "1", "1,1,a"))
    readable = "select has_table_privilege('udt_reader', 'item_dim', 'select, insert'), has_table_privilege("
    assert rows(database, readable + "'udt_reader', 'item_dim', 'insert')") == [(True, False)]
    indexes = "select indexname::text, schemaname::text from pg_indexes where tablename = 'item_dim' order by 1"
    assert rows(database, indexes) == [("item_dim_canvas_id_key", "public"), ("item_dim_pkey", "public")]
    assert rows(database, "select relpersistence::text, reloptions from pg_class where relname = 'item_dim'") == [
        ("p", ["fillfactor=95"])
    ]
    execute(database, "drop owned by udt_reader; drop role udt_reader")


def test_nothing_stays_in_staging(postgres: Settings, database: Connection, tmp_path: Path) -> None:
    left = "select count(*) from pg_class where relnamespace = 'udecdash_staging'::regnamespace and relkind = 'r'"
    load(postgres, night(tmp_path / "1", "1,1,a"))
    execute(database, "create table udecdash_staging.item_dim (left_by text)")
    for number, text in enumerate(["1,1,b 2,2,c", "2,2,c"]):
        load(postgres, night(tmp_path / str(number), text), accept=["item_dim"])
        assert rows(database, left) == [(0,)]
    assert items(database) == [(2, 2, "c")]


LIMITED = """
create type item_state as enum ('active', 'deleted');
create domain short_name as varchar(256) check (value <> 'forbidden');
create table item_dim (id bigint primary key, canvas_id bigint not null, name short_name,
    price double precision not null constraint fair check (price >= 0),
    state item_state not null, extra text default 'x' check (extra <> ''),
    constraint cheap_or_active check (state = 'active' or price < 10));
"""
PRICED = [*ITEM, ("price", "double precision"), ("state", "varchar")]


@pytest.mark.parametrize("full", ["", "insert into item_dim values (9, 9, 'goes', 1, 'active')"], ids=["empty", "full"])
def test_rows_that_break_what_a_found_table_asks_are_rejects_and_the_others_arrive(
    postgres: Settings, database: Connection, tmp_path: Path, full: str
) -> None:
    execute(database, LIMITED + full)
    odd = r"1,1,a,1,active 2,\N,b,1,active 3,3,forbidden,1,active 4,4,c,-1,active 5,5,d,1,\N 6,6,e,20,deleted"
    odd += r" 7,7,f,\N,active"
    load(postgres, night(tmp_path / "d", odd, "8,8,g,30,active", columns=PRICED), accept=["item_dim"])
    assert items(database) == [(1, 1, "a"), (8, 8, "g")]
    assert rows(database, "select line, reason from udecdash.rejects order by line") == [
        (2, "not null violation (23502) at canvas_id"),
        (3, "name: check violation (23514) at short_name_check"),
        (4, "check violation (23514) at fair"),
        (5, "not null violation (23502) at state"),
        (7, "not null violation (23502) at price"),
        (None, "cheap_or_active: the table does not take it"),
    ]
    counted = "select lines, loaded, rejected from udecdash.files order by file_name"
    assert rows(database, counted) == [(7, 1, 6), (1, 1, 0)]
    load(postgres, night(tmp_path / "2", "1,1,a,1,active 8,8,g,31,active", columns=PRICED))
    assert rows(database, "select id, price from item_dim order by id") == [(1, 1.0), (8, 31.0)]

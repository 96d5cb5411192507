"""Schemas that change from dump to dump, and tables made by the dashboard's own DDL: loaded right, or refused."""

from __future__ import annotations

import contextlib
import gzip
import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2's class has a lower-case name
from psycopg2.sql import SQL, Identifier

from tests import truth
from tests.dumps import REQUEST
from tests.installation import rows
from tests.nights import load, mini_dump, process
from tests.nights import truth as told
from tests.support import connect
from udecdash_updater import alterations, db, dump
from udecdash_updater.dump import DumpFile
from udecdash_updater.errors import DatabaseError, DumpError, TableError
from udecdash_updater.settings import Settings

Columns = list[tuple[str, str]]
ID: Columns = [("id", "bigint"), ("canvas_id", "bigint")]


def night(folder: Path, columns: Columns, *lines: str, lengths: dict[str, int] | None = None, **more: bytes) -> Path:
    """A dump of item_dim: a comma for each tab; `more`: other tables that have only ids."""
    body = "".join(line.replace(",", "\t") + "\n" for line in lines).encode()
    files = {"item_dim": {f"item_dim-{folder.name}.gz": body}}
    files |= {table: {f"{table}-{folder.name}.gz": content} for table, content in more.items()}
    made = mini_dump(folder, {"item_dim": columns, **dict.fromkeys(more, ID)}, files)
    if lengths:
        schema = json.loads((made / "schema.json").read_text())
        for column in schema["schema"]["item_dim"]["columns"]:
            if column["name"] in lengths:
                column["length"] = lengths[column["name"]]
        (made / "schema.json").write_text(json.dumps(schema))
    return made


def items(database: Connection, *columns: str) -> list[tuple[Any, ...]]:
    return rows(database, f"select {', '.join(columns)} from item_dim order by id")


def test_a_dump_like_the_one_before_is_not_told_as_drift(postgres: Settings, tmp_path: Path) -> None:
    assert load(postgres, night(tmp_path / "1", ID, "1,1")).drift == ()
    assert load(postgres, night(tmp_path / "2", ID, "1,1", "2,2")).drift == ()


def test_added_moved_and_removed_columns_are_told_and_no_value_is_shifted(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    load(postgres, night(tmp_path / "1", [*ID, ("name", "varchar"), ("color", "varchar")], "1,1,x,red", "2,2,y,blue"))
    other = [("color", "varchar"), ("canvas_id", "bigint"), ("id", "bigint"), ("weight", "int")]
    second = load(postgres, night(tmp_path / "2", other, "green,1,1,5", "blue,2,2,6", "gray,3,3,\\N"))
    assert items(database, "id", "canvas_id", "name", "color", "weight") == [
        (1, 1, "x", "green", 5), (2, 2, "y", "blue", 6), (3, 3, None, "gray", None),
    ]  # fmt: skip
    assert second.drift == (
        "item_dim: weight is new, name is gone and keeps its old values, color, canvas_id, id stand in another order",
        "item_dim.weight was added",
    )
    assert load(postgres, night(tmp_path / "3", other, "green,1,1,5", "blue,2,2,6", "gray,3,3,\\N")).drift == ()


def test_columns_of_requests_that_move_come_or_go_are_told_once_and_no_value_is_shifted(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    def night_of(number: int, columns: Columns) -> Path:
        values = {"id": f"r{number}", "timestamp": "2021-04-01 10:00:00", "user_id": "5", "course_id": "7"}
        values |= {"url": "/courses/7", "user_agent": "x"}
        line = "\t".join(values.get(name, "\\N") for name, _ in columns) + "\n"
        entries = {"requests": columns, "course_dim": ID}
        return mini_dump(tmp_path / str(number), entries, {"requests": {f"requests-{number}.gz": line.encode()}})

    other = [*REQUEST[:2], ("weight", "int"), *(one for one in REQUEST[:1:-1] if one[0] != "http_version")]
    assert load(postgres, night_of(1, REQUEST)).drift == ()
    (told,) = load(postgres, night_of(2, other)).drift
    assert told.startswith("requests: weight is new, http_version is gone and keeps its old values, id, timestamp, ")
    assert told.endswith(" stand in another order")
    assert load(postgres, night_of(3, other)).drift == ()
    assert rows(database, "select count(*), min(url), max(user_agent) from requests") == [(3, "/courses/7", "x")]


def test_a_table_that_comes_is_made_and_one_that_goes_is_asked_about(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    load(postgres, night(tmp_path / "1", ID, "1,1"))
    second = load(postgres, night(tmp_path / "2", ID, "1,1", new_dim=b"7\t7\n"))
    assert second.drift == ("new_dim: a table that is new",)
    assert rows(database, "select id from new_dim") == [(7,)]
    with pytest.raises(DumpError, match=r"new_dim .* not in schema\.json"):
        load(postgres, night(tmp_path / "3", ID, "1,1"))


def test_a_longer_text_and_a_text_without_end_get_room(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    named = [*ID, ("name", "varchar"), ("note", "varchar")]
    load(postgres, night(tmp_path / "1", named, "1,1,x,y", lengths={"name": 256, "note": 256}))
    with database.cursor() as cursor:
        cursor.execute("create index item_name on item_dim (name)")
    longer = [*ID, ("name", "varchar"), ("note", "text")]
    long = night(tmp_path / "2", longer, f"1,1,{'x' * 900},{'y' * 9000}", lengths={"name": 1000})
    assert load(postgres, long).drift == (
        "item_dim: name was varchar(256) and is varchar(1000), note was varchar(256) and is text",
        "item_dim.name was widened to varchar(1000)",
        "item_dim.note was widened to text",
    )
    assert items(database, "length(name)", "length(note)") == [(900, 9000)]
    assert rows(database, "select indexname from pg_indexes where indexname = 'item_name'") == [("item_name",)]


def test_a_column_that_is_added_waits_for_who_reads_and_holds_up_nobody_else(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    load(postgres, night(tmp_path / "1", ID, "1,1"))
    with database.cursor() as cursor:
        cursor.execute("set lock_timeout = '3s'")  # an ALTER TABLE that waits for the first reader would outlast that
    with contextlib.closing(connect(postgres)) as reader, ThreadPoolExecutor() as pool:
        reader.autocommit = False
        assert rows(reader, "select id from item_dim") == [(1,)]
        second = pool.submit(load, postgres, night(tmp_path / "2", [*ID, ("name", "varchar")], "1,1,x"))
        for _ in range(50):
            assert rows(database, "select id from item_dim") == [(1,)]
            time.sleep(0.1)
        assert not second.done()
        reader.commit()
        assert "item_dim.name was added" in second.result().drift
    assert items(database, "id", "name") == [(1, "x")]


def test_a_table_that_somebody_reads_without_end_is_told_and_left_as_it_was(
    postgres: Settings, database: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(postgres, night(tmp_path / "1", ID, "1,1"))
    longer = night(tmp_path / "2", [*ID, ("name", "varchar")], "1,1,x")
    with contextlib.closing(connect(postgres)) as reader, monkeypatch.context() as impatient:
        impatient.setattr(alterations, "_PATIENCE", 1.0)
        reader.autocommit = False
        assert rows(reader, "select id from item_dim") == [(1,)]
        with pytest.raises(TableError, match="have read the tables for 1 seconds without an end") as raised:
            load(postgres, longer)
        assert raised.value.exit_code == 5
        assert "pg_stat_activity" in raised.value.hint()
    assert rows(database, "select * from item_dim") == [(1, 1)]
    load(postgres, longer)
    assert items(database, "name") == [("x",)]


def test_a_row_that_somebody_keeps_locked_ends_the_night_with_how_to_find_who(
    postgres: Settings, database: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(postgres, night(tmp_path / "1", ID, "1,1"))
    with contextlib.closing(connect(postgres)) as other, monkeypatch.context() as impatient:
        impatient.setattr(db, "_LOCK_TIMEOUT", "300ms")
        other.autocommit = False
        assert rows(other, "select id from item_dim for update") == [(1,)]
        with pytest.raises(DatabaseError, match=r"publishing item_dim: .*55P03") as raised:
            load(postgres, night(tmp_path / "2", ID, "1,7"))
        assert "pg_stat_activity" in raised.value.hint()
    assert items(database, "canvas_id") == [(1,)]


def test_a_column_that_a_view_needs_as_it_is_stays_so_and_what_is_longer_is_rejected(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    named = [*ID, ("name", "varchar")]
    load(postgres, night(tmp_path / "1", named, "1,1,x", "2,2,y", lengths={"name": 256}))
    with database.cursor() as cursor:
        cursor.execute("create view names as select name from item_dim")
    second = night(tmp_path / "2", named, f"1,1,{'x' * 900}", "2,2,z", lengths={"name": 1000})
    assert "item_dim.name should be varchar(1000), but stays character varying(256)" in load(postgres, second).drift[1]
    assert rows(database, "select name from names") == [("z",)]
    assert rows(database, "select line, reason from udecdash.rejects") == [
        (1, "name: string data right truncation (22001)")
    ]


def test_a_small_integer_of_a_found_table_gets_the_room_of_a_bigint(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    with database.cursor() as cursor:
        cursor.execute("create table item_dim (id bigint primary key, canvas_id bigint unique, weight integer)")
    load(postgres, night(tmp_path / "1", [*ID, ("weight", "bigint")], "1,1,99999999999"))
    assert items(database, "weight") == [(99999999999,)]


def test_a_number_that_becomes_a_text_loads_its_numbers_and_names_the_lines_that_are_none(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    load(postgres, night(tmp_path / "1", [*ID, ("code", "bigint")], "1,1,5"))
    second = load(postgres, night(tmp_path / "2", [*ID, ("code", "varchar")], "1,1,6", "2,2,A7", "3,3,8"))
    assert second.drift == ("item_dim: code was bigint and is varchar",)
    assert items(database, "id", "code") == [(1, 6), (3, 8)]
    assert rows(database, "select line, reason from udecdash.rejects") == [
        (2, "code: invalid text representation (22P02)")
    ]


@pytest.mark.parametrize("kind", ["plain", "careful", "by lines", "requests"])
def test_an_unpacked_file_whose_columns_move_between_its_header_and_its_load_is_refused_and_the_next_night_loads_it(
    postgres: Settings, database: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr("udecdash_updater.lines.WORTH_KEEPING", 0)
    table, columns = ("requests", REQUEST) if kind == "requests" else ("item_dim", ID)
    folder = mini_dump(tmp_path, {table: columns}, {})
    path, names = folder / f"{table}.txt", [name for name, _ in columns]

    def write(order: list[str], *values: dict[str, str]) -> None:
        lines = [order, *([line.get(name, "\\N") for name in order] for line in values)]
        path.write_text("".join("\t".join(fields) + "\n" for fields in lines))

    was = [{"id": n, "canvas_id": "9" + n, "timestamp": "2021-01-01 10:00:00", "user_id": "5", "course_id": "7",
            "url": "/courses/7"} for n in "123"]  # fmt: skip
    odd = [{"id": "no number", "canvas_id": "1"}] if kind == "careful" else []
    write(names, *was, *odd)
    if kind == "by lines":
        load(postgres, folder, unpacked=folder)
    pair = ("user_id", "course_id") if kind == "requests" else ("id", "canvas_id")
    moved = [{pair[0]: pair[1], pair[1]: pair[0]}.get(name, name) for name in names]
    with monkeypatch.context() as patched:
        verify = dump.verify

        def change(files: Sequence[DumpFile]) -> object:
            write(moved, *was, *odd)
            return verify(files)

        patched.setattr(dump, "verify", change)
        with pytest.raises(DumpError, match=rf"{table}.txt was changed while it was loaded"):
            load(postgres, folder, unpacked=folder)
    load(postgres, folder, unpacked=folder)
    right = {tuple(int(line[name]) for name in pair) for line in was}
    assert set(rows(database, f"select {', '.join(pair)} from {table}")) == right


@pytest.mark.parametrize("columns", [[*ID, ("name", "varchar"), ("more", "varchar")], ID], ids=["more", "fewer"])
@pytest.mark.parametrize("count", [3, 99, 500])
def test_files_that_are_not_as_wide_as_their_schema_json_says_are_refused(
    postgres: Settings, database: Connection, tmp_path: Path, columns: Columns, count: int
) -> None:
    load(postgres, night(tmp_path / "1", [*ID, ("name", "varchar")], "1,1,x"))
    with pytest.raises(DumpError, match=rf"3 columns instead of {len(columns)}"):
        load(postgres, night(tmp_path / "2", columns, *(f"{n},{n},x" for n in range(count))))
    assert items(database, "id", "name") == [(1, "x")]


LOWER = {
    "submission_dim": ("processed", "grade_matches_current_submission", "has_rubric_assessment"),
    "course_section_dim": ("default_section", "accepting_enrollments", "can_manually_enroll",
                           "restrict_enrollments_to_section_dates"),
}  # fmt: skip
BOTH = {"learning_outcome_result_fact": ("mastery", "original_mastery")}
TYPES = {"timestamp": "timestamp(3)", "datetime": "timestamp(3)", "int": "bigint", "integer": "bigint",
         "guid": "varchar(36)", "varchar": "varchar(256)"}  # fmt: skip
LONGER = {"title": "varchar(1000)", "answer_match_left": "text", "answer_match_right": "text",
          "matching_answer_incorrect_matches": "text"}  # fmt: skip
MISSING = (("submission_dim", "posted_at"), ("course_dim", "wiki_id"))
KEYLESS = ("assignment_override_user_rollup_fact", "learning_outcome_group_association_fact",
           "quiz_submission_historical_dim", "quiz_question_answer_dim")  # fmt: skip


def values_of(data_files: Path, table: str, place: int) -> set[str]:
    """What stands in a column of the dump."""
    files = (data_files / table).glob("*.gz")
    lines = (line for file in files for line in gzip.decompress(file.read_bytes()).split(b"\n") if line)
    return {line.split(b"\t")[place].decode() for line in lines} - {"\\N"}


def dashboard_ddl(data_files: Path) -> Iterator[str]:
    """DDL as the dashboard's own: ENUMs for booleans and states, some of which lack what Canvas really sends."""
    for table in json.loads((data_files / "schema.json").read_text())["schema"].values():
        name, columns = table["tableName"], []
        if name == "requests":
            continue
        for place, column in enumerate(table["columns"]):
            if (name, column["name"]) in MISSING:
                continue
            kind = column["type"]
            labels: set[str] = set()
            if kind == "boolean":
                lower, both = column["name"] in LOWER.get(name, ()), column["name"] in BOTH.get(name, ())
                labels = {"true", "false"} if lower else {"True", "False"} | ({"true", "false"} if both else set())
            elif column["name"] == "workflow_state":
                labels = values_of(data_files, name, place) or {"active"}
                labels = {min(labels)} if name == "assignment_dim" else labels  # it lacks the others
            if labels:
                yield f"create type {name}_{column['name']} as enum ({', '.join(map(repr, sorted(labels)))})"
            made = f"{name}_{column['name']}" if labels else LONGER.get(column["name"], TYPES.get(kind, kind))
            columns.append(f'"{column["name"]}" {made if kind != "enum" or labels else "varchar(256)"}')
        names = [column["name"] for column in table["columns"]]
        if name == "user_dim":
            columns += ["columna_prueba_1 varchar(5) default 'kept'", "columna_prueba_2 integer"]
        if name == "group_membership_fact":
            columns = [column.replace('_id" bigint', '_id" varchar(256)') for column in columns]
        if name == "conversation_message_participant_fact":
            columns.append("primary key (conversation_message_id, user_id)")
        elif name not in KEYLESS:
            own = name.removesuffix("_fact") + "_id"
            columns.append(f"primary key ({next(key for key in ('id', own, names[0]) if key in names)})")
        if "canvas_id" in names and name.endswith("_dim") and name not in KEYLESS:
            columns.append("unique (canvas_id)")
        yield f"create table {name} ({', '.join(columns)})"


CATALOG = """
select c.relname, c.relacl::text, obj_description(c.oid), pg_get_viewdef(c.oid) from pg_class c
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'v', 'i')
  and c.relname not like '%requests%' and c.relname not like '%interactions%' order by 1
"""
ON_TOP = """
create view people as select id, sortable_name, workflow_state from user_dim where workflow_state = 'registered';
create view published_pages as select p.title, f.parent_course_id from wiki_page_dim p join wiki_page_fact f
    on f.wiki_page_id = p.id;
grant select on user_dim, people to public;
comment on table user_dim is 'who is who';
create index user_dim_by_name on user_dim (sortable_name);
"""


def test_tables_of_the_dashboards_own_ddl_hold_what_ours_hold_and_keep_what_stands_on_them(
    postgres: Settings, database: Connection, embedded_servers: Settings, night_1_database: str, small_nights: Path
) -> None:
    first, second = (small_nights / f"night{n}" / "dataFiles" for n in (1, 2))
    with database.cursor() as cursor:
        for statement in dashboard_ddl(first):
            cursor.execute(statement)
        cursor.execute(ON_TOP)
    before = rows(database, CATALOG)
    loaded = load(postgres, first)
    process(postgres, loaded.run)
    assert truth.wrong_night(database, told(small_nights / "night1")) == []
    ours = connect(embedded_servers.model_copy(update={"db_name": night_1_database}))
    try:
        for table in loaded.published:
            assert digest(database, table, first) == digest(ours, table, first), table
    finally:
        ours.close()  # nobody may look on while the model is copied
    process(postgres, load(postgres, second).run)
    assert truth.wrong_cumulative(database, told(small_nights / "night2")) == []
    again = load(postgres, second).published.values()
    assert {(one.new, one.changed, one.gone) for one in again} == {(0, 0, 0)}
    assert rows(database, CATALOG) == before
    assert rows(database, "select count(*) from people") != [(0,)]
    assert rows(database, "select distinct columna_prueba_1, columna_prueba_2 from user_dim") == [("kept", None)]


def digest(database: Connection, table: str, data_files: Path) -> list[tuple[Any, ...]]:
    """The table's rows as texts, whatever the types; true is True is true."""
    schema = json.loads((data_files / "schema.json").read_text())["schema"].values()
    [names] = [[c["name"] for c in entry["columns"]] for entry in schema if entry["tableName"] == table]
    parts = SQL(" || '|' || ").join(SQL("coalesce(lower({}::text), '')").format(Identifier(name)) for name in names)
    query = SQL("select count(*), sum(hashtext({})) from {}").format(parts, Identifier(table))
    with database.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()

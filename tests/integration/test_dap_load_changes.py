"""What Canvas Data 2 may bring from night to night: changes, deletions, other columns, gaps, ids that go on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2's class has a lower-case name

from tests import dap_nights
from tests.dap_nights import put
from udecdash_updater import (
    check_database,
    dap,
    dap_batches,
    dap_ids,
    dap_load,
    dap_relations,
    dap_tables,
    db,
    figures,
    staging,
    summary,
    words,
)
from udecdash_updater.dap_relations import RELATIONS
from udecdash_updater.dump import Table
from udecdash_updater.errors import DumpError, ImplausibleError, SettingsError, TableError
from udecdash_updater.settings import Settings
from udecdash_updater.staging import Staged

TIME = "2026-01-01T00:00:00.000Z"
HEADERS = {
    "canvas.courses": "meta.ts\tkey.id\tvalue.name\tvalue.workflow_state",
    "canvas.users": "meta.ts\tkey.id\tvalue.name",
    "canvas.enrollments": "meta.ts\tkey.id\tvalue.user_id\tvalue.course_id\tvalue.type",
}
LOG = [
    *["meta.ts", "key.id", "value.timestamp", "value.user_id", "value.real_user_id", "value.course_id"],
    *["value.quiz_id", "value.discussion_id", "value.conversation_id", "value.assignment_id", "value.url"],
    *["value.user_agent", "value.developer_key_id"],
]


def snapshot(folder: Path, night: int, **more: Sequence[str]) -> None:
    """All tables of a night, empty but for the rows given, as in courses=["7\\tA\\tavailable"]."""
    for name in dap_batches.NEEDED:
        if name == dap_batches.WEB_LOGS:
            continue
        header = HEADERS.get(name, "meta.ts\tkey.id")
        rows = more.get(name.removeprefix("canvas."), ())
        put(folder, name, [header, *(f"{TIME}\t{row}" for row in rows)], night=night)


def logged(number: int, **fields: str) -> str:
    """A line of web_logs."""
    values = {"ts": TIME, "id": f"{number:08d}-0000-4000-8000-000000000000", "timestamp": "2026-01-01T10:00:00.123Z"}
    values |= {"user_id": "5", "course_id": "7", "url": "/courses/7"} | fields
    return "\t".join(values.get(name.partition(".")[2], "\\N") for name in LOG)


def rows(database: Connection, query: str) -> list[tuple[Any, ...]]:
    with database.cursor() as cursor:
        cursor.execute(query)
        return list(cursor.fetchall())


def execute(database: Connection, statement: str) -> None:
    with database.cursor() as cursor:
        cursor.execute(statement)


def test_changes_write_what_changed_and_deletions_take_away(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    snapshot(tmp_path, 1, courses=["7\tA\tavailable", "8\tB\tavailable", "9\tC\tavailable"])
    first = dap_nights.load(postgres, tmp_path)
    assert rows(database, "select id, canvas_id, name from course_dim order by 1") == [
        (7, 7, "A"), (8, 8, "B"), (9, 9, "C"),
    ]  # fmt: skip
    head = "meta.action\tvalue.workflow_state\tkey.id\tvalue.name\tmeta.ts"  # in another order
    put(tmp_path, "canvas.courses", [head, f"U\tavailable\t8\tB2\t{TIME}", f"D\t\\N\t9\t\\N\t{TIME}"], night=2, since=1)
    second = dap_nights.load(postgres, tmp_path)
    assert rows(database, "select id, name from course_dim order by 1") == [(7, "A"), (8, "B2")]
    told = {one.table: (one.new, one.changed, one.gone) for one in second.tables.published}
    assert told["course_dim"] == (0, 1, 1)
    assert sum(map(sum, told.values())) == 2  # nothing else was touched
    counted = [(row.new, row.changed, row.gone) for row in summary.read(postgres, second.run).tables]
    assert tuple(map(sum, zip(*counted, strict=True))) == (0, 1, 1)  # rows of the dashboard's tables alone
    [*_, told_of] = figures.history(postgres, 1)
    assert (told_of.new, told_of.changed, told_of.gone) == (0, 1, 1)
    pages = figures.read(postgres, second.run).tables
    assert [row.name for row in pages if row.moved] == ["course_dim"]
    assert {one.table for one in first.tables.published} == set(RELATIONS)


def test_what_lies_on_disk_is_loaded_once_and_a_snapshot_replaces_the_table(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    snapshot(tmp_path, 1, users=["1\tA", "2\tB"])
    put(tmp_path, "canvas_logs.web_logs", ["\t".join(LOG), logged(1), logged(1), logged(2)], night=1)
    assert dap_nights.load(postgres, tmp_path).requests.new == 2
    again = dap_nights.load(postgres, tmp_path)
    assert (again.tables.merged, again.requests.counts) == ((), ())
    put(tmp_path, "canvas.users", ["key.id\tvalue.name", "2\tB", "3\tC"], night=2)
    put(tmp_path, "canvas_logs.web_logs", ["\t".join(LOG), logged(2), logged(3)], night=2)
    assert dap_nights.load(postgres, tmp_path).requests.new == 1
    assert rows(database, "select canvas_id, name from user_dim order by 1") == [(2, "B"), (3, "C")]
    assert (
        rows(database, "select timestamp::text, user_id, course_id from requests order by local_id")
        == [("2026-01-01 10:00:00.123", 5, 7)] * 3
    )
    assert rows(database, "select count(*) from udecdash.files where lines <> loaded + filtered + repeated") == [(0,)]


def test_a_relation_is_made_again_when_its_sources_or_itself_or_the_ids_are_others_by_now(
    postgres: Settings, database: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    stage_from = staging.stage_from

    def spy(cursor: db.Cursor, table: Table, *more: Any) -> Staged:  # noqa: ANN401 - as it is called
        made.append(table.name)
        return stage_from(cursor, table, *more)

    def made_by_a_load() -> set[str]:
        made.clear()
        published = dap_nights.load(postgres, tmp_path).tables.published
        assert {one.table for one in published} == set(RELATIONS)
        return set(made)

    monkeypatch.setattr(dap_relations, "stage_from", spy)
    snapshot(tmp_path, 1, courses=["7\tA\tavailable"], users=["1\tA", "2\tB"])
    assert made_by_a_load() == set(RELATIONS)
    assert made_by_a_load() == set()
    execute(database, "update course_dim set name = 'by hand'")
    assert made_by_a_load() == {"course_dim"}
    assert rows(database, "select name from course_dim") == [("A",)]
    put(tmp_path, "canvas.users", ["meta.action\tkey.id\tvalue.name", "U\t1\tA"], night=2, since=1)
    assert made_by_a_load() == set()  # Canvas tells what is there already
    put(tmp_path, "canvas.users", ["meta.action\tkey.id\tvalue.name", "U\t1\tA3"], night=3, since=2)
    assert made_by_a_load() == {"user_dim"}
    assert rows(database, "select id, name from user_dim order by 1") == [(1, "A3"), (2, "B")]
    execute(database, "alter table user_dim add unique (name, canvas_id)")
    assert made_by_a_load() == {"user_dim"}
    execute(database, "insert into udecdash.dap_users values (1, -17)")
    assert made_by_a_load() == set(RELATIONS)
    assert rows(database, "select id, name from user_dim order by 1") == [(-17, "A3"), (2, "B")]


def test_batches_that_waited_are_loaded_at_once_and_the_newest_word_counts(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    snapshot(tmp_path, 1, users=["1\tA", "2\tB", "3\tC"])
    head = "meta.action\tkey.id\tvalue.name"
    put(tmp_path, "canvas.users", [head, "D\t1\t\\N", "U\t2\tB2", "D\t3\t\\N"], night=2, since=1)
    put(tmp_path, "canvas.users", [head, "U\t1\tA3", "U\t4\tD", "D\t2\t\\N"], night=3, since=2)
    done = dap_nights.load(postgres, tmp_path)
    assert rows(database, "select id, name from user_dim order by 1") == [(1, "A3"), (4, "D")]
    counted = (
        f"select lines, loaded, repeated from udecdash.files where run_id = {done.run} and table_name = 'canvas.users'"
    )
    assert rows(database, f"{counted} order by file_name") == [(3, 0, 3), (3, 1, 2), (3, 3, 0)]


def test_columns_that_canvas_adds_or_widens_are_loaded_and_break_nothing(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    snapshot(tmp_path, 1, courses=["7\tA\tavailable"])
    dap_nights.load(postgres, tmp_path)
    execute(database, "create view titles as select id, name from course_dim")
    schema = {"properties": {"key": {"properties": {"id": {"type": "integer"}}},
              "value": {"properties": {"name": {"type": "string"}, "seats": {"type": "integer"}}}}}  # fmt: skip
    head = "meta.ts\tmeta.action\tkey.id\tvalue.name\tvalue.seats\tvalue.unheard_of"
    put(tmp_path, "canvas.courses", [head, f"{TIME}\tU\t8\tB\t30\t{{}}"], night=2, since=1, schema=schema)
    [merged] = dap_nights.load(postgres, tmp_path).tables.merged
    assert merged.altered == ("canvas.courses.seats", "canvas.courses.unheard_of")

    schema["properties"]["value"]["properties"]["seats"] = {"type": "string"}
    put(tmp_path, "canvas.courses", [head, f"{TIME}\tU\t8\tB\tmany\t\\N"], night=3, since=2, schema=schema)
    dap_nights.load(postgres, tmp_path)
    assert rows(database, "select id, seats, unheard_of from udecdash_dap.courses order by 1") == [
        (7, None, None), (8, "many", None),
    ]  # fmt: skip
    assert rows(database, "select * from titles order by 1") == [(7, "A"), (8, "B")]


_HARM = {
    "drop table udecdash_dap.users": "the table is gone",
    "delete from udecdash_dap.users where id = 1": "1 rows instead of 2",
    "update udecdash_dap.users set name = 'by hand' where id = 2": "its rows were written by somebody else",
    "alter table udecdash_dap.users drop name": "columns are gone: name",
    "alter table udecdash_dap.users drop constraint users_pkey": "its primary key is gone",
}


@pytest.mark.parametrize(("harm", "told"), _HARM.items())
def test_a_table_that_somebody_changed_counts_as_never_loaded_until_it_comes_whole(
    postgres: Settings, database: Connection, tmp_path: Path, harm: str, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    snapshot(tmp_path, 1, courses=["7\tA\tavailable"], users=["1\tA", "2\tB"])
    dap_nights.load(postgres, tmp_path)
    with database.cursor() as cursor:
        before = set(dap.since(cursor))
        assert not caplog.records
        execute(database, harm)
        assert before - set(dap.since(cursor)) == {"canvas.users"}
    [warned] = caplog.messages
    assert f"canvas.users is no longer as its last load left it ({told}" in warned
    dap_batches.forget(dap_batches.read(tmp_path))
    assert dap_nights.load(postgres, tmp_path).tables.waiting == ("user_dim",)
    changes = put(tmp_path, "canvas.users", ["meta.action\tkey.id\tvalue.name", "U\t2\tB2"], night=2, since=1)
    with pytest.raises(DumpError, match=r"canvas\.users is loaded up to None"):
        dap_nights.load(postgres, tmp_path)
    assert rows(database, "select id, name from user_dim order by 1") == [(1, "A"), (2, "B")]
    dap_batches.forget([changes])
    changes = put(tmp_path, "canvas.users", ["meta.action\tkey.id\tvalue.name", "U\t2\tB2"], night=2, since=1)
    put(tmp_path, "canvas.users", ["key.id\tvalue.name", "1\tA", "2\tB2"], night=2)  # what waits is older than it
    assert dap_nights.load(postgres, tmp_path).tables.waiting == ()
    assert rows(database, "select id, name from udecdash_dap.users order by 1") == [(1, "A"), (2, "B2")]
    assert rows(database, "select id, name from user_dim order by 1") == [(1, "A"), (2, "B2")]
    with database.cursor() as cursor:
        assert "canvas.users" in dap.since(cursor)
    put(tmp_path, "canvas.users", ["meta.action\tkey.id\tvalue.name", "U\t1\tA3"], night=3, since=2)
    dap_nights.load(postgres, tmp_path)
    assert rows(database, "select id, name from udecdash_dap.users order by 1") == [(1, "A3"), (2, "B2")]


def test_a_column_that_canvas_removes_is_told_once_and_keeps_what_it_held(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    def removed() -> list[str]:
        told = dap_load.removed_columns(postgres, dap_batches.read(tmp_path))
        dap_nights.load(postgres, tmp_path)
        return told

    snapshot(tmp_path, 1, courses=["7\tA\tavailable", "8\tB\tavailable"])
    put(tmp_path, "canvas_logs.web_logs", ["\t".join(LOG), logged(1)], night=1)
    dap_nights.load(postgres, tmp_path)
    put(tmp_path, "canvas.courses", ["meta.action\tkey.id\tvalue.name", "U\t8\tB2"], night=2, since=1)
    shorter = [name for name in LOG if name != "value.user_agent"]
    put(tmp_path, "canvas_logs.web_logs", ["\t".join([*shorter, "meta.action"])], night=2, since=1)
    assert removed() == ["canvas.courses.workflow_state", "canvas_logs.web_logs.user_agent"]
    kept = [(7, "A", "available"), (8, "B2", "available")]
    assert rows(database, "select id, name, workflow_state from course_dim order by 1") == kept
    put(tmp_path, "canvas.courses", ["meta.action\tkey.id\tvalue.name", "U\t8\tB3"], night=3, since=2)
    assert removed() == []


@pytest.mark.parametrize("whole", [False, True], ids=["changes", "snapshot"])
def test_a_column_that_canvas_removes_keeps_what_it_held_though_a_batch_that_still_had_it_waited(
    postgres: Settings, database: Connection, tmp_path: Path, whole: bool
) -> None:
    snapshot(tmp_path, 1, courses=["7\tA\tavailable", "8\tB\tavailable", "9\tC\tavailable"])
    dap_nights.load(postgres, tmp_path)
    before = ["meta.action\tkey.id\tvalue.name\tvalue.workflow_state", "U\t8\tB2\tdeleted"]
    put(tmp_path, "canvas.courses", before, night=2, since=1)
    after = (
        ["key.id\tvalue.name", "7\tA3", "8\tB2", "9\tC"] if whole else ["meta.action\tkey.id\tvalue.name", "U\t7\tA3"]
    )
    put(tmp_path, "canvas.courses", after, night=3, since=None if whole else 2)
    dap_nights.load(postgres, tmp_path)
    assert rows(database, "select id, name, workflow_state from course_dim order by 1") == [
        (7, "A3", "available"), (8, "B2", "available" if whole else "deleted"), (9, "C", "available"),
    ]  # fmt: skip


def test_a_column_that_canvas_removed_and_somebody_dropped_ends_the_night_with_what_to_type(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    snapshot(tmp_path, 1, courses=["7\tA\tavailable", "8\tB\tavailable"])
    dap_nights.load(postgres, tmp_path)
    put(tmp_path, "canvas.courses", ["meta.action\tkey.id\tvalue.name", "U\t8\tB2"], night=2, since=1)
    dap_nights.load(postgres, tmp_path)
    execute(database, "alter table udecdash_dap.courses drop workflow_state")
    changes = put(tmp_path, "canvas.courses", ["meta.action\tkey.id\tvalue.name", "U\t8\tB3"], night=3, since=2)
    with pytest.raises(TableError, match=r'course_dim .*"udecdash_dap"."courses": column c.workflow_state') as refused:
        dap_nights.load(postgres, tmp_path)
    typed, separator, _ = str(refused.value.hint()).partition(";")
    execute(database, typed + separator)
    with database.cursor() as cursor:
        assert "canvas.courses" not in dap.since(cursor), "so it is fetched whole"
    dap_batches.forget([changes])
    put(tmp_path, "canvas.courses", ["key.id\tvalue.name", "7\tA", "8\tB3"], night=3)
    dap_nights.load(postgres, tmp_path)
    assert rows(database, "select id, name, workflow_state from course_dim order by 1") == [
        (7, "A", None), (8, "B3", None),
    ]  # fmt: skip


@pytest.mark.parametrize(("source", "outcome"), [("dap", "failed"), ("canvas-data-1", "OK")])
def test_the_check_tells_of_what_stands_where_a_relation_should_be(
    postgres: Settings, database: Connection, source: str, outcome: str
) -> None:
    execute(database, "create view module_dim as select 1 as id")
    settings = postgres.model_copy(update={"source": source})
    with database.cursor() as cursor:
        [found] = check_database.tables_can_be_filled(settings, cursor)
    assert (found.outcome, "module_dim" in str(found.told)) == (outcome, source == "dap")


def test_lines_that_cannot_be_rows_are_rejects_with_file_and_line(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    snapshot(tmp_path, 1, courses=["7\tA\tavailable", "x\tB\tavailable", "9\tC"])
    done = dap_nights.load(postgres, tmp_path)
    assert rows(database, "select table_name, line, reason from udecdash.rejects order by line") == [
        ("canvas.courses", 2, "id: invalid text representation (22P02)"),
        ("canvas.courses", 3, "3 columns instead of 4"),
    ]
    assert rows(
        database, f"select lines, loaded, rejected from udecdash.files where run_id = {done.run} and lines > 0"
    ) == [(3, 1, 2)]


@pytest.mark.parametrize(
    ("room", "name"),
    [
        ("name varchar(5)", "Abcdef"),  # a view holds the column as it is
        ("name character(5)", "Abcdef"),
        ("name short", "Abcdef"),  # a domain of such a type
        ("", 257 * "x"),  # a table of our own
    ],
)
def test_a_text_that_is_longer_than_its_column_makes_its_row_a_reject_and_is_never_cut(
    postgres: Settings, database: Connection, tmp_path: Path, room: str, name: str
) -> None:
    if room:
        execute(database, "create domain short as varchar(5)")
        execute(database, f"create table course_dim (id bigint primary key, canvas_id bigint unique, {room})")
        execute(database, "create view names as select name from course_dim")
    blanks = f"Abcde{' ' * 300}"
    snapshot(
        tmp_path, 1, courses=["7\tA\tavailable", f"8\t{name}\tclaimed", f"9\t{blanks}\tclaimed", "10\t\\N\tclaimed"]
    )
    run = dap_nights.load(postgres, tmp_path).run
    assert rows(database, "select id, rtrim(name) from course_dim order by 1") == [(7, "A"), (9, "Abcde"), (10, None)]
    assert rows(database, "select table_name, file_name, line, reason from udecdash.rejects") == [
        ("course_dim", "Canvas Data 2", None, "name: longer than its column, id 8")
    ]
    [row] = [row for row in summary.read(postgres, run).tables if row.table == "course_dim"]
    assert (row.lines, row.loaded, row.rejected, row.new) == (4, 3, 1, 3)
    there = f"select rows from udecdash.table_loads where run_id = {run} and table_name = 'course_dim'"
    assert rows(database, there) == [(3,)]
    with pytest.raises(DumpError, match="More than 0 lines"):
        dap_nights.load(postgres.model_copy(update={"max_rejected_rows": 0}), tmp_path)


def rejected(database: Connection, run: int) -> list[tuple[str, str]]:
    return rows(database, f"select table_name, reason from udecdash.rejects where run_id = {run} order by reason")


def test_rows_that_a_found_table_refuses_by_a_foreign_key_are_rejects_until_what_they_name_is_there(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    execute(database, "create table course_dim (id bigint primary key, canvas_id bigint unique)")
    execute(database, "create table enrollment_dim (id bigint primary key, course_id bigint references course_dim)")
    snapshot(tmp_path, 1, courses=["7\tA\tavailable"], enrollments=["1\t5\t7\tS", "2\t5\t8\tS"])
    refused = "foreign key violation (23503) at enrollment_dim_course_id_fkey, id"
    assert rejected(database, dap_nights.load(postgres, tmp_path).run) == [("enrollment_dim", f"{refused} 2")]
    assert rows(database, "select id, course_id from enrollment_dim") == [(1, 7)]
    assert rejected(database, dap_nights.load(postgres, tmp_path).run) == [("enrollment_dim", f"{refused} 2")]

    head = "meta.action\tkey.id\tvalue.name\tvalue.workflow_state"
    put(tmp_path, "canvas.courses", [head, "D\t7\t\\N\t\\N", "U\t8\tB\tavailable"], night=2, since=1)
    assert rejected(database, dap_nights.load(postgres, tmp_path).run) == [("enrollment_dim", f"{refused} 1")]
    assert rows(database, "select id, course_id from enrollment_dim") == [(2, 8)]

    put(tmp_path, "canvas.courses", [head, "U\t7\tA\tavailable"], night=3, since=2)
    assert rejected(database, dap_nights.load(postgres, tmp_path).run) == []
    assert rows(database, "select id, course_id from enrollment_dim order by 1") == [(1, 7), (2, 8)]


def test_rows_that_a_trigger_refuses_or_that_are_too_large_for_a_column_are_rejects(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    execute(database, "create table module_dim (id bigint primary key, canvas_id bigint unique, position integer)")
    execute(database, "create view places as select position from module_dim")  # so it stays as narrow as it is
    execute(
        database,
        """create function no_nine() returns trigger language plpgsql as
        $$ begin if new.position = 9 then raise 'never nine'; end if; return new; end $$""",
    )
    execute(database, "create trigger no_nine before insert or update on module_dim for each row "
                      "execute function no_nine()")  # fmt: skip
    snapshot(tmp_path, 1)
    head = "meta.ts\tkey.id\tvalue.position"
    lines = [f"{TIME}\t1\t1", f"{TIME}\t2\t2147483648", f"{TIME}\t3\t9", *(f"{TIME}\t{n}\t{n}" for n in range(10, 40))]
    put(tmp_path, "canvas.context_modules", [head, *lines], night=2)
    assert rejected(database, dap_nights.load(postgres, tmp_path).run) == [
        ("module_dim", "position: numeric value out of range (22003), id 2"),
        ("module_dim", "raise exception (P0001), id 3"),
    ]
    assert rows(database, "select count(*), min(id), max(position) from module_dim") == [(31, 1, 39)]
    with pytest.raises(DumpError, match="More than 1 lines"):
        dap_nights.load(postgres.model_copy(update={"max_rejected_rows": 1}), tmp_path)


def test_what_students_see_of_a_quiz_is_told_in_the_words_of_canvas_data_1(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    snapshot(tmp_path, 1)
    assert dap_nights.load(postgres, tmp_path)
    values = ["hide_results", "one_time_results", "show_correct_answers", "show_correct_answers_last_attempt"]
    quizzes = ["always f t f", "always t f t", "\\N t t t", "until_after_last_attempt t \\N t",
               "until_after_last_attempt f t \\N", "\\N f \\N \\N", "\\N \\N f f"]  # fmt: skip
    lines = ["\t".join(["U", str(number), *quiz.split()]) for number, quiz in enumerate(quizzes, start=1)]
    head = "\t".join(["meta.action", "key.id", *(f"value.{name}" for name in values)])
    put(tmp_path, "canvas.quizzes", [head, *lines], night=2, since=1)
    dap_nights.load(postgres, tmp_path)
    assert rows(database, "select show_results, show_correct_answers from quiz_dim order by id") == [
        ("never", "always"), ("never", "never"), ("only_once_after_last_attempt", "always_after_last_attempt"),
        ("only_once_after_last_attempt", "always_after_last_attempt"), ("always_after_last_attempt", "always"),
        ("always", None), (None, "never"),
    ]  # fmt: skip


def test_a_gap_before_the_changes_is_refused(postgres: Settings, tmp_path: Path) -> None:
    snapshot(tmp_path, 1)
    dap_nights.load(postgres, tmp_path)
    put(tmp_path, "canvas.courses", ["meta.action\tkey.id", "U\t7"], night=4, since=3)
    with pytest.raises(DumpError, match="loaded up to 2026-01-02"):
        dap_nights.load(postgres, tmp_path)


def test_a_table_that_never_came_ends_the_first_load_by_name(postgres: Settings, tmp_path: Path) -> None:
    put(tmp_path, "canvas.courses", ["key.id", "7"], night=1)
    with pytest.raises(DumpError, match=r"canvas\.users.* were never downloaded"):
        dap_nights.load(postgres, tmp_path)


def test_a_relation_that_loses_its_rows_is_refused_until_it_is_accepted(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    snapshot(tmp_path, 1, courses=["7\tA\tavailable"])
    dap_nights.load(postgres, tmp_path)
    put(tmp_path, "canvas.courses", ["key.id"], night=2)
    with pytest.raises(ImplausibleError, match="course_dim"):
        dap_nights.load(postgres, tmp_path)
    with database.cursor() as cursor:
        assert dap_tables.loaded(cursor)["canvas.courses"] == dap_nights.moment(1)  # nothing was published
    assert rows(database, "select count(*) from course_dim, udecdash_dap.courses") == [(1,)]
    dap_nights.load(postgres, tmp_path, accept=["course_dim"])
    assert rows(database, "select count(*) from course_dim") == [(0,)]


def test_a_table_that_no_relation_reads_and_that_loses_its_rows_is_refused_until_it_is_accepted(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    snapshot(tmp_path, 1, courses=["7\tA\tavailable"])
    put(tmp_path, "canvas.rubrics", ["key.id\tvalue.title", *(f"{n}\tR" for n in range(20))], night=1)
    dap_nights.load(postgres, tmp_path)
    put(tmp_path, "canvas.rubrics", ["key.id\tvalue.title", "1\tR"], night=2)
    with pytest.raises(ImplausibleError, match=r"\n  canvas.rubrics  20 rows  1 rows  shrunk$"):
        dap_nights.load(postgres, tmp_path)
    assert rows(database, "select count(*) from udecdash_dap.rubrics") == [(20,)]
    run = dap_nights.load(postgres, tmp_path, accept=["canvas.rubrics"]).run
    assert rows(database, "select count(*) from udecdash_dap.rubrics") == [(1,)]
    assert rows(database, "select * from udecdash.accepted") == [(run, "canvas.rubrics", "shrunk")]


def test_a_word_that_postgresql_would_read_as_a_time_is_a_reject_in_canvas_data_2_too(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    snapshot(tmp_path, 1, courses=["7\tA\tavailable"])
    head = "meta.ts\tkey.id\tvalue.title\tvalue.created_at"
    value = {"title": {"type": "string"}, "created_at": {"type": "string", "format": "date-time"}}
    schema = {"properties": {"key": {"properties": {"id": {"type": "integer"}}}, "value": {"properties": value}}}
    put(tmp_path, "canvas.rubrics", [head, f"{TIME}\t7\tnow\t{TIME}", f"{TIME}\t8\tB\tnow"], night=1, schema=schema)
    dap_nights.load(postgres, tmp_path)
    assert rows(database, "select id, title from udecdash_dap.rubrics") == [(7, "now")]
    assert rows(database, "select line, reason from udecdash.rejects") == [(2, f"created_at: {words.REASON}")]


def test_a_site_that_moves_keeps_ids_columns_and_views(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    execute(
        database,
        "create type state as enum ('available', 'deleted');"
        "create table course_dim (id bigint primary key, canvas_id bigint unique, name varchar(256),"
        " workflow_state state, own_column text default 'kept');"
        "create table user_dim (id bigint primary key, canvas_id bigint unique, name varchar(256), gender text);"
        "insert into course_dim values (150000000000007, 7, 'A', 'available');"
        "insert into user_dim values (-99, 1, 'A', 'unknown'), (150000000000002, 2, 'B', null);"
        "create view seen_courses as select * from course_dim",
    )
    with db.opened(postgres) as connection, connection.cursor() as cursor:
        before = str(dap_ids.describe(cursor, postgres))
    snapshot(
        tmp_path, 1, courses=["7\tA\tavailable", "8\tB\tclaimed"], users=["1\tA", "2\tB", "3\tC"],
        enrollments=["1\t1\t7\tStudentEnrollment", "2\t3\t8\tStudentEnrollment"],
    )  # fmt: skip
    put(tmp_path, "canvas_logs.web_logs", ["\t".join(LOG), logged(1, user_id="1"), logged(2, user_id="4")], night=1)
    dap_nights.load(postgres, tmp_path)
    assert rows(database, "select id, canvas_id, workflow_state::text, own_column from seen_courses order by 1") == [
        (150000000000007, 7, "available", "kept"), (150000000000008, 8, "claimed", "kept"),
    ]  # fmt: skip
    assert rows(database, "select id, canvas_id, gender from user_dim order by canvas_id") == [
        (-99, 1, "unknown"), (150000000000002, 2, None), (150000000000003, 3, None),
    ]  # fmt: skip
    assert rows(database, "select user_id, course_id from enrollment_dim order by id") == [
        (-99, 150000000000007), (150000000000003, 150000000000008),
    ]  # fmt: skip
    assert rows(database, "select user_id, course_id from requests order by local_id") == [
        (-99, 150000000000007), (150000000000004, 150000000000007),
    ]  # fmt: skip
    with db.opened(postgres) as connection, connection.cursor() as cursor:
        [finding] = check_database.ids_go_on(postgres, cursor)
        assert (finding.name, str(finding.told)) == ("ids", before)
        assert before == "ids go on from Canvas Data 1: shard 15 (as in course_dim); 1 user keeps another id"
        wrong = postgres.model_copy(update={"dap_shard": 16})
        with pytest.raises(SettingsError, match="DAP_SHARD: is 16, but course_dim holds ids of the shard 15"):
            dap_ids.find(cursor, wrong)


@pytest.mark.parametrize(
    ("ids", "told"),
    [
        ("(150000000000007, 7), (160000000000008, 8)", "shards 15, 16"),
        ("(77, 7)", "does not come from their canvas_id"),
    ],
)
def test_ids_that_cannot_go_on_are_refused(postgres: Settings, database: Connection, ids: str, told: str) -> None:
    execute(database, f"create table course_dim (id bigint, canvas_id bigint); insert into course_dim values {ids}")
    with db.opened(postgres) as connection, connection.cursor() as cursor, pytest.raises(DumpError, match=told):
        dap_ids.find(cursor, postgres)


def test_a_new_site_has_the_ids_of_canvas_unless_a_shard_is_set(postgres: Settings) -> None:
    with db.opened(postgres) as connection, connection.cursor() as cursor:
        assert str(dap_ids.describe(cursor, postgres)).startswith("ids are those of Canvas: no course is there yet")
        sharded = postgres.model_copy(update={"dap_shard": 9})
        told = dap_ids.describe(cursor, sharded)
        assert str(told) == "ids go on from Canvas Data 1: shard 9 (as DAP_SHARD says); 0 users keep another id"
        assert told.text("es").endswith("shard 9 (como dice DAP_SHARD); 0 usuarios conservan otro id")
        cursor.execute("create table course_dim (id bigint, canvas_id bigint); insert into course_dim values (7, 7)")
        assert str(dap_ids.describe(cursor, postgres)) == "ids are those of Canvas, as in course_dim, without a shard"


def test_an_entry_tells_who_wrote_and_who_edited_its_topic(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    snapshot(tmp_path, 1)
    put(tmp_path, "canvas.discussion_topics", ["key.id\tvalue.user_id\tvalue.editor_id", "3\t1\t2"], night=2)
    put(tmp_path, "canvas.discussion_entries", ["key.id\tvalue.discussion_topic_id\tvalue.user_id", "4\t3\t5"], night=2)
    dap_nights.load(postgres, tmp_path)
    told = "select discussion_entry_id, user_id, topic_user_id, topic_editor_id from discussion_entry_fact"
    assert rows(database, told) == [(4, 5, 1, 2)]

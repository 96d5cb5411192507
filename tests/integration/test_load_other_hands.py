"""What people do to the dashboard's database between two nights: the next night makes the tables right again."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2's class has a lower-case name

from tests.installation import Installation, execute, rows
from tests.nights import load, mini_dump, write_archive
from udecdash_updater import binaries, tables
from udecdash_updater.accounts import Published
from udecdash_updater.settings import Settings

ITEM = [("id", "bigint"), ("canvas_id", "bigint"), ("name", "varchar"), ("updated_at", "timestamp")]
PAIR = [("unread", "boolean"), ("conversation_message_id", "bigint"), ("user_id", "bigint"), ("text", "text")]
PAIRS = "conversation_message_participant_fact"
_FIRST = "set search_path to public;"  # an account that is called as the ledger's schema creates tables there
# What administrators, the dashboard's migrations and mistakes do to a table.
HANDS = {
    "vacuum full": "vacuum full {0}",
    "cluster": "create index on {0} (name desc); alter table {0} cluster on {0}_name_idx; cluster {0}",
    "freeze": "vacuum (freeze, analyze) {0}",
    "a row changed": "update {0} set name = 'mine' where id = 100",
    "a row changed and back": "update {0} set name = name where id = 100",
    "rows deleted": "delete from {0} where id < 120",
    "rows of one's own": "insert into {0} values (-1, -1, 'mine', now())",
    "a row in the place of another": "delete from {0} where id = 150; insert into {0} values (150, 150, 'mine', now())",
    "emptied": "truncate {0}",
    "dropped": "drop table {0}",
    "dropped, its key's name taken": "drop table {0}; create table other (id bigint constraint {0}_pkey primary key)",
    "a copy in its place": "alter table {0} rename to was; create table {0} as table was;"
                           "alter table {0} add primary key (id)",
    "a column added": "alter table {0} add note text not null default 'x'",
    "a column that stands elsewhere": "alter table {0} drop canvas_id; alter table {0} add canvas_id bigint",
    "a column renamed": "alter table {0} rename name to title",
    "types changed": "alter table {0} alter name type text, alter canvas_id type numeric",
    "a column made anew": "alter table {0} rename name to was; alter table {0} add name varchar(256);"
                          "update {0} set name = was; alter table {0} drop was",
    "its key dropped": "alter table {0} drop constraint {0}_pkey",
    "views": "create view seen as table {0}; create materialized view kept as table {0};"
             "grant select on seen, kept to public",
    "unlogged": "alter table {0} set unlogged",
    "nothing": "select 1",
}  # fmt: skip
NAMES = {f"hands{number}_dim": hands for number, hands in enumerate(HANDS)}


def _lines(rows_: Sequence[tuple[object, ...]]) -> bytes:
    return "".join("\t".join(map(str, row)) + "\n" for row in rows_).encode()


def night(folder: Path, number: int) -> tuple[Path, list[tuple[object, ...]], list[tuple[object, ...]]]:
    """Two hundred rows in each table; each night ten are new, ten gone and some changed: the dump, and what it says."""
    numbers = range(10 * number, 200 + 10 * number)
    items = [(n, n, f"n{n // 3 + number * (n % 7 == 0)}", "2021-04-01 10:00:00") for n in numbers]
    pairs = [(True, n, n // 2, f"t{n % 3}") for n in numbers]
    content = _lines(items)
    files = {name: {f"{number}.gz": content} for name in NAMES}
    files[PAIRS] = {f"{number}.gz": _lines(pairs)}
    made = mini_dump(folder / str(number), dict.fromkeys(NAMES, ITEM) | {PAIRS: PAIR}, files)
    return made, items, pairs  # type: ignore[return-value] # tuples of more exact types


def judge(postgres: Settings, database: Connection, folder: Path, number: int) -> None:
    """Load a night; each table must be what its dump says."""
    made, items, pairs = night(folder, number)
    load(postgres, made, accept=["all"])
    for name, hands in NAMES.items():
        found = rows(database, f"select id, canvas_id, name, updated_at::text from public.{name} order by id")
        assert found == items, hands
    assert rows(database, f"select unread, {', '.join(c for c, _ in PAIR[1:])} from public.{PAIRS} order by 2") == pairs


@pytest.mark.parametrize("then", [2, 3], ids=["the same dump again", "the next dump"])
def test_whatever_was_done_by_hand_the_tables_are_what_the_next_dump_says(
    postgres: Settings, database: Connection, tmp_path: Path, then: int
) -> None:
    for number in (1, 2):
        judge(postgres, database, tmp_path, number)
    execute(database, _FIRST)
    for name, hands in NAMES.items():
        for statement in HANDS[hands].split(";"):
            execute(database, statement.format(name))
    execute(database, f"delete from {PAIRS} where user_id < 60; insert into {PAIRS} values (false, -1, -1)")
    for number in (then, 3, 4):
        judge(postgres, database, tmp_path, number)
    added = next(name for name, hands in NAMES.items() if hands == "a column added")
    assert rows(database, f"select distinct note from {added}") == [("x",)]
    assert rows(database, "select count(*) from seen") == [(200,)]


def program(name: str, settings: Settings, *arguments: str) -> None:
    """One of PostgreSQL's programs, on the tests' database."""
    folder = binaries.find_postgres(None, Path("/")).folder
    place = ["-h", settings.db_host, "-p", str(settings.db_port), "-U", settings.db_username]
    environment = {**os.environ, "PGPASSWORD": settings.db_password.get_secret_value()}
    command = [str(folder / name), *place, *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("part", [[], ["-n", "public"]], ids=["all of it", "the dashboard's schema alone"])
def test_what_comes_from_a_backup_is_compared_with_the_next_dump(
    postgres: Settings, database: Connection, tmp_path: Path, part: list[str]
) -> None:
    judge(postgres, database, tmp_path, 1)
    program("pg_dump", postgres, "-Fc", "-f", str(tmp_path / "backup"), *part, postgres.db_name)
    judge(postgres, database, tmp_path, 2)
    program("pg_restore", postgres, "--clean", "--if-exists", "-d", postgres.db_name, str(tmp_path / "backup"))
    found = rows(database, f"select min(id) from public.{next(iter(NAMES))}")
    assert found == [(10,)], "the backup is from the first night"
    for number in (2, 3):
        judge(postgres, database, tmp_path, number)


def test_requests_that_somebody_deleted_are_told_by_the_next_night_which_could_bring_them_back(
    yesterday: Installation, database: Connection
) -> None:
    ids = "select count(distinct id), count(*) from public.requests"
    held = rows(database, ids)
    execute(database, "delete from public.requests where course_id = (select max(course_id) from public.requests)")
    ended = yesterday.run(10)
    assert "1 course lost" in ended.log
    assert "FIRST_DATA_UPDATE=True" in ended.log
    assert rows(database, ids) < held
    yesterday.values["FIRST_DATA_UPDATE"] = "True"
    yesterday.run()
    assert rows(database, ids) == held


def test_a_file_that_somebody_changes_before_its_lines_are_kept_is_loaded_by_the_next_night(
    postgres: Settings, database: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge(postgres, database, tmp_path, 1)
    made, items, _ = night(tmp_path, 2)
    name, keep = next(iter(NAMES)), tables.keep_lines
    changed = [(*items[0][:2], "changed", items[0][3]), *items[1:]]

    def meddle(settings: Settings, published: Sequence[Published]) -> None:
        write_archive(made / name / "2.gz", _lines(changed))
        keep(settings, published)

    execute(database, f"update public.{name} set name = name")  # so that it is loaded by all its lines
    monkeypatch.setattr(tables, "keep_lines", meddle)
    load(postgres, made)
    monkeypatch.undo()
    load(postgres, made)
    query = f"select id, canvas_id, name, updated_at::text from public.{name} order by id"
    assert rows(database, query) == changed

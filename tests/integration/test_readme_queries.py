"""The queries that README.md and README.es.md offer, on a real ledger."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2's class has a lower-case name

from udecdash_updater import ledger
from udecdash_updater.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
MANUALS = [(ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.es.md")]
QUERIES = [
    query.strip()
    for manual in MANUALS
    for block in re.findall(r"^```sql\n(.*?)^```$", manual, re.MULTILINE | re.DOTALL)
    for query in block.split(";")
    if query.strip()
]
PLANTED = """
insert into udecdash.stages (run_id, position, name, ended_at, outcome)
    select id, 0, 'check', clock_timestamp(), 'done' from udecdash.runs;
insert into udecdash.files (run_id, table_name, file_name, size, lines, loaded, filtered, repeated, rejected)
    select id, 'user_dim', 'a.gz', 1, 3, 1, 0, 1, 1 from udecdash.runs;
insert into udecdash.rejects (run_id, table_name, file_name, line, reason)
    select id, 'user_dim', 'a.gz', 2, 'NUL byte' from udecdash.runs;
insert into udecdash.table_loads (run_id, table_name, rows, new, changed, gone)
    select id, 'user_dim', 1, 1, 0, 0 from udecdash.runs;
create table course_dim (id bigint, name text);
insert into course_dim values (1, 'new'), (2, 'unresolved'), (3, 'done'), (4, 'never asked for');
insert into udecdash.course_requests values (1, 10), (3, 10);
insert into udecdash.courses (course_id, mark, unresolved, resources_run) values (2, 10, 5, 0), (3, 10, 5, 1);
"""


@pytest.fixture
def planted(postgres: Settings, database: Connection) -> Connection:
    run = ledger.open_run(postgres)
    run.end_run(0, None, [])
    run.close()
    with database.cursor() as cursor:
        cursor.execute(PLANTED)
    return database


@pytest.mark.parametrize("query", QUERIES, ids=[query.split("\n")[0] for query in QUERIES])
def test_each_query_of_the_manuals_runs_and_finds_what_is_there(planted: Connection, query: str) -> None:
    with planted.cursor() as cursor:
        cursor.execute(query)
        assert cursor.fetchall()


def test_the_courses_that_are_due_are_those_with_new_requests_or_newer_tables(planted: Connection) -> None:
    query = next(query for query in QUERIES if "course_dim" in query)
    with planted.cursor() as cursor:
        cursor.execute(query)
        assert [row[:4] for row in cursor] == [(1, "new", True, 0), (2, "unresolved", False, 5)]

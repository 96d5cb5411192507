"""Coming from the first updater: what its own record says was loaded is not loaded again."""

from __future__ import annotations

from pathlib import Path

import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2's class has a lower-case name

from tests.dumps import request_dump, request_line
from tests.nights import load
from udecdash_updater.settings import Settings

# The two tables as a database of the first updater has them.
TABLES = """
create table package_updates_instance (
    id serial primary key, success_load integer, failed_load integer, created_at timestamp not null);
create table package_files_loaded (
    id serial primary key, instance integer not null, table_name varchar(256) not null,
    file_name varchar(256) not null, status varchar(100) not null, error_details text, file_size bigint not null,
    created_at timestamp not null, updated_at timestamp, updated_instance integer);
insert into package_updates_instance (created_at) values ('2024-03-04 05:30:00');
"""
RECORD = """
insert into package_files_loaded (instance, table_name, file_name, status, file_size, created_at)
values (1, %s, %s, %s, %s, '2024-03-04 05:31:00')
"""
FILES = {f"requests-{name}.gz": request_line(id=name) for name in ("loaded", "regrown", "outdated", "other-table")}


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    return request_dump(tmp_path, {**FILES, "requests-new.gz": request_line(id="new")})


def record(database: Connection, dump: Path) -> None:
    """What the first updater wrote: one file loaded as it lies there, and three that are not."""
    told = [
        ("requests", "loaded", "success", 0),
        ("requests", "regrown", "success", -1),
        ("requests", "outdated", "outdated", 0),
        ("course_dim", "other-table", "success", 0),
    ]
    with database.cursor() as cursor:
        cursor.execute(TABLES)
        for table, name, status, difference in told:
            file = dump / "requests" / f"requests-{name}.gz"
            cursor.execute(RECORD, [table, file.name, status, file.stat().st_size + difference])


def loaded_ids(database: Connection) -> list[str]:
    with database.cursor() as cursor:
        cursor.execute("select id from requests order by id")
        return [id_ for (id_,) in cursor]


def test_a_file_that_the_first_updater_loaded_is_not_loaded_again(
    postgres: Settings, database: Connection, dump: Path
) -> None:
    record(database, dump)
    done = load(postgres, dump).requests
    assert (done.new, done.skipped) == (4, 1)
    assert loaded_ids(database) == ["new", "other-table", "outdated", "regrown"]
    again = load(postgres, dump).requests
    assert (again.new, again.skipped) == (0, 5)


def test_with_first_data_update_it_is_read_whatever_was_recorded(
    postgres: Settings, database: Connection, dump: Path
) -> None:
    record(database, dump)
    assert load(postgres, dump, compare=False).requests.new == 5
    assert loaded_ids(database) == ["loaded", "new", "other-table", "outdated", "regrown"]

"""production/roles.sql: a whole night as the loader, the jobs as the worker, the dashboard's reads as the reader."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2's class has a lower-case name
from pydantic import SecretStr

from tests import truth
from tests.installation import ROOT, Installation, execute, install, rows
from tests.mail import mail_server
from tests.nights import load, process
from tests.nights import truth as told
from tests.postgres import private_server
from tests.support import connect, short_home, until
from udecdash_updater import db, embedded
from udecdash_updater.errors import DatabaseError
from udecdash_updater.queues import queue_names
from udecdash_updater.resolution import INTERACTION_TABLES
from udecdash_updater.settings import Settings

SCRIPT = ROOT / "production" / "roles.sql"
LOADER, WORKER, READER = "udecdash_loader", "udecdash_worker", "udecdash_reader"
WRITTEN_BY_JOBS = {*INTERACTION_TABLES, "course_interactions", "unprocessable_interactions"}
RIGHTS = ("INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Settings]:
    """A PostgreSQL of this module's own: accounts belong to the whole server."""
    with short_home() as home, embedded.servers(Settings(db_host="embedded", udecdash_home=home)) as settings:
        yield settings


@contextlib.contextmanager
def database_of(settings: Settings) -> Iterator[Connection]:
    with contextlib.closing(connect(settings)) as session:
        session.autocommit = True
        yield session


@contextlib.contextmanager
def new_database(cluster: Settings, name: str) -> Iterator[tuple[Settings, Connection]]:
    with database_of(cluster) as administrator, administrator.cursor() as cursor:
        cursor.execute(f"create database {name}")
    settings = cluster.model_copy(update={"db_name": name})
    with database_of(settings) as session:
        yield settings, session


def run_script(database: Connection, schema: str = "") -> None:
    with database.cursor() as cursor:
        if schema:
            cursor.execute("select set_config('udecdash.schema', %s, false)", [schema])
        cursor.execute(SCRIPT.read_text(encoding="utf-8"))


def as_account(settings: Settings, account: str) -> Settings:
    return settings.model_copy(update={"db_username": account})


def night(site: Installation, settings: Settings, number: int) -> None:
    site.serve(number)
    site.run(
        DB_HOST=settings.db_host,
        DB_PORT=str(settings.db_port),
        DB_NAME=settings.db_name,
        DB_USERNAME=LOADER,
        DB_PASSWORD="not-asked-for-on-a-private-socket",
        DB_SSLMODE="disable",
    )


def work(home: Path, worker: Settings) -> None:
    """All that waits in Redis, by a real worker that has its settings from its environment."""
    url = worker.redis_url.get_secret_value()
    command = [sys.executable, "-c", "from rq.cli import main; main()", "worker", "--burst", "--url", url]
    command += ["--worker-class", "udecdash_updater.worker.Worker", *queue_names(worker)]
    environment = embedded.worker_environment(worker)
    subprocess.run(command, cwd=home, env=environment, check=True, capture_output=True, timeout=120)


def writable(database: Connection, account: str) -> dict[str, set[str]]:
    """The tables that the account may write, and how; none that it may not read."""
    query = (
        "select c.relname, p, has_table_privilege(%s, c.oid, 'SELECT') from pg_class c, unnest(%s) p "
        "where c.relkind in ('r', 'p') and c.relnamespace in ('public'::regnamespace, 'udecdash'::regnamespace, "
        "'udecdash_staging'::regnamespace) and has_table_privilege(%s, c.oid, p)"
    )
    found: dict[str, set[str]] = {}
    with database.cursor() as cursor:
        cursor.execute(query, [account, list(RIGHTS), account])
        for name, right, readable in cursor:
            assert readable, name
            found.setdefault(name, set()).add(right)
    return found


def refused(settings: Settings, statement: str) -> bool:
    with contextlib.closing(connect(settings)) as session, session.cursor() as cursor:
        try:
            cursor.execute(statement)
        except psycopg2.errors.InsufficientPrivilege:
            return True
    return False


def _loader_and_worker_compress_the_wal(settings: Settings, database: Connection) -> None:
    [(can,)] = rows(database, "select 'lz4' = any(enumvals) from pg_settings where name = 'wal_compression'")
    if database.server_version < 150000 or not can:
        return  # no account can be allowed to set it before PostgreSQL 15, or it was built without lz4
    for account, wanted in ((LOADER, "lz4"), (WORKER, "lz4"), (READER, "off")):
        with db.opened(as_account(settings, account)) as session:
            assert rows(session, "show wal_compression") == [(wanted,)]


def test_two_nights_with_accounts_of_least_privilege(
    cluster: Settings, home: Path, redis_url: str, small_nights: Path
) -> None:
    with new_database(cluster, "least") as (settings, database), mail_server() as mail:
        run_script(database)
        site = install(home, small_nights, mail)
        site.values["REDIS_URL"] = redis_url
        worker = as_account(settings.model_copy(update={"redis_url": SecretStr(redis_url)}), WORKER)
        night(site, settings, 1)
        work(home, worker)
        assert truth.wrong_night(database, told(small_nights / "night1")) == []
        night(site, settings, 2)
        work(home, worker)
        assert set(rows(database, "select outcome from udecdash.jobs")) == {("done",)}
        assert rows(database, "select jobs_ended_at is not null from udecdash.runs order by id") == [(True,), (True,)]
        assert mail.mails == []

        _loader_owns_its_tables_and_is_no_more(database)
        _worker_writes_interactions_only(settings, database)
        _reader_reads_all_and_writes_nothing(settings, database)
        _loader_and_worker_compress_the_wal(settings, database)
        before = rights(database)
        run_script(database)
        assert rights(database) == before


def test_the_servers_own_log_quotes_no_row_that_it_refuses_to_loader_or_worker(home: Path) -> None:
    with private_server(home) as server:
        with database_of(server.settings) as session:
            execute(session, "alter system set logging_collector = on")
        server.stop_immediately()
        server.start()
        with database_of(server.settings) as administrator:
            run_script(administrator)
            for account in (LOADER, WORKER, server.settings.db_username):
                own = as_account(server.settings, account)
                with database_of(own) as session, pytest.raises(psycopg2.DataError, match=account):
                    rows(session, f"select 'a row of {account}'::bigint")

            def logged() -> str:
                return str(rows(administrator, "select pg_read_file(pg_current_logfile())")[0][0])

            assert until(lambda: f"a row of {server.settings.db_username}" in logged())
            assert LOADER not in logged()
            assert WORKER not in logged()


@pytest.mark.parametrize("table", ["requests", "wiki_page_interactions", "unprocessable_interactions"])
def test_policies_that_hide_rows_from_the_workers_fail_their_jobs_and_no_request_is_passed_over(
    cluster: Settings, small_nights: Path, table: str
) -> None:
    with new_database(cluster, f"veiled_{table}") as (settings, database):
        run_script(database)
        run = load(as_account(settings, LOADER), small_nights / "night1" / "dataFiles").run
        with database.cursor() as cursor:
            cursor.execute(f"alter table {table} enable row level security")
            with pytest.raises(DatabaseError, match=f'row-level security policy for table "{table}"'):
                process(as_account(settings, WORKER), run)
            cursor.execute(f"alter table {table} disable row level security")
        process(as_account(settings, WORKER), run)
        assert truth.wrong_night(database, told(small_nights / "night1")) == []


def _loader_owns_its_tables_and_is_no_more(database: Connection) -> None:
    more = "rolsuper or rolcreatedb or rolcreaterole or rolreplication or rolbypassrls"
    assert rows(database, f"select rolname from pg_roles where rolname ~ '^udecdash_' and ({more})") == []
    for account in (WORKER, READER):
        assert rows(database, f"select has_schema_privilege('{account}', 'public', 'create')") == [(False,)]


def _worker_writes_interactions_only(settings: Settings, database: Connection) -> None:
    expected = {name: {"INSERT"} for name in WRITTEN_BY_JOBS}
    expected["unprocessable_interactions"] |= {"UPDATE", "DELETE"}
    expected |= {"courses": {"INSERT", "UPDATE"}, "wanted": {"INSERT", "DELETE"}, "jobs": {"UPDATE"}}
    assert writable(database, WORKER) == expected
    for statement in (
        "delete from user_dim",
        "update course_dim set name = 'mine'",
        "insert into requests (id) values ('mine')",
        "truncate wiki_page_interactions",
        "update udecdash.runs set exit_code = 0",
        "create table public.mine (id bigint)",
    ):
        assert refused(as_account(settings, WORKER), statement), statement


def _reader_reads_all_and_writes_nothing(settings: Settings, database: Connection) -> None:
    reader = as_account(settings, READER)
    names = [name for (name,) in rows(database, "select tablename from pg_tables where schemaname = 'public'")]
    with database_of(reader) as session:
        for name in names:
            rows(session, f"select count(*) from {name}")
        assert rows(session, "select count(*), min(viewed) from wiki_page_interactions group by item_id, user_id")
    assert writable(database, READER) == {}
    for statement in ("delete from requests", "create table mine (id bigint)", "select * from udecdash.runs"):
        assert refused(reader, statement), statement


def rights(database: Connection) -> list[tuple[object, ...]]:
    return rows(
        database,
        "select relname, relowner, relacl::text from pg_class where relnamespace::regnamespace::text in "
        "('public', 'udecdash') union all select nspname, nspowner, nspacl::text from pg_namespace "
        "union all select defaclobjtype::text, defaclrole, defaclacl::text from pg_default_acl order by 1, 2, 3",
    )


# A database that the dashboard's own account made: types of its own, and tables that are none of the updater's.
FOUND = """
create role backend login;
create schema panel authorization backend;
set role backend;
create type panel.state as enum ('active', 'deleted');
create table panel.course_dim (id bigint primary key, canvas_id bigint unique, workflow_state panel.state);
create table panel.requests (local_id bigserial primary key, id varchar(36), "timestamp" timestamp(3),
    course_id bigint);
create table panel.users (id bigint, token text);
insert into panel.users values (1, 'secret');
create table panel.package_files_loaded (file_name text);
reset role;
"""


def test_a_database_that_another_account_made_is_taken_over_and_its_other_tables_stay_closed(cluster: Settings) -> None:
    with new_database(cluster, "found") as (settings, database):
        with database.cursor() as cursor:
            cursor.execute(FOUND)
        for _ in range(2):
            run_script(database, "panel")
        owners = dict(rows(database, "select tablename, tableowner from pg_tables where schemaname = 'panel'"))
        assert owners == {
            "course_dim": LOADER,
            "requests": LOADER,
            "users": "backend",
            "package_files_loaded": "backend",
        }
        for account in (LOADER, WORKER, READER):
            assert refused(as_account(settings, account), "select token from panel.users"), account
        with database_of(as_account(settings, LOADER)) as loader, loader.cursor() as cursor:
            cursor.execute("alter type panel.state add value 'inactive'")
            cursor.execute("create index on panel.requests (course_id)")
            cursor.execute("insert into panel.requests (id) values ('one')")
            cursor.execute("select * from panel.package_files_loaded")
        with database_of(as_account(settings, "backend")) as backend, backend.cursor() as cursor:
            cursor.execute("alter table panel.course_dim add column colour text")
            cursor.execute("delete from panel.requests")
            assert cursor.rowcount == 1

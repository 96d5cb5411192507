"""PostgreSQL that stops at once, cuts a connection or loses its client within a COPY, the publish or the append.

Each run waits at its point, held by a lock, until the fault comes. Fifteen runs are hit: three faults at each of five
points; and one more within the COPY of a first load of requests. Between them nobody mends anything. Then a
run is told to stop while the server is at work.
"""

from __future__ import annotations

import base64
import contextlib
import random
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2's class has a lower-case name

from tests import witness
from tests.dumps import REQUEST, request_line
from tests.installation import DASHBOARD, Installation, Run, install, rows
from tests.mail import mail_server
from tests.nights import load, mini_dump
from tests.postgres import PrivateServer, private_server
from tests.support import connect, short_home, until
from tests.witness import Witness
from udecdash_updater import db, requests
from udecdash_updater.settings import Settings

ITEM = [("id", "bigint"), ("canvas_id", "bigint"), ("name", "text"), ("updated_at", "timestamp")]
ENROLLMENT = [("id", "bigint"), ("course_id", "bigint"), ("workflow_state", "varchar")]
TABLES = {"aa_dim": ITEM, "zz_dim": ITEM, "requests": REQUEST, "course_dim": ITEM, "enrollment_dim": ENROLLMENT}
# A row of zz_dim on its way into staging, one on its way into the table, a request on its way into staging, one on its
# way into requests, a request on its way into the staging of a stream, which only large files have: each of them waits
# while somebody else holds its lock.
COPY, PUBLISH, COPY_REQUESTS, APPEND, STREAM = 1, 2, 4, 3, 5
HOLDS = """
create function hold(point integer, held boolean) returns boolean language plpgsql as $$ begin
    if held then perform pg_advisory_xact_lock_shared(4711, point); end if;
    return true;
end $$;
create function hold_row() returns trigger language plpgsql as $$ begin
    perform hold(tg_argv[0]::integer, true);
    return new;
end $$;
create domain held_text as text check (hold(1, value = 'held'));
create table zz_dim (id bigint primary key, canvas_id bigint unique, name held_text, updated_at timestamp(3));
create trigger hold before insert or update on zz_dim for each row when (new.id = 15) execute function hold_row(2);
"""
HOLD_REQUESTS = """
create trigger hold before insert on requests for each row when (new.id = '25') execute function hold_row(3);
create function hold_staging() returns event_trigger language plpgsql as $$ declare stream text; begin
    if to_regclass('pg_temp._staged_requests') is not null then
        create or replace trigger hold before insert on pg_temp._staged_requests
            for each row when (new.id = '25') execute function public.hold_row(4);
    end if;
    foreach stream in array array['udecdash_staging.requests_0', 'udecdash_staging.requests_1'] loop
        if to_regclass(stream) is not null and not exists (
                select from pg_trigger where tgrelid = to_regclass(stream)) then
            execute format('create trigger hold before insert on %s for each row when (new.id = ''25'')'
                ' execute function public.hold_row(5)', stream);
        end if;
    end loop;
end $$;
create event trigger hold_staging on ddl_command_end when tag in ('CREATE TABLE') execute function hold_staging();
"""


@pytest.fixture(scope="module")
def server() -> Iterator[PrivateServer]:
    with short_home() as folder, private_server(folder) as found:
        yield found


def dump(folder: Path, day: int, *, large: bool = False) -> Path:
    """On day 2, ten rows are gone, ten have changed, ten are new; ten requests are new, ten known.

    `large`: the requests take so much room in two files that each of these has a stream.
    """
    first = 1 if day == 1 else 11
    numbers = range(first, first + 20)
    lines = b"".join(b"%d\t%d\tof day %d\t2021-04-0%d 10:00:00\n" % (n, n, day, day) for n in numbers)
    held = lines.replace(b"\n30\t30\tof day 2", b"\n30\t30\theld")
    asked = [_asked(n, large=large) for n in reversed(numbers)]
    files = {"aa_dim": [lines], "zz_dim": [held], "requests": [b"".join(asked[:10]), b"".join(asked[10:])]}
    named = {t: {f"{t}-0000{n}-{day}.gz": part for n, part in enumerate(parts)} for t, parts in files.items()}
    return mini_dump(folder, TABLES, named)


def _asked(number: int, *, large: bool) -> bytes:
    noise = random.Random(number).randbytes(requests._LITTLE // 16) if large else b""  # twenty of them are too much
    agent = base64.b64encode(noise).decode()
    return request_line(id=str(number), timestamp="2021-04-01 10:00:00", user_agent=agent)


# The same points, where the server is simply at work: no lock, and so no time-out for locks either.
SLEEPS = """
create or replace function hold(point integer, held boolean) returns boolean language plpgsql as $$ begin
    if held and exists (select from public.sleeps s where s.point = hold.point) then perform pg_sleep(3600); end if;
    return true;
end $$;
create table sleeps (point integer);
"""


@contextlib.contextmanager
def held(server: PrivateServer, point: int, settings: Settings | None = None) -> Iterator[Callable[[], bool]]:
    """Hold everybody up at this point; yields whether somebody waits there."""
    waiting = f"select count(*) from pg_locks where locktype = 'advisory' and objid = {point} and not granted"
    session = connect(settings or server.settings)
    try:
        session.autocommit = True
        rows(session, f"select pg_advisory_lock(4711, {point})")
        yield lambda: rows(session, waiting) != [(0,)]
    finally:
        session.close()


def stop(server: PrivateServer, site: Installation, run: Run, _point: int) -> None:
    """As if the power had gone, and was back when the run had ended."""
    server.stop_immediately()
    site.end(run, 5)
    server.start()


def cut(server: PrivateServer, site: Installation, run: Run, point: int) -> None:
    """The connection that waits is cut."""
    with contextlib.closing(connect(server.settings)) as session:
        waits = f"select pid from pg_locks where locktype = 'advisory' and objid = {point} and not granted"
        assert rows(session, f"select pg_terminate_backend(pid) from ({waits}) w") == [(True,)]
    site.end(run, 5)


def kill(_server: PrivateServer, _site: Installation, run: Run, _point: int) -> None:
    """The client is gone, and what it asked for goes on waiting in the server."""
    run.kill()
    run.wait()


@pytest.fixture
def site(server: PrivateServer, redis_url: str, tmp_path: Path) -> Iterator[Installation]:
    with short_home() as folder, mail_server() as mail:
        found = install(folder, tmp_path, mail)
        found.values |= {
            "DB_HOST": server.settings.db_host,
            "DB_PORT": "5432",
            "DB_NAME": server.settings.db_name,
            "DB_USERNAME": server.settings.db_username,
            "DB_PASSWORD": "not asked for",
            "REDIS_URL": redis_url,
            "ENABLE_DOWNLOAD": "False",
            "PATH_DATA_FILES": str(dump(tmp_path / "day2", 2)),
        }
        found.fill_in()
        yield found


def digests(server: PrivateServer) -> tuple[str, str]:
    with contextlib.closing(connect(server.settings)) as session:
        return witness.full_tables(session), witness.requests(session)


def told_numbers(database: Connection, table: str) -> list[tuple[int, str]]:
    return [(number, name) for number, name in rows(database, f"select id, name::text from {table} order by id")]


@pytest.mark.timeout(600)  # sixteen runs, also on a machine with other work to do
def test_whatever_happens_to_postgresql_within_copy_publish_and_append_leaves_nothing_to_mend(
    server: PrivateServer, site: Installation, tmp_path: Path
) -> None:
    with contextlib.closing(connect(server.settings)) as session:
        session.autocommit = True
        session.cursor().execute(HOLDS)
    load(server.settings, dump(tmp_path / "day1", 1))
    with contextlib.closing(connect(server.settings)) as session:
        session.autocommit = True
        session.cursor().execute(HOLD_REQUESTS)
    yesterday = digests(server)
    with Witness(server.settings, site.front_end / "index.html") as seen:
        for point in (COPY, PUBLISH, COPY_REQUESTS, APPEND, STREAM):
            if point == STREAM:
                site.values["PATH_DATA_FILES"] = str(dump(tmp_path / "large", 2, large=True))
                site.fill_in()
            for fault in (stop, cut, kill):
                with held(server, point) as waits, site.start() as run:
                    assert until(lambda: waits() or run.poll() is not None), site.log
                    assert run.poll() is None, (point, fault, site.log)
                    fault(server, site, run, point)
                tables, asked = digests(server)
                assert (tables == yesterday[0]) == (point in (COPY, PUBLISH)), (point, fault)
                assert asked == yesterday[1], (point, fault)
                assert fault is kill or site.page == DASHBOARD
        site.run()
        assert site.page == DASHBOARD
    today = digests(server)
    assert seen.wrong == []
    assert seen.tables == {yesterday[0], today[0]}
    assert seen.requests <= {yesterday[1], today[1]}
    with contextlib.closing(connect(server.settings)) as session:
        expected = [(n, "of day 2") for n in range(11, 31)]
        assert told_numbers(session, "aa_dim") == expected
        assert told_numbers(session, "zz_dim") == [*expected[:-1], (30, "held")]
        found = [int(name) for (name,) in rows(session, "select id from requests order by local_id")]
        assert found == [*range(20, 0, -1), *range(30, 20, -1)]
        assert rows(session, "select count(*) from pg_tables where schemaname = 'udecdash_staging'") == [(0,)]
    failed = [mail for mail in site.mail.mails if "exit code 5" in mail.text]
    assert len(failed) == 10  # a killed run tells nobody


def empty_database(server: PrivateServer, site: Installation, name: str) -> Settings:
    """A new database on the server, which becomes the site's."""
    with contextlib.closing(connect(server.settings)) as session:
        session.autocommit = True
        session.cursor().execute(f"create database {name} template template0")
    site.values |= {"DB_NAME": name}
    return server.settings.model_copy(update={"db_name": name})


def test_postgresql_that_stops_within_the_copy_of_a_first_load_of_requests_leaves_none_and_the_next_run_all(
    server: PrivateServer, site: Installation, tmp_path: Path
) -> None:
    anew = empty_database(server, site, "anew")
    site.values |= {"PATH_DATA_FILES": str(dump(tmp_path / "day1", 1))}
    site.fill_in()
    with contextlib.closing(connect(anew)) as session:
        session.autocommit = True
        session.cursor().execute(
            ";".join([db.statements()["create_requests"], HOLDS, HOLD_REQUESTS.replace("'25'", "'5'")])
        )
    with held(server, APPEND, anew) as waits, site.start() as run:
        assert until(lambda: waits() or run.poll() is not None), site.log
        stop(server, site, run, APPEND)
    with contextlib.closing(connect(anew)) as session:
        assert rows(session, "select count(*) from requests") == [(0,)]
        assert rows(session, "select count(*) from zz_dim") == [(20,)]
    site.run()
    with contextlib.closing(connect(anew)) as session:
        assert rows(session, "select id from requests order by local_id") == [(str(n),) for n in range(20, 0, -1)]


def test_a_run_that_is_told_to_stop_does_not_wait_for_what_postgresql_is_at(
    server: PrivateServer, site: Installation, tmp_path: Path
) -> None:
    at_work = empty_database(server, site, "at_work")
    with contextlib.closing(connect(at_work)) as session:
        session.autocommit = True
        session.cursor().execute(HOLDS + SLEEPS)
        load(at_work, dump(tmp_path / "day1", 1))
        session.cursor().execute(HOLD_REQUESTS)
        yesterday = witness.requests(session)
        asleep = "select count(*) from pg_stat_activity where datname = 'at_work' and wait_event = 'PgSleep'"
        site.fill_in()
        for point in (COPY, PUBLISH, COPY_REQUESTS, APPEND):
            session.cursor().execute("truncate sleeps; insert into sleeps values (%s)", [point])
            with site.start() as run:
                assert until(lambda: rows(session, asleep) == [(1,)] or run.poll() is not None), site.log
                run.send_signal(signal.SIGTERM)
                ended = site.end(run, 1)
            assert "The run was told to stop. Signal SIGTERM." in ended.log, point
            assert site.page == DASHBOARD
            assert witness.requests(session) == yesterday
            assert rows(session, asleep) == [(0,)]
        session.cursor().execute("truncate sleeps")
        site.run()
        assert rows(session, "select count(*) from requests") == [(30,)]

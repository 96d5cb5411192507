"""One private PostgreSQL and Redis for the whole suite; a fresh database and an empty Redis a test."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from psycopg2 import sql
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2's class has a lower-case name
from pydantic import SecretStr

from tests.support import connect, short_home
from udecdash_updater import embedded
from udecdash_updater.settings import Settings

_NUMBERS = itertools.count(1)


@pytest.fixture
def home() -> Iterator[Path]:
    """A UDECDASH_HOME of the test's own."""
    with short_home() as found:
        yield found


@pytest.fixture(scope="session")
def embedded_servers() -> Iterator[Settings]:
    """Settings of one embedded PostgreSQL and Redis for the whole session; its workers are not started."""
    with short_home() as found:
        wanted = Settings(db_host="embedded", redis_url=SecretStr("embedded"), udecdash_home=found)
        with embedded.servers(wanted) as settings:
            with contextlib.closing(connect(settings)) as session:
                session.autocommit = True
                with session.cursor() as cursor:  # speed: the tests' data need not survive a power cut
                    cursor.execute("ALTER SYSTEM SET fsync = off")
                    cursor.execute("SELECT pg_reload_conf()")
            yield settings


@pytest.fixture(scope="session")
def _administration(embedded_servers: Settings) -> Iterator[Connection]:
    with contextlib.closing(connect(embedded_servers)) as session:
        session.autocommit = True
        yield session


@pytest.fixture
def postgres(embedded_servers: Settings, _administration: Connection) -> Iterator[Settings]:
    """Settings of a fresh, empty database; REDIS_URL in them points nowhere (see `services`)."""
    name = f"test_{next(_NUMBERS)}"
    with _administration.cursor() as cursor:
        cursor.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
    nowhere = SecretStr("unix:///nonexistent/redis.sock")
    yield embedded_servers.model_copy(update={"db_name": name, "redis_url": nowhere})
    with _administration.cursor() as cursor:
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
        cursor.execute(ended, [name])
        cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))


@pytest.fixture
def redis_url(embedded_servers: Settings) -> str:
    """REDIS_URL of an empty Redis."""
    url = embedded_servers.redis_url.get_secret_value()
    with redis.Redis.from_url(url) as client:
        client.flushall()
    return url


@pytest.fixture
def services(postgres: Settings, redis_url: str) -> Settings:
    """Settings of a fresh database and an empty Redis."""
    return postgres.model_copy(update={"redis_url": SecretStr(redis_url)})


@pytest.fixture
def database(postgres: Settings) -> Iterator[Connection]:
    """A connection to the fresh database, each statement its own transaction."""
    with contextlib.closing(connect(postgres)) as session:
        session.autocommit = True
        yield session

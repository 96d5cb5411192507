"""One private PostgreSQL and Redis for the whole suite; a fresh database and an empty Redis a test."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from hypothesis import settings as hypothesis_settings
from psycopg2 import sql
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2's class has a lower-case name
from pydantic import SecretStr

from tests.installation import SUPERVISORCTL, Installation, install, supervisord
from tests.mail import mail_server
from tests.nights import load, make_nights, process
from tests.support import connect, short_home
from udecdash_updater import embedded
from udecdash_updater.logs import LOGGER
from udecdash_updater.settings import Settings

_NUMBERS = itertools.count(1)

# A shell has what it starts in the background (&, nohup) ignore these: what tests start would never hear them.
for _number, _handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)

# The same examples each time, so that a red test is the change's doing; UDECDASH_RANDOM=1 looks for new ones.
hypothesis_settings.register_profile("ours", derandomize="UDECDASH_RANDOM" not in os.environ, deadline=None)
hypothesis_settings.load_profile("ours")


@pytest.fixture(autouse=True)
def _log() -> Iterator[None]:
    """The log is as it was when the test ends: commands set it up for what should be a process of their own."""
    before = LOGGER.level, list(LOGGER.handlers), LOGGER.propagate
    yield
    LOGGER.setLevel(before[0])
    LOGGER.handlers[:], LOGGER.propagate = before[1:]


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
def postgres(
    embedded_servers: Settings, _administration: Connection, request: pytest.FixtureRequest
) -> Iterator[Settings]:
    """Settings of a fresh, empty database (see also `yesterday`); REDIS_URL in them points nowhere (see `services`)."""
    name = f"test_{next(_NUMBERS)}"
    model = request.getfixturevalue("night_1_database") if "yesterday" in request.fixturenames else "template0"
    with _administration.cursor() as cursor:
        create = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        cursor.execute(create.format(sql.Identifier(name), sql.Identifier(model)))
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


@pytest.fixture(scope="session")
def small_nights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two generated nights, as canvasDataCli is served them. To be read only."""
    folder = tmp_path_factory.mktemp("nights")
    make_nights(folder, [1, 2], seed=5, students=30, courses=3, requests=800, days=14)
    return folder


@pytest.fixture(scope="session")
def night_1_database(embedded_servers: Settings, _administration: Connection, small_nights: Path) -> str:
    """The name of a database that holds the first of the small nights, interactions and all. Only to be copied."""
    name = "night_1"
    with _administration.cursor() as cursor:
        cursor.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
    settings = embedded_servers.model_copy(update={"db_name": name})
    process(settings, load(settings, small_nights / "night1" / "dataFiles").run)
    return name


@pytest.fixture(scope="session")
def sleeping_workers() -> Iterator[Path]:
    """A supervisord whose group has the workers' name; yields its configuration."""
    group = "process_name=%(program_name)s_%(process_num)02d\nnumprocs=2\nstartsecs=0\ncommand=sleep 10000\n"
    with short_home() as folder, supervisord(folder, f"[program:udecdash-workers]\n{group}") as config:
        yield config


@pytest.fixture
def installation(home: Path, services: Settings, small_nights: Path) -> Iterator[Installation]:
    """A site on the fresh database and the empty Redis, its main.py filled in; no supervisord yet."""
    with mail_server() as mail:
        site = install(home, small_nights, mail)
        site.values |= {
            "DB_HOST": services.db_host,
            "DB_PORT": str(services.db_port),
            "DB_NAME": services.db_name,
            "DB_USERNAME": services.db_username,
            "DB_PASSWORD": "not-asked-for-on-a-private-socket",
            "REDIS_URL": services.redis_url.get_secret_value(),
        }
        yield site


@pytest.fixture
def yesterday(installation: Installation, small_nights: Path, sleeping_workers: Path) -> Installation:
    """A site that loaded the first small night yesterday, with a group of sleeping workers."""
    shutil.copytree(small_nights / "night1" / "dataFiles", installation.data_files)
    installation.values["SERVER_SUPERVISORD_COMMAND_PATH"] = SUPERVISORCTL
    installation.values["SUPERVISOR_CONFIG"] = str(sleeping_workers)
    return installation

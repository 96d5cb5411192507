"""Workers on other hosts: the package, DB_* and REDIS_URL are all that they have."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2's class has a lower-case name

from tests import truth
from tests.hosts import Host, host, relayed
from tests.nights import load
from tests.nights import truth as told
from tests.support import until
from udecdash_updater import dispatch
from udecdash_updater.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


def environment(settings: Settings, at: Host, postgres: int, redis: int) -> dict[str, str]:
    return {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(ROOT),
        "DB_HOST": at.here,
        "DB_PORT": str(postgres),
        "DB_NAME": settings.db_name,
        "DB_USERNAME": settings.db_username,
        "DB_PASSWORD": settings.db_password.get_secret_value(),
        "REDIS_URL": f"redis://{at.here}:{redis}/0",
    }


def network(process: str) -> Path:
    return Path(f"/proc/{process}/ns/net").readlink()


def work_on(at: Host, settings: Settings, empty: Path) -> None:
    """One worker on that host, in an empty folder, until nothing is due."""
    socket = f"{settings.db_host}/.s.PGSQL.{settings.db_port}"
    cache = settings.redis_url.get_secret_value().removeprefix("unix://").partition("?")[0]
    with relayed(at.here, socket) as postgres, relayed(at.here, cache) as redis:
        command = at.command(sys.executable, "-m", "udecdash_updater.worker")
        with subprocess.Popen(command, cwd=empty, env=environment(settings, at, postgres, redis)) as worker:
            try:
                assert until(lambda: network(str(worker.pid)) != network("self"))
                assert until(lambda: not dispatch.due_courses(settings))
            finally:
                worker.terminate()
                worker.wait()


def test_workers_on_other_hosts_do_the_nights_jobs_and_need_two_addresses_only(
    services: Settings, database: Connection, small_nights: Path, tmp_path: Path
) -> None:
    for number in (1, 2):
        night = small_nights / f"night{number}"
        with host(number) as elsewhere:
            dispatch.enqueue(services, load(services, night / "dataFiles").run)
            assert dispatch.due_courses(services)
            work_on(elsewhere, services, tmp_path)
        wrong = truth.wrong_night if number == 1 else truth.wrong_cumulative
        assert wrong(database, told(night)) == []

"""A PostgreSQL of a test's own, to be stopped without warning and started again."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg2
from pydantic import SecretStr

from tests.support import connect, until
from udecdash_updater.binaries import find_postgres, server_account
from udecdash_updater.settings import Settings

# Only the process dies here, never the system: what was written is there, synced or not.
_SETTINGS = {"listen_addresses": "", "fsync": "off", "shared_buffers": "32MB", "max_connections": "40"}


class PrivateServer:
    """One server on a folder; `settings` lead to its database."""

    def __init__(self, folder: Path) -> None:
        self._data, self._socket = folder / "data", folder / "socket"
        self._account = server_account()
        self._programs = find_postgres(self._account, folder / "programs").folder
        self._process: subprocess.Popen[bytes] | None = None
        for place in (self._data, self._socket):
            place.mkdir(mode=0o700)
            if self._account:
                os.chown(place, self._account.uid, self._account.gid)
        self._run(
            "initdb", "-D", str(self._data), "-U", "admin", "-E", "UTF8", "--locale=C", "--auth=trust", "--no-sync"
        )
        self.settings = Settings(
            db_host=str(self._socket),
            db_port=5432,
            db_name="postgres",
            db_username="admin",
            db_sslmode="disable",
            redis_url=SecretStr("unix:///nonexistent/redis.sock"),
        )

    def _run(self, program: str, *arguments: str) -> None:
        done = self._started(program, *arguments)
        assert done.wait() == 0, program

    def _started(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        account = self._account
        return subprocess.Popen(
            [str(self._programs / program), *arguments],
            cwd="/",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = [word for name, value in _SETTINGS.items() for word in ("-c", f"{name}={value}")]
        options += ["-c", f"unix_socket_directories={self._socket}"]
        self._process = self._started("postgres", "-D", str(self._data), *options)
        assert until(self.answers)

    def answers(self) -> bool:
        """Whether it takes connections."""
        try:
            connect(self.settings).close()
        except psycopg2.OperationalError:
            return False
        return True

    def stop_immediately(self) -> None:
        """As a power cut does: no checkpoint, no goodbye; what was not committed is gone (pg_ctl stop -m immediate)."""
        assert self._process
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait()


@contextlib.contextmanager
def private_server(folder: Path) -> Iterator[PrivateServer]:
    """A server that runs until the block ends, whatever was done to it."""
    server = PrivateServer(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop_immediately()

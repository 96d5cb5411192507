"""What tests of every ring use beside the fixtures."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2's class has a lower-case name

from udecdash_updater.settings import Settings


def connect(settings: Settings) -> Connection:
    """A connection to the database of `settings`, as a test looks at it (not through the code under test)."""
    return psycopg2.connect(
        host=settings.db_host,
        port=settings.db_port,
        dbname=settings.db_name,
        user=settings.db_username,
        password=settings.db_password.get_secret_value(),
    )


@contextlib.contextmanager
def short_home() -> Iterator[Path]:
    """A new UDECDASH_HOME that also the account of root's servers can reach (pytest's own folders it cannot)."""
    home = Path(tempfile.mkdtemp(prefix="udt-", dir="/tmp"))
    home.chmod(0o711 if os.geteuid() == 0 else 0o700)
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)

"""What tests of every ring use beside the fixtures."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2's class has a lower-case name

from udecdash_updater import compiled
from udecdash_updater.settings import Settings

needs_loops = pytest.mark.skipif(compiled.LOOPS is None, reason="it was installed without a C compiler")

EITHER_LOOPS = (
    pytest.param(compiled.LOOPS, marks=needs_loops, id="compiled"),
    pytest.param(None, id="python"),
)
"""For a test of what compiled loops do where there are any: with them, and with what Python does in their place."""

BOTH_LOOPS = pytest.mark.parametrize("loops", EITHER_LOOPS)


@contextlib.contextmanager
def looping(loops: compiled.Loops | None) -> Iterator[pytest.MonkeyPatch]:
    """The innermost loops are these ones; and a patch for what else shall be otherwise."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "LOOPS", loops)
        yield patch


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


@contextlib.contextmanager
def permissions_hold() -> Iterator[None]:
    """This process as an account that may not read everything, until the block ends."""
    was = os.geteuid()
    if was == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(was)


def until(done: Callable[[], bool], seconds: float = 60) -> bool:
    """Whether `done` becomes true; the limit only keeps a broken test from hanging."""
    limit = time.monotonic() + seconds
    while not (finished := done()) and time.monotonic() < limit:
        time.sleep(0.02)
    return finished


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not yet waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def processes(mark: str) -> dict[int, str]:
    """Every running process with `mark` in its command line: its id and command line."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if mark in line and alive(int(folder.name)):
                found[int(folder.name)] = line
    return found


@contextlib.contextmanager
def command_lines_with(mark: str) -> Iterator[list[str]]:
    """Every command line with `mark` in it that any process shows meanwhile."""
    seen: list[str] = []
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.005):
            for line in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    text = line.read_bytes().decode(errors="replace")
                    seen.extend([text] if mark in text else [])

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


def working_below(folder: Path) -> list[int]:
    """Every running process whose current folder is `folder` or lies below it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "cwd").readlink().is_relative_to(folder) and alive(int(process.name)):
                found.append(int(process.name))
    return found

"""The folders of the embedded servers, the lock on them, and the end of what a killed run left in them."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import secrets
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from udecdash_updater import atomic
from udecdash_updater.binaries import Account, open_folder, server_account, within_reach
from udecdash_updater.errors import RunActiveError, SettingsError
from udecdash_updater.language import because, say
from udecdash_updater.logs import LOGGER

_LONGEST_SOCKET = 107  # sun_path less its final zero
# Where root keeps what the servers' account must reach while its home is closed to that account. Not /var/tmp:
# there systemd deletes what was not read for 30 days; and /var/lib is root's alone.
OUTSIDE = Path("/var/lib/udecdash-updater")
# How a process of a former run is ended: signals and how many seconds each gets. 0 is no signal, only waiting.
_ENDINGS: dict[str, tuple[tuple[int, float], ...]] = {
    "supervisord": ((signal.SIGTERM, 90), (signal.SIGKILL, 10)),
    "redis": ((0, 3), (signal.SIGTERM, 10), (signal.SIGKILL, 10)),
    "postgres": ((0, 3), (signal.SIGINT, 60), (signal.SIGQUIT, 10), (signal.SIGKILL, 10)),
}


@dataclass(frozen=True, slots=True)
class Rooms:
    """The folders of one run: what stays (home, data) and what goes with it (sockets)."""

    home: Path
    data: Path
    outside: Path
    sockets: Path
    account: Account | None

    def lock(self, name: str) -> Path:
        """The file that the process `name` holds locked as long as it, or a child of it, lives."""
        return self.home / "locks" / name

    def log(self, name: str) -> Path:
        """The log of the process `name`."""
        return self.home / "log" / f"{name}.log"

    @property
    def servers(self) -> Path:
        """The sockets of PostgreSQL and Redis; only the servers' account and root may enter."""
        return self.sockets / "s"

    @property
    def control(self) -> Path:
        """The socket of supervisord."""
        return self.sockets / "supervisor.sock"

    @property
    def config(self) -> Path:
        """The configuration of supervisord."""
        return self.sockets / "supervisord.conf"


@contextlib.contextmanager
def home_lock(home: Path) -> Iterator[None]:
    """One run a home: the lock is ours until the block is left, and free at once when we are killed."""
    if re.search(r"\n|\s[;#]", str(home)):
        raise SettingsError([say("problem", name="UDECDASH_HOME", what=say("home comment"))])
    try:
        if not home.exists():
            home.mkdir(parents=True, mode=0o711 if os.geteuid() == 0 else 0o700)
        held = (home / "lock").open("a+", encoding="ascii")
    except OSError as error:
        raise SettingsError(
            [say("problem", name="UDECDASH_HOME", what=say("unread", path=error.filename, why=because(error)))]
        ) from None
    with held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held.seek(0)
            raise RunActiveError(say("home in use", process=held.read() or "?", home=home)) from None
        held.truncate(0)
        held.write(str(os.getpid()))
        held.flush()
        yield


@contextlib.contextmanager
def open_rooms(home: Path) -> Iterator[Rooms]:
    """The rooms of a run below `home` (locked by us), made where they are missing; the sockets' folder goes."""
    account = server_account()
    _name_outside(home)
    for name in ("locks", "log"):
        (home / name).mkdir(mode=0o700, exist_ok=True)
    outside = _outside(home)
    data = _data_room(home, outside, account)
    _clear_sockets(home)
    sockets = _sockets(home, account)
    try:
        yield Rooms(home, data, outside, sockets, account)
    finally:
        _clear_sockets(home)


def rooms_of_run(home: Path) -> Rooms:
    """The rooms of the run that is at work in `home`. Raises RunActiveError when they are not open."""
    try:
        sockets = Path((home / "sockets").read_text(encoding="utf-8"))
        there = sockets.is_dir()
    except OSError:
        there = False
    if not there:
        raise RunActiveError(say("home without servers", home=home))
    return Rooms(home, home, _outside(home), sockets, server_account())


def _outside(home: Path) -> Path:
    """Where the servers' data is while their account cannot enter the home."""
    with contextlib.suppress(FileNotFoundError):
        return OUTSIDE / (home / "outside").read_text(encoding="ascii")
    return OUTSIDE / hashlib.sha256(str(home).encode()).hexdigest()[:12]  # of homes that were made before


def _name_outside(home: Path) -> None:
    """A home that is deleted and made again at its place has another folder outside: it begins anew as others do."""
    if not (home / "outside").exists():
        name = _outside(home).name if (home / "locks").exists() else secrets.token_hex(6)
        atomic.write(home / "outside", name.encode())


def _data_room(home: Path, outside: Path, account: Account | None) -> Path:
    if account is None or (home / "postgres").exists() or within_reach(home, account):
        return home
    open_folder(outside)
    LOGGER.info(say("home outside", account=account.name, home=home, outside=outside))
    return outside


def _sockets(home: Path, account: Account | None) -> Path:
    """A new short folder for sockets (a path has 107 bytes at most), noted in the home for whoever comes after."""
    base = tempfile.gettempdir()
    if len(base) > _LONGEST_SOCKET - 50:
        base = "/tmp"  # noqa: S108 - mkdtemp makes a private folder in it
    sockets = Path(tempfile.mkdtemp(prefix="udecdash-", dir=base))
    (home / "sockets").write_text(str(sockets), encoding="utf-8")
    (sockets / "s").mkdir(mode=0o700)
    if account:
        sockets.chmod(0o711)
        os.chown(sockets / "s", account.uid, account.gid)
    return sockets


def _clear_sockets(home: Path) -> None:
    """Remove the socket folder noted in the home, if it is one of ours."""
    with contextlib.suppress(FileNotFoundError):
        former = Path((home / "sockets").read_text(encoding="utf-8"))
        if former.name.startswith("udecdash-") and former.lstat().st_uid == os.geteuid():
            shutil.rmtree(former)


# ---- processes of a former, killed run


def end_former(rooms: Rooms) -> None:
    """End whatever a killed run left: its supervisord first (it stops the rest), then each server.

    Raises RunActiveError when a process cannot be ended, so that two servers never run on one folder.
    """
    for name, ending in _ENDINGS.items():
        lock = rooms.lock(name)
        if (holder := _holder(lock)) is not None:
            LOGGER.warning(say("server left", name=name, process=holder))
            _end(lock, ending)
        if (holder := _holder(lock)) is not None:
            raise RunActiveError(say("server stays", name=name, process=holder))


def _end(lock: Path, ending: tuple[tuple[int, float], ...]) -> None:
    for number, seconds in ending:
        holder = _holder(lock)
        if not holder:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(holder, number)
        wait(lambda: _holder(lock) is None, seconds)


def _holder(lock: Path) -> int | None:
    """The process that took `lock` (0: not noted yet), None when nobody holds it."""
    try:
        with lock.open(encoding="ascii") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(file.read() or 0)
    except FileNotFoundError:
        pass
    return None


def wait(done: Callable[[], bool], seconds: float) -> bool:
    """Ask `done` again and again for so many seconds; whether it became true."""
    limit = time.monotonic() + seconds
    while not (finished := done()) and time.monotonic() < limit:
        time.sleep(0.05)
    return finished

"""The data folder of the private PostgreSQL: made once, whole or not at all, and run by the version that made it."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from udecdash_updater.binaries import Account, Postgres, find_postgres, within_reach
from udecdash_updater.errors import DatabaseError
from udecdash_updater.language import say

DATABASE = "udecdash"
_MAKING_SECONDS = 300
_MEBIBYTE = 1 << 20
_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "maintenance_work_mem": "256MB",
    "work_mem": "32MB",
    "jit": "off",
    "logging_collector": "off",
    "log_destination": "stderr",
    "log_line_prefix": "%m [%p] ",
    # Errors, their DETAIL and CONTEXT hold rows, that is student data: whoever caused one is told, the log is not.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}


@dataclass(frozen=True, slots=True)
class Cluster:
    """A data folder, the programs of the version that made it and the account (None: ourselves) to run them."""

    data: Path
    programs: Postgres
    account: Account | None

    def command(self, socket_folder: Path) -> list[str]:
        """The server as a foreground command that listens in `socket_folder` only."""
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // _MEBIBYTE
        settings = _SETTINGS | {
            "unix_socket_directories": str(socket_folder),
            "shared_buffers": f"{max(32, min(512, memory // 16))}MB",
        }
        words = [str(self.programs.folder / "postgres"), "-D", str(self.data)]
        for name, value in settings.items():
            words += ["-c", f"{name}={value}"]
        return words

    def ready(self, socket_folder: Path) -> bool:
        """Whether the server of `socket_folder` takes connections: the last line of its pid file says so."""
        try:
            lines = os.fsdecode((self.data / "postmaster.pid").read_bytes()).splitlines()
        except OSError:
            return False
        # Line 5 is the socket folder of the server that wrote the file, line 8 its state (pg_ctl reads the same).
        return len(lines) >= 8 and lines[4] == str(socket_folder) and lines[7].strip() == "ready"


def owner_account(data: Path, account: Account | None) -> Account | None:
    """The account that must run `data`: as root it is the owner of what is there, else `account`."""
    if account is None or not data.exists() or data.stat().st_uid == account.uid:
        return account
    try:
        entry = pwd.getpwuid(data.stat().st_uid)
    except KeyError:
        raise DatabaseError(say("folder of nobody", folder=data)) from None
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def open_cluster(data: Path, account: Account | None, outside: Path, guard: list[str]) -> Cluster:
    """The cluster in `data`, made if there is none; `guard` is the command prefix that locks and watches.

    Raises DatabaseError: no programs, none of the version that made the folder, or initdb's own complaint.
    """
    if (data / "PG_VERSION").exists():
        account = owner_account(data, account)
        _forget_dead_server(data)
        return Cluster(data, _programs_for(data, account, outside), account)
    if data.exists() and any(data.iterdir()):
        raise DatabaseError(say("no data folder", folder=data), hint=say("move it away"))
    programs = find_postgres(account, outside)
    _make(data, programs, account, guard)
    return Cluster(data, programs, account)


def _forget_dead_server(data: Path) -> None:
    """Remove the pid file of a server that is gone when another program has its process id by now.

    PostgreSQL believes such a file and does not start; in a container, where ids begin anew, that is likely.
    """
    with contextlib.suppress(OSError, ValueError):
        pid = int((data / "postmaster.pid").read_bytes().split()[0])
        if Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip() != "postgres":
            (data / "postmaster.pid").unlink()


def _programs_for(data: Path, account: Account | None, outside: Path) -> Postgres:
    if account is not None and not within_reach(data, account):
        raise DatabaseError(say("folder closed", account=account.name, folder=data))
    wanted = int((data / "PG_VERSION").read_text(encoding="ascii"))
    try:
        return find_postgres(account, outside, wanted)
    except DatabaseError as error:
        hint = say("no such postgres hint", wanted=wanted, folder=data)
        raise DatabaseError(say("the folder is", what=error.short, folder=data), hint=hint) from None


def _make(data: Path, programs: Postgres, account: Account | None, guard: list[str]) -> None:
    """Make the cluster and its database under another name, then rename: what has the right name is whole."""
    making = data.with_name(data.name + ".making")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(mode=0o700)
    if account:
        os.chown(making, account.uid, account.gid)
    initdb = [str(programs.folder / "initdb"), "-D", str(making), "-U", DATABASE, "-E", "UTF8"]
    _run([*guard, *initdb, "--locale=C", "--auth=trust"])
    single = [str(programs.folder / "postgres"), "--single", "-D", str(making), "-c", "exit_on_error=on"]
    _run([*guard, *single, "postgres"], f"CREATE DATABASE {DATABASE};\n")
    if data.exists():
        data.rmdir()
    making.rename(data)


def _run(command: list[str], statements: str = "") -> None:
    try:
        done = subprocess.run(
            command,
            input=statements,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=_MAKING_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise DatabaseError(say("folder takes long", seconds=_MAKING_SECONDS)) from None
    if done.returncode:
        last = "\n".join((done.stdout + done.stderr).strip().splitlines()[-8:])
        raise DatabaseError(say("folder not made", code=done.returncode, last=last))

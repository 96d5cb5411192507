"""Runs a server so that it cannot outlive its parent and cannot run twice: `guard.py [options] -- command ...`.

A program of its own, standard library only: supervisord and the private servers are started through it, as root
also where the server's account cannot read this package. It replaces itself by the command, so the process id stays.
"""

from __future__ import annotations

import argparse
import ctypes
import fcntl
import os
import pwd
import signal
import sys

PARENT = "UDECDASH_GUARD_PARENT"
HELD = 75  # EX_TEMPFAIL: another process holds the lock
_ORPHAN = 70
_NOT_RUN = 127
# supervisord closes every descriptor from 5 on when it starts, so an inherited lock has to stand below.
_LOCK_DESCRIPTOR = 3
_PR_SET_PDEATHSIG = 1


def die_with_parent(number: int) -> None:
    """Ask the kernel to send signal `number` to this process when its parent ends (Linux; elsewhere nothing)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)


def hold(path: str) -> bool:
    """Lock the file `path` for this process and all it becomes or starts; False when somebody else holds it."""
    found = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(found, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    os.ftruncate(found, 0)
    os.write(found, str(os.getpid()).encode())
    if found != _LOCK_DESCRIPTOR:
        os.dup2(found, _LOCK_DESCRIPTOR)
    os.set_inheritable(_LOCK_DESCRIPTOR, True)
    return True


def become(account: str) -> None:
    """Drop root's rights for those of `account` (PostgreSQL refuses to run as root)."""
    entry = pwd.getpwnam(account)
    os.chdir("/")
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


def _arguments() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--lock", help="file to hold locked for as long as the command runs")
    parser.add_argument("--user", help="account to run the command as (only root can)")
    parser.add_argument("--signal", default="TERM", help="what the command gets when its parent ends")
    parser.add_argument("--bare", action="store_true", help="leave nothing but PATH in the command's environment")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    return options, options.command


def main() -> int:
    """Set everything up and become the command; returns (an exit code) only when that is refused."""
    options, command = _arguments()
    if options.lock and not hold(options.lock):
        sys.stderr.write(f"guard: {options.lock} is held by another process; {command[0]} was not started\n")
        return HELD
    if options.user:
        become(options.user)
    # After the change of account: the kernel forgets the wish when the account changes.
    die_with_parent(getattr(signal, f"SIG{options.signal}"))
    expected = os.environ.get(PARENT)
    if expected and int(expected) != os.getppid():
        return _ORPHAN  # the parent ended before the kernel was asked
    environment = {"PATH": os.environ.get("PATH", os.defpath)} if options.bare else dict(os.environ)
    environment[PARENT] = str(os.getpid())
    try:
        os.execvpe(command[0], command, environment)  # noqa: S606 - an argument list, no shell
    except OSError as error:
        sys.stderr.write(f"guard: {command[0]}: {error.strerror}\n")
    return _NOT_RUN


if __name__ == "__main__":
    sys.exit(main())

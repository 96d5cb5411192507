"""Another program as a subprocess: a process group of its own, bounded in time and memory, nothing left behind."""

from __future__ import annotations

import collections
import contextlib
import fcntl
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

LAST_LINES = 30
GRACE_SECONDS = 10.0
_LINE_BYTES = 1000
_CHUNK = 64 * 1024
_POLL_SECONDS = 0.2
_CHUNKS_AFTER_THE_END = 64


@dataclass(frozen=True, slots=True)
class Finished:
    """How a program ended: its exit code (negative: a signal), whether we ended it, the last lines of both streams."""

    code: int
    timed_out: bool
    last_lines: tuple[str, ...]


class BusyError(Exception):
    """The lock file is held by a living run; `args[0]` is its process."""


def run(
    arguments: Sequence[str],
    *,
    cwd: Path,
    timeout: float,
    tell: Callable[[str], None],
    environment: Mapping[str, str] | None = None,
    leash: int | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Finished:
    """Run a program to its end or for `timeout` seconds; every line it writes goes to `tell`.

    Nothing of its process group outlives the call, whatever it forked. `leash` is a lock file of `alone`. Once
    `stopped` says so, it is ended as if its time were over: how a thread is told that the main one was interrupted.
    Raises OSError when it cannot be started.
    """
    lines = _Lines(tell)
    with subprocess.Popen(
        arguments,
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        pass_fds=() if leash is None else (leash,),
        bufsize=0,
    ) as process:
        try:
            if leash is not None:
                os.pwrite(leash, f"{os.getpid()} {process.pid}\n".encode(), 0)
            timed_out = _follow(process, lines, time.monotonic() + timeout, stopped)
        finally:
            _end(process)
    return Finished(process.returncode, timed_out, lines.last())


@contextlib.contextmanager
def alone(path: Path) -> Iterator[int]:
    """Hold the lock file `path` and yield its descriptor, which `run` hands down to the program as its leash.

    A program that a killed run left behind still holds it, and is ended first. Raises BusyError when the run lives.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not _locked(descriptor):
            _end_leftover(descriptor)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)


def end_group(group: int, gone: Callable[[], object] = lambda: None) -> None:
    """End every process of `group`: politely, after GRACE_SECONDS for good. `gone` reaps it where it is our child."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + GRACE_SECONDS
        if not _signalled(group, number):
            return
        while time.monotonic() < deadline:
            gone()
            if not _signalled(group, 0) or not _living(group):
                return
            time.sleep(0.02)


def _end(process: subprocess.Popen[bytes]) -> None:
    end_group(process.pid, process.poll)
    if process.poll() is None:
        process.kill()


def _signalled(group: int, number: int) -> bool:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):  # gone, or not ours to end
        return False
    return True


def _living(group: int) -> bool:
    """Whether the group has more than zombies, which an orphan stays for good where process 1 reaps nothing."""
    stats = list(Path("/proc").glob("[0-9]*/stat"))
    for stat in stats:
        with contextlib.suppress(OSError):
            state, _, its_group = stat.read_text(errors="replace").rpartition(")")[2].split()[:3]
            if int(its_group) == group and state not in "ZX":
                return True
    return not stats  # without /proc, what can be signalled lives


def _follow(process: subprocess.Popen[bytes], lines: _Lines, deadline: float, stopped: Callable[[], bool]) -> bool:
    """Read until the program ends; True when it did not in time. Children that hold the pipe open are not awaited."""
    pipe = process.stdout
    if pipe is None:
        raise ValueError("the program was started without a pipe")
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while process.poll() is None:
            left = deadline - time.monotonic()
            if left <= 0 or stopped():
                return True
            if lines.ended:
                time.sleep(min(left, _POLL_SECONDS))
            elif selector.select(min(left, _POLL_SECONDS)):
                lines.feed(os.read(pipe.fileno(), _CHUNK))
        for _ in range(_CHUNKS_AFTER_THE_END):
            if lines.ended or not selector.select(0):
                break
            lines.feed(os.read(pipe.fileno(), _CHUNK))
    return False


class _Lines:
    """Cuts bytes into lines and keeps the last ones: never more than a little, however much is written."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self.ended = False
        self._tell = tell
        self._rest = b""
        self._last: collections.deque[str] = collections.deque(maxlen=LAST_LINES)

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes; none means that the stream has ended."""
        self.ended = not chunk
        *lines, rest = chunk.split(b"\n")
        for line in lines:
            self._keep((self._rest + line)[:_LINE_BYTES])
            self._rest = b""
        self._rest = (self._rest + rest)[:_LINE_BYTES]

    def last(self) -> tuple[str, ...]:
        """The last lines, oldest first, the unfinished one too."""
        self._keep(self._rest)
        self._rest = b""
        return tuple(self._last)

    def _keep(self, line: bytes) -> None:
        text = "".join(char if char.isprintable() else " " for char in line.decode(errors="replace")).rstrip()
        if text:
            self._last.append(text)
            self._tell(text)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _end_leftover(descriptor: int) -> None:
    owner, _, group = os.pread(descriptor, 100, 0).decode(errors="replace").strip().partition(" ")
    if not (owner.isdigit() and group.isdigit()) or _alive(int(owner)):
        raise BusyError(owner or "unknown")  # without a group there is nothing that we could end
    end_group(int(group))
    if not _locked(descriptor):
        raise BusyError(group)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

"""How far files are read: whoever reads tells it here, the run's progress listens. Without a listener it costs nothing.

One run a process, one listener. A thread reads one file at a time, so what it sends to PostgreSQL came from there.
"""

from __future__ import annotations

import contextlib
import io
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class Listener(Protocol):
    """Is told, from any thread, what is read of which file."""

    def began(self, path: Path) -> None:
        """The file is read from its beginning, perhaps once more."""

    def read(self, path: Path, count: int) -> None:
        """So many bytes of it, as they lie on disk."""

    def sent(self, path: Path, count: int) -> None:
        """So many of its rows went to PostgreSQL."""


class _Hall:
    """Who listens, and which file each thread reads."""

    def __init__(self) -> None:
        self.listener: Listener | None = None
        self.here = threading.local()


_HALL = _Hall()


@contextlib.contextmanager
def heard(listener: Listener) -> Iterator[None]:
    """Let `listener` listen until the block ends."""
    _HALL.listener = listener
    try:
        yield
    finally:
        _HALL.listener = None


def opened(path: Path) -> io.RawIOBase:
    """The file, unbuffered; whoever listens is told what is read of it."""
    listener = _HALL.listener
    if listener is None:
        return io.FileIO(path)
    file = _Metered(path, listener)
    _HALL.here.path = path
    listener.began(path)
    return file


def sent(rows: int) -> None:
    """So many more rows of the file that this thread reads went to PostgreSQL; fewer than none mends an estimate."""
    if (listener := _HALL.listener) is not None and (path := getattr(_HALL.here, "path", None)) is not None:
        listener.sent(path, rows)


class _Metered(io.FileIO):
    def __init__(self, path: Path, listener: Listener) -> None:
        super().__init__(path)
        self._path = path
        self._listener = listener

    def read(self, size: int | None = -1, /) -> bytes:
        block = super().read(-1 if size is None else size) or b""
        self._listener.read(self._path, len(block))
        return block

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        count = super().readinto(buffer) or 0
        self._listener.read(self._path, count)
        return count

"""How far a stage is with its files: counted while they are read, written to the ledger for `status`, once a second."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from udecdash_updater import meter
from udecdash_updater.dump import DumpFile
from udecdash_updater.errors import UpdaterError
from udecdash_updater.language import say
from udecdash_updater.logs import LOGGER

SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class TableProgress:
    """A table's files in this stage: how many, bytes read and in all, and rows sent to PostgreSQL."""

    table: str
    files: int
    done: int
    total: int
    rows: int


JobsTold = Callable[[int, int], None]
"""Is told how many jobs have ended, and of how many."""

Told = Callable[[tuple[TableProgress, ...]], None]
"""Is told how far each table is; with nothing at all the stage's reading has ended."""


class Progress:
    """Counts what is read of a stage's files, and tells everyone in `listeners` at most once in `SECONDS`."""

    def __init__(self) -> None:
        self.listeners: list[Told] = []
        self.job_listeners: list[JobsTold] = []
        self._lock = threading.Lock()
        self._files: dict[Path, DumpFile] = {}
        self._bytes: Counter[Path] = Counter()
        self._rows: Counter[Path] = Counter()
        self._told = 0.0

    @contextlib.contextmanager
    def over(self, files: Iterable[DumpFile]) -> Iterator[None]:
        """Count what is read of these files until the block ends."""
        self._files = {file.path: file for file in files}
        self._bytes.clear()
        self._rows.clear()
        self._tell(self.tables())
        try:
            with meter.heard(self):
                yield
        finally:
            self._tell(())

    def jobs(self, ended: int, total: int) -> None:
        """So many jobs have ended."""
        for told in self.job_listeners:
            told(ended, total)

    def began(self, path: Path) -> None:
        """As meter.Listener: what was read of it before counts no more."""
        with self._lock:
            self._bytes[path] = self._rows[path] = 0

    def read(self, path: Path, count: int) -> None:
        """As meter.Listener."""
        self._add(self._bytes, path, count)

    def sent(self, path: Path, count: int) -> None:
        """As meter.Listener."""
        self._add(self._rows, path, count)

    def _add(self, counted: Counter[Path], path: Path, count: int) -> None:
        with self._lock:
            counted[path] += count
            now = time.monotonic()
            if now - self._told < SECONDS:
                return
            self._told = now
        self._tell(self.tables())

    def tables(self) -> tuple[TableProgress, ...]:
        """How far each table is, by name."""
        with self._lock:
            files, done, total, rows = (Counter[str]() for _ in range(4))
            for path, file in self._files.items():
                files[file.table] += 1
                total[file.table] += file.size
                done[file.table] += min(self._bytes[path], file.size)
                rows[file.table] += self._rows[path]
        return tuple(TableProgress(name, files[name], done[name], total[name], rows[name]) for name in sorted(files))

    def _tell(self, tables: tuple[TableProgress, ...]) -> None:
        for told in list(self.listeners):
            try:
                told(tables)
            except UpdaterError as error:  # the load goes on, whoever can no longer be told
                self.listeners.remove(told)
                LOGGER.warning(say("progress untold", error=error))

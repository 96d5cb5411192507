"""What a reader of the dashboard's tables notices of a load: its longest wait, and whether an answer was mixed."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from psycopg2 import sql

from benchmarks.ground import session
from udecdash_updater.settings import Settings


class Reader(threading.Thread):
    """Asks every table for its first row, in turn, and some small ones together for their sizes, until it is stopped.

    `longest` is its longest wait in seconds, `empty` how often a table had no row, `seen` the sizes that it was told.
    """

    def __init__(self, settings: Settings, tables: Sequence[str], small: Sequence[str]) -> None:
        super().__init__()
        self._settings = settings
        self._tables = tables
        self._small = small
        self._stop_asked = threading.Event()
        self.longest = 0.0
        self.empty = 0
        self.seen: set[tuple[int, ...]] = set()

    def run(self) -> None:
        """Ask until stopped."""
        parts = [sql.SQL("(select count(*) from {})").format(sql.Identifier(name)) for name in self._small]
        sizes = sql.SQL("select {}").format(sql.SQL(", ").join(parts))
        with session(self._settings) as cursor:
            while not self._stop_asked.is_set():
                for name in self._tables:
                    asked = sql.SQL("select * from {} limit 1").format(sql.Identifier(name))
                    self.empty += not self._answer(cursor, asked)
                self.seen.add(self._answer(cursor, sizes)[0])

    def _answer(self, cursor: object, asked: sql.Composed) -> list[tuple[int, ...]]:
        began = time.perf_counter()
        cursor.execute(asked)  # type: ignore[attr-defined]
        answer: list[tuple[int, ...]] = cursor.fetchall()  # type: ignore[attr-defined]
        self.longest = max(self.longest, time.perf_counter() - began)
        return answer

    def stop(self) -> None:
        """Wait until the last question is answered."""
        self._stop_asked.set()
        self.join()


def sizes(settings: Settings, tables: Sequence[str]) -> tuple[int, ...]:
    """How many rows each of the tables holds."""
    with session(settings) as cursor:
        found = []
        for name in tables:
            cursor.execute(sql.SQL("select count(*) from {}").format(sql.Identifier(name)))
            found.append((cursor.fetchone() or (0,))[0])
    return tuple(found)

"""The served folder: nights of tables, what a snapshot holds, and what changed between two nights.

night<N>/<namespace>/<table>.tsv.gz holds the live rows of that night, its first line the columns meta.ts, key.* and
value.*; <table>.schema.json beside it is {"schema": ..., "version": ...}. `current` holds the night that is served.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from .answers import stamp, unknown

NULL = "\\N"
_FIRST = datetime(2026, 1, 1, tzinfo=timezone.utc)
_TIME, _ACTION = "meta.ts", "meta.action"
Row = Sequence[str]


@dataclass(frozen=True, slots=True)
class Result:
    """Rows of an answer, and the names of their columns."""

    columns: tuple[str, ...]
    rows: Iterator[Row]


class Served:
    """A folder of nights, read anew for each question."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def nights(self) -> list[int]:
        """The nights that are there, up to the one that is served."""
        found = (re.fullmatch(r"night(\d+)", path.name) for path in self._folder.iterdir())
        numbers = sorted(int(match[1]) for match in found if match)
        current = self._folder / "current"
        last = int(current.read_text(encoding="ascii")) if current.exists() else numbers[-1]
        return [number for number in numbers if number <= last]

    def tables(self, namespace: str) -> list[str]:
        """The tables of a namespace. Raises the API's 404."""
        folder = self._night(self.nights()[-1]) / namespace
        if not folder.is_dir():
            raise unknown("namespace", namespace)
        return sorted(path.name.removesuffix(".tsv.gz") for path in folder.glob("*.tsv.gz"))

    def schema(self, namespace: str, table: str) -> dict[str, Any]:
        """A table's JSON schema and its version. Raises the API's 404."""
        if table not in self.tables(namespace):
            raise unknown("table", table)
        path = self._night(self.nights()[-1]) / namespace / f"{table}.schema.json"
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found

    def snapshot(self, namespace: str, table: str) -> Result:
        """The live rows. They come without meta.action, their time first."""
        columns, rows = self._read(self.nights()[-1], namespace, table)
        if columns[0] == _TIME:
            return Result(columns, rows)
        order = sorted(range(len(columns)), key=lambda place: columns[place] != _TIME)
        return Result(tuple(columns[n] for n in order), ([row[n] for n in order] for row in rows))

    def changes(self, namespace: str, table: str, since: int) -> Result:
        """What changed after night `since`: the rows as they are now, and the keys of those that are gone.

        Their columns come in another order than a snapshot's: nobody may rely on it.
        """
        now = self.nights()[-1]
        before = self._contents(since, namespace, table)
        columns, rows = self._read(now, namespace, table)
        wanted = tuple(name for name in columns if name != _TIME)
        return Result((*wanted, _TIME, _ACTION), self._changed(columns, wanted, rows, before, stamp(moment(now))))

    def _changed(
        self, columns: tuple[str, ...], wanted: tuple[str, ...], rows: Iterator[Row], before: dict[Row, bytes], now: str
    ) -> Iterator[Row]:
        keys = [name for name in wanted if name.startswith("key.")]
        for row in rows:
            values = dict(zip(columns, row, strict=True))
            key, told = _key(values), values.get(_TIME, now)
            if before.pop(key, None) != _content(values):
                yield [*(values[name] for name in wanted), told, "U"]
        for gone in before:
            yield [*(gone[keys.index(n)] if n in keys else NULL for n in wanted), now, "D"]

    def _contents(self, night: int, namespace: str, table: str) -> dict[Row, bytes]:
        if not self._path(night, namespace, table).exists():
            return {}
        columns, rows = self._read(night, namespace, table)
        found = (dict(zip(columns, row, strict=True)) for row in rows)
        return {_key(values): _content(values) for values in found}

    def _read(self, night: int, namespace: str, table: str) -> tuple[tuple[str, ...], Iterator[Row]]:
        """The columns but meta.action, and the rows."""
        lines = _lines(self._path(night, namespace, table))
        names = next(lines)
        kept = [place for place, name in enumerate(names) if name != _ACTION]
        if len(kept) == len(names):
            return tuple(names), lines
        return tuple(names[n] for n in kept), ([row[n] for n in kept] for row in lines)

    def _path(self, night: int, namespace: str, table: str) -> Path:
        return self._night(night) / namespace / f"{table}.tsv.gz"

    def _night(self, night: int) -> Path:
        return self._folder / f"night{night}"


def moment(night: int) -> datetime:
    """When a night's data was complete: each is a day after the one before."""
    return _FIRST + timedelta(days=night)


def night_at(since: datetime) -> int:
    """The last night that was complete at `since`."""
    return (since - _FIRST) // timedelta(days=1)


def _lines(path: Path) -> Iterator[Row]:
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as file:
        for line in file:
            yield line.rstrip("\n").split("\t")


def _key(values: dict[str, str]) -> Row:
    return tuple(text for name, text in values.items() if name.startswith("key."))


def _content(values: dict[str, str]) -> bytes:
    """A digest by which a change of a row is told: a column that is new and empty is none."""
    told = (f"{name}={text}" for name, text in sorted(values.items()) if name != _TIME and text != NULL)
    return hashlib.blake2b("\t".join(told).encode(), digest_size=16).digest()

"""The night in numbers, as the ledger tells it: per stage, per table, and the interactions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from udecdash_updater.dump import REQUESTS
from udecdash_updater.ledger import Ledger

_LINES = ("files", "lines", "loaded", "filtered", "repeated", "rejected")
_ROWS = ("rows", "new", "changed", "gone")


@dataclass(frozen=True, slots=True)
class StageTime:
    """A stage, how it ended ('done', 'warning' or 'failed'), and how long it took."""

    name: str
    outcome: str
    seconds: float


@dataclass(frozen=True, slots=True)
class TableCounts:
    """What became of a table's lines, and what changed in the dashboard's table; `rows` is None where it only grows."""

    table: str
    files: int = 0
    lines: int = 0
    loaded: int = 0
    filtered: int = 0
    repeated: int = 0
    rejected: int = 0
    new: int = 0
    changed: int = 0
    gone: int = 0
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """A run: its stages in order, its tables by name, and what its jobs did.

    `by_kind`: how many rows the tables of interactions have by now.
    """

    run: int
    stages: tuple[StageTime, ...]
    tables: tuple[TableCounts, ...]
    courses: int
    judged: int
    interactions: int
    by_kind: Mapping[str, int] = field(default_factory=dict)


def summarize(ledger: Ledger, by_kind: Mapping[str, int]) -> Summary:
    """The run's summary from the ledger; `by_kind` counts the interactions that the dashboard has by now."""
    courses, judged, interactions = ledger.rows("run_interactions")[0]
    stages = tuple(StageTime(*row) for row in ledger.rows("run_stages") if row[1])
    return Summary(ledger.run, stages, _tables(ledger), courses, judged, interactions, by_kind)


def _tables(ledger: Ledger) -> tuple[TableCounts, ...]:
    lines = {name: dict(zip(_LINES, map(int, counts), strict=True)) for name, *counts in ledger.rows("run_files")}
    # Requests only grow, so that nothing is noted of them there: what was loaded is new.
    loads = {name: {"new": counted["loaded"]} for name, counted in lines.items()}
    loads |= {name: dict(zip(_ROWS, counts, strict=True)) for name, *counts in ledger.rows("run_tables")}
    names = sorted({*lines, *loads, REQUESTS})
    return tuple(TableCounts(name, **lines.get(name, {}), **loads.get(name, {})) for name in names)

"""The night in numbers, as the ledger tells it: per stage, per table, and the interactions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from udecdash_updater import db
from udecdash_updater.dump import REQUESTS
from udecdash_updater.errors import UnknownRunError
from udecdash_updater.language import say
from udecdash_updater.resolution import INTERACTION_TABLES
from udecdash_updater.settings import Settings

_KINDS = (*INTERACTION_TABLES, "course_interactions", "unprocessable_interactions", REQUESTS)
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
class Jobs:
    """A run's jobs: in all, and what became of them so far; `left` have not ended.

    `seconds`: from the first one's begin to the last one's end, or until now while some are left; `worked`: of all
    workers together. `busy` of those that are left are at work, the oldest of them for `longest` seconds.
    """

    jobs: int
    done: int
    failed: int
    lost: int
    left: int
    courses: int
    seconds: float
    worked: float
    busy: int = 0
    longest: float = 0.0


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
    jobs: Jobs | None = None


def read(settings: Settings, run: int | None = None) -> Summary:
    """The summary of a run; of the newest one without a number. Raises UnknownRunError where there is none."""
    with db.looking(settings) as cursor:
        db.run(cursor, "only_reading")
        there = db.one(cursor, "ledger_exists")[0]
        number = db.one(cursor, "run_number", {"run": run})[0] if there else None
        if number is None:
            raise UnknownRunError(say("no night yet") if run is None else say("no such run", run=run))
        of_run = {"run": number}
        stages = tuple(StageTime(*row) for row in db.rows(cursor, "run_stages", of_run) if row[1])
        courses, judged, interactions = db.one(cursor, "run_interactions", of_run)
        kinds, jobs = _by_kind(cursor), jobs_of(cursor, number)
        return Summary(number, stages, _tables(cursor, of_run), courses, judged, interactions, kinds, jobs)


def jobs_of(cursor: db.Cursor, run: int) -> Jobs | None:
    """What became of the run's jobs, as the ledger tells; None where it had none."""
    found = Jobs(*db.one(cursor, "run_jobs", {"run": run}))
    return found if found.jobs else None


def _tables(cursor: db.Cursor, run: Mapping[str, int]) -> tuple[TableCounts, ...]:
    lines = {
        name: dict(zip(_LINES, map(int, counts), strict=True)) for name, *counts in db.rows(cursor, "run_files", run)
    }
    # Requests only grow, so that nothing is noted of them there: what was loaded is new.
    loads: dict[str, dict[str, int]] = {REQUESTS: {"new": lines.get(REQUESTS, {}).get("loaded", 0)}}
    loads |= {name: dict(zip(_ROWS, counts, strict=True)) for name, *counts in db.rows(cursor, "run_tables", run)}
    names = sorted({*lines, *loads, REQUESTS})
    return tuple(TableCounts(name, **lines.get(name, {}), **loads.get(name, {})) for name in names)


def _by_kind(cursor: db.Cursor) -> dict[str, int]:
    there = [name for name in _KINDS if db.one(cursor, "table_exists", {"table": name})[0]]
    return {name: _count(cursor, name) for name in there}


def _count(cursor: db.Cursor, table: str) -> int:
    about = db.one(cursor, "rows_about", {"table": table})[0]
    return int(about or db.one(cursor, "count_rows", table=db.identifier(table))[0])

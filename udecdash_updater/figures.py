"""What the ledger and the dashboard's tables tell of a run and of the runs before it, for pages and metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from udecdash_updater import db
from udecdash_updater.errors import EXIT_DONE, EXIT_WARNINGS, UnknownRunError
from udecdash_updater.language import Both, say
from udecdash_updater.resolution import INTERACTION_TABLES
from udecdash_updater.settings import Settings
from udecdash_updater.summary import Jobs, jobs_of

HOURS = 24
SHOWN_REJECTS = 200
_SAMPLE_ROWS = 500_000  # of each table of interactions; a larger one is judged by a sample of about as many
_STATEMENT_SECONDS = 20
_KILLED = "killed"


@dataclass(frozen=True, slots=True)
class RunFigures:
    """A run in one line. Rows: new, changed and gone in all tables; times are aware; `hint`: what it advised."""

    number: int
    started: datetime
    ended: datetime | None
    exit_code: int | None
    error: Both
    warnings: tuple[Both, ...]
    hint: Both
    new: int
    changed: int
    gone: int
    rejected: int

    @property
    def outcome(self) -> str:
        """'done', 'warnings', 'failed', 'killed' or 'running'."""
        if self.exit_code is None:
            return "running"
        if self.exit_code in (EXIT_DONE, EXIT_WARNINGS):
            return "warnings" if self.exit_code else "done"
        return "killed" if self.error.en == _KILLED else "failed"

    @property
    def seconds(self) -> float:
        """How long it took; of a run that has not ended nothing is known."""
        return (self.ended - self.started).total_seconds() if self.ended else 0.0


@dataclass(frozen=True, slots=True)
class StageFigures:
    """A stage of a run: how it ended ('done', 'warning', 'failed', 'running'), when it began and how long it took."""

    name: str
    outcome: str
    message: str
    begin: float
    seconds: float


@dataclass(frozen=True, slots=True)
class TableFigures:
    """What a run did with one table; `rows` is None for a table that only grows."""

    name: str
    files: int
    lines: int
    loaded: int
    filtered: int
    repeated: int
    rejected: int
    rows: int | None
    new: int
    changed: int
    gone: int

    @property
    def moved(self) -> int:
        """How many of its rows are not what they were."""
        return self.new + self.changed + self.gone


@dataclass(frozen=True, slots=True)
class Reject:
    """A line that was left out; its content is not kept. `line` is None where only the file is known."""

    table: str
    file: str
    line: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Interactions:
    """The interactions that the dashboard has: kind -> how many for each hour of the day; `exact` unless sampled."""

    by_hour: Mapping[str, tuple[int, ...]]
    exact: bool

    @property
    def by_kind(self) -> dict[str, int]:
        """Kind -> how many."""
        return {kind: sum(hours) for kind, hours in self.by_hour.items()}

    @property
    def hours(self) -> tuple[int, ...]:
        """How many in each hour of the day, all kinds together."""
        return tuple(map(sum, zip(*self.by_hour.values(), strict=True))) or (0,) * HOURS


@dataclass(frozen=True, slots=True)
class Figures:
    """All that is known of one run; `history` ends with it."""

    history: tuple[RunFigures, ...]
    next_run: int | None
    stages: tuple[StageFigures, ...]
    tables: tuple[TableFigures, ...]
    rejects: tuple[Reject, ...]
    interactions: Interactions | None
    jobs: Jobs | None = None

    @property
    def run(self) -> RunFigures:
        """The run itself."""
        return self.history[-1]


def read(settings: Settings, run: int | None = None, *, runs: int = 60) -> Figures:
    """The figures of run number `run` (None: of the newest), and of as many runs up to it as `runs` says.

    Raises DatabaseError, and UnknownRunError.
    """
    with db.looking(settings) as cursor:
        db.run(cursor, "limit_statements", {"milliseconds": str(_STATEMENT_SECONDS * 1000)})
        history = _history(cursor, run, runs)
        if not history or run not in (None, history[-1].number):
            raise UnknownRunError(say("no night yet") if run is None else say("no such run", run=run))
        of_run = {"run": history[-1].number, "limit": SHOWN_REJECTS}
        return Figures(
            history,
            db.one(cursor, "next_run", of_run)[0],
            tuple(StageFigures(*row) for row in db.rows(cursor, "stage_times", of_run)),
            tuple(TableFigures(*row) for row in db.rows(cursor, "table_figures", of_run)),
            tuple(Reject(*row) for row in db.rows(cursor, "some_rejects", of_run)),
            _interactions(cursor),
            jobs_of(cursor, history[-1].number),
        )


def history(settings: Settings, runs: int) -> tuple[RunFigures, ...]:
    """The newest runs, oldest first. Raises DatabaseError."""
    with db.looking(settings) as cursor:
        return _history(cursor, None, runs)


def _history(cursor: db.Cursor, run: int | None, limit: int) -> tuple[RunFigures, ...]:
    found = db.rows(cursor, "newest_runs", {"run": run, "limit": limit})
    return tuple(_run(*row) for row in found)


def _run(  # the statement's columns
    number: int,
    started: datetime,
    ended: datetime | None,
    code: int | None,
    error: str | None,
    warnings: list[str],
    error_es: str | None,
    warnings_es: list[str],
    hint: str,
    hint_es: str,
    *counts: int,
) -> RunFigures:
    told = tuple(map(Both, warnings, warnings_es))
    return RunFigures(
        number, started, ended, code, Both(error or "", error_es or ""), told, Both(hint, hint_es), *counts
    )


def _interactions(cursor: db.Cursor) -> Interactions | None:
    """What the tables hold; None when they cannot be counted in time."""
    by_hour: dict[str, tuple[int, ...]] = {}
    exact = True
    try:
        for kind in INTERACTION_TABLES:
            sizes = db.rows(cursor, "table_size", {"table": kind})
            if not sizes:
                continue
            share = min(1.0, _SAMPLE_ROWS / max(sizes[0][0], 1))
            found: dict[int, int] = dict(
                db.rows(cursor, "interactions_by_hour", {"percent": 100 * share}, table=db.identifier(kind))
            )
            by_hour[kind] = tuple(round(found.get(hour, 0) / share) for hour in range(HOURS))
            exact = exact and share == 1
    except db.Error:
        return None
    return Interactions(by_hour, exact)

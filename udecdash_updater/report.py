"""The night in two tables: what became of each table's lines, and how long each stage took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TextIO

from rich.console import Console
from rich.table import Table as Grid

from udecdash_updater.ledger import Ledger

REQUESTS = "requests"
_WIDTH = 140
_SHOWN = 20  # the tables that changed most; the others in one row
_NOTHING = (0,) * 9


@dataclass(frozen=True, slots=True)
class Summary:
    """A run as the ledger tells it: per stage (outcome, seconds), per table the counts, and the interactions."""

    run: int
    stages: tuple[tuple[str, str, float], ...]
    files: Mapping[str, tuple[int, ...]]
    tables: Mapping[str, tuple[int, ...]]
    courses: int
    judged: int
    interactions: int
    by_kind: Mapping[str, int] = field(default_factory=dict)


def summarize(ledger: Ledger, by_kind: Mapping[str, int]) -> Summary:
    """The run's summary from the ledger; `by_kind` counts the interactions that the dashboard has by now."""
    courses, judged, interactions = ledger.rows("run_interactions")[0]
    return Summary(
        ledger.run,
        tuple((name, outcome, seconds) for name, outcome, seconds in ledger.rows("run_stages") if outcome),
        {name: tuple(map(int, counts)) for name, *counts in ledger.rows("run_files")},
        {name: tuple(counts) for name, *counts in ledger.rows("run_tables")},
        courses,
        judged,
        interactions,
        by_kind,
    )


def show(summary: Summary, out: TextIO) -> None:
    """Write the summary's tables to `out`, wide enough for their numbers."""
    console = Console(file=out, width=None if out.isatty() else _WIDTH)
    console.print(_tables(summary), _interactions(summary), _stages(summary))


def _grid(title: str, *columns: str, caption: str | None = None) -> Grid:
    grid = Grid(title=title, title_justify="left", header_style="bold", caption=caption, caption_justify="left")
    for number, column in enumerate(columns):
        grid.add_column(column, justify="right" if number else "left", overflow="fold", no_wrap=not number)
    return grid


def _tables(summary: Summary) -> Grid:
    grid = _grid(
        f"Run {summary.run}: tables", "table", "files", "lines", "loaded", "filtered", "repeated", "rejected",
        "new", "changed", "gone",
    )  # fmt: skip
    counted = {name: _counts(summary, name) for name in {*summary.files, *summary.tables, REQUESTS}}
    busiest = sorted(counted, key=lambda name: (-sum(counted[name][6:]), name))
    shown = sorted({*busiest[:_SHOWN], REQUESTS})
    for name in shown:
        grid.add_row(name, *(f"{count:,}" for count in counted[name]))
    for title, names in ((f"{len(counted) - len(shown)} other tables", counted.keys() - set(shown)), ("all", counted)):
        grid.add_section()
        sums = [sum(counted[name][place] for name in names) for place in range(len(_NOTHING))]
        grid.add_row(title, *(f"{count:,}" for count in sums))
    return grid


def _counts(summary: Summary, table: str) -> tuple[int, ...]:
    """Files, lines, loaded, filtered, repeated, rejected; new, changed, gone. Requests only grow: loaded is new."""
    lines = summary.files.get(table, _NOTHING[:6])
    return (*lines, *(summary.tables[table][1:] if table in summary.tables else (lines[2], 0, 0)))


def _interactions(summary: Summary) -> Grid:
    grid = _grid(
        f"Interactions: {summary.interactions:,} new",
        "table",
        "rows now",
        caption=f"{summary.judged:,} requests judged in {summary.courses:,} courses",
    )
    for name, count in summary.by_kind.items():
        grid.add_row(name, f"{count:,}")
    return grid


def _stages(summary: Summary) -> Grid:
    grid = _grid("Stages", "stage", "outcome", "seconds", "share")
    whole = sum(seconds for _, _, seconds in summary.stages) or 1.0
    for name, outcome, seconds in summary.stages:
        grid.add_row(name, outcome, f"{seconds:.2f}", f"{seconds / whole:.0%}")
    grid.add_section()
    grid.add_row("all", "", f"{whole:.2f}", "100%")
    return grid

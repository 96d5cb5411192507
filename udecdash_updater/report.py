"""The night in two tables: what became of each table's lines, and how long each stage took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TextIO

from rich.console import Console
from rich.table import Table as Grid

from udecdash_updater.ledger import Ledger

_NO_CHANGES = (0, 0, 0, 0)


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
        tuple((name, outcome or "running", seconds or 0.0) for name, outcome, seconds in ledger.rows("run_stages")),
        {name: tuple(map(int, counts)) for name, *counts in ledger.rows("run_files")},
        {name: tuple(counts) for name, *counts in ledger.rows("run_tables")},
        courses,
        judged,
        interactions,
        by_kind,
    )


def show(summary: Summary, out: TextIO) -> None:
    """Write the summary's tables to `out`, wide enough for their numbers."""
    console = Console(file=out, width=110 if not out.isatty() else None)
    console.print(_tables(summary), _interactions(summary), _stages(summary))


def _grid(title: str, *columns: str) -> Grid:
    grid = Grid(title=title, title_justify="left", header_style="bold")
    for number, column in enumerate(columns):
        grid.add_column(column, justify="right" if number else "left")
    return grid


def _tables(summary: Summary) -> Grid:
    grid = _grid(
        f"Run {summary.run}: tables", "table", "files", "lines", "loaded", "filtered", "repeated", "rejected",
        "new", "changed", "gone",
    )  # fmt: skip
    busy = {name for name, counts in summary.tables.items() if any(counts[1:])}
    for name in sorted(busy | {"requests"}):
        counts = summary.files.get(name, (0,) * 6)
        _, new, changed, gone = summary.tables.get(name, (0, counts[2], 0, 0))
        grid.add_row(name, *(f"{count:,}" for count in (*counts, new, changed, gone)))
    quiet = len(summary.tables.keys() - busy)
    if quiet:
        grid.add_row(f"{quiet} tables without changes", *[""] * 9)
    total = [sum(counts[n] for counts in summary.files.values()) for n in range(6)]
    changes = [sum(counts[n] for counts in summary.tables.values()) for n in range(1, 4)]
    changes[0] += summary.files.get("requests", (0,) * 6)[2]
    grid.add_section()
    grid.add_row("total", *(f"{count:,}" for count in (*total, *changes)))
    return grid


def _interactions(summary: Summary) -> Grid:
    grid = _grid(
        f"Interactions: {summary.judged:,} requests judged in {summary.courses:,} courses,"
        f" {summary.interactions:,} interactions new",
        "table",
        "rows now",
    )
    for name, count in summary.by_kind.items():
        grid.add_row(name, f"{count:,}")
    return grid


def _stages(summary: Summary) -> Grid:
    grid = _grid("Stages", "stage", "outcome", "seconds", "share")
    whole = sum(seconds for _, _, seconds in summary.stages) or 1.0
    for name, outcome, seconds in summary.stages:
        grid.add_row(name, outcome, f"{seconds:.2f}", f"{seconds / whole:.0%}")
    return grid

"""What commands write for a person to read: tables on standard output, wide enough for their numbers."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from udecdash_updater.config import Shown
from udecdash_updater.findings import FAILED, OK, WARNING, Finding
from udecdash_updater.plan import Plan
from udecdash_updater.units import duration, size

_WIDTH = 140
_STYLES = {OK: "green", WARNING: "yellow", FAILED: "bold red"}


def grid(title: str, *columns: str, numbers: int = 99) -> Grid:
    """An empty table; all columns but the first are numbers, or the last `numbers` of them."""
    made = Grid(title=title, title_justify="left", header_style="bold")
    for place, column in enumerate(columns):
        number = place > 0 and place >= len(columns) - numbers
        made.add_column(column, justify="right" if number else "left", overflow="fold", no_wrap=not place)
    return made


def write(*parts: Grid | str) -> None:
    """Write tables and lines to standard output."""
    console = _console()
    for part in parts:
        console.print(part)


def _console() -> Console:
    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else _WIDTH, highlight=False, markup=False)


def show_plan(plan: Plan) -> None:
    """What a night would load: the tables with something to read."""
    reads = [one for one in plan.tables if one.files or one.known]
    table = grid(f"Would be loaded, by schema {plan.schema}", "table", "files", "size", "known files", "rows now")
    for one in reads:
        rows = "" if one.rows is None else f"{one.rows:,}"
        table.add_row(one.table, f"{one.files:,}", size(one.bytes), f"{one.known:,}", rows)
    table.add_section()
    files, known = sum(one.files for one in reads), sum(one.known for one in reads)
    table.add_row("all", f"{files:,}", size(sum(one.bytes for one in reads)), f"{known:,}", "")
    usual = f" Nights took {duration(plan.usual)} lately." if plan.usual else ""
    write(table, f"Every file is sound. Nothing was touched.{usual}")


def show_settings(settings: list[Shown]) -> None:
    """Every setting that counts, and where it comes from."""
    table = grid("Settings", "name", "value", "from", numbers=0)
    for one in settings:
        table.add_row(one.name, one.value, one.source)
    write(table)


def show_findings(found: Sequence[Finding]) -> None:
    """Each check in a line, and below it what to do, where something is to be done."""
    console = _console()
    width = max(len(one.name) for one in found)
    for one in found:
        label = Text(f"{one.outcome:<8}", style=_STYLES[one.outcome])
        console.print(Text.assemble(label, f"{one.name:<{width}}  ", one.told), soft_wrap=True)
        if one.hint:
            console.print(Text(f"{'':8}{'':{width}}  -> {one.hint}"), soft_wrap=True)
    bad = [one.outcome for one in found if one.outcome != OK]
    told = f"{len(found)} checks: {bad.count(FAILED)} failed, {bad.count(WARNING)} warnings."
    console.print(told if bad else f"All {len(found)} checks are OK.")

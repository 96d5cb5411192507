"""What commands write for a person to read: tables on standard output, wide enough for their numbers."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.table import Table as Grid

from udecdash_updater.config import Shown
from udecdash_updater.plan import Plan

_WIDTH = 140
_UNITS = ("B", "KB", "MB", "GB", "TB")
_STEP = 1000


def grid(title: str, *columns: str, numbers: int = 99) -> Grid:
    """An empty table; all columns but the first are numbers, or the last `numbers` of them."""
    made = Grid(title=title, title_justify="left", header_style="bold")
    for place, column in enumerate(columns):
        number = place > 0 and place >= len(columns) - numbers
        made.add_column(column, justify="right" if number else "left", overflow="fold", no_wrap=not place)
    return made


def write(*parts: Grid | str) -> None:
    """Write tables and lines to standard output."""
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else _WIDTH, highlight=False, markup=False)
    for part in parts:
        console.print(part)


def size(count: float) -> str:
    """Bytes as a person reads them.

    >>> size(0), size(999), size(12_345), size(4_200_000_000)
    ('0 B', '999 B', '12.3 KB', '4.2 GB')
    """
    place = 0
    while count >= _STEP and place < len(_UNITS) - 1:
        count, place = count / _STEP, place + 1
    return f"{count:.1f} {_UNITS[place]}" if place else f"{count:.0f} B"


def duration(seconds: float) -> str:
    """Seconds as a person reads them.

    >>> duration(7.25), duration(65), duration(7300), duration(200_000)
    ('7.2 s', '1 min 5 s', '2 h 1 min', '2 d 7 h')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


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

"""The bar at the foot of a terminal while a run is at work: stage, bytes, rate, time left. Elsewhere nothing."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    DownloadColumn,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as Bar

from udecdash_updater.progress import Progress, TableProgress


@contextlib.contextmanager
def display(progress: Progress) -> Iterator[Callable[[str], None]]:
    """Show on standard error, if that is a terminal, how far the run is; yields what to call when a stage begins.

    The log goes on above the bar.
    """
    if not (sys.stderr and sys.stderr.isatty()):
        yield lambda _: None
        return
    with _bar(Console(stderr=True)) as bar:
        bar.add_task("", total=None, rows="")

        def show(tables: tuple[TableProgress, ...]) -> None:
            total, done, rows = (sum(getattr(one, name) for one in tables) for name in ("total", "done", "rows"))
            told = f"{rows:,} rows" if rows else ""
            bar.update(bar.task_ids[-1], total=total or None, completed=done, rows=told)

        def begin(stage: str) -> None:
            bar.remove_task(bar.task_ids[-1])
            bar.add_task(stage, total=None, rows="")

        progress.listeners.append(show)
        yield begin


class _OfKnown(ProgressColumn):
    """A column that is blank while nobody knows how much there is to do."""

    def __init__(self, column: ProgressColumn) -> None:
        super().__init__()
        self._column = column

    def render(self, task: Task) -> RenderableType:
        """The column's own text, or nothing."""
        return self._column.render(task) if task.total else ""


def _bar(console: Console) -> Bar:
    return Bar(
        SpinnerColumn(),
        TextColumn("{task.description:<15}"),
        BarColumn(),
        TimeElapsedColumn(),
        *map(_OfKnown, (DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())),
        TextColumn("{task.fields[rows]}"),
        console=console,
        transient=True,
    )

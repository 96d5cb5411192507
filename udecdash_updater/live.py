"""The bar at the foot of a terminal while a run is at work: stage, bytes, rate, time left. Elsewhere nothing."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

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

from udecdash_updater import pages
from udecdash_updater.language import Voice
from udecdash_updater.progress import Progress, TableProgress

_NOTHING: dict[str, Any] = {"told": "", "bytes": False}


@contextlib.contextmanager
def display(progress: Progress, language: str = "en") -> Iterator[Callable[[str], None]]:
    """Show on standard error, if that is a terminal, how far the run is; yields what to call when a stage begins.

    The log goes on above the bar.
    """
    if not (sys.stderr and sys.stderr.isatty()):
        yield lambda _: None
        return
    voice = Voice(language)
    with _bar(Console(stderr=True)) as bar:
        bar.add_task("", total=None, **_NOTHING)

        def show(tables: tuple[TableProgress, ...]) -> None:
            total, done, rows = (sum(getattr(one, name) for one in tables) for name in ("total", "done", "rows"))
            told = voice("so many rows", count=rows) if rows else ""
            bar.update(bar.task_ids[-1], total=total or None, completed=done, told=told, bytes=True)

        def count(ended: int, jobs: int) -> None:
            told = voice("jobs ended", ended=ended, jobs=jobs)
            bar.update(bar.task_ids[-1], total=jobs or None, completed=ended, told=told, bytes=False)

        def begin(stage: str) -> None:
            bar.remove_task(bar.task_ids[-1])
            bar.add_task(pages.stage(stage).text(language), total=None, **_NOTHING)

        progress.listeners.append(show)
        progress.job_listeners.append(count)
        yield begin


class _OfKnown(ProgressColumn):
    """A column that is blank while nobody knows how much there is to do, and one of bytes where jobs are counted."""

    def __init__(self, column: ProgressColumn, *, of_bytes: bool = True) -> None:
        super().__init__()
        self._column = column
        self._of_bytes = of_bytes

    def render(self, task: Task) -> RenderableType:
        """The column's own text, or nothing."""
        shown = task.total and (task.fields["bytes"] or not self._of_bytes)
        return self._column.render(task) if shown else ""


def _bar(console: Console) -> Bar:
    return Bar(
        SpinnerColumn(),
        TextColumn("{task.description:<15}"),
        BarColumn(),
        TimeElapsedColumn(),
        *map(_OfKnown, (DownloadColumn(), TransferSpeedColumn())),
        _OfKnown(TimeRemainingColumn(), of_bytes=False),
        TextColumn("{task.fields[told]}"),
        console=console,
        transient=True,
    )

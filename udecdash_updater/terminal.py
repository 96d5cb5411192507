"""What commands write for a person to read: tables on standard output, wide enough for their numbers."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from udecdash_updater.config import Shown
from udecdash_updater.dump import REQUESTS
from udecdash_updater.findings import FAILED, OK, WARNING, Finding
from udecdash_updater.plan import Plan
from udecdash_updater.progress import TableProgress
from udecdash_updater.status import Course, Jobs, Night, Running, Status
from udecdash_updater.summary import Summary, TableCounts
from udecdash_updater.units import duration, size

_COUNTS = ("files", "lines", "loaded", "filtered", "repeated", "rejected", "new", "changed", "gone")
_FEW_COUNTS = ("files", "loaded", "rejected", "new", "changed", "gone")
_WIDE = 110
_WIDTH = 140
_SHOWN = 20
_LONGEST = 60
_STYLES = {OK: "green", WARNING: "yellow", FAILED: "bold red"}


def grid(title: str, *columns: str, texts: Collection[str] = ()) -> Grid:
    """An empty table; all columns are numbers, which stay in one line, but the first and those named in `texts`."""
    made = Grid(title=title, title_justify="left", header_style="bold")
    for place, column in enumerate(columns):
        number = place > 0 and column not in texts
        made.add_column(column, justify="right" if number else "left", overflow="fold", no_wrap=number)
    return made


def write(*parts: Grid | str) -> None:
    """Write tables and lines to standard output."""
    console = _console()
    for part in parts:
        console.print(part)


def _console() -> Console:
    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else _WIDTH, highlight=False, markup=False)


def _is_wide() -> bool:
    return _console().width >= _WIDE


def show_summary(summary: Summary) -> None:
    """A night in tables: what became of each table, the interactions, and how long each stage took."""
    judged = f"{summary.judged:,} requests judged in {summary.courses:,} courses"
    write(_counted(summary), _interactions(summary), judged, _stages(summary))


def _counted(summary: Summary) -> Grid:
    names = _COUNTS if _is_wide() else _FEW_COUNTS
    table = grid(f"Run {summary.run}: tables", "table", *names)
    busiest = sorted(summary.tables, key=lambda one: -(one.new + one.changed + one.gone))[:_SHOWN]
    shown = [one for one in summary.tables if one in busiest or one.table == REQUESTS]
    others = [one for one in summary.tables if one not in shown]
    for one in shown:
        table.add_row(one.table, *_sums([one], names))
    for title, some in ((f"{len(others)} other tables", others), ("all", summary.tables)):
        table.add_section()
        table.add_row(title, *_sums(some, names))
    return table


def _sums(tables: Sequence[TableCounts], names: Sequence[str]) -> list[str]:
    return [f"{sum(getattr(one, name) for one in tables):,}" for name in names]


def _interactions(summary: Summary) -> Grid:
    table = grid(f"Interactions: {summary.interactions:,} new", "table", "rows now")
    for name, count in summary.by_kind.items():
        table.add_row(name, f"{count:,}")
    return table


def _stages(summary: Summary) -> Grid:
    table = grid("Stages", "stage", "outcome", "seconds", "share")
    whole = sum(stage.seconds for stage in summary.stages)
    for stage in summary.stages:
        share = f"{stage.seconds / whole:.0%}" if whole else ""
        table.add_row(stage.name, stage.outcome, f"{stage.seconds:.2f}", share)
    table.add_section()
    table.add_row("all", "", f"{whole:.2f}", "")
    return table


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
    table = grid("Settings", "name", "value", "from", texts={"value", "from"})
    for one in settings:
        table.add_row(one.name, one.value, one.source)
    write(table)


def show_status(status: Status, zone: ZoneInfo) -> None:
    """What runs now, the last nights, and the courses that are not done."""
    parts: list[Grid | str] = []
    if status.running:
        parts += _running(status.running, zone)
    else:
        parts.append("No run is at work.")
    if status.nights:
        parts.append(_nights(status.nights, zone))
    if status.jobs:
        parts.append(_jobs(status.jobs))
    write(*parts, *_courses(status.courses))


def _nights(found: Sequence[Night], zone: ZoneInfo) -> Grid:
    counts = ("new", "changed", "gone") if _is_wide() else ()
    table = grid("Last nights", "run", "began", "took", "exit code", *counts, "remarks", texts={"remarks"})
    for one in found:
        began = f"{one.started.astimezone(zone):%Y-%m-%d %H:%M}"
        took = "was killed" if one.seconds is None else duration(one.seconds)
        code = "" if one.exit_code is None else str(one.exit_code)
        error = (one.error or "").partition("\n")[0][:_LONGEST]
        remarks = "; ".join(filter(None, [f"only {', '.join(one.only)}" if one.only else "", error]))
        table.add_row(str(one.run), began, took, code, *(f"{getattr(one, name):,}" for name in counts), remarks)
    return table


def _running(run: Running, zone: ZoneInfo) -> list[Grid | str]:
    told = [f"Run {run.run} is at work on {run.host} (process {run.pid}) for {duration(run.seconds)}."]
    told.append(f"Stage: {run.stage or 'between stages'}, for {duration(run.stage_seconds)}.")
    if run.stage_left is not None:
        told.append(f"Its files are read in {duration(run.stage_left)}; {run.rate:,.0f} rows/s so far.")
    if run.expected_end:
        told.append(f"Expected end, as nights went lately: {run.expected_end.astimezone(zone):%H:%M:%S}.")
    busy = [one for one in run.tables if 0 < one.done < one.total]
    done = [one for one in run.tables if one.done >= one.total]
    table = grid("Tables of this stage", "table", "files", "read", "of", "share", "rows sent")
    for one in busy:
        table.add_row(*_read(one.table, [one]))
    for name, some in ((f"{len(done)} tables read", done), ("all", run.tables if len(run.tables) > 1 else ())):
        table.add_section()
        if some:
            table.add_row(*_read(name, some))
    return [*told, table] if run.tables else list(told)


def _read(name: str, tables: Sequence[TableProgress]) -> tuple[str, ...]:
    files, done, total, rows = (sum(getattr(one, key) for one in tables) for key in ("files", "done", "total", "rows"))
    return name, f"{files:,}", size(done), size(total), f"{done / total:.0%}" if total else "", f"{rows:,}"


def _jobs(jobs: Jobs) -> str:
    told = f"Jobs of run {jobs.run}: {jobs.done:,} of {jobs.jobs:,} done, {jobs.waiting:,} wait or are at work"
    bad = [f"{count:,} {what}" for count, what in ((jobs.failed, "failed"), (jobs.lost, "lost in Redis")) if count]
    return ", ".join([told, *bad]) + "."


def _courses(courses: Sequence[Course]) -> list[Grid | str]:
    if not courses:
        return ["Every course is done."]
    title = f"{len(courses)} courses are not done"
    table = grid(title, "course", "name", "wait", "again", "failed", "why", texts={"name", "why"})
    for one in sorted(courses, key=lambda one: (-one.failures, -one.waiting))[:_SHOWN]:
        counts = (f"{count:,}" if count else "" for count in (one.waiting, one.again, one.failures))
        table.add_row(str(one.course), one.name, *counts, one.failure or "")
    if len(courses) > _SHOWN:
        table.add_row("...", f"and {len(courses) - _SHOWN} more")
    return [table, "wait: requests to judge. again: unresolved ones to judge again. failed: jobs in a row."]


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

"""What commands write for a person to read, in Spanish or English: tables on standard output, wide enough."""

from __future__ import annotations

import io
import sys
from collections.abc import Collection, Sequence
from textwrap import shorten
from zoneinfo import ZoneInfo

from rich.console import Console, JustifyMethod
from rich.measure import Measurement
from rich.table import Table as Grid
from rich.text import Text

from udecdash_updater import pages
from udecdash_updater.config import Shown
from udecdash_updater.dump import REQUESTS
from udecdash_updater.findings import FAILED, OK, WARNING, Finding
from udecdash_updater.language import Voice, text, written
from udecdash_updater.plan import Plan, PlannedTable
from udecdash_updater.progress import TableProgress
from udecdash_updater.status import Course, Jobs, Night, Running, Status
from udecdash_updater.summary import Summary, TableCounts

_COUNTS = (  # the most that a terminal has room for
    ("files", "lines", "loaded", "filtered", "repeated", "rejected", "new", "changed", "gone"),
    ("files", "loaded", "rejected", "new", "changed", "gone"),
    ("loaded", "rejected", "new"),
)
_WIDE = 110
_WIDTH = 150
_ENDLESS = 1000
_SHOWN = 20
_LONGEST = 60
_FOLDED = 20
_SOURCES = {"environment": "from environment", "default": "from default"}
_STYLES = {OK: "green", WARNING: "yellow", FAILED: "bold red"}


def grid(voice: Voice, title: str, *columns: str, texts: Collection[str] = ()) -> Grid:
    """An empty table. `columns` are keys of words_terminal.ini.

    The first names the row, those named in `texts` are sentences, all others are numbers. Only sentences are folded.
    """
    made = Grid(title=title, title_justify="left", header_style="bold")
    for place, column in enumerate(columns):
        folded = column in texts
        justify: JustifyMethod = "left" if folded or place == 0 else "right"
        made.add_column(voice(column), justify=justify, overflow="fold", no_wrap=not folded)
    return made


def write(*parts: Grid | str) -> None:
    """Write tables and lines to standard output. A terminal that is too narrow breaks a table's lines by itself."""
    for part in parts:
        console = _console()
        if isinstance(part, Grid):
            console.width = max(console.width, _least(part, console))
        console.print(part)


def _least(table: Grid, console: Console) -> int:
    """The width below which rich would cut names and figures, so that 9,271 reads 9,2."""
    options = console.options.update(width=_ENDLESS)
    spare = 0
    for column in table.columns:
        if not column.no_wrap:
            longest = max(Measurement.get(console, options, cell).maximum for cell in (column.header, *column.cells))
            spare += max(0, longest - _FOLDED)
    return console.measure(table, options=options).maximum - spare


def bear_any_text() -> None:
    """Characters that standard output's encoding lacks are written as ? from now on, and end nothing."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def _console() -> Console:
    file = sys.stdout or io.StringIO()  # it may be closed
    return Console(file=file, width=None if file.isatty() else _WIDTH, highlight=False, markup=False)


def _is_wide() -> bool:
    return _console().width >= _WIDE


def show_summary(summary: Summary, language: str = "en") -> None:
    """A night in tables: what became of each table, the interactions, and how long each stage took."""
    voice = Voice(language)
    judged = voice("judged", requests=summary.judged, courses=summary.courses)
    write(_counted(summary, voice), _interactions(summary, voice), judged, *_jobs_of(summary, voice))
    write(_stages(summary, voice))


def _jobs_of(summary: Summary, voice: Voice) -> list[str]:
    if not (jobs := summary.jobs):
        return []
    counts = {"jobs": jobs.jobs, "done": jobs.done, "failed": jobs.failed, "left": jobs.left}
    return [voice("run jobs left" if jobs.left else "run jobs", took=jobs.seconds, **counts)]


def _counted(summary: Summary, voice: Voice) -> Grid:
    tables = [_counted_under(names, summary, voice) for names in _COUNTS]
    return next(filter(_fits, tables), tables[-1])


def _fits(table: Grid) -> bool:
    console = _console()
    return console.measure(table, options=console.options.update(width=_ENDLESS)).maximum <= console.width


def _counted_under(names: Sequence[str], summary: Summary, voice: Voice) -> Grid:
    table = grid(voice, voice("run tables", run=summary.run), "table", *names)
    busiest = sorted(summary.tables, key=lambda one: -(one.new + one.changed + one.gone))[:_SHOWN]
    shown = [one for one in summary.tables if one in busiest or one.table == REQUESTS]
    others = [one for one in summary.tables if one not in shown]
    for one in shown:
        table.add_row(one.table, *_sums([one], names, voice))
    for title, some in ((voice("other tables", count=len(others)), others), (voice("all"), summary.tables)):
        table.add_section()
        table.add_row(title, *_sums(some, names, voice))
    return table


def _sums(tables: Sequence[TableCounts], names: Sequence[str], voice: Voice) -> list[str]:
    return [voice.number(sum(getattr(one, name) for one in tables)) for name in names]


def _interactions(summary: Summary, voice: Voice) -> Grid:
    table = grid(voice, voice("interactions", count=summary.interactions), "table", "rows now")
    for name, count in summary.by_kind.items():
        table.add_row(name, voice.number(count))
    return table


def _stages(summary: Summary, voice: Voice) -> Grid:
    table = grid(voice, voice("stages"), "stage", "outcome", "took", "share")
    outcomes = pages.words(f"report_words.{voice.language}.j2").outcomes
    whole = sum(stage.seconds for stage in summary.stages)
    for stage in summary.stages:
        share = written(stage.seconds / whole, "share", voice.language) if whole else ""
        name, outcome = _stage(stage.name, voice), outcomes.get(stage.outcome, stage.outcome)
        table.add_row(name, outcome, written(stage.seconds, "duration", voice.language), share)
    table.add_section()
    table.add_row(voice("all stages"), "", written(whole, "duration", voice.language), "")
    return table


def _stage(name: str, voice: Voice) -> str:
    return pages.stage(name).text(voice.language)


def show_plan(plan: Plan, language: str = "en") -> None:
    """What a night would load: the tables with something to read."""
    voice = Voice(language)
    reads = [one for one in plan.tables if one.files or one.known]
    table = grid(voice, voice("plan", schema=plan.schema), "table", "files", "size", "known files", "rows now")
    for one in reads:
        table.add_row(one.table, *_planned([one], voice), "" if one.rows is None else voice.number(one.rows))
    table.add_section()
    table.add_row(voice("all"), *_planned(reads, voice), "")
    usual = f" {voice('plan usual', seconds=plan.usual)}" if plan.usual else ""
    write(table, voice("plan sound") + usual)


def _planned(tables: Sequence[PlannedTable], voice: Voice) -> tuple[str, str, str]:
    files, stored, known = (sum(getattr(one, name) for one in tables) for name in ("files", "bytes", "known"))
    return voice.number(files), written(stored, "size", voice.language), voice.number(known)


def show_settings(settings: list[Shown], language: str = "en") -> None:
    """Every setting that counts, and where it comes from."""
    voice = Voice(language)
    table = grid(voice, voice("settings"), "name", "value", "from", texts={"value", "from"})
    for one in settings:
        table.add_row(one.name, one.value, voice(_SOURCES[one.source]) if one.source in _SOURCES else one.source)
    write(table)


def show_status(status: Status, zone: ZoneInfo, language: str = "en") -> None:
    """What runs now, the last nights, and the courses that are not done."""
    voice = Voice(language)
    parts: list[Grid | str] = []
    if status.running:
        parts += _running(status.running, zone, voice)
    else:
        parts.append(voice("idle"))
    if status.nights:
        parts.append(_nights(status.nights, zone, voice))
    if status.jobs:
        parts += _jobs(status.jobs, voice)
    write(*parts, *_courses(status.courses, voice))


def _nights(found: Sequence[Night], zone: ZoneInfo, voice: Voice) -> Grid:
    counts = ("new", "changed", "gone") if _is_wide() else ()
    table = grid(voice, voice("nights"), "run", "began", "took", "exit code", *counts, "remarks", texts={"remarks"})
    for one in found:
        began = f"{one.started.astimezone(zone):%Y-%m-%d %H:%M}"
        took = voice("killed") if one.seconds is None else written(one.seconds, "duration", voice.language)
        code = "" if one.exit_code is None else str(one.exit_code)
        error = shorten(text(one.error or "", voice.language).partition("\n")[0], _LONGEST, placeholder=" ...")
        only = voice("only tables", names=", ".join(one.only)) if one.only else ""
        numbers = (voice.number(getattr(one, name)) for name in counts)
        table.add_row(str(one.run), began, took, code, *numbers, "; ".join(filter(None, [only, error])))
    return table


def _running(run: Running, zone: ZoneInfo, voice: Voice) -> list[Grid | str]:
    told: list[Grid | str] = [voice("running", run=run.run, host=run.host, pid=run.pid, seconds=run.seconds)]
    stage = _stage(run.stage, voice) if run.stage else voice("between stages")
    told.append(voice("at stage", stage=stage, seconds=run.stage_seconds))
    if run.stage_left is not None:
        told.append(voice("stage left", left=run.stage_left, rate=run.rate))
    if run.expected_end:
        told.append(voice("expected end", clock=f"{run.expected_end.astimezone(zone):%H:%M:%S}"))
    return [*told, _tables_read(run.tables, voice)] if run.tables else told


def _tables_read(tables: Sequence[TableProgress], voice: Voice) -> Grid:
    busy = [one for one in tables if 0 < one.done < one.total]
    done = [one for one in tables if one.done >= one.total]
    table = grid(voice, voice("stage tables"), "table", "files", "read", "of", "share", "rows sent")
    for one in busy:
        table.add_row(*_read(one.table, [one], voice))
    sums = ((voice("tables read", count=len(done)), done), (voice("all"), tables if len(tables) > 1 else ()))
    for name, some in sums:
        table.add_section()
        if some:
            table.add_row(*_read(name, some, voice))
    return table


def _read(name: str, tables: Sequence[TableProgress], voice: Voice) -> tuple[str, ...]:
    files, done, total, rows = (sum(getattr(one, key) for one in tables) for key in ("files", "done", "total", "rows"))
    read, whole = (written(count, "size", voice.language) for count in (done, total))
    share = written(done / total, "share", voice.language) if total else ""
    return name, voice.number(files), read, whole, share, voice.number(rows)


def _jobs(jobs: Jobs, voice: Voice) -> list[Grid | str]:
    told = voice("jobs", run=jobs.run, done=jobs.done, jobs=jobs.jobs, busy=jobs.busy, waiting=jobs.waiting)
    bad = [voice(key, count=count) for count, key in ((jobs.failed, "jobs failed"), (jobs.lost, "jobs lost")) if count]
    sentence = ", ".join([told, *bad]) + "."
    if not jobs.at_work:
        return [sentence]
    table = grid(voice, voice("jobs at work"), "queue", "course count", "request count", "tries", "for")
    for one in jobs.at_work:
        counts = (voice.number(count) for count in (one.courses, one.requests, one.tries))
        table.add_row(one.queue, *counts, written(one.seconds, "duration", voice.language))
    return [sentence, table]


def _courses(courses: Sequence[Course], voice: Voice) -> list[Grid | str]:
    if not courses:
        return [voice("every course")]
    title = voice("courses", count=len(courses))
    table = grid(voice, title, "course", "name", "wait", "again", "failed", "why", texts={"name", "why"})
    for one in sorted(courses, key=lambda one: (-one.failures, -one.waiting))[:_SHOWN]:
        counts = (voice.number(count) if count else "" for count in (one.waiting, one.again, one.failures))
        table.add_row(str(one.course), one.name, *counts, one.failure or "")
    if len(courses) > _SHOWN:
        table.add_row("...", voice("and more", count=len(courses) - _SHOWN))
    return [table, voice("courses note")]


def show_findings(found: Sequence[Finding], language: str = "en") -> None:
    """Each check in a line, and below it what to do, where something is to be done."""
    voice, console = Voice(language), _console()
    width = max(len(one.name) for one in found)
    for one in found:
        label = Text(f"{voice(f'outcome {one.outcome}'):<8}", style=_STYLES[one.outcome])
        console.print(Text.assemble(label, f"{one.name:<{width}}  ", text(one.told, language)), soft_wrap=True)
        if one.hint:
            console.print(Text(f"{'':8}{'':{width}}  -> {text(one.hint, language)}"), soft_wrap=True)
    bad = [one.outcome for one in found if one.outcome != OK]
    counts = {"failed": bad.count(FAILED), "warnings": bad.count(WARNING)}
    console.print(voice("checks bad", count=len(found), **counts) if bad else voice("checks fine", count=len(found)))

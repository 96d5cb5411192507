"""A run's figures as charts, and as the rows of the tables behind them, in the words of one language."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from udecdash_updater import charts
from udecdash_updater.backlog import Backlog
from udecdash_updater.charts import Bar
from udecdash_updater.errors import UpdaterError
from udecdash_updater.figures import HOURS, Figures, RunFigures, TableFigures
from udecdash_updater.formats import Format
from udecdash_updater.summary import Jobs

SHOWN_NIGHTS = 60
_SHOWN_TABLES = 12
_LEAST_COLUMNS = 14  # a few nights do not make a wall
_LEAST_DATED = 7  # columns under which two dates find room
_UNITS = (("h", 3600), ("min", 60), ("s", 1))
_UNIT_SHOWN = 1.5  # a unit is used from so much of it on
View = dict[str, Any]
Words = Any  # a template's module: its names are what the page says


def of_run(figures: Figures, backlog: Backlog, words: Words, fmt: Format) -> View:
    """What the page of a run shows."""
    return {
        **_verdict(figures, words, fmt),
        **_stages(figures, words, fmt),
        **_tables(figures.tables, fmt),
        **_interactions(figures, words, fmt),
        "nights": nights(figures.history, words, fmt),
        "queue_rows": _queues(backlog, fmt),
        "jobs": _jobs(figures.jobs, words, fmt) if figures.jobs else "",
        "reject_rows": [
            (reject.table, reject.file, "" if reject.line is None else fmt.number(reject.line), reject.reason)
            for reject in figures.rejects
        ],
    }


def headline(run: RunFigures, words: Words, failed_in: str = "") -> str:
    """The verdict in one sentence; `failed_in` is the stage that ended the night, if one did."""
    if run.outcome == "failed" and failed_in:
        return str(words.verdicts["failed_in"].format(words.stage_names.get(failed_in, failed_in)))
    return str(words.verdicts[run.outcome])


def _verdict(figures: Figures, words: Words, fmt: Format) -> View:
    run = figures.run
    failed = next((stage.name for stage in figures.stages if stage.outcome == "failed"), "")
    told, hint = (one.text(fmt.language) if run.outcome == "failed" else "" for one in (run.error, run.hint))
    sentence = next((one for one in _sentences(fmt.language) if told.startswith(one)), "")
    kind = _kinds().get(run.exit_code or 0, UpdaterError)("") if told else None  # runs of before kept no hint
    return {
        "headline": headline(run, words, failed),
        "sentence": sentence or (kind.sentence(fmt.language) if kind else ""),
        "detail": told.removeprefix(sentence).strip(),
        "hint": hint or (kind.hint(fmt.language) if kind else ""),
        "warnings": [warning.text(fmt.language) for warning in run.warnings],
    }


def _classes(kind: type[UpdaterError] = UpdaterError) -> Iterator[type[UpdaterError]]:
    for below in kind.__subclasses__():
        yield from _classes(below)
    yield kind


def _sentences(language: str) -> list[str]:
    """The sentences that errors begin with."""
    return [kind.sentence_of(language) for kind in _classes()]


def _kinds() -> Mapping[int, type[UpdaterError]]:
    """The errors by their exit codes; of several with one code the one that is the others' base."""
    return {kind.exit_code: kind for kind in reversed(UpdaterError.__subclasses__())}


def _stages(figures: Figures, words: Words, fmt: Format) -> View:
    spans = [
        (stage.begin, stage.seconds, stage.outcome, f"{stage.name} · {fmt.duration(stage.seconds)}")
        for stage in figures.stages
    ]
    began = "+{}".format
    return {
        "stages": charts.timeline(spans),
        "stage_rows": [
            (
                words.stage_names.get(stage.name, stage.name),
                began(fmt.duration(stage.begin)),
                fmt.duration(stage.seconds),
                words.outcomes[stage.outcome],
            )
            for stage in figures.stages
        ],
    }


def _tables(tables: Sequence[TableFigures], fmt: Format) -> View:
    moved = sorted((table for table in tables if table.moved), key=lambda table: (-table.moved, table.name))
    busiest = moved[:_SHOWN_TABLES]
    bars = [_parts(table, f"{table.name} · ", fmt) for table in busiest]
    return {
        "busiest": busiest,
        "tables": charts.rows(bars),
        "table_rows": [
            (
                table.name,
                "" if table.rows is None else fmt.number(table.rows),
                *map(fmt.number, (table.new, table.changed, table.gone)),
            )
            for table in moved
        ],
        "line_rows": [
            (
                table.name,
                *map(fmt.number, (table.files, table.lines, table.loaded, table.filtered, table.repeated)),
                fmt.number(table.rejected),
            )
            for table in tables
        ],
    }


def _parts(one: TableFigures | RunFigures, lead: str, fmt: Format) -> list[tuple[str, float, str]]:
    counts = (("new", one.new), ("changed", one.changed), ("gone", one.gone))
    return [(series, count, f"{lead}{fmt.number(count)}") for series, count in counts]


def nights(history: Sequence[RunFigures], words: Words, fmt: Format) -> View:
    """The last nights as two charts: how long each took, and how many rows it changed."""
    shown = history[-SHOWN_NIGHTS:]
    longest = max(run.seconds for run in shown)
    unit, size = next((found for found in _UNITS if longest >= _UNIT_SHOWN * found[1]), _UNITS[-1])
    days = [f"{fmt.short_date(run.started)}, {fmt.clock(run.started)}" for run in shown]
    took = [
        [(run.outcome, run.seconds / size, f"{day} · {fmt.duration(run.seconds)}")]
        for day, run in zip(days, shown, strict=True)
    ]
    durations = charts.columns(took, least=_LEAST_COLUMNS)
    volumes = [_parts(run, f"{day} · ", fmt) for day, run in zip(days, shown, strict=True)]
    return {
        "dates": _dates(shown, fmt),
        "unit": unit,
        "durations": durations,
        "marks": [_mark(bar) for bar in durations.bars if bar.series in ("failed", "killed", "warnings")],
        "volumes": charts.columns(volumes, least=_LEAST_COLUMNS, cut=True),
        "duration_rows": [
            (day, words.marks[run.outcome], fmt.duration(run.seconds)) for day, run in zip(days, shown, strict=True)
        ][::-1],
        "volume_rows": [
            (day, *map(fmt.number, (run.new, run.changed, run.gone, run.rejected)))
            for day, run in zip(days, shown, strict=True)
        ][::-1],
    }


def _dates(shown: Sequence[RunFigures], fmt: Format) -> list[Bar]:
    """The first day below its column, and the last one where there is room for it."""
    step = (100 - charts.GUTTER) / max(len(shown), _LEAST_COLUMNS)
    first, last = (fmt.short_date(run.started) for run in (shown[0], shown[-1]))
    labels = [Bar(charts.GUTTER, 0, 0, 0, "", first)]
    if len(shown) >= _LEAST_DATED and first != last:
        labels.append(Bar(charts.GUTTER + len(shown) * step, 0, 0, 0, "", last))
    return labels


def _mark(bar: Bar) -> Bar:
    return Bar(bar.x + bar.width / 2, bar.y - 4, 0, 0, bar.series)


def _interactions(figures: Figures, words: Words, fmt: Format) -> View:
    found = figures.interactions
    counts = sorted(found.by_kind.items(), key=lambda item: -item[1]) if found and sum(found.hours) else []
    hours = found.hours if found else (0,) * HOURS
    return {
        "kind_counts": counts,
        "kinds": charts.rows([[("done", count, fmt.number(count))] for _, count in counts]),
        "kind_rows": [(words.kind_names.get(kind, kind), fmt.number(count)) for kind, count in counts],
        "hours": charts.columns(
            [[("done", count, f"{hour:02d}:00 · {fmt.number(count)}")] for hour, count in enumerate(hours)]
        ),
        "hour_marks": {hour: charts.GUTTER + hour * (100 - charts.GUTTER) / HOURS for hour in range(HOURS)},
        "hour_rows": [(f"{hour:02d}:00", fmt.number(count)) for hour, count in enumerate(hours)],
    }


def _jobs(jobs: Jobs, words: Words, fmt: Format) -> str:
    """What became of the run's jobs, or has become of them so far."""
    counts = [fmt.number(count) for count in (jobs.done, jobs.jobs, jobs.failed)]
    if not jobs.left:
        return str(words.jobs_sentence.format(*counts, fmt.duration(jobs.seconds)))
    told = words.jobs_left.format(*counts, fmt.number(jobs.busy), fmt.number(jobs.left - jobs.busy))
    return f"{told} {words.jobs_longest.format(fmt.duration(jobs.longest))}" if jobs.busy else str(told)


def _queues(backlog: Backlog, fmt: Format) -> list[tuple[str, ...]]:
    busy = [queue for queue in backlog.queues or () if queue.waiting + queue.running + queue.failed]
    return [(queue.queue, *map(fmt.number, (queue.waiting, queue.running, queue.failed))) for queue in busy]

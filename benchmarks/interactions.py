"""What interactions cost, beside the same work done otherwise; writes benchmarks/interactions.md.

python -m benchmarks.interactions [--requests N] [--courses N] [--rounds N] [--only TOPIC ...] [--out FILE]

Every side works on the same rows of the same server, and the sides of a topic take turns. Needs PostgreSQL and Redis,
as the embedded servers do.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

from benchmarks import course_by_sql, courses, ground, judging, queued
from benchmarks.ground import Figures, Server, Side
from udecdash_updater.settings import Settings

_RESULTS = Path(__file__).with_suffix(".md")
_ORIGINAL = 20_000
_SLOW_ROUNDS = 2  # of what takes long
_HISTORY_COURSES = range(1, 41)
_HEAD = """\
# Interactions, measured

Made by `python -m benchmarks.interactions`. The sides of a topic run in turn on the same server and rows. Each figure
is a median with the least and the greatest of the rounds, each ratio the median of the rounds' own ratios with theirs.
*Reach* is what issue 4 asks for. Beside other work only ratios and processor time tell something: see the load below.
"""


@dataclass(frozen=True, slots=True)
class Bench:
    """What all topics share: the server, how many requests and courses, how often, a folder to work in."""

    server: Server
    folder: Path
    requests: int
    courses: int
    rounds: int

    def world(self, name: str = "bench") -> Settings:
        """A new database of courses without requests."""
        settings = ground.create_database(self.server, name)
        courses.prepare(settings, max(self.courses, _HISTORY_COURSES[-1]))
        return settings

    def take_turns(self, sides: Mapping[str, Side], most: int | None = None) -> Figures:
        """Run the sides in turn, at most so often."""
        return ground.take_turns(sides, min(self.rounds, most or self.rounds), _say)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the results: what was measured, the figure, and what is to be reached."""

    what: str
    figure: str
    reach: str = ""


def _spread(values: Sequence[float], unit: str = "", form: str = ",.1f") -> str:
    least, middle, most = (format(value, form) for value in (min(values), statistics.median(values), max(values)))
    return f"**{middle}**{unit} ({least} to {most})"


def _rate(found: Figures, side: str, requests: int) -> list[float]:
    return [requests / seconds for seconds in found.of(side)]


def _ratio(found: Figures, side: str, other: str, figure: str = "seconds") -> str:
    ratio, least, most = found.ratio(side, other, figure)
    return f"**{ratio:.2f}** ({least:.2f} to {most:.2f})"


def judged(bench: Bench) -> list[Line]:
    """One course's whole work: ours, by SQL, and by two workers; the rules alone."""
    settings = bench.world()
    with ground.session(settings) as cursor:
        cursor.execute(course_by_sql.FUNCTIONS)
        courses.request(cursor, range(1, 3), bench.requests)
    courses.ready(settings)
    read = judging.read(settings, 1)
    sides: dict[str, Callable[[], ground.Told]] = {
        "one worker": lambda: judging.ours(settings, [[1]]),
        "one core": lambda: judging.ours(settings, [[1]], one_core=True),
        **{name: partial(judging.by_sql, settings, 1, name) for name in course_by_sql.VARIANTS},
        "two courses": lambda: judging.side_by_side(settings, [[1, 2]]),
        "two workers": lambda: judging.side_by_side(settings, [[1], [2]]),
    }
    _same(settings, sides)
    turns = {name: partial(_anew, settings, side) for name, side in sides.items()}
    found = bench.take_turns({"rules": lambda: judging.classification(read, 1), **turns})
    return _judged_lines(found, bench.requests)


def _anew(settings: Settings, side: Side) -> ground.Told:
    courses.forget(settings)
    return side()


def _same(settings: Settings, sides: Mapping[str, Side]) -> None:
    """Raises ValueError when the statement writes other rows than ours."""
    written = {}
    for name in ("one worker", *course_by_sql.VARIANTS):
        _anew(settings, sides[name])
        written[name] = courses.written(settings)
    if any(rows != written["one worker"] for rows in written.values()):
        raise ValueError(f"the sides wrote different rows: {written}")
    _say("  the statement wrote the rows that we write")


def _judged_lines(found: Figures, requests: int) -> list[Line]:
    micro = 1e6 / requests
    server, client = ([seconds * micro for seconds in found.of("one worker", of)] for of in ("server", "client"))
    each = [1e6 / rate for rate in _rate(found, "one worker", requests)]
    what = "by one SQL statement that answers {}: ours / its {}"
    once, every = "each question once, as we do", "every request for itself"
    two = [a / b for a, b in zip(found.of("two courses"), found.of("two workers"), strict=True)]
    return [
        Line("classification alone, one core, requests a second",
             _spread(_rate(found, "rules", requests), form=",.0f"), "≥ 250,000"),
        Line("a job's whole work, one worker, requests a second",
             _spread(_rate(found, "one worker", requests), form=",.0f"), "≥ 60,000"),
        Line("the same, seconds for a million requests", _spread(each)),
        Line("the same, µs of the server's processor time a request", _spread(server)),
        Line("the same, µs of the worker's processor time a request", _spread(client)),
        Line(what.format(once, "time, one core"), _ratio(found, "one core", "once"), "≤ 1.5"),
        Line(what.format(once, "load on the server"), _ratio(found, "one core", "once", "server"), "< 0.5"),
        Line(what.format(every, "time, one core"), _ratio(found, "one core", "each"), "≤ 1.5"),
        Line(what.format(every, "load on the server"), _ratio(found, "one core", "each", "server"), "< 0.5"),
        Line("two workers / one, two courses of so many requests at once", _spread(two, form=".2f"), "≥ 1.7"),
    ]  # fmt: skip


def original(bench: Bench) -> list[Line]:
    """The original's way, on a course of 20,000 requests at most."""
    settings, requests = bench.world(), min(_ORIGINAL, bench.requests)
    with ground.session(settings) as cursor:
        courses.request(cursor, range(1, 2), requests)
    courses.ready(settings)
    sides = {
        "ours": lambda: judging.ours(settings, [[1]]),
        "original": lambda: judging.original(settings, 1),
        "together": lambda: judging.original(settings, 1, whole=True),
    }
    found = bench.take_turns({name: partial(_anew, settings, side) for name, side in sides.items()}, _SLOW_ROUNDS)
    return [
        Line(f"the original's way, {requests:,} requests, requests a second",
             _spread(_rate(found, "original", requests), form=",.0f")),
        Line("ours / the original's way, the same requests", _ratio(found, "original", "ours"), "≥ 40"),
        Line("ours / the original's way with all its rows in one transaction", _ratio(found, "together", "ours")),
    ]  # fmt: skip


def queue(bench: Bench) -> list[Line]:
    """Many small courses through Redis to one worker, and to two."""
    settings = bench.world()
    with ground.session(settings) as cursor:
        courses.request(cursor, range(1, bench.courses + 1), queued.REQUESTS)
    courses.ready(settings)
    with queued.redis_server(bench.folder) as url:
        services = settings.model_copy(update={"redis_url": url})
        sides = {name: partial(queued.drained, services, workers) for name, workers in (("queue", 1), ("two", 2))}
        found = bench.take_turns({name: partial(_anew, settings, side) for name, side in sides.items()})
    overhead = [1 - worked / wall for worked, wall in zip(found.of("queue", "worked"), found.of("queue"), strict=True)]
    each = [worked / bench.courses * 1000 for worked in found.of("queue", "worked")]
    courses_of = f"{bench.courses:,} courses of {queued.REQUESTS} requests"
    what = f"{courses_of}, one worker"
    return [
        Line(f"two workers / one, {courses_of} through the queue", _ratio(found, "queue", "two"), "≥ 1.7"),
        Line(f"{what}: (wall − sum of job times) / wall, %", _spread([100 * share for share in overhead]), "≤ 5"),
        Line(f"{what}: jobs", f"{found.median('queue', 'jobs'):.0f}"),
        Line(f"{what}: ms of job time a course", _spread(each)),
    ]


def history(bench: Bench) -> list[Line]:
    """The same night on ten times the history."""
    numbers, few = _HISTORY_COURSES, max(1, bench.requests // 400)
    sizes = {"short": bench.requests // 2, "long": bench.requests * 5}
    kept = {name: _history(bench, name, size // len(numbers), few) for name, size in sizes.items()}
    sides: dict[str, Side] = {name: partial(_night, settings, numbers) for name, settings in kept.items()}
    for name, settings in kept.items():
        script = courses.night_as_files(bench.server, settings, bench.folder / name)
        sides[f"psql {name}"] = partial(_copied, bench, settings, script)
    found = bench.take_turns(sides)
    what = (
        f"a night of {few * len(numbers):,} requests in {len(numbers)} courses on a history of {sizes['long']:,}"
        f" requests, against one of {sizes['short']:,}: "
    )
    return [
        Line(f"{what}time", _ratio(found, "long", "short"), "≤ 1.1"),
        Line(f"{what}time without what a job costs beside its work", _ratio(found, "long", "short", "worked")),
        Line(f"{what}the server's processor time", _ratio(found, "long", "short", "server")),
        Line(
            "what PostgreSQL itself takes: the finished rows of that night by psql's `\\copy`, in one transaction, on"
            " the same two histories: time",
            _ratio(found, "psql long", "psql short"),
        ),
    ]


def _history(bench: Bench, name: str, requests: int, few: int) -> Settings:
    """A database whose courses have a history of so many requests each, all judged, and a night's few."""
    settings, numbers = bench.world(name), _HISTORY_COURSES
    with ground.session(settings) as cursor:
        courses.request(cursor, numbers, requests, begin="2019-03-20 10:00")
    courses.ready(settings)
    judging.ours(settings, [[number] for number in numbers])
    courses.keep_history(settings)
    with ground.session(settings) as cursor:
        courses.request(cursor, numbers, few)
    courses.ready(settings)
    judging.ours(settings, [numbers])
    return settings


def _copied(bench: Bench, settings: Settings, script: str) -> ground.Told:
    courses.forget_night(settings)
    return {"seconds": ground.psql(bench.server, settings, script)}


def _night(settings: Settings, numbers: range) -> ground.Told:
    """The night as one job, as so few requests are enqueued; then its work once more, for the server's share."""
    courses.forget_night(settings)
    job = judging.job(settings, numbers)
    courses.forget_night(settings)
    work = judging.ours(settings, [numbers])
    return {**job, "worked": work["seconds"], "server": work["server"]}


TOPICS: Mapping[str, Callable[[Bench], Sequence[Line]]] = {
    "judged": judged,
    "original": original,
    "queue": queue,
    "history": history,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and write the results. Returns 0, whatever the figures are."""
    options = _options(arguments)
    lines: list[Line] = []
    with ground.folder_for_servers() as folder, ground.server(folder) as server:
        bench = Bench(server, folder, options.requests, options.courses, options.rounds)
        machine = ground.machine(server)
        for name in options.only:
            _say(f"{name}:")
            lines += TOPICS[name](bench)
            options.out.write_text(_text(bench, machine, lines), encoding="utf-8")
    _say(f"written: {options.out}")
    return 0


def _text(bench: Bench, machine: Sequence[str], lines: Sequence[Line]) -> str:
    told = [*machine, f"load at the end: {ground.load()}"]
    when = f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC"
    slow = min(bench.rounds, _SLOW_ROUNDS)
    rows = [f"| {line.what} | {line.figure} | {line.reach} |" for line in lines]
    return "\n".join(
        [
            _HEAD,
            f"{when}, {bench.rounds} rounds ({slow} of what is slow), {bench.requests:,} requests in a course.",
            "",
            *(f"- {line}" for line in told),
            "",
            "| what | figure | reach |",
            "| --- | --- | --- |",
            *rows,
            "",
        ]
    )


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = ground.options("interactions", "Measure what interactions cost.", list(TOPICS), _RESULTS)
    parser.add_argument("--requests", type=int, default=100_000, help="requests of a course")
    parser.add_argument("--courses", type=int, default=4_000, help="small courses in the queue")
    return parser.parse_args(arguments)


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())

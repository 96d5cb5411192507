"""How fast the load is, beside the same work by PostgreSQL's own tools; writes benchmarks/loading.md.

python -m benchmarks.loading [--requests N] [--students N] [--rounds N] [--only TOPIC ...] [--out FILE]

Needs PostgreSQL with psql; pandas (the extra `benchmarks`) for one topic, which is left out without it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.util import find_spec
from pathlib import Path

from benchmarks import data, first_loads, ground, later_nights
from benchmarks.ground import Server
from benchmarks.topics import Bench, Line

_RESULTS = Path(__file__).with_name("loading.md")
_HEAD = """\
# How fast the load is

Made by `make bench`. Both sides of each ratio run in turn on the same server and data. Each figure is a median, each
ratio the median of the rounds' own ratios, with the least and the greatest of them. *Reach* is what issue 3 asks for.
"""


@dataclass(frozen=True, slots=True)
class Topic:
    """Something that is measured: its name, and what does it."""

    name: str
    measure: Callable[[Bench], Sequence[Line]]


TOPICS = (
    Topic("requests", first_loads.requests),
    Topic("tables", first_loads.tables),
    Topic("original", first_loads.original),
    Topic("night", later_nights.night),
    Topic("history", later_nights.history),
    Topic("readers", later_nights.readers),
    Topic("memory", first_loads.memory),
    Topic("checks", first_loads.checks),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and write the results. Returns 0, whatever the figures are."""
    options = _options(arguments)
    with ground.folder_for_servers() as folder, ground.server(folder) as server:
        _say("making the data")
        dump = data.make(folder / "first", requests=options.requests, students=options.students)
        bench = Bench(server, folder, dump, options.rounds, options.requests, options.students, _say)
        machine = ground.machine(server)
        measured: dict[str, Sequence[Line]] = {}
        for topic in TOPICS:
            if topic.name in options.only:
                measured[topic.name] = _measure(topic, bench)
                options.out.write_text(_text(server, bench, machine, measured), encoding="utf-8")
    _say(f"written: {options.out}")
    return 0


def _measure(topic: Topic, bench: Bench) -> Sequence[Line]:
    if topic.name == "original" and not find_spec("pandas"):
        _say("original: pandas is not installed (pip install '.[benchmarks]'); left out")
        return ()
    _say(f"{topic.name}:")
    return topic.measure(bench)


def _text(server: Server, bench: Bench, machine: Sequence[str], measured: dict[str, Sequence[Line]]) -> str:
    rows = [
        f"| {name} | {line.what} | {line.ours} | {line.floor} | {line.ratio} | {line.reach} |"
        for name, lines in measured.items()
        for line in lines
    ]
    sizes = {part: data.lines(bench.dump / part) for part in (data.TABLES, data.REQUESTS)}
    told = [f"{part}: {count:,} lines, {size:.0f} MB unpacked" for part, (count, size) in sizes.items()]
    return "\n".join(
        [
            _HEAD,
            f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC, {bench.rounds} rounds.",
            "",
            *(f"- {line}" for line in [*machine, *told, f"load at the end: {ground.load()}"]),
            "",
            "| topic | what | ours | the other side | ratio | reach |",
            "| --- | --- | --- | --- | --- | --- |",
            *rows,
            "",
        ]
    )


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = ground.options("loading", "Measure the load.", [topic.name for topic in TOPICS], _RESULTS)
    parser.add_argument("--requests", type=int, default=300_000, help="lines of the web log")
    parser.add_argument("--students", type=int, default=8_000, help="size of the university: rows of the other tables")
    return parser.parse_args(arguments)


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())

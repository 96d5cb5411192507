"""Topics of first loads, of the web log and of the full tables: psql, the original's way, less input, and no checks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from benchmarks import data, ground
from benchmarks.ground import Figures
from benchmarks.night import run, separate
from benchmarks.topics import Bench, Line, copied, definition_of, filtered, line
from udecdash_updater import canvas, dump

_JOINED = 5  # times the web log in one file, 1.5 million lines: what a file of the log is on a large site


def requests(bench: Bench) -> list[Line]:
    """The web log into an empty table, against psql and the file that is already decompressed and filtered."""
    run(bench.fresh(), "requests", bench.web_log)
    loaded, file = bench.server.settings.model_copy(update={"db_name": "bench"}), bench.folder / "filtered.tsv"
    filtered(bench, loaded, file)
    halves = data.halves(file)
    definition = definition_of(bench, loaded, "requests")

    def floor(*files: Path) -> dict[str, float]:
        settings = bench.fresh()
        ground.psql(bench.server, settings, definition)
        return copied(bench, settings, *files)

    found = bench.take_turns(
        {
            "psql": lambda: floor(file),
            "two psql": lambda: floor(*halves),
            "one": lambda: run(bench.fresh(), "requests", bench.web_log, connections=1),
            "two": lambda: run(bench.fresh(), "requests", bench.web_log, connections=2),
        }
    )
    what = "first load of requests, {}, against `psql \\copy` of the decompressed, filtered file into the same table"
    return [
        line(what.format("LOAD_CONNECTIONS=1"), found, ("one", "psql"), "≤ 1.15"),
        line(what.format("LOAD_CONNECTIONS=2"), found, ("two", "psql"), "≤ 0.7"),
        line(
            "what PostgreSQL itself takes: two `psql \\copy` at once, half of that file each, against one",
            found,
            ("two psql", "psql"),
            "",
        ),
    ]


def tables(bench: Bench) -> list[Line]:
    """The full tables with their keys, against zcat and psql into bare tables, one after the other."""
    found = dump.read(bench.tables)
    loaded = [table for table in found.full_tables() if found.files[table.name]]
    bare = "".join(
        "create table {} ({});\n".format(
            table.name, ", ".join(f'"{name}" {kind}' for name, kind in canvas.sql_types(table).items())
        )
        for table in loaded
    )
    copies = [
        f"\\copy {table.name} from program 'zcat {file.path}'\n" for table in loaded for file in found.files[table.name]
    ]

    def session() -> dict[str, float]:
        settings = bench.fresh()
        ground.psql(bench.server, settings, bare)
        return {"seconds": ground.psql(bench.server, settings, "".join(copies))}

    def one_by_one() -> dict[str, float]:
        settings = bench.fresh()
        ground.psql(bench.server, settings, bare)
        return {"seconds": sum(ground.psql(bench.server, settings, copy) for copy in copies)}

    turns = bench.take_turns(
        {
            "psql": one_by_one,
            "session": session,
            "one": lambda: run(bench.fresh(), "tables", bench.tables, connections=1),
            "two": lambda: run(bench.fresh(), "tables", bench.tables, connections=2),
        }
    )
    what = "first load of the full tables with keys, {}, against `zcat \\| psql \\copy` into bare tables, {}"
    return [
        line(what.format("LOAD_CONNECTIONS=2", "a psql for each file"), turns, ("two", "psql"), "≤ 1.0"),
        line(what.format("LOAD_CONNECTIONS=2", "all in one session"), turns, ("two", "session"), ""),
        line(what.format("LOAD_CONNECTIONS=1", "all in one session"), turns, ("one", "session"), ""),
        Line(
            "after it, when the site is back: keeping the lines for the next night",
            f"{turns.median('two', 'keep_seconds'):.2f} s",
            "",
            "",
            "",
        ),
    ]


def original(bench: Bench) -> list[Line]:
    """The original's way: pandas reads, filters and writes, COPY loads; the same table with its indexes, one file."""
    joined = data.joined(bench.web_log, bench.folder / "joined", _JOINED)
    run(bench.fresh(), "requests", joined)
    definition = definition_of(bench, bench.server.settings.model_copy(update={"db_name": "bench"}), "requests")
    files = dump.read(joined).files["requests"]

    def theirs() -> dict[str, float]:
        settings = bench.fresh()
        ground.psql(
            bench.server, settings, definition.replace("SELECT pg_catalog.set_config('search_path', '', false);", "")
        )
        asked = {
            "dsn": f"host={settings.db_host} user={settings.db_username} dbname={settings.db_name}",
            "files": [str(file.path) for file in files],
            "columns": files[0].columns,
        }
        return separate("benchmarks.original", json.dumps(asked))

    found = bench.take_turns({"original": theirs, "ours": lambda: run(bench.fresh(), "requests", joined)})
    sides = ("original", "ours")
    what = f"requests in one file of {data.lines(joined)[0]:,} lines, the original's way"
    lines = [line(what, found, sides, "≥ 3"),
             line("its memory", found, sides, "≥ 20", "peak_mib")]  # fmt: skip
    return [Line(line.what, line.floor, line.ours, f"the other / ours {line.ratio}", line.reach) for line in lines]


def memory(bench: Bench) -> list[Line]:
    """The updater's peak memory with ten times the input."""
    small = data.make(bench.folder / "small", requests=bench.requests // 10, students=bench.students // 10)
    lines = []
    for what in ("tables", "requests"):
        found = bench.take_turns(
            {
                "small": lambda what=what: run(bench.fresh(), what, small / what),  # type: ignore[misc]
                "large": lambda what=what: run(bench.fresh(), what, bench.dump / what),  # type: ignore[misc]
            }
        )
        sides = ("large", "small")
        lines.append(line(f"{what}: peak memory with 10 times the input", found, sides, "≤ 1.05, < 100 MB", "peak_mib"))
    return lines


def checks(bench: Bench) -> list[Line]:
    """What the checks cost: archives read before, bytes looked at, lines counted; in a whole load and in its parts."""
    parts: dict[str, Figures] = {}
    for what in ("tables", "requests"):
        parts[what] = bench.take_turns(
            {
                name: lambda what=what, on=on: run(bench.fresh(), what, bench.dump / what, checks=on)  # type: ignore[misc]
                for name, on in (("off", False), ("on", True))
            }
        )
    whole = Figures({side: _summed([found.of(side) for found in parts.values()]) for side in ("on", "off")})
    told = {"a whole load, tables and requests": (whole, "≤ 1.15"), **{what: (parts[what], "") for what in parts}}
    return [
        line(f"{what}: with all checks, against none", found, ("on", "off"), reach)
        for what, (found, reach) in told.items()
    ]


def _summed(parts: Sequence[Sequence[float]]) -> list[dict[str, float]]:
    return [{"seconds": sum(rounds)} for rounds in zip(*parts, strict=True)]

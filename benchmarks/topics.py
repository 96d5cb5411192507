"""What is measured, topic by topic: both sides of each ratio, and the lines that come of them."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks import data, ground
from benchmarks.ground import Figures, Server
from benchmarks.night import run, separate
from benchmarks.readers import Reader, sizes
from udecdash_updater import canvas, db, dump
from udecdash_updater.settings import Settings
from udecdash_updater.sieve import KEPT

_COLUMNS = ", ".join(KEPT)
_HISTORY = 100_000
_INDEXES = ("index_requests_id", "index_requests_course")
_QUIET = 5  # seconds
_JOINED = 5  # times the web log in one file, 1.5 million lines: what a file of the log is on a large site


@dataclass(frozen=True, slots=True)
class Bench:
    """What all topics share: the server, a folder to work in, the data, how often, how large, and where to tell."""

    server: Server
    folder: Path
    dump: Path
    rounds: int
    requests: int
    students: int
    say: Callable[[str], None]

    def fresh(self, model: str = "template0") -> Settings:
        """A new database, empty or a copy of `model`."""
        return ground.create_database(self.server, "bench", model=model)

    def keep(self, name: str) -> str:
        """The database that was used last, as a model for others."""
        ground.create_database(self.server, name, model="bench")
        return name

    def take_turns(self, sides: Mapping[str, ground.Side]) -> Figures:
        """Run the sides in turn."""
        return ground.take_turns(sides, self.rounds, self.say)

    @property
    def tables(self) -> Path:
        """The dump without the web log."""
        return self.dump / data.TABLES

    @property
    def web_log(self) -> Path:
        """The web log."""
        return self.dump / data.REQUESTS


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the results: what, our figure, the other side's, their ratio, and what is to be reached."""

    what: str
    ours: str
    floor: str
    ratio: str
    reach: str


def _line(what: str, found: Figures, sides: tuple[str, str], reach: str, figure: str = "seconds") -> Line:
    unit = {"seconds": "s", "wal_mb": "MB", "peak_mib": "MiB"}[figure]
    ours, floor = (f"{found.median(side, figure):.2f} {unit}" for side in sides)
    ratio, least, greatest = found.ratio(*sides, figure)
    return Line(what, ours, floor, f"**{ratio:.3g}** ({least:.3g} to {greatest:.3g})", reach)


def requests(bench: Bench) -> list[Line]:
    """The web log into an empty table, against psql and the file that is already decompressed and filtered."""
    run(bench.fresh(), "requests", bench.web_log)
    loaded, file = bench.server.settings.model_copy(update={"db_name": "bench"}), bench.folder / "filtered.tsv"
    ground.psql(bench.server, loaded, f"\\copy (select {_COLUMNS} from requests order by local_id) to '{file}'\n")
    definition = _definition(bench, loaded, "requests")

    def floor() -> dict[str, float]:
        settings = bench.fresh()
        ground.psql(bench.server, settings, definition)
        script = f"\\copy public.requests ({_COLUMNS}) from '{file}'\n"
        return {"seconds": ground.psql(bench.server, settings, script)}

    found = bench.take_turns(
        {
            "psql": floor,
            "one": lambda: run(bench.fresh(), "requests", bench.web_log, connections=1),
            "two": lambda: run(bench.fresh(), "requests", bench.web_log, connections=2),
        }
    )
    what = "first load of requests, {}, against `psql \\copy` of the decompressed, filtered file into the same table"
    return [
        _line(what.format("LOAD_CONNECTIONS=1"), found, ("one", "psql"), "≤ 1.15"),
        _line(what.format("LOAD_CONNECTIONS=2"), found, ("two", "psql"), "≤ 0.7"),
    ]


def _definition(bench: Bench, settings: Settings, table: str) -> str:
    command = [str(bench.server.programs / "pg_dump"), "-h", settings.db_host, "-U", settings.db_username]
    command += ["-d", settings.db_name, "--schema-only", "--table", table]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


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
        _line(what.format("LOAD_CONNECTIONS=2", "a psql for each file"), turns, ("two", "psql"), "≤ 1.0"),
        _line(what.format("LOAD_CONNECTIONS=2", "all in one session"), turns, ("two", "session"), ""),
        _line(what.format("LOAD_CONNECTIONS=1", "all in one session"), turns, ("one", "session"), ""),
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
    definition = _definition(bench, bench.server.settings.model_copy(update={"db_name": "bench"}), "requests")
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
    lines = [_line(what, found, sides, "≥ 3"),
             _line("its memory", found, sides, "≥ 20", "peak_mib")]  # fmt: skip
    return [Line(line.what, line.floor, line.ours, f"the other / ours {line.ratio}", line.reach) for line in lines]


def _with_wal(bench: Bench, work: Callable[[], dict[str, float]]) -> dict[str, float]:
    with ground.session(bench.server.settings) as cursor:
        cursor.execute("select pg_current_wal_insert_lsn()")
        before = (cursor.fetchone() or ("",))[0]
        told = work()
        cursor.execute("select pg_current_wal_insert_lsn() - %s::pg_lsn", [before])
        return {**told, "wal_mb": float((cursor.fetchone() or (0,))[0]) / 1e6}


def _load(bench: Bench, settings: Settings, tables: Path) -> dict[str, float]:
    return _with_wal(bench, lambda: run(settings, "tables", tables))


def night(bench: Bench) -> list[Line]:
    """A night in which one row of a hundred changed, against the first load."""
    nights = {
        "newest": data.changed(bench.tables, bench.folder / "newest", data.newest),
        "scattered": data.changed(bench.tables, bench.folder / "scattered", data.scattered),
    }
    run(bench.fresh(), "tables", bench.tables)
    model = bench.keep("first")
    found = bench.take_turns(
        {
            "first": lambda: _load(bench, bench.fresh(), bench.tables),
            **{
                name: lambda folder=folder: _load(bench, bench.fresh(model), folder)  # type: ignore[misc]
                for name, folder in nights.items()
            },
        }
    )
    what = "full tables, a night in which the {} changed, against the first load"
    words = {"newest": "last 1 % of each table's rows", "scattered": "1 % of rows, all over each table,"}
    return [
        _line(what.format(words[name]) + more, found, (name, "first"), reach, figure)
        for name in nights
        for more, figure, reach in (("", "seconds", "≤ 0.5"), ("; WAL", "wal_mb", "≤ 0.03"))
    ]


def history(bench: Bench) -> list[Line]:
    """The same new requests on little and on ten times as much history."""
    log = data.make(bench.folder / "new", requests=max(1000, bench.requests // 10), students=bench.students, days=4)
    models = {}
    for name, times in (("little", 1), ("much", 10)):
        run(bench.fresh(), "requests", _nothing(bench))
        with ground.session(bench.server.settings.model_copy(update={"db_name": "bench"})) as cursor:
            cursor.execute("drop index requests_id_index, requests_course_id_local_id_index")
            cursor.execute(
                f"insert into requests ({_COLUMNS}) select md5(n::text)::uuid::text, timestamp '2021-03-22' -"
                " n * interval '30 seconds', n %% 5000, n %% 300, null, null, null, null, '/courses/' || n,"
                " 'Mozilla/5.0 (X11; Linux x86_64)' from generate_series(%s, 1, -1) n",
                [_HISTORY * times],
            )
            cursor.execute("".join(f"{db.statements()[name]};" for name in _INDEXES))
            cursor.execute(db.statements()["note_requested_courses"], {"newest": 0})  # as the loads of it did
            cursor.execute("vacuum analyze requests")
        models[name] = bench.keep(name)
    found = bench.take_turns(
        {name: lambda model=model: run(bench.fresh(model), "requests", log / data.REQUESTS)  # type: ignore[misc]
         for name, model in models.items()}
    )  # fmt: skip
    what = f"the same new requests on {10 * _HISTORY:,} of history, against {_HISTORY:,}"
    return [_line(what, found, ("much", "little"), "≤ 1.1")]


def _nothing(bench: Bench) -> Path:
    """A dump with one request, so that the tables are there."""
    folder = bench.folder / "nothing"
    return (folder if folder.exists() else data.make(folder, requests=1, students=4)) / data.REQUESTS


def readers(bench: Bench) -> list[Line]:
    """The longest wait of a reader that polls all tables while a night is loaded, and on a quiet database."""
    tonight = data.make(bench.folder / "second", requests=1, students=bench.students, night=2) / data.TABLES
    run(bench.fresh(), "tables", bench.tables)
    model, found = bench.keep("yesterday"), dump.read(bench.tables)
    names = [table.name for table in found.full_tables() if found.files[table.name]]
    small = sorted(names, key=lambda name: sum(file.size for file in found.files[name]))[-40:-20]
    before = sizes(bench.server.settings.model_copy(update={"db_name": model}), small)
    empty, mixed = 0, 0

    def side(folder: Path | None) -> dict[str, float]:
        nonlocal empty, mixed
        settings = bench.fresh(model)
        reader = Reader(settings, names, small)
        reader.start()
        if folder:
            run(settings, "tables", folder)
        else:
            time.sleep(_QUIET)
        reader.stop()
        empty += reader.empty
        mixed += len(reader.seen - {before, sizes(settings, small)})
        return {"seconds": reader.longest}

    turns = bench.take_turns({"quiet": lambda: side(None), "night": lambda: side(tonight)})
    waits = [f"{1000 * turns.median(name):.0f} ms (at most {1000 * max(turns.of(name)):.0f})" for name in turns.rounds]
    more = 1000 * (turns.median("night") - turns.median("quiet"))
    what = f"longest wait of a reader of all tables during a night, against a quiet database; {empty}"
    return [
        Line(f"{what} empty and {mixed} mixed answers", waits[1], waits[0], f"**{more:.0f} ms more**", "≤ 50 ms, 0, 0")
    ]


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
        lines.append(
            _line(f"{what}: peak memory with 10 times the input", found, sides, "≤ 1.05, < 100 MB", "peak_mib")
        )
    return lines


def checks(bench: Bench) -> list[Line]:
    """What the checks cost: archives read before, bytes looked at, lines counted."""
    lines = []
    for what in ("tables", "requests"):
        found = bench.take_turns(
            {
                name: lambda what=what, on=on: run(bench.fresh(), what, bench.dump / what, checks=on)  # type: ignore[misc]
                for name, on in (("off", False), ("on", True))
            }
        )
        lines.append(_line(f"{what}: with all checks, against none", found, ("on", "off"), "≤ 1.15"))
    return lines

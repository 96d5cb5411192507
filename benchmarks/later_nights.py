"""Topics of later nights: few rows that changed, new requests on a long history, and who reads meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import data, ground
from benchmarks.night import run
from benchmarks.readers import Reader, sizes
from benchmarks.topics import COLUMNS, Bench, Line, copied, filtered, line
from udecdash_updater import canvas, db, dump
from udecdash_updater.settings import Settings

_HISTORY = 100_000
_INDEXES = ("index_requests_id", "index_requests_course")
_QUIET = 5  # seconds
_UPDATE = """
update "{table}" set "{column}" = {new} where ctid in (
    select ctid from (select ctid, row_number() over () as n from "{table}") numbered where n % 100 = 51);
"""


def night(bench: Bench) -> list[Line]:
    """A night in which one row of a hundred changed, against the first load; and an UPDATE of as many rows alone."""
    nights = {
        "newest": data.changed(bench.tables, bench.folder / "newest", data.newest),
        "scattered": data.changed(bench.tables, bench.folder / "scattered", data.scattered),
    }
    run(bench.fresh(), "tables", bench.tables)
    model = bench.keep("first")
    updates = _updates(bench)
    found = bench.take_turns(
        {
            "first": lambda: _load(bench, bench.fresh(), bench.tables),
            **{
                name: lambda folder=folder: _load(bench, bench.fresh(model), folder)  # type: ignore[misc]
                for name, folder in nights.items()
            },
            "update": lambda: _updated(bench, bench.fresh(model), updates),
        }
    )
    what = "full tables, a night in which the {} changed, against the first load"
    words = {"newest": "last 1 % of each table's rows", "scattered": "1 % of rows, all over each table,"}
    floor = "what PostgreSQL itself takes: an UPDATE of 1 % of the rows, all over each table, nothing read or compared"
    figures = (("", "seconds", "≤ 0.5"), ("; WAL", "wal_mb", "≤ 0.03"))
    return [
        *(
            line(what.format(words[name]) + more, found, (name, "first"), reach, figure)
            for name in nights
            for more, figure, reach in figures
        ),
        *(line(floor + more, found, ("update", "first"), "", figure) for more, figure, _ in figures),
    ]


def _updates(bench: Bench) -> str:
    """A script that changes the rows that `data.scattered` changes, as the publish does, in one transaction."""
    told = ["begin;\n", f"{db.statements()['compress_wal_well']};\n"]
    for table in dump.read(bench.tables).full_tables():
        place, value = data.changeable(table)
        if place and table.column_names[place] not in canvas.key_of(table):
            text = value.decode()
            new = "null" if text == "\\N" else f"'{text}'"
            told.append(_UPDATE.format(table=table.name, column=table.column_names[place], new=new))
    return "".join([*told, "commit;\n"])


def _updated(bench: Bench, settings: Settings, script: str) -> dict[str, float]:
    return _with_wal(bench, lambda: {"seconds": ground.psql(bench.server, settings, script)})


def _with_wal(bench: Bench, work: Callable[[], dict[str, float]]) -> dict[str, float]:
    with ground.session(bench.server.settings) as cursor:
        cursor.execute("select pg_current_wal_insert_lsn()")
        before = (cursor.fetchone() or ("",))[0]
        told = work()
        cursor.execute("select pg_current_wal_insert_lsn() - %s::pg_lsn", [before])
        return {**told, "wal_mb": float((cursor.fetchone() or (0,))[0]) / 1e6}


def _load(bench: Bench, settings: Settings, tables: Path) -> dict[str, float]:
    return _with_wal(bench, lambda: run(settings, "tables", tables))


def history(bench: Bench) -> list[Line]:
    """The same new requests on little and on ten times as much history; psql, which only appends them, too."""
    log = data.make(bench.folder / "new", requests=max(1000, bench.requests // 10), students=bench.students, days=4)
    models = {}
    for name, times in (("little", 1), ("much", 10)):
        run(bench.fresh(), "requests", _nothing(bench))
        with ground.session(bench.server.settings.model_copy(update={"db_name": "bench"})) as cursor:
            cursor.execute("drop index requests_id_index, requests_course_id_local_id_index")
            cursor.execute(
                f"insert into requests ({COLUMNS}) select md5(n::text)::uuid::text, timestamp '2021-03-22' -"
                " n * interval '30 seconds', n %% 5000, n %% 300, null, null, null, null, '/courses/' || n,"
                " 'Mozilla/5.0 (X11; Linux x86_64)' from generate_series(%s, 1, -1) n",
                [_HISTORY * times],
            )
            cursor.execute("".join(f"{db.statements()[name]};" for name in _INDEXES))
            cursor.execute(db.statements()["note_requested_courses"], {"newest": 0})  # as the loads of it did
            cursor.execute("vacuum analyze requests")
        models[name] = bench.keep(name)
    file = bench.folder / "new.tsv"
    run(bench.fresh(models["little"]), "requests", log / data.REQUESTS)
    filtered(bench, bench.server.settings.model_copy(update={"db_name": "bench"}), file, after=_HISTORY + 1)
    sides: dict[str, ground.Side] = {}
    for name, model in models.items():
        sides[name] = lambda model=model: run(bench.fresh(model), "requests", log / data.REQUESTS)  # type: ignore[misc]
        sides[f"psql {name}"] = lambda model=model: copied(bench, bench.fresh(model), file)  # type: ignore[misc]
    found = bench.take_turns(sides)
    what = f"the same {data.count(file):,} new requests on {10 * _HISTORY:,} of history, against {_HISTORY:,}"
    floor = f"what PostgreSQL itself takes: {what}, by `psql \\copy` of the filtered file, which looks for none of them"
    return [
        line(what, found, ("much", "little"), "≤ 1.1"),
        line(floor, found, ("psql much", "psql little"), ""),
    ]


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

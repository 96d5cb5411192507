"""Whether a dump can be what Canvas has: tables that are gone, empty, shrunk or older than what was loaded.

A dump may be whole in every file and still be wrong: half of a night, a folder from a backup. Nobody but an
administrator can tell, so such a dump is refused until one accepts the tables named (`RunOptions.accept`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from udecdash_updater import db
from udecdash_updater.dump import REQUESTS, Dump
from udecdash_updater.errors import ImplausibleError
from udecdash_updater.language import Both, Told, Words, say, text

ALL = "all"
_FEW = 10  # a loss of so few rows is an ordinary day, whatever their share


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why a table of a dump may be wrong: what it was, what it is in this dump."""

    table: str
    was: Told
    now: Told
    reason: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """What a dump brings for a table: rows, the newest time in them, and a digest of the files they came from."""

    table: str
    rows: int
    newest: datetime | None = None
    files: str = ""


@dataclass(frozen=True, slots=True)
class _Last:
    run: int
    rows: int
    newest: datetime | None
    files: str | None
    gone: bool


def demand(doubts: Sequence[Doubt], accept: Collection[str]) -> list[Doubt]:
    """The doubts, every one accepted. Raises ImplausibleError that shows the others and says what to type."""
    if refused := [doubt for doubt in doubts if not {doubt.table, ALL} & set(accept)]:
        raise ImplausibleError(_shown(refused), sorted({doubt.table for doubt in refused}))
    return list(doubts)


def absent(cursor: db.Cursor, found: Dump, only: Collection[str] = ()) -> list[Doubt]:
    """Tables that hold rows, and of which the dump has no file or whose name schema.json no longer has; requests too.

    `only`: judge no others, all where it is empty.
    """
    lacking: dict[str, Told] = {
        table.name: say("has no file") for table in found.full_tables() if not found.files[table.name]
    }
    loaded = _last_loads(cursor)
    lacking |= {
        name: say("not in schema")
        for name, last in loaded.items()
        if name not in found.tables and last.rows and not last.gone
    }
    judged = sorted(name for name in lacking if not only or name in only)
    held = {name: _rows(cursor, name) for name in judged}
    gone = [Doubt(name, _count(held[name]), lacking[name], "gone") for name in judged if held[name]]
    return [*gone, *(_without_requests(cursor, found) if not only or REQUESTS in only else ())]


def _without_requests(cursor: db.Cursor, found: Dump) -> Iterator[Doubt]:
    """Requests grow by files that come and stay; none at all, where some were loaded before, is no dump of Canvas."""
    if not found.files.get(REQUESTS):
        run, accepted = db.one(cursor, "last_request_files")
        if not accepted and (run or _has_requests(cursor)):
            yield Doubt(REQUESTS, say("files of run", run=run) if run else say("some rows"), say("has no file"), "gone")


def _has_requests(cursor: db.Cursor) -> bool:
    there = db.one(cursor, "table_exists", {"table": REQUESTS})[0]
    return bool(there and db.one(cursor, "has_rows", table=db.identifier(REQUESTS))[0])


def _rows(cursor: db.Cursor, table: str) -> int:
    if not db.one(cursor, "table_exists", {"table": table})[0]:
        return 0
    return int(db.one(cursor, "count_rows", table=db.identifier(table))[0])


def shrunk(arrivals: Iterable[Arrival], had: Mapping[str, int], percent: int) -> Iterator[Doubt]:
    """Tables that lost more than `percent` of their rows, or all of them."""
    for one in arrivals:
        if shrank(had[one.table], one.rows, percent):
            yield Doubt(one.table, _count(had[one.table]), _count(one.rows), "shrunk")


def shrank(was: int, now: int, percent: int) -> bool:
    """Whether a table lost too much: more than `percent` of its rows and more than a few, or everything.

    >>> shrank(1000, 700, 30), shrank(1000, 699, 30), shrank(15, 5, 30), shrank(15, 4, 30)
    (False, True, False, True)
    >>> shrank(1, 0, 30), shrank(0, 0, 30), shrank(5, 9, 30), shrank(1000, 0, 100)
    (True, False, False, False)
    """
    lost = was - now
    return percent < 100 and lost > 0 and (not now or lost > max(_FEW, was * percent // 100))


def outdated(cursor: db.Cursor, arrivals: Sequence[Arrival]) -> list[Doubt]:
    """Tables that are older than what was loaded last: a folder from a backup looks like this.

    Two signs. The files are those of an earlier run, and a later run loaded others since. Or more tables end with an
    older row than they did than with a newer one: of a newer dump, hardly any table does. The dump that was loaded
    last, loaded once more, shows neither.
    """
    loaded = _last_loads(cursor)
    first: dict[tuple[str, str], int] = {(table, files): run for table, files, run in db.rows(cursor, "file_sets")}
    known = [one for one in arrivals if one.table in loaded]
    superseded = [
        Doubt(one.table, say("files of run", run=loaded[one.table].run), say("files of run", run=run), "older")
        for one in known
        if (run := first.get((one.table, one.files))) is not None
        and run < first.get((one.table, loaded[one.table].files or ""), 0)
    ]
    return superseded or _earlier(known, loaded)


def _earlier(arrivals: Sequence[Arrival], loaded: Mapping[str, _Last]) -> list[Doubt]:
    times = [(one.table, loaded[one.table].newest, one.newest) for one in arrivals]
    moved = [(table, was, now) for table, was, now in times if was and now and was != now]
    back = [
        Doubt(table, say("up to", time=was), say("up to", time=now), "older") for table, was, now in moved if now < was
    ]
    return back if len(back) > len(moved) - len(back) else []


def record(cursor: db.Cursor, run: int, doubts: Iterable[Doubt]) -> None:
    """Write into the ledger what was accepted, in the transaction that acts on it."""
    db.insert_many(cursor, "record_accepted", [(run, doubt.table, doubt.reason) for doubt in doubts])


def _last_loads(cursor: db.Cursor) -> dict[str, _Last]:
    return {table: _Last(*values) for table, *values in db.rows(cursor, "last_loads")}


def _count(number: int) -> Words:
    return say("so many rows", count=number)


def reason(code: str) -> Words:
    """A doubt's reason, which the ledger keeps as a code, in words."""
    return {"gone": say("doubt gone"), "shrunk": say("doubt shrunk"), "older": say("doubt older")}[code]


def _shown(doubts: Sequence[Doubt]) -> Both:
    return Both(*(_lines(doubts, language) for language in ("en", "es")))


def _lines(doubts: Sequence[Doubt], language: str) -> str:
    heads = (say("table"), say("doubt was"), say("doubt is"), "")
    told = [heads, *((d.table, d.was, d.now, reason(d.reason)) for d in doubts)]
    lines = [[text(cell, language) for cell in line] for line in told]
    widths = [max(len(line[place]) for line in lines) for place in range(4)]
    cells = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    return "".join(f"\n  {line.rstrip()}" for line in cells)

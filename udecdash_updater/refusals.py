"""Rows that a found table refuses only when they are published: by foreign keys, exclusion, triggers, partitions.

The publish fails at the first of them. Then it is done once more for show, part by part, to find all of them; they are
staged without these rows, which are rejects, and published again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from udecdash_updater import db, foreign_keys, swaps
from udecdash_updater.canvas import key_of
from udecdash_updater.errors import TableError
from udecdash_updater.foreign_keys import ForeignKey
from udecdash_updater.language import Words, say
from udecdash_updater.staging import STAGING, Staged, Way, source

Write = Callable[[Staged, str, db.Composable], object]
"""Executes a statement of the publish with a part of a table's staging."""
_LINES = 2048  # more than a block holds rows


def find(cursor: db.Cursor, staged: Sequence[Staged], write: Write, most: int) -> dict[str, dict[str, str]]:
    """Why each table refuses which rows, by `told_by`; at most so many a table. Empty where no row is to blame.

    The transaction must be rolled back.
    """
    there = {one.table.name: one for one in staged if one.way is not Way.BUILT}
    keys = foreign_keys.find(cursor, there)
    foreign_keys.defer(cursor, keys)
    found = {name: dict(islice(_of_table(cursor, one, write), most)) for name, one in there.items()}
    while any(_orphaned(cursor, key, there[key.table], found[key.table], most) for key in keys):
        pass  # what they leave behind refers to nothing in its turn
    return {table: refused for table, refused in found.items() if refused}


def _orphaned(cursor: db.Cursor, key: ForeignKey, staged: Staged, found: dict[str, str], most: int) -> bool:
    """Add a table's rows that refer to nothing, and take them away; whether there were any, and not too many."""
    rows = foreign_keys.orphans(cursor, key, told_by(staged), most)
    found.update((row, f"foreign key violation (23503) at {key.name}") for row in rows if row not in found)
    if not rows or len(found) >= most:
        return False
    with contextlib.suppress(*db.REFUSED), db.savepoint(cursor, "orphans"):
        return foreign_keys.take_orphans(cursor, key) > 0
    return False  # what else refers to them keeps them


def told_by(staged: Staged) -> db.Composable:
    """What tells a row: its key; all that it holds, as a text, in a table without one."""
    if key := key_of(staged.table):
        return db.identifiers(key)
    return db.statement("row_text", columns=db.identifiers(staged.table.column_names))


def steps_of(staged: Staged) -> list[tuple[str, int]]:
    """The statements of a table's publish in their order, and how many rows each has to write."""
    changes = staged.changes
    if staged.way is Way.FILLED:
        return [("first_insert", changes.new)]
    return [
        ("delete_placed" if changes.placed else "delete_gone", changes.gone + changes.moved),
        ("update_changed", changes.changed),
        ("insert_new", changes.new + changes.moved),
    ]


def demand_all(cursor: db.Cursor, table: str, has: int, due: int) -> None:
    """Raises TableError when a table took another number of rows than were due; the hint names what acts on it."""
    if has != due:
        raise TableError(say("table drops", table=table, has=has, due=due), hint=meddling(cursor, table))


def acting_on(cursor: db.Cursor, table: str) -> list[str]:
    """The triggers and rules that act on what is written to a table, each as what would end that."""
    name = {"table": db.identifier(table).as_string(cursor)}
    return [f"alter table {of} disable {kind} {acts};" for of, kind, acts in db.rows(cursor, "acting_on", name)]


def meddling(cursor: db.Cursor, table: str) -> Words:
    """What to do when others than we change what is written to a table."""
    if acting := acting_on(cursor, table):
        return say("table drops hint", statements=" ".join(acting))
    return say("table drops unknown", table=table)


def _of_table(cursor: db.Cursor, staged: Staged, write: Write) -> Iterator[tuple[str, str]]:
    if not (steps := [step for step, due in steps_of(staged) if due]):
        return
    high = int(db.one(cursor, "last_place", {"table": _heap(staged).as_string(cursor)})[0])
    for step in steps:
        if step == "update_changed":
            swaps.make_room(cursor, staged, source(staged))
        for place, why in _search(cursor, staged, write, step, 0, high):
            part = _part(staged, place, place + 1)
            for (key,) in db.rows(cursor, "staged_key", None, key=told_by(staged), staging=part):
                yield key, why


def _search(
    cursor: db.Cursor, staged: Staged, write: Write, step: str, low: int, high: int
) -> Iterator[tuple[int, str]]:
    """The places of the rows that cannot be written, and why."""
    try:
        with db.savepoint(cursor, "rehearsal"):
            write(staged, step, _part(staged, low, high))
    except db.REFUSED as error:
        if step == "update_changed" and isinstance(error, db.UniqueViolation):
            return  # two rows swap values that they cannot give up for a moment: nobody is to blame
        if high - low == 1:
            yield low, db.reason(error)
            return
        middle = (low + high) // 2
        yield from _search(cursor, staged, write, step, low, middle)
        yield from _search(cursor, staged, write, step, middle, high)


def _heap(staged: Staged) -> db.Composable:
    return db.identifier(STAGING, "_differing" if staged.way is Way.DIFFERING else staged.table.name)


def _part(staged: Staged, low: int, high: int) -> db.Composable:
    place = ("_place" if key_of(staged.table) else "_at") if staged.way is Way.DIFFERING else "ctid"
    return part_of(source(staged), low, high, place)


def part_of(rows: db.Composable, low: int, high: int, place: str = "ctid") -> db.Composable:
    """To select from: the rows from the place `low` on and before `high`; `last_place` tells where they end."""
    ends = {"low": _tid(low), "high": _tid(high)}
    return db.statement("staged_part", place=db.identifier(place), staging=rows, **ends)


def _tid(place: int) -> db.Composable:
    return db.literal(f"({place // _LINES},{place % _LINES})")

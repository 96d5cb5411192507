"""Lines that differ from the last load's, as rows: what each does to the table, judged without looking at the others.

They wait as texts in one table for all, so that a night in which little changed makes hardly any tables of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import chain

from udecdash_updater import copy_text, db, places, prints, rows
from udecdash_updater.canvas import Found, key_of
from udecdash_updater.changes import Changes, comparable, differ, digest, same_key
from udecdash_updater.dump import Table
from udecdash_updater.line_blocks import UnlikeError
from udecdash_updater.line_values import LENGTH, Demands, arrays, of_values
from udecdash_updater.lines import Differing, Known

_WRITTEN = ("gone", "changed", "moved")
_ROUNDED = timedelta(milliseconds=2)  # what is kept of the newest time has no microseconds


@dataclass(frozen=True, slots=True)
class Judged:
    """What the lines that differ will do to their table, the newest time that is in it then, what its print loses."""

    changes: Changes
    newest: datetime | None
    taken: Decimal


def can_be_judged(table: Table, found: Found) -> bool:
    """Whether single lines can: their values are read by casts, which must understand them as COPY does.

    Not where the table has rules of its own: a line that breaks one must be found before it is published.
    """
    kinds = [found.types[name] for name in table.column_names]
    key = key_of(table)
    plain = all(map(found.comparable, table.column_names)) and not any(kind.startswith("character(") for kind in kinds)
    told_apart = found.has_key(key) if key else places.can_be_told(table, found)
    return plain and told_apart and not (found.enums or found.generated or found.checks)


def judge(
    cursor: db.Cursor, table: Table, found: Found, differing: Differing, known: Known, times: Sequence[str]
) -> Judged:
    """Stage the lines and say what they do to a table of which `known` is kept.

    `times`: columns that tell when a row was written. Raises UnlikeError when only a comparison of all lines can tell,
    or psycopg2's errors for a value of another type.
    """
    demands = Demands.of(table, found)
    if not key_of(table):
        return _judge_placed(cursor, table, found, differing, known, times, demands)
    if differing.others:
        _demand_readable(cursor, table, found, differing.others, demands)
    name = table.name.encode()
    there = (b"%b\tchanged\t%b\n" % (name, array) for array in arrays(differing.lines, demands))
    gone_ones = (b"%b\tgone\t%b\n" % (name, _key_alone(table, key)) for key in differing.gone)
    _copy(cursor, ("table_name", "kind", "fields"), chain(there, gone_ones))
    staging = source(table, found)
    kinds = _judge(cursor, table, found, staging, times)
    gone, new, changed, moved = (
        kinds[name].rows if name in kinds else 0 for name in ("gone", "new", "changed", "moved")
    )
    if (
        any(kind.twice for kind in kinds.values())
        or known.rows + new - gone != sum(count.loaded for count in differing.counts)
        or ((new or moved) and _claimed(cursor, table, found, staging))
    ):
        raise UnlikeError
    newest = _newest(known, kinds) if times else None
    if times and newest is None:
        newest = _newest_of_all(cursor, table, staging, times)
    taken = sum((kind.places for name, kind in kinds.items() if name in _WRITTEN), Decimal(0))
    return Judged(Changes(gone, new, changed, moved), newest, taken)


def _demand_readable(cursor: db.Cursor, table: Table, found: Found, lines: Sequence[bytes], demands: Demands) -> None:
    """Raises as `judge` does where a line could not be a row; none of them stays in staging."""
    _copy(
        cursor,
        ("table_name", "kind", "fields"),
        (b"%b\tother\t%b\n" % (table.name.encode(), array) for array in arrays(lines, demands)),
    )
    db.one(cursor, "read_differing", None, staging=source(table, found))
    db.run(cursor, "forget_differing", {"table": table.name})


def _copy(cursor: db.Cursor, columns: Sequence[str], told: Iterator[bytes]) -> None:
    db.copy_in(cursor, db.identifier("udecdash_staging", "_differing"), columns, rows.LineReader(told))


def _judge_placed(
    cursor: db.Cursor,
    table: Table,
    found: Found,
    differing: Differing,
    known: Known,
    times: Sequence[str],
    demands: Demands,
) -> Judged:
    """`judge` for a table without a key."""
    if not known.plain:  # elsewhere two rows may have the same place
        raise UnlikeError
    name, numbers = table.name.encode(), map(places.number_of, differing.lines)
    told = zip(arrays(differing.lines, demands), numbers, strict=True)
    new = (b"%b\tnew\t%b\t%d\n" % (name, *one) for one in told)
    _copy(cursor, ("table_name", "kind", "fields", "line"), new)
    places.stage_gone(cursor, known.number, table, differing.lost)
    parts = {
        "target": db.identifier(table.name),
        "staging": source(table, found),
        "target_digest": digest(cursor, table, found, "t"),
        "place": prints.place("t"),
        "target_newest": _greatest(times, "t"),
        "staged_newest": _greatest(times, "s"),
    }
    gone, added, was, will, taken = db.one(cursor, "judge_placed", None, **parts)
    loaded = sum(count.loaded for count in differing.counts)
    if gone != len(differing.lost) or added != len(differing.lines) or known.rows + added - gone != loaded:
        raise UnlikeError
    kinds = {"gone": _Kind(gone, was, None, taken, False), "new": _Kind(added, None, will, Decimal(0), False)}
    newest = _newest(known, kinds) if times else None
    if times and newest is None:
        asked = {"target": parts["target"], "staging": parts["staging"], "times": db.identifiers(times)}
        newest = db.one(cursor, "placed_newest", None, **asked)[0]
    return Judged(Changes(gone, added, placed=True), newest, taken)


@dataclass(frozen=True, slots=True)
class _Kind:
    """Lines that do the same: how many, the newest time of their rows before and after, and the sum of their places.

    `twice`: whether two lines, of this kind or another, are of one row.
    """

    rows: int
    was: datetime | None
    will: datetime | None
    places: Decimal
    twice: bool


def source(table: Table, found: Found) -> db.Composable:
    """The lines that differ as rows of the table, to select from; `_kind` tells what becomes of each."""
    kinds = (LENGTH.sub("character varying", found.types[name]) for name in table.column_names)
    return db.statement(
        "differing_rows" if key_of(table) else "placed_rows",
        values=db.raw(", ".join(f"fields[{place}]::{kind}" for place, kind in enumerate(kinds, start=1))),
        columns=db.identifiers(table.column_names),
        table=db.literal(table.name),
    )


def _judge(
    cursor: db.Cursor, table: Table, found: Found, staging: db.Composable, times: Sequence[str]
) -> dict[str, _Kind]:
    key, names = key_of(table), found.written(table)
    parts = {
        "target": db.identifier(table.name),
        "staging": staging,
        "same_key": same_key(key),
        "key": db.identifiers(key, prefix="s"),
        "plain_key": db.identifiers(key),
        "target_key": db.identifiers(key[:1], prefix="t"),
        "target_columns": comparable(names, found, "t"),
        "staged_columns": comparable(names, found, "s"),
        "place": prints.place("t"),
        "target_newest": _greatest(times, "t"),
        "staged_newest": _greatest(times, "s"),
        "moved": differ(found.kept_apart(table), found),
    }
    return {kind: _Kind(*told) for kind, *told in db.rows(cursor, "judge_differing", None, **parts)}


def _greatest(times: Sequence[str], of: str) -> db.Composable:
    return db.statement("greatest", times=db.identifiers(times, prefix=of)) if times else db.raw("null::timestamp")


def _claimed(cursor: db.Cursor, table: Table, found: Found, staging: db.Composable) -> bool:
    key = key_of(table)
    return any(
        db.one(
            cursor,
            "differing_claims",
            None,
            staging=staging,
            target=db.identifier(table.name),
            key=db.identifiers(key),
            terms=db.comma([db.raw(term) for term in unique.terms]),
            predicate=db.raw(unique.predicate or "true"),
        )[0]
        for unique in found.besides(key, table)
    )


def _newest(known: Known, kinds: Mapping[str, _Kind]) -> datetime | None:
    """The newest time in the table as it will be; None where a row that may have had it is written or taken away."""
    was = [kind.was for name, kind in kinds.items() if name in _WRITTEN and kind.was]
    will = [kind.will for name, kind in kinds.items() if name != "gone" and kind.will]
    if known.newest is None or (was and max(was) > known.newest - _ROUNDED):
        return None
    return max([known.newest, *will])


def _newest_of_all(cursor: db.Cursor, table: Table, staging: db.Composable, times: Sequence[str]) -> datetime | None:
    parts = {"target": db.identifier(table.name), "staging": staging, "same_key": same_key(key_of(table))}
    newest: datetime | None = db.one(cursor, "differing_newest", None, times=db.identifiers(times), **parts)[0]
    return newest


def _key_alone(table: Table, key: str) -> bytes:
    values = dict(zip(key_of(table), key.split("\t"), strict=True))
    return copy_text.field(of_values([values.get(name) for name in table.column_names])).encode()

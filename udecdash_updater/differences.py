"""Lines that differ from the last load's, as rows: what each does to the table, judged without looking at the others.

They wait as texts in one table for all, so that a night in which little changed makes hardly any tables of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain

from udecdash_updater import db, rows, words
from udecdash_updater.canvas import Found, key_of
from udecdash_updater.changes import Changes, comparable, differ, same_key
from udecdash_updater.dump import Table
from udecdash_updater.lines import Differing, UnlikeError

_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_ESCAPES = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v", b"\\": b"\\"}
_LENGTH = re.compile(r"character varying\((\d+)\)")


@dataclass(frozen=True, slots=True)
class Judged:
    """What the lines that differ will do to their table, and the newest time that is in it then."""

    changes: Changes
    newest: datetime | None


def can_be_judged(table: Table, found: Found) -> bool:
    """Whether single lines can: their values are read by casts, which must understand them as COPY does.

    Not where the table has rules of its own: a line that breaks one must be found before it is published.
    """
    kinds = [found.types[name] for name in table.column_names]
    plain = all(map(found.comparable, table.column_names)) and not any(kind.startswith("character(") for kind in kinds)
    return plain and not (found.enums or found.generated or found.checks) and found.has_key(key_of(table))


def judge(
    cursor: db.Cursor, table: Table, found: Found, differing: Differing, had: int, times: Sequence[str]
) -> Judged:
    """Stage the lines and say what they do to a table of `had` rows. `times`: columns that tell when one was written.

    Raises UnlikeError when only a comparison of all lines can tell, or psycopg2's errors for a value of another type.
    """
    columns = [_Column.of(name, found) for name in table.column_names]
    there: Iterator[db.Row] = (
        (table.name, None, key, digest, _fields(line, columns)) for key, digest, line in differing.lines
    )
    gone_ones: Iterator[db.Row] = ((table.name, "gone", key, None, _key_alone(table, key)) for key in differing.gone)
    db.insert_many(cursor, "record_differing", chain(there, gone_ones))
    key, staging = key_of(table), source(table, found)
    _judge(cursor, table, found, staging)
    counted = db.rows(cursor, "differing_kinds", None, staging=staging, key=db.identifiers(key))
    kinds = {kind: times for kind, times, _ in counted}
    gone, new, changed, moved = (kinds.get(kind, 0) for kind in ("gone", "new", "changed", "moved"))
    if (
        any(twice for _, _, twice in counted)
        or had + new - gone != sum(count.loaded for count in differing.counts)
        or ((new or moved) and _claimed(cursor, table, found, staging))
    ):
        raise UnlikeError
    return Judged(Changes(gone, new, changed, moved), _newest(cursor, table, staging, times))


def source(table: Table, found: Found) -> db.Composable:
    """The lines that differ as rows of the table, to select from; `_kind` tells what becomes of each."""
    values = [
        db.statement(
            "differing_value",
            place=db.raw(str(place)),
            type=db.raw(_LENGTH.sub("character varying", found.types[name])),
            column=db.identifier(name),
        )
        for place, name in enumerate(table.column_names, start=1)
    ]
    return db.statement("differing_rows", columns=db.comma(values), table=db.literal(table.name))


def _judge(cursor: db.Cursor, table: Table, found: Found, staging: db.Composable) -> None:
    key, names = key_of(table), found.written(table)
    parts = {
        "target": db.identifier(table.name),
        "staging": staging,
        "same_key": same_key(key),
        "target_key": db.identifiers(key[:1], prefix="t"),
        "target_columns": comparable(names, found, "t"),
        "staged_columns": comparable(names, found, "s"),
        "moved": differ(found.kept_apart(table), found),
    }
    db.run(cursor, "judge_differing", None, **parts)


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
        for unique in found.uniques
        if unique.columns != set(key)
    )


def _newest(cursor: db.Cursor, table: Table, staging: db.Composable, times: Sequence[str]) -> datetime | None:
    if not times:
        return None
    parts = {"target": db.identifier(table.name), "staging": staging, "same_key": same_key(key_of(table))}
    newest: datetime | None = db.one(cursor, "differing_newest", None, times=db.identifiers(times), **parts)[0]
    return newest


@dataclass(frozen=True, slots=True)
class _Column:
    """What a value must be besides one of its type: no longer, given, no special word (see `words`)."""

    longest: int | None
    required: bool
    wordy: bool

    @classmethod
    def of(cls, name: str, found: Found) -> _Column:
        length = _LENGTH.fullmatch(found.types[name])
        return cls(int(length[1]) if length else None, name in found.required, name in found.wordy)

    def takes(self, field: bytes, value: str | None) -> bool:
        if value is None:
            return not self.required
        return not (self.longest is not None and len(value) > self.longest) and not (self.wordy and words.is_one(field))


def _fields(line: bytes, columns: Sequence[_Column]) -> list[str | None]:
    """A line's fields as COPY would read them. Raises UnlikeError where COPY or the table may object to one."""
    fields = line.split(b"\t")
    if rows.unreadable(line) or len(fields) != len(columns):
        raise UnlikeError
    values = [_field(field) for field in fields]
    if not all(column.takes(field, value) for column, field, value in zip(columns, fields, values, strict=True)):
        raise UnlikeError
    return values


def _field(field: bytes) -> str | None:
    if field == b"\\N":
        return None
    if b"\\" in field:
        if b"\\" in _ESCAPED.sub(b"", field) or any(found not in _ESCAPES for found in _ESCAPED.findall(field)):
            raise UnlikeError
        field = _ESCAPED.sub(lambda found: _ESCAPES[found[1]], field)
    try:
        return field.decode()
    except UnicodeDecodeError:
        raise UnlikeError from None


def _key_alone(table: Table, key: str) -> list[str | None]:
    values = dict(zip(key_of(table), key.split("\t"), strict=True))
    return [values.get(name) for name in table.column_names]

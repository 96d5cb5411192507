"""What differs between a table and its staging: found side by side, so that the publish has little to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from udecdash_updater import db
from udecdash_updater.canvas import Found
from udecdash_updater.dump import Table
from udecdash_updater.repeats import Waiting


@dataclass(frozen=True, slots=True)
class Changes:
    """How many rows of a table are gone, new, changed, and changed in a unique column (`moved`: written anew).

    `placed`: the rows that are gone are told by their place, because no key tells them apart.
    """

    gone: int = 0
    new: int = 0
    changed: int = 0
    moved: int = 0
    placed: bool = False

    @property
    def any(self) -> bool:
        """Whether there are any."""
        return bool(self.gone or self.new or self.changed or self.moved)


def by_key(cursor: db.Cursor, waiting: Waiting, had: int, staged: int) -> Changes | None:
    """Compare rows of the same key; what differs is in pg_temp._changes then. None when keys cannot tell rows apart.

    `had` and `staged`: how many rows the table and its staging hold.
    """
    table, found, key = waiting.table, waiting.found, waiting.key
    names = found.written(table)
    parts = {
        "target": db.identifier(table.name),
        "staging": waiting.staging,
        "merged": db.comma([_merged(name, key) for name in names]),
        "same_key": same_key(key),
        "staged_key": db.identifiers(key[:1], prefix="s"),
        "target_key": db.identifiers(key[:1], prefix="t"),
        "target_columns": comparable(names, found, "t"),
        "staged_columns": comparable(names, found, "s"),
        "moved": differ(found.kept_apart(table), found),
    }
    differing = db.run(cursor, "find_changes", None, **parts)
    counted = db.rows(cursor, "count_changes", **_first(key)) if differing else []
    kinds = {kind: (times, keyless) for kind, times, keyless in counted}
    gone, new, changed, moved = (kinds.get(kind, (0, False))[0] for kind in ("gone", "new", "changed", "moved"))
    told_apart = staged - new == had - gone and not any(keyless for _, keyless in kinds.values())
    if told_apart and (not new or not _new_key_twice(cursor, key)):
        return Changes(gone, new, changed, moved)
    forget(cursor)
    return None


def forget(cursor: db.Cursor) -> None:
    """Drop pg_temp._changes, to compare once more."""
    db.run(cursor, "drop_changes")


def by_content(cursor: db.Cursor, waiting: Waiting) -> Changes:
    """Compare whole rows and how often each stands there: for tables without a key, where a repeat is data."""
    names = waiting.found.written(waiting.table)
    db.run(
        cursor,
        "find_surplus",
        target=db.identifier(waiting.table.name),
        staging=waiting.staging,
        columns=db.identifiers(names),
        target_digest=digest(cursor, waiting.table, waiting.found, "t"),
        staged_digest=digest(cursor, waiting.table, waiting.found, "s"),
    )
    kinds = {kind: times for kind, times, _ in db.rows(cursor, "count_changes", None, **_first(names))}
    return Changes(kinds.get("gone", 0), kinds.get("new", 0), placed=True)


def digest(cursor: db.Cursor, table: Table, found: Found, prefix: str) -> db.Composable:
    """128 bits of a row that is called `prefix`."""
    way = "record_digest" if db.version(cursor) >= db.HASHES_RECORDS else "text_digest"
    return db.statement(way, columns=comparable(found.written(table), found, prefix))


def same_key(key: Sequence[str]) -> db.Composable:
    """The condition that rows t and s have the same key."""
    return db.both([db.statement("equal", column=db.identifier(name)) for name in key])


def _first(key: Sequence[str]) -> dict[str, Any]:
    return {"key": db.identifier(key[0])}


def _new_key_twice(cursor: db.Cursor, key: Sequence[str]) -> bool:
    return bool(db.one(cursor, "new_key_twice", key=db.identifiers(key))[0])


def _merged(name: str, key: Sequence[str]) -> db.Composable:
    return db.statement("either" if name in key else "staged", column=db.identifier(name))


def comparable(names: Sequence[str], found: Found, prefix: str) -> db.Composable:
    """The columns as a list that can be compared and hashed: json, points and the like as their text."""
    return db.comma([_value(name, found, prefix) for name in names])


def _value(name: str, found: Found, prefix: str) -> db.Composable:
    column = db.identifier(prefix, name)
    return column if found.comparable(name) else db.statement("as_text", column=column)


def differ(names: Sequence[str], found: Found) -> db.Composable:
    """The condition that rows t and s differ in one of these columns."""
    if not names:
        return db.raw("false")
    return db.statement("differ", left=comparable(names, found, "t"), right=comparable(names, found, "s"))

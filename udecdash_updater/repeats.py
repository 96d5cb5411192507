"""Each key once and each unique value once: of rows that share one, the first in file order stays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from udecdash_updater import db
from udecdash_updater.canvas import Found, Unique, key_of
from udecdash_updater.dump import Table
from udecdash_updater.rejects import FileCount, Rejects, starts


@dataclass(frozen=True, slots=True)
class Waiting:
    """A table's rows in staging, in file order, and the table that they are for."""

    table: Table
    found: Found
    staging: db.Composable

    @property
    def key(self) -> tuple[str, ...]:
        """The table's key; empty for a table without one."""
        return key_of(self.table)

    @property
    def uniques(self) -> list[Unique]:
        """What must be unique besides the key."""
        return self.found.besides(self.key, self.table)


def shared(cursor: db.Cursor, waiting: Waiting) -> bool:
    """Whether any two rows have the same key or the same unique value."""
    if db.one(cursor, "key_twice", staging=waiting.staging, key=db.identifiers(waiting.key))[0]:
        return True
    return any(db.one(cursor, "stands_twice", None, **_parts(waiting, unique))[0] for unique in waiting.uniques)


def claimed(cursor: db.Cursor, waiting: Waiting) -> bool:
    """Whether a row that differs (see `changes`) has a unique value of another row."""
    return any(db.one(cursor, "claimed_twice", None, **_parts(waiting, unique))[0] for unique in waiting.uniques)


def settle(cursor: db.Cursor, waiting: Waiting, counts: Sequence[FileCount], gate: Rejects) -> list[FileCount]:
    """Take out what stands there a second time; the counts after that.

    A row whose unique value belongs to another key's row is a reject, the later rows of a key are repeated.
    """
    settled, key = list(counts), db.identifiers(waiting.key)
    for unique in waiting.uniques:
        # A row that is taken out makes room for the next one of its key, which may be refused in its turn.
        while refused := _refuse(cursor, waiting, unique, settled):
            for number, times in refused:
                settled[number] = settled[number].without(rejected=times)
                for _ in range(times):
                    gate.add(settled[number].file.name, None, f"{unique.name}: another row has the same value")
    parts = {"staging": waiting.staging, "key": key, "starts": db.literal(starts(settled))}
    for number, times in db.rows(cursor, "delete_repeats", None, **parts):
        settled[number] = settled[number].without(repeated=times)
    return settled


def _refuse(cursor: db.Cursor, waiting: Waiting, unique: Unique, counts: Sequence[FileCount]) -> list[db.Row]:
    parts = {"key": db.identifiers(waiting.key), "starts": db.literal(starts(counts)), **_parts(waiting, unique)}
    return db.rows(cursor, "delete_rivals", None, **parts)


def _parts(waiting: Waiting, unique: Unique) -> dict[str, db.Composable]:
    return {
        "staging": waiting.staging,
        "terms": db.comma([db.raw(term) for term in unique.terms]),
        "predicate": db.raw(unique.predicate or "true"),
    }

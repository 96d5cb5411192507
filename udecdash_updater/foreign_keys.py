"""Foreign keys that the dashboard gave the dump's tables: judged when all of them are published, not table by table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from udecdash_updater import db
from udecdash_updater.language import Told, say


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key of `table` to `other`, which is SQL as `refers` and `same` are.

    `refers`: row t refers to something; `same`: to row r. `plain`: nothing else happens when r is taken away.
    """

    name: str
    table: str
    other: str
    deferrable: bool
    plain: bool
    refers: str
    same: str


def find(cursor: db.Cursor, tables: Iterable[str]) -> list[ForeignKey]:
    """Those of these tables of DB_SCHEMA."""
    return [ForeignKey(*row) for row in db.rows(cursor, "foreign_keys", {"tables": list(tables)})]


def make_deferrable(cursor: db.Cursor, tables: Iterable[str]) -> Iterator[Told]:
    """Let foreign keys among these tables wait for the end of a transaction that asks for it; says what was done."""
    for key in find(cursor, names := set(tables)):
        if key.deferrable or key.other not in names:
            continue
        try:
            with db.savepoint(cursor, "deferrable"):
                db.run(cursor, "make_deferrable", table=db.identifier(key.table), key=db.identifier(key.name))
            yield say("key deferrable", table=key.table, name=key.name)
        except db.LockedError:
            raise
        except db.Error as error:
            yield say("key not deferrable", table=key.table, name=key.name, why=db.reason(error))


def defer(cursor: db.Cursor, keys: Sequence[ForeignKey]) -> None:
    """Until `judge`, rows may refer to what is not there yet, or no longer."""
    _judge(cursor, keys, "deferred")


def judge(cursor: db.Cursor, keys: Sequence[ForeignKey]) -> None:
    """Raises psycopg2's error for a row that refers to nothing."""
    _judge(cursor, keys, "immediate")


def _judge(cursor: db.Cursor, keys: Sequence[ForeignKey], when: str) -> None:
    if named := sorted({key.name for key in keys if key.deferrable}):
        db.run(cursor, "judge_keys", keys=db.identifiers(named), when=db.raw(when))


def orphans(cursor: db.Cursor, key: ForeignKey, told_by: db.Composable, most: int) -> list[str]:
    """The first rows that refer to nothing, as `told_by` tells them."""
    parts = {"key": told_by, "most": db.raw(str(most))}
    return [row[0] for row in db.rows(cursor, "orphans", None, **parts, **_of_orphans(key))]


def take_orphans(cursor: db.Cursor, key: ForeignKey) -> int:
    """Delete all rows that refer to nothing; how many they were."""
    return db.run(cursor, "take_orphans", None, **_of_orphans(key))


def _of_orphans(key: ForeignKey) -> dict[str, db.Composable]:
    return {
        "table": db.identifier(key.table),
        "refers": db.raw(key.refers),
        "other": db.raw(key.other),
        "same": db.raw(key.same),
    }

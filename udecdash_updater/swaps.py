"""Rows that swap unique values, of tables whose rows others refer to: those are updated where they stand, never anew.

PostgreSQL asks for unique values row by row, so rows of which each takes what another gives up first step aside: what
they give up becomes NULL, and then the update finds room. Only when the update has failed for that, and only where
nobody would see it: foreign keys that refer to the value itself wait for the publish's end and do nothing but look, and
no trigger or rule acts on the table.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TypeVar

from udecdash_updater import db
from udecdash_updater.canvas import key_of
from udecdash_updater.changes import differ, same_key
from udecdash_updater.staging import Staged

_Told = TypeVar("_Told")


def past(cursor: db.Cursor, staged: Staged, rows: db.Composable, update: Callable[[], _Told]) -> _Told:
    """What `update` tells, which writes the rows that changed; once more where they had to step aside before.

    `rows`: what waits for the publish. Raises what `update` raises.
    """
    if not (values := _given_up(cursor, staged)):
        return update()
    try:
        with db.savepoint(cursor, "swap"):
            return update()
    except db.TAKEN:
        _step_aside(cursor, staged, rows, values)
    return update()


def make_room(cursor: db.Cursor, staged: Staged, rows: db.Composable) -> None:
    """Let the rows step aside, as far as they can, before parts of an update are tried."""
    if values := _given_up(cursor, staged):
        _step_aside(cursor, staged, rows, values)


def _given_up(cursor: db.Cursor, staged: Staged) -> list[str]:
    """The columns that may be NULL for a moment; none where rows that swap are written anew anyhow."""
    found, name = staged.found, staged.table.name
    if not found.referenced or db.rows(cursor, "acting_on", {"table": db.identifier(name).as_string(cursor)}):
        return []
    unique = {column for unique in found.uniques for column in unique.columns} | found.excluded
    referred = {column for (column,) in db.rows(cursor, "referred_columns", {"table": name})}
    fixed = {*key_of(staged.table), *found.required, *found.identities, *referred}
    return [column for column in found.written(staged.table) if column in unique - fixed]


def _step_aside(cursor: db.Cursor, staged: Staged, rows: db.Composable, values: list[str]) -> None:
    """Nothing happens where the table does not take NULL there; the update then says what is wrong."""
    parts = {
        "target": db.identifier(staged.table.name),
        "staging": rows,
        "assignments": db.comma([db.statement("give_up", column=db.identifier(name)) for name in values]),
        "same_key": same_key(key_of(staged.table)),
        "differ": differ(values, staged.found),
    }
    with contextlib.suppress(*db.REFUSED), db.savepoint(cursor, "aside"):
        db.run(cursor, "step_aside", None, **parts)

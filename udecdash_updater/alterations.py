"""Tables follow the dump: new columns, more room, foreign keys that wait; without holding up whoever reads them.

Each of these needs a table for itself. Whoever waits for that holds up all who come to read it afterwards, so we wait a
moment only, give back what we have, and come again.
"""

from __future__ import annotations

from collections.abc import Sequence

import stamina

from udecdash_updater import canvas, db, foreign_keys, obstacles
from udecdash_updater.dump import Table
from udecdash_updater.errors import TableError
from udecdash_updater.language import Told, say

_PATIENCE = 60.0  # seconds
_PAUSE = 0.2  # seconds, and up to ten times that


def follow(connection: db.Connection, tables: Sequence[Table]) -> tuple[list[Told], list[Told]]:
    """Let the tables that are there be as the dump needs them: what was widened, and what became of foreign keys.

    Raises TableError for what stands in a table's place, and where a table has been in use for too long.
    """
    try:
        for attempt in stamina.retry_context(
            on=db.LockedError, attempts=None, timeout=_PATIENCE, wait_initial=_PAUSE, wait_max=10 * _PAUSE
        ):
            with attempt, db.transaction(connection) as cursor:
                return _follow(cursor, tables)
    except db.LockedError:
        raise TableError(say("table in use", seconds=round(_PATIENCE)), hint=say("table in use hint")) from None
    raise AssertionError("retry_context returns or raises")  # pragma: no cover


def _follow(cursor: db.Cursor, tables: Sequence[Table]) -> tuple[list[Told], list[Told]]:
    names = [table.name for table in tables]
    db.run(cursor, "wait_a_moment")
    obstacles.demand_none(cursor, names)
    return canvas.widen(cursor, tables), list(foreign_keys.make_deferrable(cursor, names))

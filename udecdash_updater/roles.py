"""The workers' own PostgreSQL account, made by production/roles.sql: its owner grants here what it may write."""

from __future__ import annotations

from udecdash_updater import db


def grant(cursor: db.Cursor) -> list[str]:
    """Let udecdash_worker write what jobs write, where that account is there and lacks a right; says what was granted.

    Reading is granted by production/roles.sql for all that the loader creates. These tables exist only once the first
    run, or a newer version, has made them, so their owner grants them as it does.
    """
    granted = []
    for privilege, table in db.rows(cursor, "missing_grants"):
        cursor.execute(db.statement("grant_to_worker", privilege=db.raw(privilege), table=db.raw(table)))
        granted.append(f"{privilege} on {table}")
    for (sequence,) in db.rows(cursor, "missing_sequence"):
        cursor.execute(db.statement("grant_sequence", sequence=db.raw(sequence)))
        granted.append(f"usage on {sequence}")
    return granted

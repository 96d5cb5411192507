"""What became of each line and table, into the ledger by the publish's own transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from udecdash_updater import db, drift, touched
from udecdash_updater.lines import Unkept
from udecdash_updater.staging import Staged


@dataclass(frozen=True, slots=True)
class Published:
    """What the publish did to a table. `unkept`: its lines, where they are to be kept and are not yet."""

    table: str
    rows: int
    new: int
    changed: int
    gone: int
    unkept: Unkept | None = None


def record(cursor: db.Cursor, run: int, staged: Sequence[Staged], published: Sequence[Published]) -> None:
    """Write into the ledger, in the publish's own transaction, what became of each line and table."""
    db.insert_many(cursor, "record_files", [count.row(run) for one in staged for count in one.counts])
    record_rejects(cursor, run, staged)
    record_loads(cursor, run, staged, published)


def record_rejects(cursor: db.Cursor, run: int, staged: Sequence[Staged]) -> None:
    """Write into the ledger what was left out."""
    rejects = [(run, r.table, r.file, r.line, r.reason) for one in staged for r in one.rejects]
    db.insert_many(cursor, "record_rejects", rejects)


def record_loads(cursor: db.Cursor, run: int, staged: Sequence[Staged], published: Sequence[Published]) -> None:
    """Write into the ledger what was published and what that touched."""
    by_name = {one.table.name: one for one in staged}
    before = drift.last(cursor)
    db.insert_many(cursor, "record_table_loads", [_load_row(run, p, by_name[p.table], before) for p in published])
    filled = [p.table for p in published if p.new == p.rows > 0]
    touched.record(cursor, run, {p.table for p in published}, filled)


def _load_row(run: int, published: Published, staged: Staged, before: Mapping[str, Sequence[str]]) -> db.Row:
    counts = (published.rows, published.new, published.changed, published.gone)
    columns: list[str] | None = drift.declared(staged.table)
    if columns == before.get(published.table):
        columns = None
    return (run, published.table, *counts, staged.newest, staged.digest or None, columns)

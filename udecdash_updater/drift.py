"""How a dump's schema.json differs from that of the load before: told, so that nobody looks for a column in vain."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from udecdash_updater import db
from udecdash_updater.dump import Table
from udecdash_updater.language import Told, Words, joined, say


def declared(table: Table) -> list[str]:
    """The columns as schema.json declares them, as the ledger keeps them.

    >>> from udecdash_updater.dump import Column
    >>> declared(Table("item_dim", (Column("id", "bigint"), Column("name", "varchar", 256))))
    ['id bigint', 'name varchar(256)']
    """
    return [f"{c.name} {c.type}" + (f"({c.length})" if c.length else "") for c in table.columns]


def told(cursor: db.Cursor, tables: Iterable[Table]) -> list[Told]:
    """A sentence for each table whose declared columns are not those of its last load; none for a first load."""
    return list(_differences(before, tables)) if (before := last(cursor)) else []


def last(cursor: db.Cursor) -> dict[str, list[str]]:
    """What was declared of each table when it was loaded last; the ledger repeats none that is as it was."""
    return dict(db.rows(cursor, "last_columns"))


def of_requests(cursor: db.Cursor, run: int, table: Table) -> list[Told]:
    """The same of `requests`, whose columns are written down at once; in the transaction that loads them."""
    before, now = [columns for (columns,) in db.rows(cursor, "last_requests_columns")], declared(table)
    if before != [now]:
        db.run(cursor, "note_requests_columns", {"columns": now, "run": run})
    return list(_differences({table.name: before[0]}, [table])) if before else []


def _differences(before: Mapping[str, Sequence[str]], tables: Iterable[Table]) -> Iterator[Told]:
    for table in tables:
        now = declared(table)
        if table.name not in before:
            yield say("problem", name=table.name, what=say("table new"))
        elif parts := difference(before[table.name], now):
            yield say("problem", name=table.name, what=joined(parts, ", "))


def difference(before: Sequence[str], now: Sequence[str]) -> list[Words]:
    """What happened to the columns, in words.

    >>> list(map(str, difference(["a int", "b text", "c text"], ["b text", "a bigint", "d date"])))
    ['d is new', 'c is gone and keeps its old values', 'a was int and is bigint', 'b, a stand in another order']
    >>> difference(["a int"], ["a int"])
    []
    """
    were, are = _types(before), _types(now)
    parts = [say("column new", column=name) for name in are if name not in were]
    parts += [say("column gone", column=name) for name in were if name not in are]
    kept = [name for name in are if name in were]
    changed = [name for name in kept if were[name] != are[name]]
    parts += [say("column changed", column=name, was=were[name], now=are[name]) for name in changed]
    if kept != [name for name in were if name in are]:
        parts.append(say("columns in another order", columns=", ".join(kept)))
    return parts


def _types(columns: Sequence[str]) -> dict[str, str]:
    return {name: kind for name, _, kind in (column.partition(" ") for column in columns)}

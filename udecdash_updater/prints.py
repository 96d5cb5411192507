"""A table's print: a sum over places and transactions of its rows, which tells whether anybody wrote into it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from udecdash_updater import db


@dataclass(frozen=True, slots=True)
class Print:
    """How many rows a table holds, and a sum that changes with each of them that somebody writes or takes away."""

    rows: int
    places: Decimal


def take(cursor: db.Cursor, table: db.Composable) -> Print | None:
    """The print of a table; None where the server cannot tell any."""
    if db.version(cursor) < db.HASHES_RECORDS:
        return None
    return Print(*db.one(cursor, "table_print", table=table, place=place()))


def place(of: str = "") -> db.Composable:
    """A number for where a row stands and who wrote it; of the row that a statement calls `of`."""
    prefix = (of,) if of else ()
    return db.statement("place", tid=db.identifier(*prefix, "ctid"), xmin=db.identifier(*prefix, "xmin"))


def of_taken(cursor: db.Cursor, table: str, staging: db.Composable, same_row: db.Composable) -> Decimal:
    """What a table's print will lose of the rows that stand there now, by a publish of what differs in `staging`."""
    parts = {"target": db.identifier(table), "staging": staging, "same_row": same_row, "place": place("t")}
    part: Decimal = db.one(cursor, "print_of_taken", None, **parts)[0]
    return part


def after(cursor: db.Cursor, table: str, before: Print, taken: Decimal) -> tuple[Print | None, int]:
    """The table's print at the end of a transaction that took away what `of_taken` told as `taken`; and its rows.

    No print where the rows that it left alone are not those of `before`: somebody else has written.
    """
    held, places, left = db.one(cursor, "print_after", table=db.identifier(table), place=place())
    return (Print(held, places) if left == before.places - taken else None), held

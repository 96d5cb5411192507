"""Where the rows of a table without a key stand: of each line that is kept the place of its row, and a digest of it.

Equal lines have as many rows. A place is believed only where the row that stands there has the digest that it had: who
writes a table anew in another order leaves the rows' places and transactions as they were, as a whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal

import xxhash

from udecdash_updater import changes, db, prints, rows
from udecdash_updater.canvas import Found
from udecdash_updater.dump import Table
from udecdash_updater.line_blocks import UnlikeError

_LINES = db.identifier("pg_temp", "_placed_lines")


def number_of(line: bytes) -> int:
    """A line's digest as PostgreSQL's bigint."""
    return as_number(xxhash.xxh3_64_digest(line))


def as_number(digest: bytes) -> int:
    """The same of a digest as a block holds it."""
    return int.from_bytes(digest, "big", signed=True)


def can_be_told(table: Table, found: Found) -> bool:
    """Whether a table's rows can be: each value can be compared, and no row can stand in the way of another one."""
    return all(map(found.comparable, table.column_names)) and not (found.uniques or found.excluded)


def keep(cursor: db.Cursor, number: int, table: Table, found: Found, batches: Iterable[Sequence[bytes]]) -> None:
    """Keep where the row of each of a table's lines stands.

    Raises UnlikeError, or one of db.BAD_ROW, where the table's rows are not those of the lines.
    """
    if not can_be_told(table, found):
        raise UnlikeError
    parts = [db.definition(name, found.types[name]) for name in table.column_names]
    db.run(cursor, "create_placed_lines", None, parts=db.comma(parts))
    told = (b"".join([b"%d\t%b\n" % (number_of(line), line) for line in lines]) for lines in batches)
    db.copy_in(cursor, _LINES, ("_line", *table.column_names), rows.LineReader(told))
    db.run(
        cursor,
        "keep_line_places",
        {"number": number},
        target=db.identifier(table.name),
        target_digest=changes.digest(cursor, table, found, "t"),
        staged_digest=changes.digest(cursor, table, found, "s"),
    )


def stage_gone(cursor: db.Cursor, number: int, table: Table, lines: Sequence[int]) -> None:
    """The rows of these lines are to go, one for each. Raises UnlikeError where fewer are known than that."""
    times = Counter(lines)
    told = {"number": number, "table": table.name, "lines": list(times), "times": list(times.values())}
    if lines and db.run(cursor, "stage_gone_places", told) != len(lines):
        raise UnlikeError


def insert(cursor: db.Cursor, number: int, table: Table, found: Found, staging: db.Composable) -> tuple[int, Decimal]:
    """Write the new rows and keep where they stand; how many they are, and the sum of their places."""
    written: tuple[int, Decimal] = db.one(
        cursor,
        "insert_placed",
        {"number": number},
        target=db.identifier(table.name),
        staging=staging,
        columns=db.identifiers(found.written(table)),
        target_digest=changes.digest(cursor, table, found, "t"),
        staged_digest=changes.digest(cursor, table, found, "s"),
        place=prints.place("t"),
    )
    return written


def forget_gone(cursor: db.Cursor, number: int, table: Table) -> None:
    """The places of rows that the publish took away."""
    db.run(cursor, "forget_gone_places", {"number": number, "table": table.name})

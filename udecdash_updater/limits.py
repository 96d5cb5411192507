"""What a found table asks of each row besides its types: NOT NULL and CHECK. Rows that break it are rejects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from udecdash_updater import db
from udecdash_updater.canvas import Check, Found, key_of
from udecdash_updater.dump import Table
from udecdash_updater.rejects import FileCount, Rejects, starts
from udecdash_updater.repeats import Waiting


def held(table: Table, found: Found) -> list[Check]:
    """The CHECKs that staging can have itself, so that COPY tells the line: those that read no ENUM, text there."""
    return [check for check in _decided(table, found) if not check.columns & set(found.enums)]


def clause(check: Check) -> db.Composable:
    """The constraint, for a staging that has its columns."""
    return db.statement("check_held", check=db.identifier(check.name), condition=db.raw(check.condition))


def _decided(table: Table, found: Found) -> Iterator[Check]:
    """The CHECKs that the dump's columns decide alone."""
    columns = set(found.written(table))
    return (check for check in found.checks if check.columns <= columns)


def required(table: Table, found: Found) -> set[str]:
    """The columns that must not be NULL, besides the key's: those are given in any case."""
    return {*found.required} & {*found.written(table)} - {*key_of(table)}


def fit(
    cursor: db.Cursor, waiting: Waiting, counts: Sequence[FileCount], gate: Rejects, *, all_of_them: bool
) -> list[FileCount]:
    """Leave out the staged rows that break what staging does not have itself, or any of it. ENUMs are fitted before."""
    table, found, fitted = waiting.table, waiting.found, list(counts)
    checks = [check for check in _decided(table, found) if all_of_them or check not in held(table, found)]
    conditions: list[tuple[str, db.Composable]] = [(check.name, db.raw(check.condition)) for check in checks]
    if all_of_them:
        names = sorted(required(table, found))
        conditions += [(name, db.statement("given", column=db.identifier(name))) for name in names]
    for name, condition in conditions:
        parts = {"staging": waiting.staging, "condition": condition}
        if not db.one(cursor, "any_breaks", None, **parts)[0]:
            continue
        for number, times in db.rows(cursor, "reject_breaking", None, **parts, starts=db.literal(starts(fitted))):
            fitted[number] = fitted[number].without(rejected=times)
            for _ in range(times):
                gate.add(fitted[number].file.name, None, f"{name}: the table does not take it")
    return fitted

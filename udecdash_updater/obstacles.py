"""What stands where one of our tables should be, and cannot be filled as one: found before anything is loaded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from udecdash_updater import db, foreign_keys
from udecdash_updater.errors import TableError
from udecdash_updater.language import Told, say

_KINDS = {
    "v": "kind view",
    "m": "kind materialized view",
    "f": "kind foreign table",
    "S": "kind sequence",
    "c": "kind type",
    "i": "kind index",
    "I": "kind index",
    "r": "kind table without columns",
    "p": "kind table without columns",
}


@dataclass(frozen=True, slots=True)
class Obstacle:
    """What is wrong with a table of the dashboard, and what to do about it."""

    told: Told
    hint: Told


def demand_none(cursor: db.Cursor, tables: Iterable[str]) -> None:
    """Raises TableError for the first of these tables that cannot be filled; those that are not there can."""
    for found in find(cursor, list(tables)):
        raise TableError(found.told, hint=found.hint)


def find(cursor: db.Cursor, tables: Sequence[str]) -> Iterator[Obstacle]:
    """What keeps any of these tables of DB_SCHEMA from being filled."""
    names = {"tables": list(tables)}
    for table, kind in db.rows(cursor, "obstacles", names):
        yield Obstacle(say("table kind", table=table, kind=say(_KINDS[kind])), say("table kind hint", table=table))
    for (lacking,) in db.rows(cursor, "columns_lacking", names):
        yield Obstacle(say("requests lacks", columns=lacking), say("requests lacks hint"))
    for table, account in db.rows(cursor, "veiled", names):
        yield Obstacle(say("table veiled", table=table, account=account),
                       say("table veiled hint", table=table, account=account))  # fmt: skip
    for table, heir in db.rows(cursor, "inherited", names):
        yield Obstacle(say("table heir", table=table, heir=heir), say("table heir hint", table=table, heir=heir))
    for table, rule, always in db.rows(cursor, "diverted", names):
        if always:
            yield Obstacle(say("table rule", table=table, name=rule), say("table rule hint", table=table, name=rule))
    for key in foreign_keys.find(cursor, tables):
        if key.other in tables and not key.plain:
            yield Obstacle(say("table key", table=key.table, name=key.name, other=key.other),
                           say("table key hint", table=key.table, name=key.name))  # fmt: skip


def suspect(cursor: db.Cursor, tables: Sequence[str]) -> Iterator[Obstacle]:
    """What may keep rows from some of these tables: a night that it does this to ends before it publishes."""
    names = {"tables": list(tables)}
    for table, rule, always in db.rows(cursor, "diverted", names):
        if not always:
            yield Obstacle(say("table rule maybe", table=table, name=rule),
                           say("table rule hint", table=table, name=rule))  # fmt: skip
    for table, name, function in db.rows(cursor, "returning_null", names):
        yield Obstacle(say("table trigger maybe", table=table, name=name, function=function),
                       say("table trigger hint", table=table, name=name))  # fmt: skip

"""The Canvas tables as the dashboard knows them: keys, types and lengths, and how they stand in the database."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from udecdash_updater import db
from udecdash_updater.dump import Table
from udecdash_updater.errors import DumpError

# Where the contract's lengths and types differ from what schema.json declares: real values are longer.
_LONGER = {
    ("wiki_page_dim", "title"): "varchar(1000)",
    ("external_tool_activation_dim", "url"): "varchar(4096)",
    ("quiz_question_answer_dim", "answer_match_left"): "text",
    ("quiz_question_answer_dim", "answer_match_right"): "text",
    ("quiz_question_answer_dim", "matching_answer_incorrect_matches"): "text",
}
_TYPES = {
    "bigint": "bigint",
    "int": "bigint",
    "integer": "bigint",
    "boolean": "boolean",
    "date": "date",
    "datetime": "timestamp(3)",
    "timestamp": "timestamp(3)",
    "double precision": "double precision",
    "enum": "varchar(256)",
    "guid": "varchar(36)",
    "text": "text",
    "varchar": "varchar(256)",
}
_KEYS = {"conversation_message_participant_fact": ("conversation_message_id", "user_id")}
_KEYLESS = {
    "assignment_override_user_rollup_fact",
    "learning_outcome_group_association_fact",
    "quiz_submission_historical_dim",
    "quiz_question_answer_dim",
}


@dataclass(frozen=True, slots=True)
class Found:
    """A table as it stands in the database: types by column, ENUM columns with their type's oid, unique keys."""

    types: dict[str, str]
    enums: dict[str, int]
    uniques: tuple[tuple[str, ...], ...]


def key_of(table: Table) -> tuple[str, ...]:
    """The table's primary key by the dashboard's contract; empty for the four tables without one.

    >>> from udecdash_updater.dump import Column
    >>> key_of(Table("file_fact", (Column("file_id", "bigint"), Column("size", "bigint"))))
    ('file_id',)
    """
    if table.name in _KEYLESS:
        return ()
    if table.name in _KEYS:
        return _KEYS[table.name]
    names = table.column_names
    own = table.name.removesuffix("_fact") + "_id"
    return next(((name,) for name in ("id", own) if name in names), (names[0],))


def sql_type(table: str, name: str, declared: str) -> str:
    """The column's type in a table that we create. Raises DumpError for a type that nobody has told us about."""
    if (table, name) in _LONGER:
        return _LONGER[table, name]
    if table == "group_membership_fact" and name == "group_membership_id":
        return "varchar(256)"
    if declared not in _TYPES:
        raise DumpError(f"schema.json: {table}.{name} has the type {declared!r}, which this version does not know.")
    return _TYPES[declared]


def create(cursor: db.Cursor, tables: Iterable[Table]) -> list[str]:
    """Create the tables that are not there and add the columns that a dump has gained; says what it added."""
    added = []
    for table in tables:
        types = {c.name: sql_type(table.name, c.name, c.type) for c in table.columns}
        found = look(cursor, table.name)
        if not found.types:
            cursor.execute(_ddl(table, types))
        for name in [name for name in types if found.types and name not in found.types]:
            add = db.statement("add_column", table=db.identifier(table.name), column=db.definition(name, types[name]))
            cursor.execute(add)
            added.append(f"{table.name}.{name}")
    return added


def _ddl(table: Table, types: dict[str, str]) -> db.Composable:
    parts = [db.definition(name, kind) for name, kind in types.items()]
    if key := key_of(table):
        parts.append(db.statement("primary_key", columns=db.identifiers(key)))
    if table.name.endswith("_dim") and "canvas_id" in types and key:
        parts.append(db.statement("unique_key", columns=db.identifiers(["canvas_id"])))
    return db.statement("create_table", table=db.identifier(table.name), parts=db.comma(parts))


def look(cursor: db.Cursor, table: str) -> Found:
    """The table as it stands in DB_SCHEMA; without columns where there is none. `uniques` holds every unique key."""
    columns = db.rows(cursor, "table_columns", {"table": table})
    uniques = tuple(tuple(names) for (names,) in db.rows(cursor, "unique_columns", {"table": table}))
    return Found({name: kind for name, kind, _, _ in columns}, {n: oid for n, _, enum, oid in columns if enum}, uniques)

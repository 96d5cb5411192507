"""The Canvas tables as the dashboard knows them: keys, types and lengths, and how they stand in the database."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from udecdash_updater import db, words
from udecdash_updater.dump import Column, Table
from udecdash_updater.errors import DumpError
from udecdash_updater.language import Told, say

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
_SHORTEST, _LONGEST = 256, 10_485_760
_KEYS = {"conversation_message_participant_fact": ("conversation_message_id", "user_id")}
_KEYLESS = {
    "assignment_override_user_rollup_fact",
    "learning_outcome_group_association_fact",
    "quiz_submission_historical_dim",
    "quiz_question_answer_dim",
}


# Types whose values PostgreSQL can compare and hash in every version; json, xml and points it cannot.
_COMPARABLE = re.compile(
    r"(big|small)?int(eger)?|numeric|real|double precision|boolean|date|text|uuid|jsonb|character varying|character"
    r"|time(stamp)?( without time zone| with time zone)?"
)


@dataclass(frozen=True, slots=True)
class Unique:
    """A unique index: its columns or expressions as SQL, the condition of a partial one, and the columns it reads."""

    terms: tuple[str, ...]
    predicate: str
    columns: frozenset[str]

    @property
    def name(self) -> str:
        """What must be unique, in words."""
        return ", ".join(sorted(self.columns))


@dataclass(frozen=True, slots=True)
class Check:
    """A CHECK constraint: its condition as SQL, and the columns that it reads."""

    name: str
    condition: str
    columns: frozenset[str]


@dataclass(frozen=True, slots=True)
class Found:
    """A table as it stands in the database: types by column, ENUM columns with their type's oid, unique indexes.

    `generated`: columns that PostgreSQL computes itself; `identities`: those that it lets nobody update; `required`:
    those that are NOT NULL; `wordy`: as `words.wordy` tells them; `vague`: those whose collation takes
    different texts for equal; `excluded`: those that exclusion constraints read. `referenced`: a foreign key of another
    table, or of this one, looks at its rows.
    """

    types: dict[str, str]
    enums: dict[str, int]
    uniques: tuple[Unique, ...]
    generated: frozenset[str] = frozenset()
    identities: frozenset[str] = frozenset()
    required: frozenset[str] = frozenset()
    wordy: Mapping[str, bool] = field(default_factory=dict)
    vague: frozenset[str] = frozenset()
    excluded: frozenset[str] = frozenset()
    referenced: bool = False
    checks: tuple[Check, ...] = ()

    def written(self, table: Table) -> list[str]:
        """The dump's columns that we write."""
        return [name for name in table.column_names if name not in self.generated]

    def kept_apart(self, table: Table) -> list[str]:
        """Columns in which a row cannot simply be updated: two rows may swap a unique value.

        A row that others refer to is never taken away and written anew: what hangs on it might go with it.
        """
        unique = {column for unique in self.uniques for column in unique.columns} | self.excluded
        read = self.identities | (frozenset() if self.referenced else unique)
        return [name for name in self.written(table) if name in read]

    def has_key(self, key: Sequence[str]) -> bool:
        """Whether a unique index keeps the key's rows apart."""
        return any(unique.columns == set(key) and not unique.predicate for unique in self.uniques)

    def besides(self, key: Sequence[str], table: Table) -> list[Unique]:
        """What must be unique besides the key, as far as the dump's columns decide it."""
        columns = set(self.written(table))
        return [unique for unique in self.uniques if unique.columns != set(key) and unique.columns <= columns]

    def comparable(self, name: str) -> bool:
        """Whether PostgreSQL can tell equal values of the column."""
        if name in self.vague:
            return False
        return name in self.enums or bool(_COMPARABLE.fullmatch(re.sub(r"\(.*?\)", "", self.types[name])))


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


def sql_type(table: str, column: Column) -> str:
    """The column's type in a table that we create. Raises DumpError for a type that nobody has told us about."""
    if (table, column.name) in _LONGER:
        return _LONGER[table, column.name]
    if table == "group_membership_fact" and column.name == "group_membership_id":
        return "varchar(256)"
    if column.type == "varchar" and (column.length or 0) > _SHORTEST:
        return f"varchar({column.length})" if (column.length or 0) <= _LONGEST else "text"
    if column.type not in _TYPES:
        raise DumpError(say("type unknown", table=table, column=column.name, type=repr(column.type)))
    return _TYPES[column.type]


def widen(cursor: db.Cursor, tables: Iterable[Table]) -> list[Told]:
    """Let the tables that are there follow what a dump has gained: new columns, room for longer texts and numbers.

    Says what was done, and what could not be: a view may need the column as it is.
    """
    wanted = list(tables)
    found = look_at(cursor, [table.name for table in wanted])
    return [text for table in wanted for text in _widen(cursor, table, found[table.name])]


def _widen(cursor: db.Cursor, table: Table, found: Found) -> Iterator[Told]:
    target = db.identifier(table.name)
    for name, kind in sql_types(table).items() if found.types else ():
        column = f"{table.name}.{name}"
        if name not in found.types:
            db.run(cursor, "add_column", table=target, column=db.definition(name, kind))
            yield say("column added", column=column)
        elif _narrower(found.types[name], kind):
            try:
                with db.savepoint(cursor, "widen"):
                    db.run(cursor, "widen_column", table=target, column=db.identifier(name), type=db.raw(kind))
                yield say("column widened", column=column, kind=kind)
            except db.LockedError:
                raise
            except db.Error as error:
                stays = {"kind": kind, "found": found.types[name], "why": db.reason(error)}
                yield say("column stays", column=column, **stays)


def _narrower(found: str, wanted: str) -> bool:
    """Whether a column has less room than it should, and of the same sort.

    >>> _narrower("character varying(256)", "varchar(1000)"), _narrower("character varying(256)", "text")
    (True, True)
    >>> _narrower("character varying(256)", "varchar(256)"), _narrower("text", "varchar(256)")
    (False, False)
    >>> _narrower("integer", "bigint"), _narrower("bigint", "text"), _narrower("character varying", "text")
    (True, False, False)
    """
    if length := re.fullmatch(r"character varying\((\d+)\)", found):
        longer = re.fullmatch(r"varchar\((\d+)\)", wanted)
        return wanted == "text" or bool(longer and int(longer[1]) > int(length[1]))
    return found in {"smallint", "integer"} and wanted == "bigint"


def sql_types(table: Table) -> dict[str, str]:
    """The columns' types in a table that we create."""
    return {column.name: sql_type(table.name, column) for column in table.columns}


def made(table: Table) -> Found:
    """A table as we make it where there is none: a primary key, and canvas_id unique in a dimension."""
    names, key = table.column_names, key_of(table)
    uniques = [Unique(tuple(key), "", frozenset(key))] if key else []
    if table.name.endswith("_dim") and "canvas_id" in names and key:
        uniques.append(Unique(("canvas_id",), "", frozenset({"canvas_id"})))
    types = sql_types(table)
    return Found(types, {}, tuple(uniques), wordy=words.wordy(types.items()))


def look(cursor: db.Cursor, table: str) -> Found:
    """The table as it stands in DB_SCHEMA; without columns where there is none. `uniques` holds every unique index."""
    return look_at(cursor, [table])[table]


def look_at(cursor: db.Cursor, tables: Sequence[str]) -> dict[str, Found]:
    """The same of many tables, by name."""
    asked = ("table_columns", "unique_indexes", "row_checks")
    columns, indexes, checks = (_by_table(cursor, query, tables) for query in asked)
    return {table: _found(columns.get(table, []), indexes.get(table, []), checks.get(table, [])) for table in tables}


def _by_table(cursor: db.Cursor, query: str, tables: Sequence[str]) -> dict[str, list[db.Row]]:
    found: dict[str, list[db.Row]] = {}
    for table, *row in db.rows(cursor, query, {"tables": list(tables)}):
        found.setdefault(table, []).append(tuple(row))
    return found


def _found(columns: Sequence[db.Row], indexes: Sequence[db.Row], checks: Sequence[db.Row]) -> Found:
    uniques = tuple(
        Unique(tuple(terms), predicate or "", frozenset(read)) for terms, predicate, read, unique in indexes if unique
    )
    return Found(
        {name: kind for name, kind, *_ in columns},
        {name: enum for name, _, enum, *_ in columns if enum},
        uniques,
        generated=frozenset(name for name, _, _, generated, *_ in columns if generated),
        identities=frozenset(name for name, _, _, _, identity, *_ in columns if identity),
        required=frozenset(name for name, *_, required, _, _, _ in columns if required),
        wordy=words.wordy((name, base) for name, *_, base, _, _ in columns),
        vague=frozenset(name for name, *_, exact, _ in columns if not exact),
        excluded=frozenset(column for *_, read, unique in indexes if not unique for column in read),
        referenced=any(referenced for *_, referenced in columns),
        checks=tuple(Check(name, condition, frozenset(read)) for name, condition, read in checks),
    )

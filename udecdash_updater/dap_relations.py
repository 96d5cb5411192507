"""The dashboard's relations, made of Canvas Data 2: the same names, columns, ids and words as from Canvas Data 1.

They are tables, filled by the same merge as those of Canvas Data 1: unchanged rows stay, and so do views, grants and
indexes of a site that comes from there. One whose mark is that of its last load is not even made again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from udecdash_updater import dap_schema, db, lines, prints
from udecdash_updater.canvas import Found, look
from udecdash_updater.dap_ids import Ids
from udecdash_updater.dump import Column, DumpFile, Table
from udecdash_updater.rejects import FileCount, Rejects
from udecdash_updater.repeats import Waiting
from udecdash_updater.settings import Settings
from udecdash_updater.staging import STAGING, Staged, Way, stage_from, unchanged

# Each relation with the tables of Canvas Data 2 that it is made of (sql/dap_relations.sql).
RELATIONS = {
    "assignment_dim": ("canvas.assignments",),
    "communication_channel_dim": ("canvas.communication_channels",),
    "conversation_dim": ("canvas.conversations",),
    "conversation_message_dim": ("canvas.conversation_messages",),
    "course_dim": ("canvas.courses",),
    "course_section_dim": ("canvas.course_sections",),
    "discussion_entry_fact": ("canvas.discussion_entries", "canvas.discussion_topics"),
    "discussion_topic_dim": ("canvas.discussion_topics",),
    "enrollment_dim": ("canvas.enrollments",),
    "enrollment_term_dim": ("canvas.enrollment_terms",),
    "external_tool_activation_dim": ("canvas.context_external_tools",),
    "file_dim": ("canvas.attachments",),
    "module_dim": ("canvas.context_modules",),
    "module_item_dim": ("canvas.content_tags",),
    "quiz_dim": ("canvas.quizzes",),
    "user_dim": ("canvas.users",),
    "wiki_page_dim": ("canvas.wiki_pages",),
    "wiki_page_fact": ("canvas.wiki_pages",),
}
# PostgreSQL's numbers of the types that the statements give, as schema.json of Canvas Data 1 called them.
_TYPES = {16: "boolean", 20: "bigint", 25: "text", 701: "double precision", 1082: "date", 1114: "timestamp"}
# Texts that may be long; the others end at 255 in Canvas, and fit the columns that Canvas Data 1 left.
_LONG = {
    ("assignment_dim", "description"),
    ("conversation_message_dim", "body"),
    ("course_dim", "syllabus_body"),
    ("discussion_topic_dim", "message"),
    ("external_tool_activation_dim", "description"),
    ("file_dim", "display_name"),
    ("module_dim", "name"),
    ("module_item_dim", "title"),
    ("module_item_dim", "url"),
    ("quiz_dim", "description"),
    ("wiki_page_dim", "body"),
    ("wiki_page_dim", "url"),
}
_SOURCE = "Canvas Data 2"
_STRING = re.compile(r"text|(?:varchar|character(?: varying)?)(?:\((?P<length>\d+)\))?")


@dataclass(frozen=True, slots=True)
class Chosen:
    """Relations to fill, and those that wait: of them a table of Canvas Data 2 was never loaded."""

    ready: tuple[str, ...]
    waiting: tuple[str, ...]


def choose(loaded: Collection[str]) -> Chosen:
    """Which relations can be filled from tables of which these were loaded, now or before."""
    ready = tuple(name for name, sources in RELATIONS.items() if set(sources) <= set(loaded))
    return Chosen(ready, tuple(name for name in RELATIONS if name not in ready))


def tables(cursor: db.Cursor, names: Sequence[str]) -> list[Table]:
    """The relations with the columns that their statements give."""
    return [_table(cursor, name) for name in names]


def _table(cursor: db.Cursor, name: str) -> Table:
    db.run(cursor, "dap_no_rows", {"shard": 0}, query=db.statement(f"dap_{name}"))
    columns = [Column(column.name, _type(name, column.name, column.type_code)) for column in cursor.description or ()]
    return Table(name, tuple(columns))


def _type(relation: str, column: str, number: int) -> str:
    kind = _TYPES[number]
    return "varchar" if kind == "text" and (relation, column) not in _LONG else kind


def marks(cursor: db.Cursor, names: Sequence[str], ids: Ids) -> dict[str, str]:
    """What each relation is made of, in this transaction: a digest of its statement, its sources' rows and the ids.

    Whoever writes a row of a source changes it, we or somebody by hand. Empty where the server cannot tell.
    """
    sources = dict.fromkeys(source for name in names for source in RELATIONS[name])
    held = {source: prints.take(cursor, _rows_of(source)) for source in sources}
    users = prints.take(cursor, db.identifier("udecdash", "dap_users"))
    if users is None:
        return {}
    found = {}
    for name in names:
        made_of = (db.statements()[f"dap_{name}"], ids.shard, users, [held[source] for source in RELATIONS[name]])
        found[name] = hashlib.sha256(repr(made_of).encode()).hexdigest()
    return found


def _rows_of(source: str) -> db.Composable:
    namespace, _, table = source.partition(".")
    return db.identifier(dap_schema.SCHEMA, dap_schema.local_name(namespace, table))


def stage(cursor: db.Cursor, table: Table, ids: Ids, mark: str, settings: Settings) -> Staged:
    """What a relation has to become, in staging, from what the tables of Canvas Data 2 hold in this transaction.

    Nothing where its mark and its own rows are those of the last load. A row with a text that is longer than its
    column is a reject. Raises DatabaseError when PostgreSQL fails.
    """
    file = DumpFile(table.name, Path(_SOURCE), 0, table.column_names, content=mark)

    def fill(waiting: Waiting, gate: Rejects) -> list[FileCount]:
        try:
            with db.savepoint(cursor, "relation"):
                rows = _fill(cursor, waiting, ids, db.raw("true"))
            return [FileCount(file, rows, rows)]
        except db.TooLongError:
            refused = _refuse_long(cursor, waiting, ids, gate)
            rows = _fill(cursor, waiting, ids, _fitting(waiting.found, table))
            return [FileCount(file, rows + refused, rows, rejected=refused)]

    with db.told(f"making {table.name}"):
        found = look(cursor, table.name)
        was = prints.take(cursor, db.identifier(table.name)) if found.types else None
        known = lines.recall(cursor, [table]).get(table.name)
        if was and known and known.is_of(table, found, was) and known.holds([file]):
            return unchanged(table, found, [file], known)
        lines.forget(cursor, table)
        staged = stage_from(cursor, table, fill, settings)
        db.run(cursor, "dap_forget_staged")
        if staged.way is Way.BUILT:
            was = prints.take(cursor, db.identifier(STAGING, table.name))
        return replace(staged, kept=was if mark and lines.can_be_kept(table, staged.counts) else None)


def _fill(cursor: db.Cursor, waiting: Waiting, ids: Ids, condition: db.Composable) -> int:
    table, found = waiting.table, waiting.found
    taken = [_taken(name, "text" if name in found.enums else found.types[name]) for name in table.column_names]
    parts = {"columns": db.identifiers(table.column_names), "taken": db.comma(taken), "condition": condition}
    query = db.statement(f"dap_{table.name}")
    return db.run(cursor, "dap_fill", {"shard": ids.shard}, staging=waiting.staging, query=query, **parts)


def _taken(name: str, kind: str) -> db.Composable:
    """A value as the found table has it. A text is never cast: a cast would cut in silence what is too long."""
    column = db.identifier(name)
    return column if _STRING.fullmatch(kind) else db.statement("dap_taken", column=column, type=db.raw(kind))


def _lengths(found: Found, table: Table) -> dict[str, int]:
    """The texts that the found table bounds."""
    strings = {name: _STRING.fullmatch(found.types[name]) for name in table.column_names}
    return {name: int(string["length"]) for name, string in strings.items() if string and string["length"]}


def _fitting(found: Found, table: Table) -> db.Composable:
    return db.both([_fits(name, length) for name, length in _lengths(found, table).items()])


def _fits(name: str, length: int) -> db.Composable:
    return db.statement("dap_fits", column=db.identifier(name), length=db.raw(str(length)))


def _refuse_long(cursor: db.Cursor, waiting: Waiting, ids: Ids, gate: Rejects) -> int:
    """Tell of each row that does not fit, by its key and the first column that is too short for it."""
    bounded, query = _lengths(waiting.found, waiting.table), db.statement(f"dap_{waiting.table.name}")
    fits = db.comma([_fits(name, length) for name, length in bounded.items()])
    parts = {"query": query, "fits": fits, "key": db.identifiers(waiting.key)}
    refused = db.rows(cursor, "dap_too_long", {"shard": ids.shard}, **parts)
    for place, key in refused:
        name, length = list(bounded.items())[place - 1]
        gate.add(_SOURCE, None, f"{name}: longer than the {length} characters of its column, {waiting.key[0]} {key}")
    return len(refused)

"""The dashboard's relations, made of Canvas Data 2: the same names, columns, ids and words as from Canvas Data 1.

They are tables, filled by the same merge as those of Canvas Data 1: unchanged rows stay, and so do views, grants and
indexes of a site that comes from there. One whose mark is that of its last load is not even made again.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from udecdash_updater import dap_tables, db, lines, prints, refusals
from udecdash_updater.canvas import look
from udecdash_updater.dap_ids import Ids
from udecdash_updater.dump import Column, DumpFile, Table
from udecdash_updater.errors import TableError
from udecdash_updater.language import say
from udecdash_updater.prints import Print
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
_KEPT = db.identifier("pg_temp", "_due")


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
    """The relations with the columns that their statements give.

    Raises TableError where a table that one is made of lost a column that Canvas no longer has: nothing brings it back.
    """
    return [_table(cursor, name) for name in names]


def _table(cursor: db.Cursor, name: str) -> Table:
    try:
        db.run(cursor, "dap_no_rows", {"shard": 0}, query=db.statement(f"dap_{name}"))
    except db.UndefinedColumn as error:
        sources = db.comma([dap_tables.named(source) for source in RELATIONS[name]]).as_string(cursor)
        told = say("dap column gone", relation=name, tables=sources, why=db.reason(error))
        raise TableError(told, hint=say("dap column gone hint", tables=sources)) from None
    columns = [Column(column.name, _type(name, column.name, column.type_code)) for column in cursor.description or ()]
    return Table(name, tuple(columns))


def _type(relation: str, column: str, number: int) -> str:
    kind = _TYPES[number]
    return "varchar" if kind == "text" and (relation, column) not in _LONG else kind


def marks(cursor: db.Cursor, names: Sequence[str], taken: Mapping[str, Print | None], ids: Ids) -> dict[str, str]:
    """What each relation is made of, in this transaction: a digest of its statement, its sources' rows and the ids.

    `taken`: prints of sources that were taken in this transaction already. Whoever writes a row of a source changes
    its print, we or somebody by hand. Empty where the server cannot tell.
    """
    sources = dict.fromkeys(source for name in names for source in RELATIONS[name])
    held = {s: taken[s] if s in taken else prints.take(cursor, dap_tables.named(s)) for s in sources}
    users = prints.take(cursor, db.identifier("udecdash", "dap_users"))
    if users is None:
        return {}
    found = {}
    for name in names:
        made_of = (db.statements()[f"dap_{name}"], ids.shard, users, [held[source] for source in RELATIONS[name]])
        found[name] = hashlib.sha256(repr(made_of).encode()).hexdigest()
    return found


def stage(
    cursor: db.Cursor,
    table: Table,
    ids: Ids,
    mark: str,
    settings: Settings,
    refused: Mapping[str, str] | None = None,
) -> Staged:
    """What a relation has to become, in staging, from what the tables of Canvas Data 2 hold in this transaction.

    Nothing where its mark and its own rows are those of the last load. `refused`: why the relation itself does not take
    the rows of some keys, when it is staged once more. They are rejects, and so are rows with a value that its column
    does not take. Raises DumpError when these are too many, DatabaseError when PostgreSQL fails.
    """
    file = DumpFile(table.name, Path(_SOURCE), 0, table.column_names, content=mark)

    def fill(waiting: Waiting, gate: Rejects) -> list[FileCount]:
        for key, why in (refused or {}).items():
            gate.add(_SOURCE, None, _told(waiting, why, key))
        due = _Due(cursor, waiting, ids, list(refused or ()))
        try:
            with db.savepoint(cursor, "relation"):
                rows = due.fill()
        except db.BAD_ROW:
            rows = due.fill_with_care(gate)
        return [FileCount(file, rows + len(gate.rejects), rows, rejected=len(gate.rejects))]

    with db.told(f"making {table.name}"):
        found = look(cursor, table.name)
        was = prints.take(cursor, db.identifier(table.name)) if found.types else None
        known = None if refused else lines.recall(cursor, [table]).get(table.name)
        if was and known and known.is_of(table, found, was) and known.holds([file]):
            return unchanged(table, found, [file], known)
        lines.forget(cursor, table)
        staged = stage_from(cursor, table, fill, settings)
        db.run(cursor, "dap_forget_staged")
        if staged.way is Way.BUILT:
            was = prints.take(cursor, db.identifier(STAGING, table.name))
        return replace(staged, kept=was if mark and lines.can_be_kept(table, staged.counts) else None)


def _told(waiting: Waiting, why: str, key: str) -> str:
    return f"{why}, {waiting.key[0]} {key}"


class _Due:
    """The rows that a relation is due, on their way into its staging."""

    def __init__(self, cursor: db.Cursor, waiting: Waiting, ids: Ids, refused: list[str]) -> None:
        self._cursor, self._waiting = cursor, waiting
        self._values = {"shard": ids.shard, "refused": refused}
        staging = waiting.staging.as_string(cursor)
        self._texts = {name for (name,) in db.rows(cursor, "dap_texts", {"staging": staging})}

    def fill(self) -> int:
        """All of them at once; how many."""
        return self._insert(self._waiting.table.column_names, db.statement("dap_due", **self._parts()))

    def fill_with_care(self, gate: Rejects) -> int:
        """By halves, down to the rows that the staging does not take, which are rejects; how many it took."""
        db.run(self._cursor, "dap_keep_due", self._values, due=db.statement("dap_due", **self._parts()))
        high = db.one(self._cursor, "last_place", {"table": "pg_temp._due"})[0]
        return self._fill_part(0, int(high), gate)

    def _fill_part(self, low: int, high: int, gate: Rejects) -> int:
        part = refusals.part_of(_KEPT, low, high)
        try:
            with db.savepoint(self._cursor, "part"):
                return self._insert(self._waiting.table.column_names, part)
        except db.BAD_ROW as error:
            if high - low == 1:
                [(key,)] = db.rows(self._cursor, "staged_key", key=db.identifiers(self._waiting.key), staging=part)
                gate.add(_SOURCE, None, _told(self._waiting, self._fault(part, error), key))
                return 0
        middle = (low + high) // 2
        return self._fill_part(low, middle, gate) + self._fill_part(middle, high, gate)

    def _fault(self, part: db.Composable, error: db.Error) -> str:
        """Which column does not take its value, and why."""
        key = self._waiting.key
        for name in self._waiting.table.column_names:
            try:
                with contextlib.suppress(_UndoneError), db.savepoint(self._cursor, "column"):
                    self._insert([*key, *{name}.difference(key)], part)
                    raise _UndoneError
            except db.BAD_ROW as its_own:
                return f"{name}: {_reason(its_own)}"
        return _reason(error)

    def _insert(self, names: Sequence[str], source: db.Composable) -> int:
        # A text is never cast: a cast would cut in silence what is too long, also to a domain of such a type.
        columns = {name: db.identifier(name) for name in names}
        taken = [
            column if name in self._texts else db.statement("dap_taken", column=column, type=self._type(name))
            for name, column in columns.items()
        ]
        parts = {"columns": db.identifiers(names), "taken": db.comma(taken), "due": source}
        return db.run(self._cursor, "dap_fill", self._values, staging=self._waiting.staging, **parts)

    def _type(self, name: str) -> db.Composable:
        return db.raw(self._waiting.found.types[name])

    def _parts(self) -> dict[str, db.Composable]:
        return {"query": db.statement(f"dap_{self._waiting.table.name}"), "key": db.identifiers(self._waiting.key)}


class _UndoneError(Exception):
    """What was tried is rolled back."""


def _reason(error: db.Error) -> str:
    return "longer than its column" if isinstance(error, db.TooLongError) else db.reason(error)

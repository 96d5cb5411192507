"""What a load touched of the things that requests can reach, so that jobs judge again only what may resolve now (R14).

A load that does not tell costs time and nothing else: after it, every unresolved request is judged again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal

from udecdash_updater import db

TABLES = frozenset(
    {
        "module_item_dim",
        "wiki_page_dim",
        "file_dim",
        "quiz_dim",
        "discussion_topic_dim",
        "assignment_dim",
        "external_tool_activation_dim",
    }
)
"""The tables whose rows requests can reach, all of them with the columns id and canvas_id."""
_PAGES = ("module_item_dim", "wiki_page_dim")
_NOTED = ("delete_gone", "delete_placed", "update_changed", "insert_new")


def begin(cursor: db.Cursor) -> None:
    """Before the tables are published, in the same transaction."""
    db.run(cursor, "no_touched_rows")


def run(
    cursor: db.Cursor,
    name: str,
    table: str,
    columns: Collection[str],
    parts: Mapping[str, db.Composable],
    place: db.Composable | None = None,
) -> tuple[int, Decimal]:
    """Execute a statement of the publish and note what it touches; the number of rows it wrote or took away.

    And the sum of `place` over the rows that it wrote, 0 without it.
    """
    noted = table in TABLES and name in _NOTED and {"id", "canvas_id"} <= set(columns)
    if not noted and place is None:
        return db.run(cursor, name, None, **parts), Decimal(0)
    told = {"merge": db.statement(name, **parts), "place": place or db.raw("0")}
    if noted:
        of = () if name == "insert_new" else ("t",)
        key, canvas_key = (db.identifier(*of, column) for column in ("id", "canvas_id"))
        told |= {"id": key, "canvas_id": canvas_key, "table": db.literal(table)}
    rows, places = db.one(cursor, "merge_and_note" if noted else "merge_and_tell", None, **told)
    return rows, places


def record(cursor: db.Cursor, run: int, published: Collection[str], filled: Sequence[str]) -> None:
    """After the tables are published, in the same transaction: write down what run `run` touched.

    `published` are all its tables, `filled` those that were empty before: of them nothing was noted, and if
    requests can reach one, the load counts as one that does not tell. So does one of half of what leads to a page.
    """
    pages = set(_PAGES).intersection(published)
    if TABLES.intersection(filled) or len(pages) == 1:
        return
    db.run(cursor, "note_touched", {"run": run})
    if pages:
        db.run(cursor, "note_touched_pages", {"run": run})
    db.run(cursor, "note_tracked", {"run": run})
    db.run(cursor, "analyze_touched")


def forget(connection: db.Connection) -> None:
    """Forget what every course has seen; does nothing while a job is at work."""
    with db.transaction(connection) as cursor:
        if db.one(cursor, "try_lock_jobs")[0]:
            db.run(cursor, "forget_touched")

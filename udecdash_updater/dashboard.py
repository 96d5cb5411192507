"""The dashboard's own tables besides the dump's: requests and what its interactions go to; created where missing."""

from __future__ import annotations

from udecdash_updater import db, obstacles, roles
from udecdash_updater.dump import REQUESTS
from udecdash_updater.ledger import ensure_schema
from udecdash_updater.resolution import INTERACTION_TABLES
from udecdash_updater.settings import Settings

ATTACHMENTS = "attachment_interactions"
_INDEXED = ("course_id", "user_id", "item_id", "item_canvas_id", "viewed")


def prepare(settings: Settings) -> None:
    """Create what is missing of requests, the interaction tables and their indexes, as the contract says.

    Raises DatabaseError when PostgreSQL refuses.
    """
    with (
        db.told("creating the dashboard's tables"),
        db.opened(settings) as connection,
        db.transaction(connection) as cursor,
    ):
        ensure_schema(cursor, settings.db_schema)
        obstacles.demand_none(
            cursor, [REQUESTS, *INTERACTION_TABLES, "course_interactions", "unprocessable_interactions"]
        )
        _create_requests(cursor)
        for table in INTERACTION_TABLES:
            _create_interactions(cursor, table)
        _create_course_tables(cursor)
        roles.grant(cursor)


def _exists(cursor: db.Cursor, table: str) -> bool:
    return bool(db.one(cursor, "table_exists", {"table": table})[0])


def _create_requests(cursor: db.Cursor) -> None:
    # Its indexes come with its first rows: building them at once is much faster than row by row.
    if not _exists(cursor, "requests"):
        db.run(cursor, "create_requests")


def _create_interactions(cursor: db.Cursor, table: str) -> None:
    if _exists(cursor, table):
        return
    downloaded = "downloaded boolean not null default false," if table == ATTACHMENTS else ""
    name = db.identifier(table)
    db.run(cursor, "create_interactions", table=name, downloaded=db.raw(downloaded))
    for column in _INDEXED:
        index = db.identifier(f"{table}_{column}_index")
        db.run(cursor, "index_interactions", index=index, table=name, column=db.identifier(column))
    db.run(cursor, "index_interactions_items", index=db.identifier(f"{table}_items_index"), table=name)


def _create_course_tables(cursor: db.Cursor) -> None:
    if not _exists(cursor, "course_interactions"):
        db.run(cursor, "create_course_interactions")
        db.run(cursor, "index_course_interactions")
    if not _exists(cursor, "unprocessable_interactions"):
        db.run(cursor, "create_unprocessable")
    if "course_id" not in {columns[0] for columns in _indexes(cursor, "unprocessable_interactions")}:
        db.run(cursor, "index_unprocessable")


def index_requests(cursor: db.Cursor) -> None:
    """The indexes of requests, where they are missing: the dashboard's, and ours of a course in load order."""
    index_requests_id(cursor)
    if ["course_id", "local_id"] not in _indexes(cursor, "requests"):
        db.run(cursor, "index_requests_course")


def index_requests_id(cursor: db.Cursor) -> None:
    """The index of their ids alone, where it is missing."""
    if not any(found[0] == "id" for found in _indexes(cursor, "requests")):
        db.run(cursor, "index_requests_id")


def _indexes(cursor: db.Cursor, table: str) -> list[list[str]]:
    """The columns of each of a table's indexes; asked first: CREATE INDEX IF NOT EXISTS locks and wants rights."""
    return [columns for (columns,) in db.rows(cursor, "indexed_columns", {"table": table})]

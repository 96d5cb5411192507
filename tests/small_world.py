"""A university of a few courses in which everything can be reached, and a dump of it; tests change it at will."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path

from tests.nights import mini_dump

ITEM = (
    "id", "canvas_id", "content_type", "wiki_page_id", "file_id", "quiz_id", "discussion_topic_id", "assignment_id",
    "course_id",
)  # fmt: skip
PLAIN = ("file_dim", "quiz_dim", "discussion_topic_dim", "assignment_dim", "external_tool_activation_dim")
COLUMNS: dict[str, tuple[str, ...]] = {
    "course_dim": ("id", "canvas_id"),
    "module_item_dim": ITEM,
    "wiki_page_dim": ("id", "canvas_id", "url"),
    **dict.fromkeys(PLAIN, ("id", "canvas_id")),
    "enrollment_dim": ("id", "course_id", "workflow_state"),
    "requests": (
        "id", "timestamp", "year", "month", "day", "user_id", "course_id", "root_account_id", "course_account_id",
        "quiz_id", "discussion_id", "conversation_id", "assignment_id", "url", "user_agent", "http_method",
        "remote_ip", "interaction_micros", "web_application_controller", "web_applicaiton_action",
        "web_application_context_type", "web_application_context_id", "real_user_id", "session_id",
        "user_agent_id", "http_status", "http_version", "developer_key_id",
    ),
}  # fmt: skip
_TEXTS = ("content_type", "url", "user_agent", "workflow_state")
Value = int | str | None
Row = dict[str, Value]


def _type(table: str, column: str) -> str:
    if column == "timestamp":
        return "timestamp"
    if column in _TEXTS or (table == "requests" and column == "id"):
        return "varchar"
    return "bigint"


def _line(row: Row, columns: tuple[str, ...]) -> bytes:
    values = ("\\N" if row.get(column) is None else str(row[column]) for column in columns)
    return "\t".join(values).encode() + b"\n"


@dataclass
class World:
    """The rows of every table by id; canvas_id = id + 100, so that mixing them up shows."""

    tables: dict[str, dict[int, Row]] = field(default_factory=lambda: {name: {} for name in COLUMNS})
    nights: int = 0

    def put(self, table: str, row_id: int, **columns: Value) -> None:
        """Set a row; its canvas_id is id + 100 unless given."""
        self.tables[table][row_id] = {"id": row_id, "canvas_id": row_id + 100, **columns}

    def ask(self, course: int, url: str, **columns: Value) -> str:
        """A new request; its id."""
        number = len(self.tables["requests"])
        name = f"request-{number}"
        row: Row = {"id": name, "timestamp": f"2021-05-01 10:{number // 60 % 60:02}:{number % 60:02}", "user_id": 5}
        self.tables["requests"][number] = {**row, "course_id": course, "url": url, **columns}
        return name

    def dump(self, folder: Path) -> Path:
        """The dump of the next night: every row of every table, requests that are new in a file of their own."""
        self.nights += 1
        files = {
            name: {"a.gz": b"".join(_line(row, columns) for row in self.tables[name].values())}
            for name, columns in COLUMNS.items()
        }
        files["requests"] = {f"requests-{self.nights}.gz": files["requests"]["a.gz"]}
        kinds = {table: [(column, _type(table, column)) for column in columns] for table, columns in COLUMNS.items()}
        return mini_dump(folder / f"night{self.nights}", kinds, files)


SLUGS = ("a", "b", "ñ #")


def url(chance: random.Random, course: int) -> str:
    """A URL that names one or two things of the course, which may be there or not."""
    number = chance.randint(101, 105)
    kinds = ("files", "quizzes", "discussion_topics", "assignments", "external_tools", "modules/items")
    places = [f"/courses/{course + 100}/{kind}/{number}" for kind in kinds]
    places += [f"/courses/{course + 100}/pages/{chance.choice(SLUGS)}", f"/courses/{course + 100}/grades"]
    return "?back=".join(chance.sample(places, chance.choice((1, 1, 2))))


def item(chance: random.Random) -> Row:
    """A module item of one of two courses that may point anywhere."""
    pointers = {column: chance.choice((None, None, chance.randint(1, 5))) for column in ITEM if column.endswith("_id")}
    pointers["wiki_page_id"] = chance.choice((None, 1, 2, 3))
    del pointers["canvas_id"]
    return {**pointers, "content_type": chance.choice(("Quiz", "ExternalUrl")), "course_id": chance.choice((1, 2))}


def change(world: World, chance: random.Random) -> None:
    """One row of one table comes, changes or goes."""
    table = chance.choice(("module_item_dim", "module_item_dim", "wiki_page_dim", "wiki_page_dim", *PLAIN))
    row_id = chance.randint(1, 5)
    if row_id in world.tables[table] and chance.random() < 0.4:
        del world.tables[table][row_id]
    elif table == "module_item_dim":
        world.put(table, row_id, **item(chance))
    elif table == "wiki_page_dim":
        world.put(table, row_id, url=chance.choice(SLUGS))
    else:
        world.put(table, row_id, canvas_id=chance.choice((row_id + 100, row_id + 100, None)))

"""Small dumps of tables and requests of a test's own."""

from __future__ import annotations

from pathlib import Path

from tests.nights import mini_dump

ITEM = [("id", "bigint"), ("canvas_id", "bigint"), ("name", "varchar"), ("on_sale", "boolean"), ("made", "timestamp")]
REQUEST = [
    *[("id", "guid"), ("timestamp", "datetime"), ("timestamp_year", "varchar"), ("timestamp_month", "varchar")],
    *[("timestamp_day", "varchar"), ("user_id", "bigint"), ("course_id", "bigint"), ("root_account_id", "bigint")],
    *[("course_account_id", "bigint"), ("quiz_id", "bigint"), ("discussion_id", "bigint")],
    *[("conversation_id", "bigint"), ("assignment_id", "bigint"), ("url", "text"), ("user_agent", "text")],
    *[("http_method", "varchar"), ("remote_ip", "varchar"), ("interaction_micros", "bigint")],
    *[("web_application_controller", "varchar"), ("web_application_action", "varchar")],
    *[("web_application_context_type", "varchar"), ("web_application_context_id", "varchar")],
    *[("real_user_id", "bigint"), ("session_id", "varchar"), ("user_agent_id", "bigint")],
    *[("http_status", "varchar"), ("http_version", "varchar"), ("developer_key_id", "bigint")],
]
_DEFAULTS = {"id": "a", "timestamp": "2021-04-01 10:00:00.000", "user_id": "5", "course_id": "7", "url": "/courses/7"}


def request_line(**fields: str) -> bytes:
    """A line of a requests file: the fields given, ordinary ones, NULL for the rest."""
    values = {**_DEFAULTS, **fields}
    return ("\t".join(values.get(name, "\\N") for name, _ in REQUEST) + "\n").encode()


def request_dump(folder: Path, files: dict[str, bytes]) -> Path:
    """A dump of requests files alone."""
    return mini_dump(folder, {"requests": REQUEST, "course_dim": [("id", "bigint"), ("canvas_id", "bigint")]},
                     {"requests": files})  # fmt: skip

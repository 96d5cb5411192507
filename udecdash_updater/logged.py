"""The requests that unprocessable_interactions tells of, read back; another program may have written anything there."""

from __future__ import annotations

import json
from typing import Any

from udecdash_updater.weblog import Request

_LARGEST = 2**63
_NUMBERS = ("quiz_id", "discussion_id", "assignment_id")


def read(log: str, course: int, user: int, url: str) -> Request | None:
    """The request of one row: its JSON, and its own columns where the JSON is silent. None without a usable id.

    >>> found = read('{"id": "a", "local_id": "7", "quiz_id": "x", "user_agent": 5}', 10, 20, "/")
    >>> found.id, found.local_id, found.quiz_id, found.user_id, found.url, found.user_agent
    ('a', 7, None, 20, '/', None)
    >>> read('[]', 10, 20, "/"), read('{"id": 5}', 10, 20, "/"), read("no JSON", 10, 20, "/")
    (None, None, None)
    """
    try:
        told = json.loads(log)
    except (ValueError, RecursionError):
        return None
    if not isinstance(told, dict) or (name := _text(told.get("id"))) is None:
        return None
    quiz, discussion, assignment = (_number(told.get(column)) for column in _NUMBERS)
    time, agent = _text(told.get("timestamp")), _text(told.get("user_agent"))
    named = _text(told.get("url")) or url
    return Request(
        _number(told.get("local_id")) or 0, name, time, user, course, quiz, discussion, assignment, named, agent
    )


def _text(value: Any) -> str | None:  # noqa: ANN401 - whatever JSON holds
    """A text that PostgreSQL could have held, else None."""
    if not isinstance(value, str) or "\0" in value:
        return None
    return value if value.isascii() or value.encode(errors="replace").decode() == value else None


def _number(value: Any) -> int | None:  # noqa: ANN401 - as above
    """A whole number of 64 bits, also as a text of digits, else None."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < len(str(_LARGEST)) + 1:
        value = int(value)
    return value if isinstance(value, int) and -_LARGEST <= value < _LARGEST else None

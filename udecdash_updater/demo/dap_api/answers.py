"""Answers of the API: JSON, and errors in the shapes by which the client tells them apart."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back: only `cut` bytes of the body, where that is set; `counted` says whether its length is told."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    counted: bool = True


class ApiError(Exception):
    """An answer that tells of an error: HTTP status, the error's type and message, and members that shape it."""

    def __init__(
        self, status: int, kind: str, message: str, /, *, retry_after: int | None = None, **shape: object
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error = {"type": kind, "uuid": str(uuid.uuid4()), "message": message, **shape}
        self.retry_after = retry_after

    def answer(self) -> Answer:
        """The error as it is sent."""
        more = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        return as_json({"error": self.error}, self.status, more)


def as_json(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """JSON, as every endpoint but the files answers."""
    return Answer(status, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})})


def invalid(message: str) -> ApiError:
    """The request cannot be understood."""
    return ApiError(400, "ValidationError", message, location={"line": 1, "column": 1, "character": 1})


def unknown(kind: str, name: str) -> ApiError:
    """There is no such namespace, table, job or object."""
    return ApiError(404, "NotFoundError", f"{kind} {name} does not exist", id=name, kind=kind)


def out_of_range(earliest: datetime, latest: datetime) -> ApiError:
    """The time asked for is not kept any more, or not reached yet."""
    message = "the requested time range is not available"
    return ApiError(400, "OutOfRangeError", message, since=stamp(earliest), until=stamp(latest))


def stamp(moment: datetime) -> str:
    """A time as the API writes it."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"

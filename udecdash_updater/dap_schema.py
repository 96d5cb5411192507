"""A table of Canvas Data 2 as its JSON schema and the first lines of its files tell it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from udecdash_updater import rows
from udecdash_updater.dap_batches import Batch
from udecdash_updater.errors import DumpError
from udecdash_updater.language import say

SCHEMA = "udecdash_dap"
ACTION = "_action"
_META = {"meta.ts": "_ts", "meta.action": ACTION}
_LONGEST_NAME = 63
# The widest type of each kind, so that a type that Canvas widens is no change here. The rest is text: lists and objects
# too, because a marker may stand in their place when they are too long.
_KINDS = {"integer": "bigint", "number": "double precision", "boolean": "boolean"}
_FORMATS = {"date-time": "timestamp without time zone", "date": "date"}


@dataclass(frozen=True, slots=True)
class DapTable:
    """A table: its name with namespace, its name in our schema, its key, and the type of each column."""

    name: str
    local: str
    key: tuple[str, ...]
    types: Mapping[str, str]


def read(batches: Sequence[Batch]) -> DapTable:
    """The table of these batches, by the newest one's schema. Raises DumpError when that cannot be understood."""
    newest = max(batches, key=lambda batch: batch.until)
    schema = newest.schema()
    try:
        key = _properties(schema, "key")
        types = {name: _type(schema, kind) for name, kind in (key | _properties(schema, "value")).items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise DumpError(say("no table schema", folder=newest.folder, why=type(error).__name__)) from None
    return DapTable(newest.name, local_name(newest.namespace, newest.table), tuple(key), types)


def local_name(namespace: str, table: str) -> str:
    """The table's name in our schema.

    >>> local_name("canvas", "users"), local_name("new_quizzes", "quizzes")
    ('users', 'new_quizzes__quizzes')
    """
    return table if namespace == "canvas" else f"{namespace}__{table}"


def _properties(schema: Mapping[str, Any], part: str) -> dict[str, Any]:
    return dict(_resolved(schema, schema["properties"][part])["properties"])


def _resolved(schema: Mapping[str, Any], found: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a `$ref` leads to within the schema."""
    while "$ref" in found:
        place: Any = schema
        for step in found["$ref"].removeprefix("#/").split("/"):
            place = place[step]
        found = place
    return found


def _type(schema: Mapping[str, Any], column: Mapping[str, Any]) -> str:
    found = _resolved(schema, column)
    kinds = found.get("type", "")
    kind = next((one for one in kinds if one != "null"), "") if isinstance(kinds, list) else kinds
    if kind == "string" and "enum" not in found:
        return _FORMATS.get(found.get("format", ""), "text")
    return _KINDS.get(kind, "text")


def columns(path: Path, table: str) -> tuple[str, ...]:
    """The columns of a file, in order, by its first line: named as in our tables, meta.* with an underscore.

    Raises DumpError when the line names something else or names it twice.
    """
    with rows.reading(path) as plain:
        line = plain.readline(1 << 20).rstrip(b"\r\n").decode("utf-8", "replace")
    found = tuple(_column(name) for name in line.split("\t"))
    if "" in found or len(set(found)) != len(found):
        raise DumpError(say("dap header", path=path, table=table))
    return found


def _column(name: str) -> str:
    part, _, rest = name.partition(".")
    if name in _META:
        return _META[name]
    if part not in {"key", "value"} or not rest.isprintable() or len(rest.encode()) > _LONGEST_NAME:
        return ""
    return rest

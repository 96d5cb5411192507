"""The same night once more, as the Data Access Platform tells it: Canvas Data 1's dump as tables of Canvas Data 2.

    python -m udecdash_updater.demo.canvas_data_2 NIGHT SERVED --night 1

reads NIGHT/dataFiles, as `university` wrote it, and writes SERVED/night1/<namespace>/<table>.tsv.gz (all live rows
under a header) with <table>.schema.json beside each. Ids become local ones, words become booleans, module items become
content tags. The web log keeps its load order (rule R14).
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from udecdash_updater.demo.archive import Archive
from udecdash_updater.demo.schema import tables
from udecdash_updater.demo.texts import escape, unescape
from udecdash_updater.demo.things import SHARD

NULL = "\\N"
ELSEWHERE = 10**14  # ids from here on belong to other shards, and so to nothing at this university
_FACTS = Path(__file__).with_suffix(".tsv")
_META_TIME = "2021-01-01T00:00:00.000Z"
_CONTENT = {
    "WikiPage": ("WikiPage", "wiki_page_id"),
    "Attachment": ("Attachment", "file_id"),
    "Quiz": ("Quizzes::Quiz", "quiz_id"),
    "DiscussionTopic": ("DiscussionTopic", "discussion_topic_id"),
    "Assignment": ("Assignment", "assignment_id"),
}
# Columns whose target the schema of Canvas Data 1 does not name.
_TARGETS = {
    "assignment_id": "assignment_dim", "discussion_topic_id": "discussion_topic_dim", "file_id": "file_dim",
    "quiz_id": "quiz_dim", "wiki_page_id": "wiki_page_dim", "discussion_id": "discussion_topic_dim",
    "user_id": "user_dim", "real_user_id": "user_dim", "course_id": "course_dim", "parent_course_id": "course_dim",
}  # fmt: skip
_TYPES: dict[str, dict[str, object]] = {
    "int64": {"type": "integer", "format": "int64"},
    "int32": {"type": "integer", "format": "int32"},
    "double": {"type": "number", "format": "float64"},
    "bool": {"type": "boolean"},
    "time": {"type": "string", "format": "date-time"},
    "date": {"type": "string", "format": "date"},
    "list": {"type": "array", "items": {"type": "string"}},
}
_HIDE_RESULTS = {
    "never": "always",
    "always_after_last_attempt": "until_after_last_attempt",
    "only_once_after_last_attempt": "until_after_last_attempt",
}
Row = Mapping[str, str]
Making = Callable[[Row], str]


@dataclass(frozen=True, slots=True)
class Told:
    """A table of Canvas Data 2: the tables it is made of, and (name, type, source) of each column but the key."""

    namespace: str
    name: str
    dimension: str
    fact: str
    columns: tuple[tuple[str, str, str], ...]


@cache
def told_tables() -> tuple[Told, ...]:
    """All tables that are told, as canvas_data_2.tsv lists them."""
    heads: list[list[str]] = []
    columns: list[list[tuple[str, str, str]]] = []
    for line in _FACTS.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        first, *rest = line.split("\t")
        if first:
            heads.append([*first.split("."), *rest, ""])
            columns.append([])
        else:
            columns[-1].append((rest[0], rest[1], rest[2]))
    return tuple(Told(head[0], head[1], head[2], head[3], tuple(own)) for head, own in zip(heads, columns, strict=True))


class Ids:
    """The local ids of a dump's rows: their canvas_id."""

    def __init__(self, data_files: Path) -> None:
        self._data_files = data_files
        self._known: dict[str, dict[str, str]] = {}

    def local(self, table: str, ident: str) -> str:
        """The local id of a row; of one that no table has, a number that nothing here has either."""
        known = self._known.get(table)
        if known is None:
            known = {row["id"]: row["canvas_id"] for row in _rows(self._data_files, table)} if table else {}
            self._known[table] = known
        if ident in known or ident == NULL:
            return known.get(ident, NULL)
        number = int(ident)
        if number <= 0:
            return ident
        return str(number - SHARD if number > SHARD else ELSEWHERE + number)


def tell(data_files: Path, served: Path, night: int) -> Path:
    """Tell the dump in `data_files` as night `night` below `served`; returns the night's folder."""
    folder = served / f"night{night}"
    ids = Ids(data_files)
    for table in told_tables():
        place = folder / table.namespace
        place.mkdir(parents=True, exist_ok=True)
        schema = {"schema": _schema(table), "version": 1}
        (place / f"{table.name}.schema.json").write_text(json.dumps(schema, indent=1), encoding="utf-8")
        makings = [_making(table, ids, kind, source) for _, kind, source in table.columns]
        with Archive(place / f"{table.name}.tsv.gz") as archive:
            archive.write("\t".join(["meta.ts", "key.id", *(f"value.{name}" for name, _, _ in table.columns)]) + "\n")
            for row in _told_rows(data_files, table):
                key = row["id"] if table.dimension == "requests" else row["canvas_id"]
                archive.write("\t".join([_META_TIME, key, *(making(row) for making in makings)]) + "\n")
    return folder


def local_users(data_files: Path) -> dict[str, str]:
    """For who compares: the local id of every user of the dump by the id in Canvas Data 1."""
    return {row["id"]: row["canvas_id"] for row in _rows(data_files, "user_dim")}


def _told_rows(data_files: Path, table: Told) -> Iterator[Row]:
    if table.dimension == "requests":
        yield from _rows(data_files, "requests")
        return
    facts = {}
    if table.fact:
        key = tables()[table.fact].names[0]
        facts = {
            row[key]: {f"fact.{name}": text for name, text in row.items()} for row in _rows(data_files, table.fact)
        }
    seen = set()
    for row in _rows(data_files, table.dimension):
        if row["id"] not in seen:  # the bad cut of the real program repeats some
            seen.add(row["id"])
            yield {**row, **facts.get(row["id"], {})}


def _rows(data_files: Path, table: str) -> Iterator[Row]:
    names = tables()[table].names
    for path in _load_order(data_files / table):
        with gzip.open(path, "rt", encoding="utf-8", newline="\n") as file:
            for line in file:
                yield dict(zip(names, line.rstrip("\n").split("\t"), strict=True))


def _load_order(folder: Path) -> list[Path]:
    paths = sorted(folder.glob("*.gz"))
    return sorted(paths, key=_earliest) if folder.name == "requests" else paths


def _earliest(path: Path) -> tuple[str, str]:
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as file:
        return min(line.split("\t", 2)[1] for line in file), path.name


def _making(table: Told, ids: Ids, kind: str, source: str) -> Making:
    """How a column's field is written from a row of Canvas Data 1."""
    if source.startswith("="):
        return lambda _row: source[1:]
    if source.startswith("!"):
        return _by_rule(ids, *source[1:].split(" "))
    if source.endswith("_id") and kind == "int64":
        target = _target(table, source)
        return lambda row: ids.local(target, row.get(source, NULL))
    if kind in {"int64", "int32"}:
        return lambda row: row.get(source, NULL) if row.get(source, NULL).lstrip("-").isdigit() else NULL
    made = {"time": _time, "list": _list}.get(kind)
    if kind.startswith("text") and kind != "text":
        longest = int(kind.removeprefix("text"))
        return lambda row: _cut(row.get(source, NULL), longest)
    return lambda row: made(row.get(source, NULL)) if made else row.get(source, NULL)


def _target(table: Told, source: str) -> str:
    of, name = (table.fact, source.removeprefix("fact.")) if source.startswith("fact.") else (table.dimension, source)
    column = next(column for column in tables()[of].columns if column.name == name)
    target = column.target or _TARGETS.get(name, "")
    return target if target in tables() else ""


def _by_rule(ids: Ids, rule: str, *of: str) -> Making:
    if rule == "is":
        return lambda row: NULL if row[of[0]] == NULL else _boolean(row[of[0]] in of[1:])
    if rule == "not":
        return lambda row: {"true": "false", "false": "true"}.get(row[of[0]], NULL)
    rules: dict[str, Making] = {
        "content_type": lambda row: _CONTENT.get(row["content_type"], (row["content_type"],))[0],
        "hide_results": lambda row: _HIDE_RESULTS.get(row["show_results"], NULL),
        "content_id": lambda row: _content_id(ids, row),
        "tool_state": lambda row: "deleted" if row["workflow_state"] == "deleted" else row["privacy_level"],
        "progress": lambda row: {"required": "true", "not_required": "false"}.get(
            row["require_sequential_progress"], NULL
        ),
    }
    return rules[rule]


def _content_id(ids: Ids, row: Row) -> str:
    if row["content_type"] not in _CONTENT:
        return NULL
    column = _CONTENT[row["content_type"]][1]
    return ids.local(_TARGETS[column], row[column])


def _boolean(truth: bool) -> str:
    return "true" if truth else "false"


def _time(text: str) -> str:
    """`2021-03-22 10:00:00.5` as `2021-03-22T10:00:00.500Z`, cut and not rounded."""
    found = re.fullmatch(r"(\S{10}) (\S{8})(?:\.(\d+))?", text)
    return f"{found[1]}T{found[2]}.{(found[3] or '')[:3].ljust(3, '0')}Z" if found else NULL


def _list(text: str) -> str:
    return "[]" if text == NULL else escape(json.dumps(unescape(text).split(","), separators=(",", ":")))


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest or len(unescape(text)) <= longest else escape(unescape(text)[:longest])


def _schema(table: Told) -> dict[str, object]:
    key = {"type": "string", "format": "uuid"} if table.name == "web_logs" else _TYPES["int64"]
    values = {name: _type(kind) for name, kind, _ in table.columns}
    meta = {"ts": _TYPES["time"], "action": {"type": "string", "enum": ["U", "D"]}}
    parts = {"key": _object({"id": key}, ["id"]), "value": _object(values, []), "meta": _object(meta, ["ts"])}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_object(parts, ["key", "meta"])}


def _object(properties: Mapping[str, object], required: Sequence[str]) -> dict[str, object]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _type(kind: str) -> dict[str, object]:
    if kind in _TYPES:
        return _TYPES[kind]
    longest = kind.removeprefix("text")
    return {"type": "string", "maxLength": int(longest)} if longest else {"type": "string"}


def main(arguments: list[str] | None = None) -> int:
    """The command line; 0 when the night is told."""
    parser = argparse.ArgumentParser(prog="canvas_data_2", description="Tell a generated night as Canvas Data 2.")
    parser.add_argument("night_folder", type=Path, metavar="NIGHT")
    parser.add_argument("served", type=Path, metavar="SERVED")
    parser.add_argument("--night", type=int, default=1)
    options = parser.parse_args(arguments)
    sys.stdout.write(f"{tell(options.night_folder / 'dataFiles', options.served, options.night)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

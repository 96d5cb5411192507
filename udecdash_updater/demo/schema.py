"""The 100 tables of Canvas Data 1 as facts (schema.tsv), and the schema.json that lies beside a dump."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

VERSION = "4.2.6"
_FACTS = Path(__file__).with_name("schema.tsv")


@dataclass(frozen=True, slots=True)
class Column:
    """One column: name, type as schema.json writes it, what it points at, what may stand in it."""

    name: str
    type: str
    length: int | None
    dimension: tuple[str, ...]
    values: tuple[str, ...]
    always_null: bool

    @property
    def target(self) -> str | None:
        """The table that the column points at, or None."""
        if not self.dimension:
            return None
        return self.dimension[0] if self.dimension[0].endswith("_dim") else self.dimension[0] + "_dim"


@dataclass(frozen=True, slots=True)
class Table:
    """One table: its name, its key in schema.json, its kind (dimension, fact, both), its columns in order."""

    name: str
    key: str
    kind: str
    incremental: bool
    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The column names in file order."""
        return tuple(column.name for column in self.columns)


@cache
def tables() -> dict[str, Table]:
    """All 100 tables by name, in the order of schema.json."""
    heads: list[list[str]] = []
    columns: list[list[Column]] = []
    for line in _FACTS.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        fields = line.split("\t")
        if fields[0]:
            heads.append(fields)
            columns.append([])
        else:
            columns[-1].append(_column(fields))
    return {
        name: Table(name, key, kind, incremental == "true", tuple(own))
        for (name, key, kind, incremental), own in zip(heads, columns, strict=True)
    }


def _column(fields: list[str]) -> Column:
    _, name, kind, length, dimension, values = (*fields, "", "", "")[:6]
    return Column(
        name=name,
        type=kind,
        length=int(length) if length else None,
        dimension=tuple(dimension.split("/")) if dimension else (),
        values=tuple(values.split("|")) if values not in {"", "-"} else (),
        always_null=values == "-",
    )


def schema_json() -> str:
    """The text of a dump's schema.json: two spaces indent, no final newline, as the real program writes it."""
    entries = {table.key: _entry(table) for table in tables().values()}
    return json.dumps({"version": VERSION, "schema": entries}, indent=2, ensure_ascii=False)


def _entry(table: Table) -> dict[str, object]:
    return {
        "dw_type": table.kind,
        "description": "",
        "columns": [_column_entry(column, table) for column in table.columns],
        "incremental": table.incremental,
        "tableName": table.name,
        "hints": {"sort_key": "timestamp"} if table.incremental else {},
    }


def _column_entry(column: Column, table: Table) -> dict[str, object]:
    entry: dict[str, object] = {"type": column.type, "description": "", "name": column.name}
    if column.length is not None:
        entry["length"] = column.length
    if column.dimension:
        entry["dimension"] = dict(zip(("name", "id", "role"), column.dimension, strict=False))
    if table.incremental and column.name == "timestamp":
        entry["sortKey"] = True
    return entry

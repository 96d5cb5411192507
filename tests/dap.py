"""Canvas Data 2 for tests: a folder of nights as the stand-in of the API serves it, and Instructure's own client."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
CLIENT = os.environ.get("UDECDASH_DAP") or shutil.which("dap", path=str(ROOT / ".venv-dap" / "bin"))
needs_client = pytest.mark.skipif(
    not CLIENT, reason="Instructure's client is not installed; `make dap-client` does it, with Python 3.11 or newer"
)
SECRET = "canary-dap-secret"


def serve(
    served: Path, night: int, name: str, rows: Sequence[Sequence[str]], *, columns: str = "id name", version: int = 1
) -> None:
    """Put a table's live rows into the served folder; the first column is the key."""
    namespace, _, table = name.partition(".")
    folder = served / f"night{night}" / namespace
    folder.mkdir(parents=True, exist_ok=True)
    key, *values = columns.split()
    header = ["meta.ts", f"key.{key}", *(f"value.{value}" for value in values)]
    lines = [header, *(["2026-01-01T10:00:00.000Z", *row] for row in rows)]
    text = "".join("\t".join(line) + "\n" for line in lines)
    (folder / f"{table}.tsv.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
    (folder / f"{table}.schema.json").write_text(json.dumps({"schema": _schema(key, values), "version": version}))
    (served / "current").write_text(str(night))


def _schema(key: str, values: Sequence[str]) -> dict[str, Any]:
    def part(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": False,
        }

    meta = {"ts": {"type": "string", "format": "date-time"}, "action": {"type": "string", "enum": ["U", "D"]}}
    parts = {
        "key": part({key: {"type": "integer", "format": "int64"}}, [key]),
        "value": part({value: {"type": "string"} for value in values}, []),
        "meta": part(meta, ["ts"]),
    }
    return {"$schema": "http://json-schema.org/draft-07/schema#", **part(parts, ["key", "meta"])}


def faults(served: Path, *list_of_them: dict[str, Any]) -> None:
    """What goes wrong from now on."""
    (served / "faults.json").write_text(json.dumps(list_of_them))
    (served / "faults.json.state").unlink(missing_ok=True)


def lines(paths: Sequence[Path]) -> list[dict[str, str]]:
    """Every row of these files, by the names in their first lines."""
    found = []
    for path in paths:
        head, *rest = gzip.decompress(path.read_bytes()).decode().splitlines()
        found += [dict(zip(head.split("\t"), line.split("\t"), strict=True)) for line in rest]
    return found

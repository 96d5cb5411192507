"""What commands answer with --json: one document, made of plain values under names."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from udecdash_updater.errors import UpdaterError
from udecdash_updater.report import Summary

_LINES = ("files", "lines", "loaded", "filtered", "repeated", "rejected")
_ROWS = ("rows", "new", "changed", "gone")


def text(value: object) -> str:
    """One JSON document of dataclasses, mappings and sequences; times are ISO 8601, errors and summaries have names."""
    return json.dumps(plain(value), ensure_ascii=False, indent=2)


@functools.singledispatch
def plain(value: object) -> Any:  # noqa: ANN401 - what json.dumps takes
    """`value` made of dictionaries, lists, texts and numbers alone."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return value


@plain.register
def _error(error: UpdaterError) -> Any:  # noqa: ANN401 - as above
    return {"kind": type(error).__name__, "message": str(error), "hint": error.hint()}


@plain.register(Mapping)
def _mapping(values: Mapping[str, object]) -> Any:  # noqa: ANN401 - as above
    return {str(name): plain(value) for name, value in values.items()}


@plain.register(list)
@plain.register(tuple)
def _sequence(values: Sequence[object]) -> Any:  # noqa: ANN401 - as above
    return [plain(value) for value in values]


@plain.register
def _time(value: datetime) -> Any:  # noqa: ANN401 - as above
    return value.isoformat()


@plain.register
def _path(value: Path) -> Any:  # noqa: ANN401 - as above
    return str(value)


@plain.register
def _summary(summary: Summary) -> Any:  # noqa: ANN401 - as above
    tables = {
        name: dict(zip(_LINES, summary.files.get(name, (0,) * 6), strict=True))
        | (dict(zip(_ROWS, summary.tables[name], strict=True)) if name in summary.tables else {})
        for name in sorted({*summary.files, *summary.tables})
    }
    stages = [{"name": name, "outcome": outcome, "seconds": seconds} for name, outcome, seconds in summary.stages]
    interactions = {"courses": summary.courses, "judged": summary.judged, "new": summary.interactions}
    return {
        "run": summary.run,
        "stages": stages,
        "tables": tables,
        "interactions": interactions | {"rows": dict(summary.by_kind)},
    }

"""What commands answer with --json: one document, made of plain values under names."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from udecdash_updater.errors import UpdaterError
from udecdash_updater.language import Both, Words


def text(value: object, hide: Callable[[str], str] = str, *, ascii_only: bool = False) -> str:
    """One JSON document of dataclasses, mappings and sequences; times are ISO 8601, errors tell what to do.

    `hide` masks the secrets in each text of it. `ascii_only`: other characters are escaped, as JSON has it.
    """
    return json.dumps(_masked(plain(value), hide), ensure_ascii=ascii_only, indent=2)


def _masked(value: Any, hide: Callable[[str], str]) -> Any:  # noqa: ANN401 - what json.dumps takes
    # Before it is JSON: quotes in a secret would be escaped there.
    if isinstance(value, dict):
        return {name: _masked(one, hide) for name, one in value.items()}
    if isinstance(value, list):
        return [_masked(one, hide) for one in value]
    return hide(value) if isinstance(value, str) else value


@functools.singledispatch
def plain(value: object) -> Any:  # noqa: ANN401 - what json.dumps takes
    """`value` made of dictionaries, lists, texts and numbers alone."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return value


@plain.register(Words)
@plain.register(Both)
def _words(value: Words | Both) -> Any:  # noqa: ANN401 - as above
    return str(value)  # a document is the same in every language


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

"""Python values as COPY reads them."""

from __future__ import annotations

import re

_ODD = re.compile(r"[\\\t\n\r]")
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def field(value: object) -> str:
    """A Python value (text, number, boolean, None) as COPY reads it."""
    if value is None:
        return "\\N"
    if not isinstance(value, str):
        return str(value)
    return value.translate(_ESCAPES) if _ODD.search(value) else value

r"""Words that PostgreSQL reads as times or numbers and that no dump means: now, today, infinity, NaN and their like.

COPY would take them in silence, `now` as the time of the load. The fast way looks for them at a field's beginning, in
any column and block by block; the careful way judges the fields of times and of floating point numbers alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

REASON = "a word such as now or infinity instead of a value"
_WORDS = ("now", "today", "tomorrow", "yesterday", "epoch", "infinity", "inf", "nan")
_KINDS = re.compile(r"(timestamp|date|time|interval|double precision|real|numeric)\b.*")
_TAIL = 96  # bytes; a word and what may stand around it are shorter


def _any_case(word: str) -> str:
    return "".join(f"[{letter}{letter.upper()}]" for letter in word)


_WORD = "|".join(map(_any_case, _WORDS))
_REST = "|".join(_any_case(word[1:]) for word in _WORDS)
# What PostgreSQL takes behind a word: a time of day (`today 10:00`), blanks, a zone. No other letters: "Now we begin".
_BEHIND = r"(?:[^A-Za-z\t\n\\]|\\[bfnrtv])*(?:[uU][tT][cC]|[gG][mM][tT]|[zZ])?"
_BLANK = r"(?:[ +\-\v\f]|\\[bfnrtv])*"
# One set of bytes after the tab, so that the search is a quick one; it finds more than is meant, and nothing less.
_BEGINS = re.compile(rf"\t[nNtTyYeEiI +\-](?:{_REST}|[ +\-]*(?:{_WORD})){_BEHIND}[\t\n]".encode())
_IS = re.compile(rf"{_BLANK}(?:{_WORD}){_BEHIND}".encode())
# The same after an escaped blank, and bytes that are written as numbers: nobody but an enemy writes them so.
ESCAPED = rf"[0-7x]|[bfnrtv]{_BLANK}(?:{_WORD}){_BEHIND}[\t\n]"
_NUMBERED = re.compile(rb"\\[0-7x]")


def may_hold(kind: str) -> bool:
    """Whether PostgreSQL has such words for a type.

    >>> may_hold("timestamp(3) without time zone"), may_hold("date"), may_hold("real"), may_hold("numeric(5,2)")
    (True, True, True, True)
    >>> may_hold("bigint"), may_hold("text"), may_hold("dated_text"), may_hold("datemultirange")
    (False, False, False, False)
    """
    return bool(_KINDS.fullmatch(kind))


def is_one(field: bytes) -> bool:
    r"""Whether a field, as it stands in the file, is such a word.

    >>> [is_one(field) for field in (b"now", b" -Infinity", b"today 10:00", b"\\tNOW\\n", b"\\156ow", b"EPOCH UTC")]
    [True, True, True, True, True, True]
    >>> [is_one(field) for field in (b"\\N", b"2019-01-01 10:00:00", b"Now we begin", b"Nancy", b"-1.5", b"")]
    [False, False, False, False, False, False]
    """
    return bool(_IS.fullmatch(field) or _NUMBERED.search(field.replace(b"\\\\", b"")))


def first(fields: list[bytes], places: Iterable[int]) -> int | None:
    """The first of these places where such a word stands; None where none does."""
    return next((place for place in places if is_one(fields[place])), None)


class Search:
    r"""Looks for such words in a file's blocks, also where one goes over a block's end.

    >>> search = Search()
    >>> [search.found(block) for block in (b"1\t2019-01-01\t\\N\n2\tNow here\n3\tto", b"day\t3\n")]
    [False, True]
    >>> search = Search()
    >>> [search.found(block) for block in (b"4\tnow", b"")]
    [False, True]
    """

    def __init__(self) -> None:
        self._tail = b""

    def found(self, block: bytes) -> bool:
        """Whether one stands in this block, or began before it; an empty block is the file's end."""
        looked = self._tail + (block or b"\n")
        self._tail = looked[-_TAIL:]
        return bool(_BEGINS.search(looked))

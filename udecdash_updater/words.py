r"""Words that PostgreSQL reads as times or numbers and that no dump means: now, today, infinity, NaN and their like.

COPY would take them in silence, `now` as the time of the load. Looked for in columns of times and of floating point
numbers alone: elsewhere they are words. The fast way finds them block by block, the careful way field by field.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

REASON = "a word such as now or infinity, or a zone other than UTC, instead of a value"
_WORDS = ("now", "today", "tomorrow", "yesterday", "epoch", "infinity", "inf", "nan")
_KINDS = re.compile(r"((timestamp|date|time|interval)|double precision|real|numeric)\b.*")
_TAIL = 96  # bytes; a word and what may stand around it are shorter


def _any_case(word: str) -> str:
    return "".join(f"[{letter}{letter.upper()}]" for letter in word)


_WORD = "|".join(map(_any_case, _WORDS))
_UTC = "[zZ]|[uU][tT][cC]|[gG][mM][tT]"
# What PostgreSQL takes behind a word: a time of day (`today 10:00`), blanks, a zone. No other letters: "Now we begin".
_IS = re.compile(rf"[\s\b+\-]*(?:{_WORD})[^A-Za-z]*(?:{_UTC})?".encode())
# The fast way looks at what is left of a block without what a sound time consists of, but its two dashes: half of it,
# and a zone is what stands behind the dashes. T and Z are deleted too, so `TODAY` is `oday`; N stays as it is for the
# sake of NULL. It finds more than is meant, "noday" too: the careful way judges then.
_DELETED = b"0123456789.: \v\fTZ"
_LOWER = bytes(range(256)).lower().translate(bytes.maketrans(b"+/", b"--"))
_LEFT = _LOWER[: ord("N")] + b"N" + _LOWER[ord("N") + 1 :]
_ODD = re.compile(
    rb"\t(?:--[^\t\n]|-(?=[^-])|\\(?=[^N])|\\N[^\t\n]"
    rb"|[nNtoyei](?:(?:ow|a[nN]|o?day|o?morrow|est?erday|poch|[nN]f(?:i[nN]it?y)?)"
    rb"(?:[^a-z\t\n]|\\[bfnrtv])*(?:ut?c|gmt?|z)?(?=[\t\n])|[a-zN]*\\))"
)
_SOUND_TIME = re.compile(rb"\t--(?:uc|gm|[ug]\Z)(?:[\t\n]|\Z)")  # UTC and GMT, cut too
_SOUND_NUMBER = re.compile(rb"\t-(?:e-?)?(?:[\t\n]|\Z)")  # -1.5e-10
# A column without zones drops one in silence, so what is no UTC would become another time. "BC" looks the same.
_ZONED = re.compile(
    rb"[\s\b+\-]*(?:\d+[-/.]\d+[-/.]\d+|\d{6,8}(?![eE][+-]?\d+\Z))(?:[ tT]\d[\d:.]*|(?![ tT]?\d))\s*"
    rb"(?!(?:" + _UTC.encode() + rb"|[+\-]00(?::?00)?)\s*\Z)[A-Za-z+\-].*",
    re.DOTALL,
)
# Bytes that are written as numbers, which nobody but an enemy does; the fast way takes none in any column.
_NUMBERED = re.compile(rb"\\[0-7x]")
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_MEANT = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}


def wordy(kinds: Iterable[tuple[str, str]]) -> dict[str, bool]:
    """Of columns with their types, those for whose type PostgreSQL has such words; and whether it is one of times.

    >>> wordy([("a", "timestamp(3) without time zone"), ("b", "date"), ("c", "real"), ("d", "numeric(5,2)")])
    {'a': True, 'b': True, 'c': False, 'd': False}
    >>> wordy([("a", "bigint"), ("b", "text"), ("c", "dated_text"), ("d", "datemultirange")])
    {}
    """
    return {name: bool(found[2]) for name, kind in kinds if (found := _KINDS.fullmatch(kind))}


def is_one(field: bytes) -> bool:
    r"""Whether a field, as it stands in the file, is such a word, or a time with a zone that is not UTC.

    >>> [is_one(field) for field in (b"now", b" -Infinity", b"today 10:00", b"\\tNOW\\n", b"\\156ow", b"EPOCH UTC")]
    [True, True, True, True, True, True]
    >>> [is_one(field) for field in (b"n\\ow", b"\\Now", b"2019-01-01 10:00\\-03", b"2019\\-01-01", b"\\\\now")]
    [True, True, True, False, False]
    >>> [is_one(field) for field in (b"\\N", b"2019-01-01 10:00:00", b"Now we begin", b"Nancy", b"-1.5", b"")]
    [False, False, False, False, False, False]
    >>> [is_one(b"2019-01-01 10:00:00" + zone) for zone in (b"-03", b" EST", b".5+0030", b"Z", b"+00:00", b" UTC")]
    [True, True, True, False, False, False]
    >>> [is_one(field) for field in (b"0044-03-15 BC", b"2019-01-01T10:00:00-3", b"2019-01-01", b"2019-01-01T10:00:00")]
    [True, True, False, False]
    >>> [is_one(field) for field in (b"20190101 10:00+03", b"2019/01/01 10:00 EST", b"20190101 10:00", b"1234567e+20")]
    [True, True, False, False]
    """
    if b"\\" in field and field != b"\\N":
        if _NUMBERED.search(field.replace(b"\\\\", b"")):
            return True
        field = _ESCAPED.sub(lambda found: _MEANT.get(found[1], found[1]), field)
    return bool(_IS.fullmatch(field) or _ZONED.fullmatch(field))


def first(fields: list[bytes], places: Iterable[int]) -> int | None:
    """The first of these places where such a word stands; None where none does."""
    return next((place for place in places if is_one(fields[place])), None)


class Search:
    r"""Looks for such words and zones in a file's columns at `places` (not 0), also where blocks' ends cut them.

    `places` tells of each whether it is of times. Finds each word and zone, and little else: for the careful way to
    judge. A zone that is a word (EST) only behind a date that is written with dashes or slashes. `newlines` are counted
    on the way, in half of the bytes. Where the bytes do not begin with a line: they go on in `column`, of which `begun`
    came before.

    >>> search = Search({1: True})
    >>> [search.found(block) for block in (b"1\t2019-01-01\tnow\n2\tNow here\tnow\n3\tto", b"day\t3\n")]
    [False, True]
    >>> search = Search({2: True})
    >>> [search.found(block) for block in (b"3\tnow\tto", b"days\n4\tnow\t", b"\\nToday\n")]
    [False, False, True]
    >>> search = Search({1: True})
    >>> [search.found(block) for block in (b"1\t2019-01-01 10:00:00.5\ta-03\n2\t2019-01-01 10:00:00", b"-03\ta\n")]
    [False, True]
    """

    def __init__(self, places: Mapping[int, bool], column: int = 0, begun: bytes = b"") -> None:
        self._places = places
        self.newlines = 0
        self._tail = (b"\t" if column else b"") + begun.translate(_LEFT, _DELETED)
        self._tabs = max(0, column - 1)  # of the tail's first line, before the tail

    def found(self, block: bytes) -> bool:
        """Whether one stands in this block, or began before it; an empty block is the file's end."""
        left = block.translate(_LEFT, _DELETED) if block else b"\n"
        self.newlines += left.count(b"\n") if block else 0
        looked = self._tail + left
        found = any(self._is_meant(looked, field.start()) for field in _ODD.finditer(looked))
        done = max(0, len(looked) - _TAIL)
        self._tail, self._tabs = looked[done:], self._place(looked, done) - 1
        return found

    def _is_meant(self, looked: bytes, tab: int) -> bool:
        """Whether what begins with the tab stands in one of the columns, and is not sound there."""
        times = self._places.get(self._place(looked, tab))
        return times is not None and not (_SOUND_TIME if times else _SOUND_NUMBER).match(looked, tab)

    def _place(self, looked: bytes, end: int) -> int:
        """The column that begins with the tab at `end`."""
        start = looked.rfind(b"\n", 0, end) + 1
        return looked.count(b"\t", start, end) + 1 + (0 if start else self._tabs)

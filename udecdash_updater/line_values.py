"""A line of a file as an array of texts, each value as COPY would read it, or not at all where that is not plain."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from udecdash_updater import copy_text, rows, words
from udecdash_updater.canvas import Found
from udecdash_updater.dump import Table
from udecdash_updater.line_blocks import UnlikeError

LENGTH = re.compile(r"character varying\((\d+)\)")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\"}
_NULL = b"\\N"
_WRITTEN = (b"\\n", b"\\t", b"\\r")  # the same within an array and without


@dataclass(frozen=True, slots=True)
class Demands:
    """What a line's values must be besides ones of their types, by place: no longer, given, no special word.

    `wordy` tells of each place whether it is of times. `short`: a line of so many bytes is too long for no column.
    """

    width: int
    longest: tuple[tuple[int, int], ...]
    required: tuple[int, ...]
    wordy: Mapping[int, bool]
    short: int = rows.LONGEST

    @classmethod
    def of(cls, table: Table, found: Found) -> Demands:
        """A table's, as it was found."""
        names = table.column_names
        kinds = ((place, LENGTH.fullmatch(found.types[name])) for place, name in enumerate(names))
        lengths = tuple((place, int(length[1])) for place, length in kinds if length)
        return cls(
            len(names),
            lengths,
            tuple(place for place, name in enumerate(names) if name in found.required),
            {place: found.wordy[name] for place, name in enumerate(names) if name in found.wordy},
            min((longest for _, longest in lengths), default=rows.LONGEST),
        )

    def plainly_met(self, line: bytes) -> bool:
        """Whether a line meets them, and each backslash is of NULL or of what COPY writes; words are not looked at."""
        fields = line.split(b"\t")
        nulls = fields.count(_NULL) if b"\\" in line else 0
        return (
            len(fields) == self.width
            and (line.count(b"\\") == nulls or _other_backslashes(line) == nulls)
            and (len(line) <= self.short or all(len(fields[place]) <= longest for place, longest in self.longest))
            and not (nulls and any(fields[place] == _NULL for place in self.required))
        )

    def meet(self, fields: Sequence[str], values: Sequence[str | None]) -> bool:
        """Whether a line's fields, and the values that they tell, are what they must be."""
        return not (
            any(values[place] is None for place in self.required)
            or any(len(values[place] or "") > longest for place, longest in self.longest)
            or words.first([fields[place].encode() for place in self.wordy], range(len(self.wordy))) is not None
        )


def arrays(lines: Sequence[bytes], demands: Demands) -> Iterator[bytes]:
    r"""Each line's values as an array of texts, for COPY. Raises UnlikeError where COPY or the table may object.

    >>> list(arrays([b'a "b"\t\\N\t', b"\\N\t\\t\t1"], Demands(3, (), (), {})))
    [b'{"a \\\\"b\\\\"",NULL,""}', b'{NULL,"\\t","1"}']
    """
    plain = _are_plain(lines, demands)
    for line in lines:
        if plain and demands.plainly_met(line):
            escaped = line.replace(b"\\\\", b"\\\\\\\\").replace(b'"', b'\\\\"')
            array = b'{"%b"}' % escaped.replace(b"\t", b'","')
            yield array.replace(b'"\\N"', b"NULL")
        else:
            yield copy_text.field(of_values(_values(line, demands))).encode()


def _are_plain(lines: Sequence[bytes], demands: Demands) -> bool:
    """Whether no line has bytes, or a word, that need a look at it alone. There may be others without either."""
    joined = rows.joined(lines)
    if b"\x00" in joined or b"\r" in joined or not rows.is_utf8(joined) or 0 in demands.wordy:
        return False
    search = words.Search(demands.wordy)
    return not (demands.wordy and (search.found(joined) or search.found(b"")))


def _other_backslashes(line: bytes) -> int:
    """How many backslashes are left without pairs of them and those of newlines, tabs and carriage returns."""
    single = line.replace(b"\\\\", b"")
    return single.count(b"\\") - sum(map(single.count, _WRITTEN))


def _values(line: bytes, demands: Demands) -> list[str | None]:
    """A line's values as COPY would read them. Raises UnlikeError where COPY or the table may object to one."""
    if rows.unreadable(line):
        raise UnlikeError
    fields = line.decode().split("\t")
    values = [None if field == "\\N" else field for field in fields]
    if line.count(b"\\") != values.count(None):
        values = [None if field == "\\N" else _unescaped(field) for field in fields]
    if len(fields) != demands.width or not demands.meet(fields, values):
        raise UnlikeError
    return values


def _unescaped(field: str) -> str:
    if "\\" in _ESCAPED.sub("", field) or any(found not in _ESCAPES for found in _ESCAPED.findall(field)):
        raise UnlikeError
    return _ESCAPED.sub(lambda found: _ESCAPES[found[1]], field)


def of_values(values: Sequence[str | None]) -> str:
    """Values as PostgreSQL writes an array of texts."""
    return "{" + ",".join(["NULL" if value is None else f'"{_quoted(value)}"' for value in values]) + "}"


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')

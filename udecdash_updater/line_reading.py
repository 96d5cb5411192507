"""A table's files as lines, many at a time; and the keys of lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import xxhash

from udecdash_updater import rows
from udecdash_updater.canvas import key_of
from udecdash_updater.copying import dropping
from udecdash_updater.dump import DumpFile, Table
from udecdash_updater.line_blocks import Keys, UnlikeError
from udecdash_updater.rejects import FileCount
from udecdash_updater.sieve import pieces

BETWEEN = b"\t"  # the parts of a key
MOST_REPEATED = 5_000  # keys, and lines that repeat one otherwise; each of them is looked at every night


class Reading:
    """The lines of a table's files that are loaded, many at a time; those of `repeated` keys stand `apart`.

    Afterwards `counts` tells what became of each line, `others` which lines repeat a key and are not the line that
    stands apart for it. Raises UnlikeError for a line longer than any row can be, where a file holds something else
    than `dump.verify` found in it, and for too many `others`.
    """

    def __init__(self, table: Table, files: Sequence[DumpFile], repeated: frozenset[bytes]) -> None:
        self.counts: list[FileCount] = []
        self.apart: dict[bytes, bytes] = {}
        self.others: list[bytes] = []
        self._table, self._files, self._repeated, self._keys = table, files, repeated, keys_in(table)

    def __iter__(self) -> Iterator[list[bytes]]:
        for file in self._files:
            drops = dropping(self._table.name, file)
            read = filtered = repeated = 0
            for lines in _lines(file):
                kept = self._without(drops, lines) if drops else lines
                once, again = self._set_apart(kept) if self._repeated else (kept, 0)
                read, filtered, repeated = read + len(lines), filtered + len(lines) - len(kept), repeated + again
                yield once
            self.counts.append(FileCount(file, read, read - filtered - repeated, filtered, repeated))

    @property
    def is_whole(self) -> bool:
        """Whether no line is filtered and none stands apart."""
        return not self._repeated and not any(dropping(self._table.name, file) for file in self._files)

    def texts(self, met: Callable[[], int]) -> Iterator[bytes]:
        """The same lines, where all are read, as they stand in their files, each with its newline.

        `met` tells how many lines have come to whoever takes them: to count them here once more would take longer.
        """
        for file in self._files:
            before = met()
            yield from _texts(file)
            read = met() - before
            self.counts.append(FileCount(file, read, read))

    @property
    def in_blocks(self) -> int:
        """How many lines stand in blocks, when all are read: each that is loaded, but those of repeated keys."""
        return sum(count.loaded for count in self.counts) - len(self.apart)

    def _without(self, drops: Callable[[bytes], bool], lines: list[bytes]) -> list[bytes]:
        """Lines that are not filtered. Raises UnlikeError for one that is, and that nobody could read."""
        kept: list[bytes] = []
        dropped: list[bytes] = []
        for line in lines:
            (dropped if drops(line) else kept).append(line)
        if any(rows.fault(line, len(self._table.columns)) for line in dropped):
            raise UnlikeError
        return kept

    def _set_apart(self, lines: list[bytes]) -> tuple[list[bytes], int]:
        """Lines whose key stands there once; how many of the others repeat a key."""
        keys = self._keys(lines)
        if self._repeated.isdisjoint(keys):
            return lines, 0
        once, again = [line for line, own in zip(lines, keys, strict=True) if own not in self._repeated], 0
        for line, own in zip(lines, keys, strict=True):
            if own in self._repeated and (first := self.apart.setdefault(own, line)) is not line:
                again += 1
                if line != first:
                    self.others.append(line)
        if len(self.others) > MOST_REPEATED:
            raise UnlikeError
        return once, again


def _lines(file: DumpFile) -> Iterator[list[bytes]]:
    return (text.split(b"\n")[:-1] for text in _texts(file))


def _texts(file: DumpFile) -> Iterator[bytes]:
    content = xxhash.xxh3_128()
    with rows.reading(file.path) as plain:
        for piece in pieces(rows.skip_header(plain) if file.header else plain):
            if piece is None:
                raise UnlikeError
            content.update(piece)
            yield piece if piece.endswith(b"\n") else piece + b"\n"
    if (file.content and content.hexdigest() != file.content) or not file.is_as_found():
        raise UnlikeError


def keys_in(table: Table) -> Keys:
    """What takes the keys out of lines. Raises UnlikeError for a line that has another number of fields."""
    places, width = [table.column_names.index(name) for name in key_of(table)], len(table.columns)
    if places == [0]:
        return lambda lines: [line.partition(b"\t")[0] for line in lines]

    def key(line: bytes) -> bytes:
        fields = line.split(b"\t")
        if len(fields) != width:
            raise UnlikeError
        return BETWEEN.join([fields[place] for place in places])

    return lambda lines: [key(line) for line in lines]

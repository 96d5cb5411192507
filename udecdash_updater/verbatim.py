r"""The fast way into a table: a file's own bytes for COPY, guarded only against what COPY would misread in silence.

That is `\.` at a line's end, which ends it; a backslash before a tab or a newline, which makes it a part of the field;
and a special word, which would become another value. Everything else ends COPY with an error. Then, and where the guard
finds something, the careful way (`rows`) goes line by line.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import BinaryIO

from udecdash_updater import compiled, rows, words

# In bytes without their escaped backslashes.
_MISREAD = re.compile(rb"\\[.\t\r\n0-7x]")
_Wordy = Mapping[int, bool]
"""The places of columns that have special words (not 0), and whether each is one of times (see `words`)."""


class SuspiciousLineError(Exception):
    """A line that COPY would misread in silence; the careful way must judge it."""


class VerbatimReader(io.RawIOBase):
    """A file's bytes for COPY, counting lines. Raises SuspiciousLineError for what COPY would misread in silence."""

    def __init__(self, file: BinaryIO, wordy: _Wordy | None = None) -> None:
        super().__init__()
        self._file = file
        self._wordy = wordy or {}
        self._glance = _Glance(compiled.LOOPS, self._wordy) if compiled.LOOPS else None
        self._closer_look = None if self._glance else _CloserLook(self._wordy)
        self._unended = 0  # bytes since the last newline

    def read(self, size: int = -1, /) -> bytes:
        """The next block, checked."""
        block = self._file.read(size)
        if self._unended > rows.LONGEST:
            raise SuspiciousLineError
        if self._glance and not self._closer_look and not self._glance.passes(block):
            self._closer_look = _CloserLook(self._wordy, self._glance.column, self._glance.open)
        if self._closer_look:
            self._closer_look.demand_sound(block)
        last = block.rfind(b"\n")
        self._unended = self._unended + len(block) if last < 0 else len(block) - last - 1
        return block

    @property
    def lines(self) -> int:
        """Lines given so far; a last one without newline counts."""
        looks = (self._glance, self._closer_look)
        return sum(look.newlines for look in looks if look) + bool(self._unended)


class _Glance:
    """Passes what is plain, by compiled code. Once something is not, what follows needs the closer look too.

    `column` and `open`: where what has passed ends, and what of that field the closer look must see again.
    """

    def __init__(self, loops: compiled.Loops, wordy: _Wordy) -> None:
        self._loops = loops
        kinds = {place: compiled.STAMP if times else compiled.NUMBER for place, times in wordy.items()}
        self._kinds = bytes(kinds.get(place, compiled.ANY) for place in range(max(kinds, default=-1) + 1))
        self.newlines = 0
        self.column = 0
        self.open = b""

    def passes(self, block: bytes) -> bool:
        """Whether the next block is plain; an empty one is the file's end."""
        found = self._loops.scan(self.open + (block or b"\n"), self._kinds, self.column)
        if found and block:
            newlines, self.column, self.open = found
            self.newlines += newlines
        return found is not None


class _CloserLook:
    """Judges what may not be plain, from within `column` on, of which `begun` has passed."""

    def __init__(self, wordy: _Wordy, column: int = 0, begun: bytes = b"") -> None:
        self._words = words.Search(wordy, column, begun) if wordy else None
        self._escaping = _escaping(begun)
        self._newlines = 0

    def demand_sound(self, block: bytes) -> None:
        """The next block; an empty one is the file's end. Raises SuspiciousLineError."""
        looked = self._escaping + block
        self._escaping = _escaping(looked)
        # The second look, without pairs of backslashes, costs more and is hardly ever needed.
        if _MISREAD.search(looked) and _MISREAD.search(looked.removesuffix(self._escaping).replace(b"\\\\", b"")):
            raise SuspiciousLineError
        if (self._words and self._words.found(block)) or (self._escaping and not block):
            raise SuspiciousLineError
        if not self._words:
            self._newlines += block.count(b"\n")

    @property
    def newlines(self) -> int:
        """How many have passed."""
        return self._words.newlines if self._words else self._newlines


def _escaping(block: bytes) -> bytes:
    """The backslash at the end that escapes what follows, if there is one."""
    return b"\\" if (len(block) - len(block.rstrip(b"\\"))) % 2 else b""

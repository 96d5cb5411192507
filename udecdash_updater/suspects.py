"""Ids of requests that may have come before, told while they pass: only these need be looked for in the table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from udecdash_updater import compiled

_BITS = 1 << 26  # of 1.5 million ids, one in a hundred meets another's bit
_MOST = 50_000  # more are not worth being looked up one by one


class Suspects:
    """Remembers a bit for each id that passed; an id whose bit is set is a suspect, wrongly now and then.

    `ids` are the suspects; None as soon as they are too many, or when an id is written with a backslash, and so
    may be the same as one that is written otherwise.
    """

    def __init__(self) -> None:
        self._set = bytearray(_BITS >> 3)
        self.ids: list[bytes] | None = []

    def note(self, ids: Sequence[bytes]) -> None:
        """These ids pass, as a file spells them."""
        if self.ids is None:
            return
        self.ids += compiled.LOOPS.suspected(self._set, list(ids)) if compiled.LOOPS else self._suspected(ids)
        if len(self.ids) > _MOST or b"\\" in b"".join(ids):
            self.ids = None

    def _suspected(self, ids: Sequence[bytes]) -> Iterator[bytes]:
        bits = self._set
        for one in ids:
            place = hash(one) & (_BITS - 1)
            bit = 1 << (place & 7)
            if bits[place >> 3] & bit:
                yield one
            else:
                bits[place >> 3] |= bit

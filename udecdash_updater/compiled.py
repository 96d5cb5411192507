"""The load's innermost loops, compiled from `c/` where it was installed with a C compiler; Python does them elsewhere.

They pass what is plain at a glance and leave the rest to Python, so no result depends on them.
"""

from __future__ import annotations

import hashlib
import importlib
from pathlib import Path
from typing import Literal, Protocol, cast


class Loops(Protocol):
    """What is compiled."""

    def sift(self, piece: bytes, width: int, places: tuple[int, ...], /) -> tuple[int, int, list[bytes], bytes] | None:
        """Whole lines of the web log: how many, how many are filtered (R1), ids of the others, and these for COPY.

        `places` of a line's `width` fields: those of `sieve.KEPT`, then those of `sieve.FILTERED_BY`. None where a line
        needs a closer look. Whether what is kept holds NUL bytes or is UTF-8 is not looked at.
        """

    def suspected(self, bits: bytearray, ids: list[bytes], /) -> list[bytes]:
        """Those of the ids whose bit is set; sets them all. An id's bit is its hash modulo the number of bits."""

    def earliest(self, looked: bytes, end: int, place: int, /) -> bytes:
        """Of the lines that follow a newline before `end`: the earliest timestamp in this column, and what follows it.

        Empty where none is.
        """

    def scan(self, looked: bytes, kinds: bytes, column: int, /) -> tuple[int, int, bytes] | None:
        """Bytes of a full table from within column `column` on: newlines, the column of the last field, what is open.

        `kinds` of the columns: STAMP, NUMBER or ANY. What is open comes again before the next bytes. None where COPY
        might misread something, or where a field of times or numbers is neither plain nor NULL nor empty.
        """


ANY, NUMBER, STAMP = range(3)

State = Literal["compiled", "absent", "unusable"]
"""Whether there are any; unusable ones are made of other sources, or for another machine."""


def _sources() -> str:
    """A digest of what lies in `c/`, as setup.py compiles it in."""
    folder = Path(__file__).with_name("c")
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(folder.glob("*.[ch]")))).hexdigest()


def _found() -> tuple[Loops | None, State]:
    try:
        found = importlib.import_module("udecdash_updater._compiled")
    except ModuleNotFoundError:
        return None, "absent"
    except ImportError:
        return None, "unusable"
    return (cast("Loops", found), "compiled") if _sources() == found.SOURCES else (None, "unusable")


LOOPS, STATE = _found()

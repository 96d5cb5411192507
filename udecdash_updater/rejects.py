"""What becomes of a file's lines: counted, each one, and the ones left out remembered without their content."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from udecdash_updater import db
from udecdash_updater.dump import DumpFile
from udecdash_updater.errors import DumpError
from udecdash_updater.language import joined, say


@dataclass(frozen=True, slots=True)
class Reject:
    """A line that was left out, and why; never its content. `line` is None where only the file is known."""

    table: str
    file: str
    line: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class FileCount:
    """What became of a file's lines: lines = loaded + filtered + repeated + rejected."""

    file: DumpFile
    lines: int
    loaded: int
    filtered: int = 0
    repeated: int = 0
    rejected: int = 0

    def row(self, run: int) -> db.Row:
        """The ledger's row of it."""
        counts = (self.lines, self.loaded, self.filtered, self.repeated, self.rejected)
        file = self.file
        return (run, file.table, file.name, file.size, file.checksum, file.earliest or None, *counts)

    def without(self, *, repeated: int = 0, rejected: int = 0) -> FileCount:
        """The counts after so many of the loaded rows were taken out again."""
        return replace(
            self,
            loaded=self.loaded - repeated - rejected,
            repeated=self.repeated + repeated,
            rejected=self.rejected + rejected,
        )


def starts(counts: Sequence[FileCount]) -> list[int]:
    """The place (from 1) of each file's first row among all rows that were loaded from them, in file order."""
    return list(accumulate((count.loaded for count in counts), initial=1))[:-1]


class Rejects:
    """The lines of one table that were left out; stops the night early once they are too many."""

    def __init__(self, table: str, limit: int) -> None:
        self._table = table
        self._limit = limit
        self.rejects: list[Reject] = []

    def add(self, file: str, line: int | None, reason: str) -> None:
        """One more. Raises DumpError above the limit."""
        self.rejects.append(Reject(self._table, file, line, reason))
        if len(self.rejects) > self._limit:
            raise too_many(self.rejects, self._limit)


def too_many(rejects: Sequence[Reject], limit: int) -> DumpError:
    """The error of a dump with more than MAX_REJECTED_ROWS lines that cannot be loaded; names the first ones."""
    named = (say("reject", table=r.table, file=r.file, line=r.line, reason=r.reason) for r in rejects[:5])
    first = joined(named, before="\n  - ")
    return DumpError(
        say("too many rejects", limit=limit, first=first),
        hint=say("too many rejects hint"),
    )

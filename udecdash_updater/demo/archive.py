"""Files of a dump: gzip, the same bytes for the same rows, under the names that the real program gives."""

from __future__ import annotations

import zlib
from hashlib import md5
from pathlib import Path
from types import TracebackType

_AT_ONCE = 512


def file_name(table: str, part: int, *marks: object) -> str:
    """`<table>-<5 digits>-<8 hex>.gz`; the marks decide the hex."""
    digest = md5("|".join(map(str, (table, part, *marks))).encode(), usedforsecurity=False)
    return f"{table}-{part:05d}-{digest.hexdigest()[:8]}.gz"


class Archive:
    """One .gz file being written, line by line; nothing but a small buffer stays in memory."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.rows = 0
        self._file = path.open("wb")
        # Not isal: what it writes depends on what its memory held before.
        self._gzip = zlib.compressobj(1, zlib.DEFLATED, 31)
        self._lines: list[str] = []

    def write(self, line: str) -> None:
        """Add a line (with its newline)."""
        self._lines.append(line)
        self.rows += 1
        if len(self._lines) >= _AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        self._file.write(self._gzip.compress("".join(self._lines).encode()))
        self._lines.clear()

    def close(self) -> None:
        """Write what is left and the end of the gzip stream."""
        self._flush()
        self._file.write(self._gzip.flush())
        self._file.close()

    def __enter__(self) -> Archive:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

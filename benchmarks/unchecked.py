"""The load without its checks, to tell what they cost. Nobody should ever load like this."""

from __future__ import annotations

from collections.abc import Sequence
from unittest.mock import patch

from udecdash_updater import db, rows
from udecdash_updater.dump import DumpFile
from udecdash_updater.rejects import FileCount

_OUT = {
    "udecdash_updater.dump.verify": lambda files, **_: (list(files), {}),
    "udecdash_updater.sieve._is_plain": lambda _block: True,
    "udecdash_updater.rows.is_utf8": lambda _line: True,
    "udecdash_updater.rows.unreadable": lambda _line: "",
}


def _believed(cursor: db.Cursor, staging: db.Composable, file: DumpFile, *_: object) -> FileCount:
    with rows.reading(file.path) as plain:
        arrived = db.copy_in(cursor, staging, file.columns, plain)
    return FileCount(file, arrived, arrived)


def switch_off() -> None:
    """Take the checks out of this process: archives are not read before, bytes not looked at, lines not counted."""
    replaced: Sequence[tuple[str, object]] = [*_OUT.items(), ("udecdash_updater.copying._copy_plainly", _believed)]
    for name, instead in replaced:
        patch(name, instead).start()

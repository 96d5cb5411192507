"""The web log of Canvas Data 2 in the form of Canvas Data 1's, so that one road loads both."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from udecdash_updater import dap_schema, rows
from udecdash_updater.dap_batches import WEB_LOGS, Batch
from udecdash_updater.dap_ids import Ids
from udecdash_updater.dap_schema import ACTION
from udecdash_updater.dump import REQUESTS, DumpFile
from udecdash_updater.errors import DumpError
from udecdash_updater.language import say
from udecdash_updater.sieve import FILTERED_BY, KEPT

_NULL = b"\\N"
_NEEDED = ("id", "timestamp", "user_id", "course_id", "url")
_IDS = ("course_id", "quiz_id", "discussion_id", "conversation_id", "assignment_id")
_KNOWN = 1 << 18  # ids remembered for each column
_NUMBER = re.compile(rb"-?[0-9]{1,19}")


def files(batches: Sequence[Batch]) -> list[DumpFile]:
    """The files of the web log's batches, as files of requests. Raises DumpError for a file without its first line."""
    return [
        DumpFile(
            table=REQUESTS,
            path=path,
            size=batch.files[place].size,
            columns=_columns(dap_schema.columns(path, batch.name)),
            header=True,
            checksum=rows.trailer(path),
            label=f"{batch.folder.name}/{path.name}",
        )
        for batch in batches
        if batch.name == WEB_LOGS
        for place, path in enumerate(batch.paths)
    ]


def _columns(header: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the file, and at the end those that are looked at and that this version of the table lacks."""
    if lacking := [name for name in _NEEDED if name not in header]:
        raise DumpError(say("lacks columns", file=WEB_LOGS, names=", ".join(lacking)))
    return (*header, *(name for name in (*KEPT, *FILTERED_BY) if name not in header))


def with_ids(file: DumpFile, ids: Ids) -> DumpFile:
    """The file with what turns its lines into those of the log's own form, ids made the dashboard's."""
    width = len(dap_schema.columns(file.path, WEB_LOGS))
    return replace(file, lacking=len(file.columns) - width, change=_change(file.columns, width, ids))


def _change(columns: Sequence[str], width: int, ids: Ids) -> Callable[[list[bytes]], None]:
    time, user = columns.index("timestamp"), columns.index("user_id")
    action = columns.index(ACTION) if ACTION in columns else None
    mapped, lacking = _mapped(columns[:width], ids), [_NULL] * (len(columns) - width)

    def change(fields: list[bytes]) -> None:
        fields[time] = _stamp(fields[time])
        for place, of in mapped:
            fields[place] = of(fields[place])
        if action is not None and fields[action] == b"D":  # nothing but its key came: it is filtered (R1)
            fields[user] = _NULL
        fields += lacking

    return change


def _mapped(columns: Sequence[str], ids: Ids) -> list[tuple[int, Callable[[bytes], bytes]]]:
    """What makes the ids at these places the dashboard's; nothing where they are."""
    if not (ids.shard or ids.users):
        return []
    of = [(columns.index(name), _remembered(ids.of)) for name in _IDS if name in columns]
    return [*of, (columns.index("user_id"), _remembered(ids.user))]


def _remembered(of: Callable[[int], int]) -> Callable[[bytes], bytes]:
    @functools.lru_cache(maxsize=_KNOWN)
    def changed(field: bytes) -> bytes:
        return b"%d" % of(int(field)) if _NUMBER.fullmatch(field) else field  # another is its own reject

    return changed


def _stamp(field: bytes) -> bytes:
    """`2026-11-01T12:00:00.000Z` as Canvas Data 1 wrote it; whether it is a time at all is judged with the others."""
    return field[:10] + b" " + field[11:-1] if field[10:11] == b"T" and field.endswith(b"Z") else field

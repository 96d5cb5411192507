"""Requests that wait in staging, into the table: those that are new, in load order; those it refuses are rejects."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from udecdash_updater import copy_text, db, refusals, rows
from udecdash_updater.dump import REQUESTS, DumpFile
from udecdash_updater.language import say
from udecdash_updater.logs import LOGGER
from udecdash_updater.rejects import FileCount, Reject
from udecdash_updater.sieve import kept_lines

_NUMBERED = db.identifier("pg_temp", "_numbered_requests")


@dataclass(slots=True)
class _Written:
    """How many requests arrived, and which were refused: their file's number, id, and why."""

    rows: int = 0
    refused: list[tuple[int, str, str]] = field(default_factory=list)


def admit(
    cursor: db.Cursor, staging: db.Composable, counts: Sequence[FileCount], most: int
) -> tuple[list[FileCount], list[Reject]]:
    """Append the staged requests that are not there yet: what became of each file's lines, and what was refused.

    A row's `file` is the place of its file in `counts`. Looks for no more refused rows once there are more than
    `most`. Raises TableError when the table drops a row.
    """
    left_out = _delete_known(cursor, staging)
    written = _write(cursor, staging, most)
    rejects = list(_rejects(written, counts)) if written.refused else []
    refused = Counter(number for number, _, _ in written.refused)
    new = [count.without(repeated=left_out[n], rejected=refused[n]) for n, count in enumerate(counts)]
    if len(rejects) <= most:
        refusals.demand_all(cursor, REQUESTS, written.rows, sum(count.loaded for count in new))
    return new, rejects


def _delete_known(cursor: db.Cursor, staging: db.Composable) -> Counter[int]:
    """Take out what stands twice, or is there already; how many of each file."""
    gone: Counter[int] = Counter()
    for what in ("delete_repeated_requests", "delete_known_requests"):
        gone.update(dict(db.rows(cursor, what, staging=staging)))
    return gone


def _write(cursor: db.Cursor, staging: db.Composable, most: int) -> _Written:
    """All rows at once; only where the table refuses one of them, part by part."""
    written = _Written()
    try:
        with db.savepoint(cursor, "rows"):
            written.rows = db.run(cursor, "insert_requests", staging=staging)
    except db.REFUSED as error:
        LOGGER.warning(say("requests refuses", why=db.reason(error)))
        db.run(cursor, "number_requests", numbered=_NUMBERED, staging=staging)
        cursor.execute(db.statement("analyze", table=_NUMBERED))
        _write_part(cursor, written, 1, 1 + int(db.one(cursor, "count_rows", table=_NUMBERED)[0]), most)
    return written


def _write_part(cursor: db.Cursor, written: _Written, low: int, high: int, most: int) -> None:
    """What is taken stays; what is refused goes again by halves, the first one first: local_id grows in load order."""
    if low == high or len(written.refused) > most:
        return
    part = db.statement("numbered_part", numbered=_NUMBERED, low=db.raw(str(low)), high=db.raw(str(high)))
    try:
        with db.savepoint(cursor, "rows"):
            written.rows += db.run(cursor, "insert_requests", staging=part)
        return
    except db.REFUSED as error:
        why = db.reason(error)
    if high - low == 1:
        [(number, key)] = db.rows(cursor, "numbered_request", staging=part)
        written.refused.append((number, key, why))
        return
    middle = (low + high) // 2
    _write_part(cursor, written, low, middle, most)
    _write_part(cursor, written, middle, high, most)


def _rejects(written: _Written, counts: Sequence[FileCount]) -> Iterator[Reject]:
    keys: defaultdict[int, dict[bytes, str]] = defaultdict(dict)
    for number, key, why in written.refused:
        keys[number][copy_text.field(key).encode()] = why
    for number, reasons in keys.items():
        yield from _with_lines(counts[number].file, reasons)


def _with_lines(file: DumpFile, reasons: dict[bytes, str]) -> Iterator[Reject]:
    """The file is read once more: staging does not hold the lines' numbers, which hardly any night asks for."""
    left = dict(reasons)
    with rows.reading(file.path, heard=False) as plain:
        body = rows.skip_header(plain) if file.header else plain
        for number, line in kept_lines(body, file, rows.Tally(), lambda *_: None):
            if why := left.pop(line.partition(b"\t")[0], ""):
                yield Reject(REQUESTS, file.name, number, why)
    yield from (Reject(REQUESTS, file.name, None, why) for why in left.values())  # an id that is written otherwise

"""A file's lines into a table: COPY, line by line where it must be, and each line accounted for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from udecdash_updater import db, rows, verbatim, words
from udecdash_updater.canvas import key_of
from udecdash_updater.dump import DumpFile, Table
from udecdash_updater.errors import DumpError
from udecdash_updater.language import say
from udecdash_updater.logs import LOGGER
from udecdash_updater.rejects import FileCount, Reject, Rejects

_BATCH = 1_000
_BATCH_BYTES = 1 << 19
_NUMBERED = db.identifier("pg_temp", "_numbered_lines")
_EVIDENCE = 3  # lines; one or two may simply be bad
# Rule R2: the table holds no deleted module items.
_DROPPED = {"module_item_dim": ("workflow_state", b"deleted")}


def copy_file(
    cursor: db.Cursor,
    table: Table,
    staging: db.Composable,
    file: DumpFile,
    gate: Rejects,
    wordy: Mapping[str, bool] | None = None,
    refused: Mapping[str, str] | None = None,
) -> FileCount:
    """COPY a file's lines; those that cannot be rows go to `gate`. Raises DumpError when one is unaccounted for.

    `wordy`: columns in which PostgreSQL would take special words for values, as `words.wordy` tells them. `refused`:
    why the table itself does not take some rows, as `refusals.told_by` tells them.
    """
    places = {place: wordy[name] for place, name in enumerate(file.columns) if name in wordy} if wordy else {}
    plain = table.name not in _DROPPED and 0 not in places and not refused  # words are looked for after tabs
    if plain:
        try:
            return _copy_plainly(cursor, staging, file, places)
        except (*db.BAD_ROW, verbatim.SuspiciousLineError, _MiscountError):
            LOGGER.warning(say("line by line", table=table.name, file=file.name))
    return _copy_carefully(cursor, table, staging, file, gate, places, refused or {})


class _MiscountError(Exception):
    """COPY took another number of rows than the file has lines."""


def _copy_plainly(cursor: db.Cursor, staging: db.Composable, file: DumpFile, wordy: Mapping[int, bool]) -> FileCount:
    with rows.reading(file.path) as plain, db.savepoint(cursor, "file"):
        reader = verbatim.VerbatimReader(rows.skip_header(plain) if file.header else plain, wordy)
        loaded = db.copy_in(cursor, staging, file.columns, reader)
        if loaded != reader.lines:
            raise _MiscountError
    file.demand_as_found()
    return FileCount(file, loaded, loaded)


def _copy_carefully(
    cursor: db.Cursor,
    table: Table,
    staging: db.Composable,
    file: DumpFile,
    gate: Rejects,
    wordy: Mapping[int, bool],
    refused: Mapping[str, str],
) -> FileCount:
    tally, before = rows.Tally(), len(gate.rejects)

    def reject(number: int, reason: str) -> None:
        gate.add(file.name, number, reason)

    with rows.reading(file.path) as plain:
        body = rows.skip_header(plain) if file.header else plain
        sound = rows.sound_lines(body, len(file.columns), tally, reject)
        kept = _without_words(file, wordy, _without_dropped(table.name, file, sound, tally), reject)
        if refused and not key_of(table):
            loaded = _copy_but(cursor, table, staging, file, refused, kept, reject)
        else:
            kept = _without_refused(table, file, refused, kept, reject)
            loaded = copy_batches(cursor, staging, file.columns, kept, reject)
    file.demand_as_found()
    demand_width(file, tally, gate.rejects[before:])
    return reconciled(file, tally, loaded, len(gate.rejects) - before)


def demand_width(file: DumpFile, tally: rows.Tally, rejects: Sequence[Reject]) -> None:
    """Raises DumpError when all of a file's lines have the same wrong width: schema.json is of another dump then."""
    reasons = {reject.reason for reject in rejects}
    if len(rejects) == tally.lines >= _EVIDENCE and len(reasons) == 1 and rows.WIDTH in (reason := reasons.pop()):
        raise DumpError(
            say("wrong width", table=file.table, file=file.name, reason=reason),
            hint=say("wrong width hint"),
        )


def reconciled(file: DumpFile, tally: rows.Tally, loaded: int, rejected: int) -> FileCount:
    """The file's counts. Raises DumpError when a line is neither loaded nor filtered nor rejected."""
    if tally.lines != loaded + tally.filtered + rejected:
        raise DumpError(
            say(
                "not reconciled",
                table=file.table,
                file=file.name,
                lines=tally.lines,
                loaded=loaded,
                filtered=tally.filtered,
                rejected=rejected,
            ),
            hint=say("not reconciled hint"),
        )
    return FileCount(file, tally.lines, loaded, tally.filtered, 0, rejected)


def _without_dropped(
    table: str, file: DumpFile, lines: Iterator[tuple[int, bytes]], tally: rows.Tally
) -> Iterator[tuple[int, bytes]]:
    if (drops := dropping(table, file)) is None:
        yield from lines
        return
    for number, line in lines:
        if drops(line):
            tally.filtered += 1
        else:
            yield number, line


def _without_words(
    file: DumpFile, wordy: Mapping[int, bool], lines: Iterator[tuple[int, bytes]], reject: rows.Reject
) -> Iterator[tuple[int, bytes]]:
    for number, line in lines:
        place = words.first(line.rstrip(b"\n").split(b"\t"), wordy)
        if place is None:
            yield number, line
        else:
            reject(number, f"{file.columns[place]}: {words.REASON}")


def _without_refused(
    table: Table, file: DumpFile, refused: Mapping[str, str], lines: Iterator[tuple[int, bytes]], reject: rows.Reject
) -> Iterator[tuple[int, bytes]]:
    places = [file.columns.index(name) for name in key_of(table)] if refused else []
    for number, line in lines:
        fields = line.rstrip(b"\n").split(b"\t") if refused else []
        why = refused.get(b"\t".join([fields[place] for place in places]).decode())
        if why is None:
            yield number, line
        else:
            reject(number, why)


def _copy_but(
    cursor: db.Cursor,
    table: Table,
    staging: db.Composable,
    file: DumpFile,
    refused: Mapping[str, str],
    lines: Iterator[tuple[int, bytes]],
    reject: rows.Reject,
) -> int:
    """All lines but the refused ones, of a table without a key: only PostgreSQL can tell which lines those are."""
    columns = db.identifiers(table.column_names)
    db.run(cursor, "stage_numbered", numbered=_NUMBERED, staging=staging)
    numbered = ((number, b"%b\t%d\n" % (line.removesuffix(b"\n"), number)) for number, line in lines)
    copy_batches(cursor, _NUMBERED, (*file.columns, "_line"), numbered, reject)
    row_text = db.statement("row_text", columns=columns)
    taken = db.rows(cursor, "take_refused", {"rows": list(refused)}, numbered=_NUMBERED, row_text=row_text)
    for number, row in sorted(taken):
        reject(number, refused[row])
    loaded = db.run(cursor, "stage_taken", numbered=_NUMBERED, staging=staging, columns=db.identifiers(file.columns))
    db.run(cursor, "drop_numbered", numbered=_NUMBERED)
    return loaded


def dropping(table: str, file: DumpFile) -> Callable[[bytes], bool] | None:
    """Tells the lines that are filtered; None where none is. A line that is too short is not."""
    name, dropped = _DROPPED.get(table, ("", b""))
    if name not in file.columns:
        return None
    place = file.columns.index(name)

    def drops(line: bytes) -> bool:
        # Most lines hold it nowhere, and to look for it is much cheaper than to cut them.
        return dropped in line and line.split(b"\t", place + 1)[place : place + 1] in ([dropped], [dropped + b"\n"])

    return drops


def copy_batches(
    cursor: db.Cursor,
    staging: db.Composable,
    columns: Sequence[str],
    lines: Iterator[tuple[int, bytes]],
    reject: rows.Reject,
) -> int:
    """COPY numbered lines batch by batch; each line that PostgreSQL refuses is told to `reject`. Rows that arrived."""
    return sum(_copy_batch(cursor, staging, columns, batch, reject) for batch in _batches(lines))


def _batches(lines: Iterator[tuple[int, bytes]]) -> Iterator[list[tuple[int, bytes]]]:
    batch, size = [], 0
    for line in lines:
        batch.append(line)
        size += len(line[1])
        if len(batch) == _BATCH or size > _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    yield batch


def _copy_batch(
    cursor: db.Cursor,
    staging: db.Composable,
    columns: Sequence[str],
    batch: list[tuple[int, bytes]],
    reject: rows.Reject,
) -> int:
    loaded = 0
    while batch:
        try:
            with db.savepoint(cursor, "batch"):
                return loaded + db.copy_in(cursor, staging, columns, rows.LineReader(line for _, line in batch))
        except db.REFUSED as error:
            place = db.copy_line(error)
            if place is None:
                return loaded + _copy_halves(cursor, staging, columns, batch, reject, db.reason(error))
            line, column = place
            reject(batch[line - 1][0], f"{column}: {db.reason(error)}" if column else db.reason(error))
            # What stands before the refused line was read without complaint: it goes again, alone.
            loaded += _copy_batch(cursor, staging, columns, batch[: line - 1], reject)
            batch = batch[line:]
    return loaded


def _copy_halves(
    cursor: db.Cursor,
    staging: db.Composable,
    columns: Sequence[str],
    batch: list[tuple[int, bytes]],
    reject: rows.Reject,
    reason: str,
) -> int:
    """Where PostgreSQL does not say which line it refuses, in words that we know: half by half down to that line."""
    if len(batch) == 1:
        reject(batch[0][0], reason)
        return 0
    middle = len(batch) // 2
    return sum(_copy_batch(cursor, staging, columns, half, reject) for half in (batch[:middle], batch[middle:]))

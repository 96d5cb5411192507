"""From a table's files to its staging: COPY, line by line where it must be, each key once, every line counted."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from udecdash_updater import db, rows
from udecdash_updater.canvas import Found, key_of, look
from udecdash_updater.dump import DumpFile, Table, digest
from udecdash_updater.errors import DumpError
from udecdash_updater.logs import LOGGER
from udecdash_updater.rejects import FileCount, Reject, Rejects
from udecdash_updater.settings import Settings

STAGING = "udecdash_staging"
FILE = "_file"
_BATCH = 10_000
_BATCH_BYTES = 4 << 20
_MOST_NEW_LABELS = 10
_TRUTH = ("true", "false")
_WRITTEN = ("created_at", "updated_at")
_STATE = re.compile(r"[A-Za-z][a-z_]{0,62}")
# Rule R2: the table holds no deleted module items.
_DROPPED = {"module_item_dim": ("workflow_state", b"deleted")}


@dataclass(frozen=True, slots=True)
class Staged:
    """A table whose rows wait in staging. `uniques`: what must be unique in the table besides its key.

    `newest`: when the newest of its rows was created or changed, where the table tells.
    """

    table: Table
    uniques: tuple[tuple[str, ...], ...]
    counts: tuple[FileCount, ...]
    rejects: tuple[Reject, ...]
    newest: datetime | None = None

    @property
    def loaded(self) -> int:
        """Rows in staging."""
        return sum(count.loaded for count in self.counts)

    @property
    def digest(self) -> str:
        """Of the files that the rows came from."""
        return digest([count.file for count in self.counts])


def stage(cursor: db.Cursor, table: Table, files: Sequence[DumpFile], settings: Settings) -> Staged:
    """One table's files in staging, each key once; what became of each line."""
    found, key = look(cursor, table.name), key_of(table)
    staging = _create_staging(cursor, table, found, key)
    uniques = tuple(u for u in found.uniques if set(u) != set(key) and set(u) <= set(table.column_names))
    gate = Rejects(table.name, settings.max_rejected_rows)
    counts = [_copy_file(cursor, table, staging, n, file, gate) for n, file in enumerate(files)]
    counts = _fit_enums(cursor, settings, table, staging, counts, gate)
    if key:
        counts = _drop_repeats(cursor, staging, key, counts)
        for unique in uniques:
            counts = _reject_shared(cursor, staging, unique, counts, gate)
    cursor.execute(db.statement("analyze", table=staging))
    return Staged(table, uniques, tuple(counts), tuple(gate.rejects), _newest(cursor, table, staging, found))


def _newest(cursor: db.Cursor, table: Table, staging: db.Composable, found: Found) -> datetime | None:
    times = [n for n in _WRITTEN if n in table.column_names and found.types[n].startswith("timestamp")]
    newest: datetime | None = None
    if times:
        newest = db.one(cursor, "staged_newest", times=db.identifiers(times), staging=staging)[0]
    return newest


def _create_staging(cursor: db.Cursor, table: Table, found: Found, key: Sequence[str]) -> db.Composable:
    staging = db.identifier(STAGING, table.name)
    # ENUMs are staged as text: their labels are fitted afterwards, for the whole column at once.
    kinds = {name: "text" if name in found.enums else found.types[name] for name in table.column_names}
    parts = [db.definition(FILE, "integer not null default 0")]
    parts += [db.definition(name, kind + (" not null" if name in key else "")) for name, kind in kinds.items()]
    cursor.execute(db.statement("drop_staging", table=staging))
    cursor.execute(db.statement("create_staging", table=staging, parts=db.comma(parts)))
    return staging


def _copy_file(
    cursor: db.Cursor, table: Table, staging: db.Composable, number: int, file: DumpFile, gate: Rejects
) -> FileCount:
    cursor.execute(db.statement("number_file", table=staging, column=db.identifier(FILE)), {"number": number})
    if table.name not in _DROPPED:
        try:
            return _copy_plainly(cursor, staging, file)
        except (*db.BAD_ROW, rows.SuspiciousLineError, _MiscountError):
            LOGGER.warning("%s/%s goes line by line: it holds lines that COPY refuses", table.name, file.name)
    return _copy_carefully(cursor, table, staging, file, gate)


class _MiscountError(Exception):
    """COPY took another number of rows than the file has lines."""


def _copy_plainly(cursor: db.Cursor, staging: db.Composable, file: DumpFile) -> FileCount:
    with rows.reading(file.path) as plain, db.savepoint(cursor, "file"):
        reader = rows.PlainReader(rows.skip_header(plain) if file.header else plain)
        loaded = db.copy_in(cursor, staging, file.columns, reader)
        if loaded != reader.lines:
            raise _MiscountError
    return FileCount(file, loaded, loaded)


def _copy_carefully(
    cursor: db.Cursor, table: Table, staging: db.Composable, file: DumpFile, gate: Rejects
) -> FileCount:
    tally, before = rows.Tally(), len(gate.rejects)

    def reject(number: int, reason: str) -> None:
        gate.add(file.name, number, reason)

    with rows.reading(file.path) as plain:
        body = rows.skip_header(plain) if file.header else plain
        sound = rows.sound_lines(body, len(file.columns), tally, reject)
        loaded = copy_batches(cursor, staging, file.columns, _without_dropped(table.name, file, sound, tally), reject)
    return reconciled(file, tally, loaded, len(gate.rejects) - before)


def reconciled(file: DumpFile, tally: rows.Tally, loaded: int, rejected: int) -> FileCount:
    """The file's counts. Raises DumpError when a line is neither loaded nor filtered nor rejected."""
    if tally.lines != loaded + tally.filtered + rejected:
        raise DumpError(
            f"{file.table}/{file.name}: of {tally.lines} lines {loaded} arrived, {tally.filtered} were filtered and"
            f" {rejected} rejected.",
            hint="PostgreSQL read the file's lines otherwise than we did; please report it with this file's name.",
        )
    return FileCount(file, tally.lines, loaded, tally.filtered, 0, rejected)


def _without_dropped(
    table: str, file: DumpFile, lines: Iterator[tuple[int, bytes]], tally: rows.Tally
) -> Iterator[tuple[int, bytes]]:
    name, dropped = _DROPPED.get(table, ("", b""))
    if name not in file.columns:
        yield from lines
        return
    place = file.columns.index(name)
    for number, line in lines:
        if line.split(b"\t", place + 1)[place].rstrip(b"\n") == dropped:
            tally.filtered += 1
        else:
            yield number, line


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
        except db.BAD_ROW as error:
            place = db.copy_line(error)
            if place is None:
                raise
            line, column = place
            reject(batch[line - 1][0], f"{column}: {db.reason(error)}" if column else db.reason(error))
            # What stands before the refused line was read without complaint: it goes again, alone.
            loaded += _copy_batch(cursor, staging, columns, batch[: line - 1], reject)
            batch = batch[line:]
    return loaded


def _fit_enums(
    cursor: db.Cursor, settings: Settings, table: Table, staging: db.Composable, counts: list[FileCount], gate: Rejects
) -> list[FileCount]:
    found = look(cursor, table.name)
    for name in [name for name in table.column_names if name in found.enums]:
        column, oid = db.identifier(name), found.enums[name]
        labels = [label for (label,) in db.rows(cursor, "enum_labels", {"type": oid})]
        # The dashboard's own DDL knows 'True' and 'False' where the files say true and false.
        truth = {word: word if word in labels else word.capitalize() for word in _TRUTH}
        known = labels + [word for word in _TRUTH if truth[word] in labels]
        staged = db.rows(cursor, "unknown_labels", {"labels": known}, column=column, staging=staging)
        unknown = _add_labels(settings, oid, [value for (value,) in staged])
        for number, value, times in _take_out(cursor, staging, column, unknown):
            counts[number] = _rejected(counts[number], times)
            for _ in range(times):
                named = value if _STATE.fullmatch(value) else "that stands there"
                gate.add(counts[number].file.name, None, f"{name}: its ENUM does not know the state {named}")
        cursor.execute(db.statement("fit_enum", table=staging, column=column, type=db.raw(found.types[name])), truth)
    return counts


def _add_labels(settings: Settings, oid: int, values: list[str]) -> list[str]:
    """Add states to an ENUM that is ours to change; returns those that could not be added.

    On a connection of its own: a label can be used only once its transaction has ended.
    """
    if not values:
        return []
    with db.opened(settings) as connection, connection.cursor() as cursor:
        schema, name, ours = db.one(cursor, "owned_type", {"type": oid})
        # A shifted column holds anything; what looks like no state, or comes by the dozen, becomes no label.
        good = [value for value in values if ours and _STATE.fullmatch(value)]
        good = good if len(values) <= _MOST_NEW_LABELS else []
        for value in good:
            LOGGER.warning("the ENUM %s did not know the state %s that this dump holds: added", name, value)
            cursor.execute(db.statement("add_label", type=db.identifier(schema, name), label=db.literal(value)))
    return [value for value in values if value not in good]


def _take_out(cursor: db.Cursor, staging: db.Composable, column: db.Composable, labels: list[str]) -> list[db.Row]:
    if not labels:
        return []
    return db.rows(cursor, "reject_staged_labels", {"labels": labels}, column=column, staging=staging)


def _rejected(count: FileCount, times: int) -> FileCount:
    return FileCount(
        count.file, count.lines, count.loaded - times, count.filtered, count.repeated, count.rejected + times
    )


def _drop_repeats(
    cursor: db.Cursor, staging: db.Composable, key: Sequence[str], counts: list[FileCount]
) -> list[FileCount]:
    columns = db.identifiers(key)
    if db.one(cursor, "staged_surplus", key=columns, staging=staging)[0]:
        gone: dict[int, int] = dict(
            db.rows(cursor, "delete_staged_repeats", key=columns, staging=staging, present=db.raw(""))
        )
        return [
            FileCount(c.file, c.lines, c.loaded - gone.get(n, 0), c.filtered, gone.get(n, 0), c.rejected)
            for n, c in enumerate(counts)
        ]
    return counts


def _reject_shared(
    cursor: db.Cursor, staging: db.Composable, unique: Sequence[str], counts: list[FileCount], gate: Rejects
) -> list[FileCount]:
    present = db.statement("all_present", columns=db.identifiers(unique))
    columns = db.identifiers(unique)
    for number, times in db.rows(cursor, "delete_staged_repeats", key=columns, staging=staging, present=present):
        counts[number] = _rejected(counts[number], times)
        for _ in range(times):
            gate.add(counts[number].file.name, None, f"{', '.join(unique)}: another row has the same value")
    return counts

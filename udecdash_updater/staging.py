"""A table's files to its staging: each key once, every line counted, and what the publish will have to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import Enum

from udecdash_updater import changes, db, differences, labels, limits, lines, prints, repeats
from udecdash_updater.canvas import Found, key_of, look, look_at, made
from udecdash_updater.changes import Changes
from udecdash_updater.copying import copy_file
from udecdash_updater.dump import DumpFile, Table, digest
from udecdash_updater.errors import TableError
from udecdash_updater.language import say
from udecdash_updater.line_blocks import Block, UnlikeError
from udecdash_updater.lines import Known
from udecdash_updater.prints import Print
from udecdash_updater.rejects import FileCount, Reject, Rejects
from udecdash_updater.repeats import Waiting
from udecdash_updater.settings import Settings

STAGING = "udecdash_staging"
_WRITTEN = ("created_at", "updated_at")


class Way(Enum):
    """How a table gets its rows: it is built aside, whole; or filled, because it is empty; or changed.

    DIFFERING: changed too, and only lines that differ from those of the last load were looked at.
    """

    BUILT = "stage_new"
    FILLED = "stage_all"
    CHANGED = "stage_compared"
    DIFFERING = ""


@dataclass(frozen=True, slots=True)
class Staged:
    """A table whose rows wait in staging: all of them, or where it is CHANGED those that differ.

    `had`: how many rows the table holds. `newest`: when the newest of the rows was created or changed, where the
    table tells. `known`: what was kept of the load before, and was compared with; `kept`: this load will be,
    and this is the print of the table before it, or of the one that was built; `taken`: what it will lose of it.
    `blocks`: how what is kept changes, as far as that does not wait in staging yet.
    """

    table: Table
    found: Found
    way: Way
    counts: tuple[FileCount, ...]
    rejects: tuple[Reject, ...]
    changes: Changes
    had: int = 0
    newest: datetime | None = None
    known: Known | None = None
    kept: Print | None = None
    taken: Decimal = Decimal(0)
    blocks: tuple[Block, ...] = ()

    @property
    def loaded(self) -> int:
        """Rows that the table will hold."""
        return _loaded(self.counts)

    @property
    def digest(self) -> str:
        """Of the files that the rows came from."""
        return digest([count.file for count in self.counts])


def source(staged: Staged) -> db.Composable:
    """What waits, to select from."""
    if staged.way is Way.DIFFERING:
        return differences.source(staged.table, staged.found)
    return db.identifier(STAGING, staged.table.name)


Fill = Callable[[Waiting, Rejects], list[FileCount]]
"""Brings a table's rows into its staging: what became of each line."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Tables as they stand before a load: by name, in the database and in what is kept of their last load."""

    found: Mapping[str, Found]
    known: Mapping[str, Known]

    @classmethod
    def of(cls, cursor: db.Cursor, tables: Sequence[Table]) -> Standing:
        """Of all these tables."""
        return cls(look_at(cursor, [table.name for table in tables]), lines.recall(cursor, tables))


def stage(
    cursor: db.Cursor,
    table: Table,
    files: Sequence[DumpFile],
    settings: Settings,
    standing: Standing,
    refused: Mapping[str, str] | None = None,
) -> Staged:
    """One table's files in staging, each key once; what became of each line, and what differs from the table.

    `refused`: why the table itself does not take the rows of some keys, when they are staged once more.
    """
    found = standing.found[table.name]
    was = prints.take(cursor, db.identifier(table.name)) if found.types and not refused else None
    known = standing.known.get(table.name)
    if was and known and known.is_of(table, found, was):
        if known.holds(files):
            return unchanged(table, found, files, known)
        if differing := _differing(cursor, table, found, files, known):
            return replace(differing, kept=was)

    def fill(waiting: Waiting, gate: Rejects) -> list[FileCount]:
        return [copy_file(cursor, table, waiting.staging, file, gate, waiting.found.wordy, refused) for file in files]

    lines.forget(cursor, table)
    staged = stage_from(cursor, table, fill, settings, line_by_line=True, found=found)
    if staged.way is Way.BUILT:  # whole as it is, only its schema will be another
        was = prints.take(cursor, db.identifier(STAGING, table.name))
    return replace(staged, kept=was if lines.can_be_kept(table, staged.counts) else None)


def unchanged(table: Table, found: Found, files: Sequence[DumpFile], known: Known) -> Staged:
    """A table that is as its last load left it, and files that are those of that load."""
    counts = [FileCount(file, *numbers) for file, numbers in zip(files, known.counts, strict=True)]
    return Staged(table, found, Way.DIFFERING, tuple(counts), (), Changes(), known.rows, known.newest, known)


def _differing(cursor: db.Cursor, table: Table, found: Found, files: Sequence[DumpFile], known: Known) -> Staged | None:
    """What a few lines change; None where only a comparison of all lines can tell."""
    if not differences.can_be_judged(table, found):
        return None
    try:
        with db.savepoint(cursor, "lines"):
            differing = lines.compare(cursor, table, files, known)
            judged = differences.judge(cursor, table, found, differing, known, _times(table, found))
    except (UnlikeError, *db.BAD_ROW):
        return None
    counts = differing.counts
    newest, taken, kept = judged.newest, judged.taken, differing.known
    return Staged(
        table,
        found,
        Way.DIFFERING,
        counts,
        (),
        judged.changes,
        known.rows,
        newest,
        kept,
        taken=taken,
        blocks=differing.changed,
    )


def stage_from(
    cursor: db.Cursor,
    table: Table,
    fill: Fill,
    settings: Settings,
    *,
    line_by_line: bool = False,
    found: Found | None = None,
) -> Staged:
    """The same, whatever the rows come from. `line_by_line`: `fill` takes lines that staging refuses for rejects.

    `found`: the table as it stands, where that is known.
    """
    found, had, way = _find(cursor, table, found or look(cursor, table.name))
    waiting = Waiting(table, found, _create(cursor, table, found, way, strict=line_by_line))
    gate = Rejects(table.name, settings.max_rejected_rows)
    counts = fill(waiting, gate)
    counts = labels.fit(cursor, settings, waiting, counts, gate)
    counts = limits.fit(cursor, waiting, counts, gate, all_of_them=not line_by_line)
    differing = None
    if way is Way.CHANGED:
        counts, differing = _compare(cursor, waiting, counts, had, gate)
    elif waiting.key:
        counts = (_constrain if way is Way.BUILT else _settle)(cursor, waiting, counts, gate)
    differing = differing or Changes(new=_loaded(counts))
    newest = _newest(cursor, waiting)
    return Staged(table, found, way, tuple(counts), tuple(gate.rejects), differing, had, newest)


def _find(cursor: db.Cursor, table: Table, found: Found) -> tuple[Found, int, Way]:
    if not found.types:
        return made(table), 0, Way.BUILT
    if computed := found.generated.intersection(key_of(table)):
        told = say("table computes", table=table.name, column=", ".join(computed))
        raise TableError(told, hint=say("table computes hint", table=table.name, column=", ".join(computed)))
    had = int(db.one(cursor, "count_rows", table=db.identifier(table.name))[0])
    return found, had, Way.CHANGED if had else Way.FILLED


def _create(cursor: db.Cursor, table: Table, found: Found, way: Way, *, strict: bool) -> db.Composable:
    staging = db.identifier("pg_temp", "_staged") if way is Way.CHANGED else db.identifier(STAGING, table.name)
    # ENUMs are staged as text: their labels are fitted afterwards, for all columns at once.
    kinds = {name: "text" if name in found.enums else found.types[name] for name in table.column_names}
    needed = {*key_of(table), *(limits.required(table, found) if strict else ())}
    parts = [db.definition(name, kind + (" not null" if name in needed else "")) for name, kind in kinds.items()]
    for check in limits.held(table, found) if strict else ():
        parts.append(limits.clause(check))
    db.run(cursor, way.value, table=staging, parts=db.comma(parts))
    return staging


def _constrain(cursor: db.Cursor, waiting: Waiting, counts: Sequence[FileCount], gate: Rejects) -> list[FileCount]:
    """Give a table that we make its indexes: building them tells whether anything stands there twice."""
    settled = list(counts)
    try:
        with db.savepoint(cursor, "keys"):
            _add_keys(cursor, waiting)
    except db.UniqueViolation:
        settled = repeats.settle(cursor, waiting, counts, gate)
        _add_keys(cursor, waiting)
    return settled


def _add_keys(cursor: db.Cursor, waiting: Waiting) -> None:
    keys = [db.statement("primary_key", columns=db.identifiers(waiting.key))]
    keys += [db.statement("unique_key", columns=db.identifiers(unique.terms)) for unique in waiting.uniques]
    for key in keys:
        db.run(cursor, "alter_table", table=waiting.staging, actions=db.statement("add_key", key=key))


def _settle(cursor: db.Cursor, waiting: Waiting, counts: Sequence[FileCount], gate: Rejects) -> list[FileCount]:
    return repeats.settle(cursor, waiting, counts, gate) if repeats.shared(cursor, waiting) else list(counts)


def _compare(
    cursor: db.Cursor, waiting: Waiting, counts: Sequence[FileCount], had: int, gate: Rejects
) -> tuple[list[FileCount], Changes]:
    """Find what differs, and keep it for the publish."""
    settled, differing = list(counts), None
    if waiting.key and waiting.found.has_key(waiting.key):
        settled, differing = _compare_keys(cursor, waiting, counts, had, gate)
    elif waiting.key:
        settled = _settle(cursor, waiting, counts, gate)
    differing = differing or changes.by_content(cursor, waiting)
    if differing.any:
        kept = db.identifier(STAGING, waiting.table.name)
        db.run(cursor, "keep_changes", table=kept)
        cursor.execute(db.statement("analyze", table=kept))
    return settled, differing


def _compare_keys(
    cursor: db.Cursor, waiting: Waiting, counts: Sequence[FileCount], had: int, gate: Rejects
) -> tuple[list[FileCount], Changes | None]:
    """Rows that did not change cannot share anything with each other, so first compare, then settle what shares."""
    differing = changes.by_key(cursor, waiting, had, _loaded(counts))
    if differing and not (differing.any and repeats.claimed(cursor, waiting)):
        return list(counts), differing
    if differing:
        changes.forget(cursor)
    settled = repeats.settle(cursor, waiting, counts, gate)
    return settled, changes.by_key(cursor, waiting, had, _loaded(settled))


def _loaded(counts: Sequence[FileCount]) -> int:
    return sum(count.loaded for count in counts)


def _newest(cursor: db.Cursor, waiting: Waiting) -> datetime | None:
    newest: datetime | None = None
    if times := _times(waiting.table, waiting.found):
        newest = db.one(cursor, "staged_newest", times=db.identifiers(times), staging=waiting.staging)[0]
    return newest


def _times(table: Table, found: Found) -> list[str]:
    return [n for n in _WRITTEN if n in table.column_names and found.types[n].startswith("timestamp")]

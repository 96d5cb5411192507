"""What a table's lines were at the last load, so that a night parses only those that are other ones.

A cache beside the table. It counts only while the table holds the very rows that this load left there, which its print
tells (`prints`): whatever somebody changed by hand, the next load compares all.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from udecdash_updater import db, places, rows
from udecdash_updater.canvas import Found, key_of, look, look_at
from udecdash_updater.dump import DumpFile, Table
from udecdash_updater.line_blocks import Block, Keys, UnlikeError, Walk, made, plain_keys
from udecdash_updater.line_reading import BETWEEN, MOST_REPEATED, Reading, keys_in
from udecdash_updater.prints import Print
from udecdash_updater.rejects import FileCount

WORTH_KEEPING = 100  # lines; a smaller table is compared as a whole sooner than its lines are
_MOST = 20_000  # lines that differ; more of them take the way of all lines
_LARGEST = 8 << 20  # bytes of lines that differ
_AT_ONCE = 64  # blocks
_FEW = 4  # blocks of a table, which it holds until those of all tables go to staging at once
_KEPT = db.identifier("udecdash", "line_blocks")
_STAGED = db.identifier("udecdash_staging", "_line_blocks")
_KEYS = db.identifier("pg_temp", "_line_keys")
_NONE: frozenset[bytes] = frozenset()


@dataclass(frozen=True, slots=True)
class Known:
    """What is kept of a table's last load.

    `counts`: as FileCount has them. `repeated`: keys that stood in more than one line. `lines`: how many the blocks
    hold; None where no lines are kept. `plain`: the table has neither partitions nor rules.
    """

    number: int
    shape: str
    contents: tuple[str, ...]
    counts: tuple[tuple[int, int, int, int], ...]
    print: Print
    newest: datetime | None
    repeated: frozenset[bytes]
    lines: int | None
    plain: bool

    @property
    def rows(self) -> int:
        """How many the table holds."""
        return self.print.rows

    def is_of(self, table: Table, found: Found, now: Print) -> bool:
        """Whether the table is still as that load left it, and its columns are those of then."""
        return self.print == now and self.shape == _shape(table, found)

    def holds(self, files: Sequence[DumpFile]) -> bool:
        """Whether these files hold what it loaded, byte by byte."""
        return bool(self.contents) and self.contents == _contents(files)


@dataclass(frozen=True, slots=True)
class Differing:
    """Lines that differ, in the order of the files, and keys of rows that no line tells of any more.

    `lost`: lines of a table without a key that are there no more, by their numbers (see `places`), each as often as
    that. `others`: lines that repeat a key otherwise; they count as repeated only if they could be rows. `known`: what
    will be kept. `changed`: how that changes, where it does not wait in staging.
    """

    lines: tuple[bytes, ...]
    gone: tuple[str, ...]
    lost: tuple[int, ...]
    others: tuple[bytes, ...]
    counts: tuple[FileCount, ...]
    known: Known
    changed: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Unkept:
    """A table that was loaded by all its lines, which are not kept yet."""

    table: Table
    counts: tuple[FileCount, ...]

    @property
    def files(self) -> tuple[DumpFile, ...]:
        """Those that the lines are read from."""
        return tuple(count.file for count in self.counts)


@dataclass(frozen=True, slots=True)
class Done:
    """A load that is published.

    `known`: what the lines that differ were compared with, and whose place they take. `now`: the table's print.
    """

    table: Table
    counts: tuple[FileCount, ...]
    newest: datetime | None
    known: Known | None
    now: Print


def recall(cursor: db.Cursor, tables: Sequence[Table]) -> dict[str, Known]:
    """What is kept of each table's last load, by its name."""
    kept = db.rows(cursor, "recall_lines", {"tables": [table.name for table in tables]})
    return {
        name: Known(
            number,
            shape,
            tuple(contents),
            tuple(map(tuple, counts)),
            Print(held, places),
            newest,
            frozenset(key.encode() for key in repeated or ()),
            held_lines,
            plain,
        )
        for name, number, shape, contents, counts, held, places, newest, repeated, held_lines, plain in kept
    }


def forget(cursor: db.Cursor, table: Table) -> None:
    """What is kept of a table that will be loaded by all its lines counts no more."""
    _delete(cursor, db.one(cursor, "forget_line_set", {"table": table.name})[0])


def _delete(cursor: db.Cursor, number: int) -> None:
    db.run(cursor, "delete_line_blocks", {"number": number})
    db.run(cursor, "delete_line_places", {"number": number})


def can_be_kept(table: Table, counts: Sequence[FileCount]) -> bool:
    """Whether a load can be: not where a line was rejected, because who loads it again must be told of it again."""
    return not any(count.rejected or not _as_declared(table, count.file) for count in counts)


def unkept(table: Table, counts: Sequence[FileCount]) -> Unkept | None:
    """A published load, if its lines are worth keeping; of others the files' contents are kept alone."""
    worth = sum(count.lines for count in counts) >= WORTH_KEEPING
    return Unkept(table, tuple(counts)) if worth else None


def keep(cursor: db.Cursor, unkept: Unkept) -> None:
    """Keep the lines of a load that is published, for the next night: digests and keys, or places without a key.

    Raises UnlikeError where the files are no longer those that were loaded, where too many keys stand in more than one
    line, and for a key that no row of ours has, as one with a carriage return. Where a table without a key does not
    hold the rows of these lines, the same or one of db.BAD_ROW.
    """
    table, files = unkept.table, unkept.files
    number = db.one(cursor, "line_set", {"table": table.name})[0]
    _delete(cursor, number)
    if not key_of(table):
        places.keep(cursor, number, table, look(cursor, table.name), Reading(table, files, _NONE))
    repeated = _repeated(cursor, table, files) if any(count.repeated for count in unkept.counts) else _NONE
    reading = Reading(table, files, repeated)
    blocks = made(reading, keys_in(table) if key_of(table) else None)
    _copy_blocks(cursor, _KEPT, ((number, block) for block in blocks))
    if tuple(reading.counts) != unkept.counts:
        raise UnlikeError
    told = {"repeated": sorted(key.decode() for key in repeated), "lines": reading.in_blocks}
    db.run(cursor, "lines_are_kept", {"number": number, **told})


def compare(cursor: db.Cursor, table: Table, files: Sequence[DumpFile], known: Known) -> Differing:
    """Which lines of the files differ from those that are kept; how the kept ones change waits in staging, or is told.

    Raises UnlikeError when there are too many of them, when what is kept is not whole, or when the columns of a file
    stand in another order.
    """
    if known.lines is None or not all(_as_declared(table, file) for file in files):
        raise UnlikeError
    keys, reading = keys_in(table) if key_of(table) else None, Reading(table, files, known.repeated)
    walk = _walked(cursor, known, keys, reading)
    if keys and (twice := _twice(keys(walk.new))):
        db.run(cursor, "delete_staged_blocks", {"number": known.number})
        known = replace(known, repeated=known.repeated | twice)
        reading = Reading(table, files, known.repeated)
        walk = _walked(cursor, known, keys, reading)
    lines = (*walk.new, *reading.apart.values())
    counts, kept = tuple(reading.counts), replace(known, lines=reading.in_blocks)
    changed = tuple(walk.changed)
    if not keys:
        return Differing(lines, (), tuple(map(places.as_number, walk.lost)), (), counts, kept, changed)
    there = set(keys(lines))
    gone = {*_keys_at(cursor, known, walk.gone), *known.repeated} - there
    told = tuple(key.decode() for key in gone)
    return Differing(lines, told, (), tuple(reading.others), counts, kept, changed)


def _walked(cursor: db.Cursor, known: Known, keys: Keys | None, reading: Reading) -> Walk:
    walk = Walk(_blocks(cursor, known.number), keys, _MOST, _LARGEST)
    steps = map(walk.go_on, reading.texts(lambda: walk.met)) if reading.is_whole else map(walk.go, reading)
    for _ in steps:
        if len(walk.changed) >= _AT_ONCE:
            _stage(cursor, known, walk)
    walk.end()
    if len(walk.changed) > _FEW:
        _stage(cursor, known, walk)
    if walk.passed != known.lines:
        raise UnlikeError
    return walk


def _twice(keys: Iterable[bytes]) -> frozenset[bytes]:
    """Keys that more than one line has which the last load had not. Raises UnlikeError when there are too many."""
    found = frozenset(key for key, times in Counter(keys).items() if times > 1)
    if len(found) > MOST_REPEATED:
        raise UnlikeError
    plain_keys(found)
    return found


def publish(cursor: db.Cursor, done: Sequence[Done]) -> None:
    """What is kept of loads counts from now on; at the end of the transaction's work on their tables."""
    renewed = {one.known.number: one.table for one in done if one.known and one.known.lines is not None}
    if renewed:
        db.run(cursor, "renew_line_blocks", {"numbers": list(renewed)})
    for number, table in renewed.items():
        if not key_of(table):
            places.forget_gone(cursor, number, table)
    found = look_at(cursor, [one.table.name for one in done if not one.known])
    told = [
        (
            one.table.name,
            None if one.known else _shape(one.table, found[one.table.name]),
            list(_contents([count.file for count in one.counts])),
            [[count.lines, count.loaded, count.filtered, count.repeated] for count in one.counts],
            one.now.rows,
            one.known.lines if one.known else None,
            sorted(key.decode() for key in one.known.repeated) if one.known and one.known.repeated else None,
            one.newest,
            one.now.places,
        )
        for one in done
    ]
    db.insert_many(cursor, "publish_lines", told)


def _repeated(cursor: db.Cursor, table: Table, files: Sequence[DumpFile]) -> frozenset[bytes]:
    """The keys that stand in more than one line. Raises UnlikeError when there are too many of them."""
    keys_of = keys_in(table)
    db.run(cursor, "create_line_keys")
    keys = (plain_keys(keys_of(lines)) for lines in Reading(table, files, _NONE))
    db.copy_in(cursor, _KEYS, ("key",), rows.LineReader(keys.replace(BETWEEN, b"\\t") for keys in keys))
    found = db.rows(cursor, "repeated_keys", {"most": MOST_REPEATED + 1})
    if len(found) > MOST_REPEATED:
        raise UnlikeError
    return frozenset(key.encode() for (key,) in found)


def _as_declared(table: Table, file: DumpFile) -> bool:
    """Whether the file's columns stand as schema.json has them; an unpacked one's header may tell another order."""
    return file.columns == table.column_names


def _shape(table: Table, found: Found) -> str:
    """A digest of the columns, as the dump declares them and as they stand in the database."""
    uniques = [(unique.terms, unique.predicate) for unique in found.uniques]
    return hashlib.sha256(repr((table.columns, list(found.types.items()), uniques)).encode()).hexdigest()


def _contents(files: Sequence[DumpFile]) -> tuple[str, ...]:
    """What `dump.verify` told of the files; empty where it told nothing of one, because that is not read before."""
    contents = tuple(file.content for file in files)
    return contents if all(contents) else ()


def _blocks(cursor: db.Cursor, number: int) -> Iterator[Block]:
    """The kept blocks without their keys, in their order."""
    after = -1
    more = True
    while more:
        found = db.rows(cursor, "next_line_blocks", {"number": number, "after": after, "most": _AT_ONCE})
        for ordinal, digests, size, content in found:
            yield Block(ordinal, bytes(digests), size=size, content=bytes(content))
        if more := len(found) == _AT_ONCE:
            after = found[-1][0]


def _keys_at(cursor: db.Cursor, known: Known, places: Sequence[tuple[int, int]]) -> Iterator[bytes]:
    """The keys of kept lines, told by their block and their number in it."""
    wanted: dict[int, list[int]] = {}
    for ordinal, number in places:
        wanted.setdefault(ordinal, []).append(number)
    ordinals = list(wanted)
    for start in range(0, len(ordinals), _AT_ONCE):
        some = {"number": known.number, "ordinals": ordinals[start : start + _AT_ONCE]}
        for ordinal, joined in db.rows(cursor, "line_keys", some):
            keys = bytes(joined).split(b"\n")
            yield from (keys[number] for number in wanted[ordinal])


def _stage(cursor: db.Cursor, known: Known, walk: Walk) -> None:
    """Blocks that hold other lines by now wait for the publish."""
    stage_changed(cursor, ((known.number, block) for block in walk.changed))
    walk.changed.clear()


def stage_changed(cursor: db.Cursor, blocks: Iterable[tuple[int, Block]]) -> None:
    """Blocks that hold other lines by now, each with its table's number, wait for the publish."""
    _copy_blocks(cursor, _STAGED, blocks)


def _copy_blocks(cursor: db.Cursor, target: db.Composable, blocks: Iterable[tuple[int, Block]]) -> None:
    lines = (
        b"%d\t%d\t%b\t%b\t%d\t%b\n"
        % (
            number,
            block.ordinal,
            _in_hex(block.digests),
            _in_hex(block.keys),
            block.size,
            _in_hex(block.content),
        )
        for number, block in blocks
    )
    columns = ("number", "ordinal", "digests", "keys", "size", "content")
    db.copy_in(cursor, target, columns, rows.LineReader(lines))


def _in_hex(value: bytes) -> bytes:
    """The value as COPY reads a bytea."""
    return b"\\\\x" + value.hex().encode()

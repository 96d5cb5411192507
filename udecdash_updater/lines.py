"""What a table's lines were at the last load, so that a night parses only those that are other ones.

A cache beside the table. It counts only while the table holds the very rows that this load left there, which the sum of
their places and transactions tells (`table_print`): whatever somebody changed by hand, the next load compares all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import chain

import xxhash

from udecdash_updater import db, rows
from udecdash_updater.canvas import Found, key_of, look
from udecdash_updater.copying import dropping
from udecdash_updater.dump import DumpFile, Table
from udecdash_updater.rejects import FileCount, starts
from udecdash_updater.sieve import pieces

WORTH_KEEPING = 100  # lines; a smaller table is compared as a whole sooner than its lines are
_MOST = 20_000  # lines that differ; more of them take the way of all lines
_LARGEST = 8 << 20  # bytes of them
_BETWEEN = b"\\t"  # the parts of a key, which are numbers: a tab as COPY reads it
_LOWEST = 1 << 63  # digests are unsigned, PostgreSQL's numbers are not
_TONIGHT = db.identifier("pg_temp", "_lines")


class UnlikeError(Exception):
    """Lines that only a comparison of all of them can judge."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is kept of the last load of a table that is still as it left it. `counts`: as FileCount has them."""

    number: int
    contents: tuple[str, ...]
    counts: tuple[tuple[int, int, int, int], ...]
    rows: int
    newest: datetime | None

    def holds(self, files: Sequence[DumpFile]) -> bool:
        """Whether these files hold what it loaded, byte by byte."""
        return bool(self.contents) and self.contents == _contents(files)


@dataclass(frozen=True, slots=True)
class Differing:
    """Lines that differ, by key and digest in the order of the files, and keys of lines that are gone."""

    lines: tuple[tuple[str, int, bytes], ...]
    gone: tuple[str, ...]
    counts: tuple[FileCount, ...]


@dataclass(frozen=True, slots=True)
class Print:
    """How many rows a table holds, and a sum that changes with each of them that somebody writes or takes away."""

    rows: int
    places: Decimal


@dataclass(frozen=True, slots=True)
class Unkept:
    """A table that was loaded by all its lines, which are not kept yet."""

    table: Table
    counts: tuple[FileCount, ...]

    @property
    def files(self) -> tuple[DumpFile, ...]:
        """Those that the lines are read from."""
        return tuple(count.file for count in self.counts)


def take_print(cursor: db.Cursor, table: db.Composable) -> Print | None:
    """The print of a table; None where the server cannot tell any."""
    if db.version(cursor) < db.HASHES_RECORDS:
        return None
    return Print(*db.one(cursor, "table_print", table=table))


def recall(cursor: db.Cursor, table: Table, found: Found, now: Print) -> Known | None:
    """What is kept of the table's last load; None where there is nothing, or where the table is another one by now."""
    kept = db.rows(cursor, "recall_lines", {"table": table.name, "shape": _shape(table, found)})
    for number, contents, counts, held, places, newest in kept:
        if now == Print(held, places):
            return Known(number, tuple(contents), tuple(map(tuple, counts)), held, newest)
    return None


def forget(cursor: db.Cursor, table: Table) -> None:
    """What is kept of a table that will be loaded by all its lines counts no more."""
    number = int(db.one(cursor, "forget_line_set", {"table": table.name})[0])
    db.run(cursor, "drop_staging", tables=_name(number))


def can_be_kept(table: Table, counts: Sequence[FileCount]) -> bool:
    """Whether a load can be: not where a line was rejected, because who loads it again must be told of it again."""
    return not any(count.rejected or not _as_declared(table, count.file) for count in counts)


def unkept(table: Table, counts: Sequence[FileCount]) -> Unkept | None:
    """A published load, if its lines are worth keeping; of others the files' contents are kept alone."""
    worth = key_of(table) and sum(count.lines for count in counts) >= WORTH_KEEPING
    return Unkept(table, tuple(counts)) if worth else None


def keep(cursor: db.Cursor, unkept: Unkept) -> None:
    """Keep the lines of a load that is published: a digest of each, for the next night.

    Raises UnlikeError, or what COPY raises, for a key that no line of ours can hold, as one with a carriage return.
    """
    table, counts = unkept.table, unkept.counts
    lines = _name(db.one(cursor, "line_set", {"table": table.name})[0])
    db.run(cursor, "create_lines", lines=lines)
    again = [_copy(cursor, table, count.file, lines) for count in counts]
    if any(count.repeated for count in counts):
        _delete_repeats(cursor, lines, again)


def _as_declared(table: Table, file: DumpFile) -> bool:
    """Whether the file's columns stand as schema.json has them; an unpacked one's header may tell another order."""
    return file.columns == table.column_names


def compare(cursor: db.Cursor, table: Table, files: Sequence[DumpFile], known: Known) -> Differing:
    """Which lines of the files differ from those that are kept.

    Raises UnlikeError when there are too many of them, when keys do not tell the lines apart, or when the columns of a
    file stand in another order.
    """
    there = db.one(cursor, "lines_exist", {"lines": f"udecdash.lines_{known.number}"})[0]
    if not there or not all(_as_declared(table, file) for file in files):
        raise UnlikeError
    db.run(cursor, "empty_tonights_lines")
    counts = [_copy(cursor, table, file, _TONIGHT) for file in files]
    found = _differing(cursor, known, counts)
    if found is None:  # some lines are there twice, as every night where Canvas cuts its files badly
        counts = _delete_repeats(cursor, _TONIGHT, counts)
        found = _differing(cursor, known, counts)
    if found is None:
        raise UnlikeError
    lines = {digest: (key, digest, line) for key, digest, line in _find(table, files, found)}
    gone = tuple(key for key, digest, _ in found if digest is None)
    if len(lines) != len(found) - len(gone):
        raise UnlikeError
    return Differing(tuple(lines.values()), gone, tuple(counts))


def _differing(cursor: db.Cursor, known: Known, counts: Sequence[FileCount]) -> list[db.Row] | None:
    """Key, digest, and whether the key is new, of each line that differs; None when keys do not tell lines apart."""
    found = db.rows(cursor, "lines_differing", {"most": _MOST}, lines=_name(known.number))
    if len(found) == _MOST:
        raise UnlikeError
    new = [key for key, _, is_new in found if is_new]
    gone = sum(digest is None for _, digest, _ in found)
    apart = len(set(new)) == len(new) and sum(c.loaded for c in counts) - len(new) == known.rows - gone
    return found if apart else None


def _delete_repeats(cursor: db.Cursor, lines: db.Composable, counts: Sequence[FileCount]) -> list[FileCount]:
    settled, parts = list(counts), {"starts": db.literal(starts(counts)), "key": db.identifier("key")}
    for number, times in db.rows(cursor, "delete_repeats", None, staging=lines, **parts):
        settled[number] = settled[number].without(repeated=times)
    return settled


def print_of_taken(cursor: db.Cursor, table: Table, staging: db.Composable, same_row: db.Composable) -> Decimal:
    """What a table's print will lose of the rows that stand there now, by a publish of what differs in `staging`."""
    target = db.identifier(table.name)
    part: Decimal = db.one(cursor, "print_of_taken", target=target, staging=staging, same_row=same_row)[0]
    return part


def publish(
    cursor: db.Cursor,
    table: Table,
    counts: Sequence[FileCount],
    newest: datetime | None,
    known: Known | None,
    now: Print,
) -> None:
    """What is kept of a load counts from now on; at the end of the transaction's work on the table.

    `known`: what the lines that differ were compared with, and whose place they take. `now`: the table's print.
    """
    if known:
        db.run(cursor, "renew_lines", {"table": table.name}, lines=_name(known.number))
    shape = None if known else _shape(table, look(cursor, table.name))
    contents = list(_contents([count.file for count in counts]))
    numbers = [[count.lines, count.loaded, count.filtered, count.repeated] for count in counts]
    told = {"shape": shape, "contents": contents, "counts": numbers, "rows": now.rows, "newest": newest}
    db.run(cursor, "publish_lines", {"table": table.name, "print": now.places, **told})


def print_after(cursor: db.Cursor, table: Table, before: Print, taken: Decimal) -> Print | None:
    """The table's print at the end of a transaction that took away what `print_of_taken` told as `taken`.

    None where the rows that it left alone are not those of `before`: somebody else has written.
    """
    held, places, left = db.one(cursor, "print_after", table=db.identifier(table.name))
    return Print(held, places) if left == before.places - taken else None


def _name(number: int) -> db.Composable:
    return db.identifier("udecdash", f"lines_{number}")


def _shape(table: Table, found: Found) -> str:
    """A digest of the columns, as the dump declares them and as they stand in the database."""
    uniques = [(unique.terms, unique.predicate) for unique in found.uniques]
    return hashlib.sha256(repr((table.columns, list(found.types.items()), uniques)).encode()).hexdigest()


def _contents(files: Sequence[DumpFile]) -> tuple[str, ...]:
    """What `dump.verify` told of the files; empty where it told nothing of one, because that is not read before."""
    contents = tuple(file.content for file in files)
    return contents if all(contents) else ()


def _copy(cursor: db.Cursor, table: Table, file: DumpFile, target: db.Composable) -> FileCount:
    """Key and digest of each line of a file, but of those that are filtered; how many there were."""
    key, drops, filtered, digest = _key(table, file), dropping(table.name, file), 0, xxhash.xxh3_64_intdigest

    def told() -> Iterator[bytes]:
        nonlocal filtered
        for lines in _lines(file):
            kept = [line for line in lines if not drops(line)] if drops else lines
            filtered += len(lines) - len(kept)
            yield b"".join([b"%b\t%d\n" % (key(line), digest(line) - _LOWEST) for line in kept])

    loaded = db.copy_in(cursor, target, ("key", "digest"), rows.LineReader(told()))
    return FileCount(file, loaded + filtered, loaded, filtered)


def _digest(line: bytes) -> int:
    return xxhash.xxh3_64_intdigest(line) - _LOWEST


def _lines(file: DumpFile, *, heard: bool = True) -> Iterator[list[bytes]]:
    with rows.reading(file.path, heard=heard) as plain:
        for piece in pieces(rows.skip_header(plain) if file.header else plain):
            if piece is None:
                raise UnlikeError
            lines = piece.split(b"\n")
            if not lines[-1]:
                lines.pop()
            yield lines


def _key(table: Table, file: DumpFile) -> Callable[[bytes], bytes]:
    """Takes the key out of a line as a field for COPY. Raises UnlikeError for a line that is too short."""
    places = [file.columns.index(name) for name in key_of(table)]
    if places == [0]:
        return lambda line: line.partition(b"\t")[0]

    def key(line: bytes) -> bytes:
        fields = line.split(b"\t")
        if len(fields) != len(file.columns):
            raise UnlikeError
        return _BETWEEN.join([fields[place] for place in places])

    return key


def _find(table: Table, files: Sequence[DumpFile], found: Sequence[db.Row]) -> Iterator[tuple[str, int, bytes]]:
    """The lines that are not gone, each after its key and its digest."""
    wanted, size = {digest + _LOWEST for _, digest, _ in found if digest is not None}, 0
    for file in files if wanted else ():
        key = _key(table, file)
        for line in chain.from_iterable(_with_digest(lines, wanted) for lines in _lines(file, heard=False)):
            size += len(line)
            if size > _LARGEST or b"\\" in (own := key(line)).replace(_BETWEEN, b""):
                raise UnlikeError
            yield own.decode(errors="replace").replace(_BETWEEN.decode(), "\t"), _digest(line), line


def _with_digest(lines: list[bytes], wanted: Container[int]) -> list[bytes]:
    digest = xxhash.xxh3_64_intdigest  # most of this way's time is here
    return [line for line in lines if digest(line) in wanted]

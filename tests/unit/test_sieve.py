"""The fast way through the web log gives what a plain reading, line by line, gives."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import BOTH_LOOPS, looping
from udecdash_updater import compiled, rows, sieve
from udecdash_updater.dump import DumpFile
from udecdash_updater.errors import DumpError

COLUMNS = (*sieve.KEPT, "real_user_id", "developer_key_id")
FILE = DumpFile("requests", Path("requests-1.gz"), 0, COLUMNS)
PARTS = [b"\\", b"\\\\", b"\\N", b"\\.", b".", b"\r", b"\x00", b"\xff", "ñ".encode(), b"/courses/7/ping", b"x", b""]
TEXT = st.lists(st.sampled_from(PARTS), max_size=4).map(b"".join)
ID = st.sampled_from([b"5", b"\\N", b"x"])
STAMP = st.sampled_from([b"2021-04-01 10:00:00.123456", b"2021-04-01 10:00:00", b"\\N", b"today"])
LINE = st.tuples(TEXT, STAMP, ID, ID, *[ID] * 4, TEXT, TEXT, ID, ID).map(b"\t".join)
LINES = st.lists(st.one_of(LINE, LINE, TEXT), max_size=12)
END = st.sampled_from([b"", b"\n", b"\r\n"])


def plain_reading(content: bytes) -> tuple[list[tuple[int, bytes]], list[int], int]:
    """Kept lines by number, numbers of rejects, how many are filtered: the rules as they stand in the contract."""
    kept, refused, filtered = [], [], 0
    for number, line in enumerate(content.split(b"\n")[: None if content[-1:] not in {b"", b"\n"} else -1], start=1):
        fields = line.removesuffix(b"\r").split(b"\t")
        if len(fields) != len(COLUMNS):
            refused.append(number)
            continue
        real_user, developer_key = fields[-2:]
        asked_by_others = real_user != b"\\N" or developer_key != b"\\N"
        if b"\\N" in fields[2:4] or asked_by_others or fields[8].endswith(b"courses/7/ping"):
            odd = b"x" in (real_user, developer_key)
            refused += [number] * odd
            filtered += not odd
            continue
        row = b"\t".join([fields[0], fields[1][:23], *fields[2:10]])
        if fields[0] == b"\\N" or fields[1] in {b"\\N", b"today"} or rows.unreadable(row):
            refused.append(number)
        else:
            kept.append((number, rows.mended(row) + b"\n"))
    return kept, refused, filtered


class Told:
    """What a pass through the web log tells besides the lines that it keeps."""

    def __init__(self) -> None:
        self.tally = rows.Tally()
        self.refused: list[int] = []
        self.ids: list[bytes] = []

    @property
    def everything(self) -> tuple[int, int, list[int], list[bytes]]:
        return self.tally.lines, self.tally.filtered, self.refused, self.ids

    def pass_by(self, how: Callable[..., Iterator[Any]], content: bytes) -> list[Any]:
        plain = io.BytesIO(content)
        return list(how(plain, FILE, self.tally, lambda n, _: self.refused.append(n), self.ids.extend))


@BOTH_LOOPS
@given(LINES, END, st.integers(1, 400))
def test_blocks_and_lines_hold_what_a_plain_reading_keeps(
    loops: compiled.Loops | None, lines: list[bytes], end: bytes, block: int
) -> None:
    content = b"\n".join(lines) + end
    by_lines, by_blocks = Told(), Told()
    with looping(loops) as patch:
        patch.setattr(sieve, "_BLOCK", block)
        kept = by_lines.pass_by(sieve.kept_lines, content)
        blocks = by_blocks.pass_by(sieve.kept_blocks, content)
    assert (kept, sorted(by_lines.refused), by_lines.tally.filtered) == plain_reading(content)
    assert b"".join(blocks) == b"".join(line for _, line in kept)
    assert by_blocks.everything == by_lines.everything
    assert by_lines.tally.lines == len(kept) + len(by_lines.refused) + by_lines.tally.filtered


@given(st.lists(st.integers(0, 25).map(lambda n: b"x" * n), max_size=8), END, st.integers(1, 12))
def test_a_line_without_end_is_a_reject_and_the_lines_around_it_are_read(
    lines: list[bytes], end: bytes, block: int
) -> None:
    content = b"\n".join(lines) + end
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "LONGEST", 12)
        patch.setattr(rows, "BLOCK", block)
        patch.setattr(sieve, "_BLOCK", block)
        pieces = list(sieve.pieces(io.BytesIO(content)))
        expected = list(rows.lines(io.BytesIO(content)))
    found: list[bytes | None] = []
    for piece in pieces:
        found += [None] if piece is None else [line.removesuffix(b"\r") for line in piece.splitlines()]
    assert found == expected


def test_a_file_that_lacks_a_column_is_refused_by_name() -> None:
    file = DumpFile("requests", Path("requests-1.gz"), 0, COLUMNS[:-1])
    with pytest.raises(DumpError, match="developer_key_id"):
        list(sieve.kept_lines(io.BytesIO(b"x\n"), file, rows.Tally(), lambda *_: None))

"""Which lines differ from those of the last load, against a plain reading: two sets of lines."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from udecdash_updater import line_blocks
from udecdash_updater.line_blocks import Block, UnlikeError, Walk, made

_LINES = st.lists(st.integers(0, 60), unique=True, max_size=60)
_MANY = sys.maxsize


def line(number: int) -> bytes:
    return b"%d\tsome text" % number


def key(of: bytes) -> bytes:
    return of.partition(b"\t")[0]


def keys(of: Sequence[bytes]) -> list[bytes]:
    return list(map(key, of))


def in_batches(lines: Sequence[bytes], size: int) -> Iterator[Sequence[bytes]]:
    return (lines[start : start + size] for start in range(0, len(lines), size))


Go = Callable[[Walk, Sequence[bytes]], None]
"""How a walk is told the next lines: one by one, or as they stand in their file."""

WAYS: dict[str, Go] = {"by lines": Walk.go, "as they stand": lambda walk, lines: walk.go_on(b"\n".join([*lines, b""]))}
BOTH_WAYS = pytest.mark.parametrize("go", WAYS.values(), ids=list(WAYS))


def walked(blocks: list[Block], lines: Sequence[bytes], size: int = 7, go: Go = Walk.go) -> Walk:
    walk = Walk(iter(blocks), keys, _MANY, _MANY)
    for batch in in_batches(lines, size):
        go(walk, batch)
    walk.end()
    return walk


def after(blocks: list[Block], walk: Walk) -> list[Block]:
    """The blocks as they are kept after a walk."""
    there = {block.ordinal: block for block in blocks} | {block.ordinal: block for block in walk.changed}
    return [there[ordinal] for ordinal in sorted(there)]


def keys_in(blocks: list[Block]) -> list[bytes]:
    return [one for block in blocks for one in block.keys.splitlines()]


def gone_keys(blocks: list[Block], walk: Walk) -> set[bytes]:
    there = {block.ordinal: block.keys.splitlines() for block in blocks}
    return {there[ordinal][number] for ordinal, number in walk.gone}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_blocks, "_MOST_LINES", 5)


@BOTH_WAYS
@given(nights=st.lists(_LINES, min_size=2, max_size=5), size=st.integers(1, 20))
def test_lines_of_any_nights_are_told_apart_as_sets_are(go: Go, nights: list[list[int]], size: int) -> None:
    before = [line(n) for n in nights[0]]
    blocks = list(made([before], keys))
    for numbers in nights[1:]:
        tonight = [line(n) for n in numbers]
        walk = walked(blocks, tonight, size, go)
        assert set(walk.new) == set(tonight) - set(before)
        assert gone_keys(blocks, walk) == {key(one) for one in set(before) - set(tonight)}
        assert (walk.passed, walk.met) == (len(before), len(tonight))
        blocks = after(blocks, walk)
        assert keys_in(blocks) == [key(one) for one in tonight]
        assert b"".join(block.digests for block in blocks) == line_blocks._digests(tonight)
        before = tonight


_WITH_EQUAL_ONES = st.lists(st.integers(0, 12), max_size=60)


@BOTH_WAYS
@given(nights=st.lists(_WITH_EQUAL_ONES, min_size=2, max_size=5), size=st.integers(1, 20))
def test_lines_without_a_key_are_told_apart_as_multisets_are(go: Go, nights: list[list[int]], size: int) -> None:
    before = [line(n) for n in nights[0]]
    blocks = list(made([before], None))
    for numbers in nights[1:]:
        tonight = [line(n) for n in numbers]
        walk = Walk(iter(blocks), None, _MANY, _MANY)
        for batch in in_batches(tonight, size):
            go(walk, batch)
        walk.end()
        assert Counter(walk.new) == Counter(tonight) - Counter(before)
        gone = Counter(before) - Counter(tonight)
        assert Counter(walk.lost) == Counter({xxhash.xxh3_64_digest(one): times for one, times in gone.items()})
        assert len(walk.gone) == len(walk.lost) == len(set(walk.gone))
        blocks = after(blocks, walk)
        assert b"".join(block.digests for block in blocks) == line_blocks._digests(tonight)
        before = tonight


def test_equal_lines_without_a_key_count_each_time_that_they_differ() -> None:
    blocks = list(made([LONG], None))
    Walk(iter(blocks), None, 2, _MANY).go([*LONG[:5], OTHER[0], OTHER[0], *LONG[5:]])
    with pytest.raises(UnlikeError):
        Walk(iter(blocks), None, 1, _MANY).go([*LONG[:5], OTHER[0], OTHER[0], *LONG[5:]])


LONG = [line(n) for n in range(1000)]
OTHER = [line(n) for n in range(5000, 5100)]
NIGHTS = {
    "put in": [*LONG[:333], *OTHER, *LONG[333:]],
    "put in before": [*OTHER, *LONG],
    "put in behind": [*LONG, *OTHER],
    "taken out": [*LONG[:333], *LONG[433:]],
    "moved": [*LONG[:333], *LONG[633:], *LONG[333:633]],
    "other ones": [*LONG[:333], *OTHER, *LONG[433:]],
    "every tenth": [OTHER[n // 10] if n % 10 == 0 else one for n, one in enumerate(LONG)],
}


@BOTH_WAYS
@pytest.mark.parametrize("tonight", NIGHTS.values(), ids=list(NIGHTS))
def test_what_differs_is_found_at_whatever_place_it_stands(go: Go, tonight: list[bytes]) -> None:
    blocks = list(made([LONG], keys))
    walk = walked(blocks, tonight, 50, go)
    assert set(walk.new) == set(tonight) - set(LONG)
    assert gone_keys(blocks, walk) == {key(one) for one in set(LONG) - set(tonight)}
    assert keys_in(after(blocks, walk)) == [key(one) for one in tonight]


@BOTH_WAYS
@pytest.mark.parametrize("name", ["put in", "put in behind", "taken out", "other ones"])
def test_blocks_in_which_nothing_differs_stay_as_they_are(go: Go, name: str) -> None:
    walk = walked(list(made([LONG], keys)), NIGHTS[name], 50, go)
    assert sum(block.ordinal < 333 // 5 << 20 or block.ordinal > 450 // 5 << 20 for block in walk.changed) <= 25
    assert len(walk.changed) <= 60


@BOTH_WAYS
def test_a_walk_beside_the_same_lines_changes_nothing(go: Go) -> None:
    walk = walked(list(made([LONG], keys)), LONG, 64, go)
    assert (walk.new, walk.gone, walk.changed, walk.passed) == ([], [], [], 1000)


@pytest.mark.parametrize(
    ("name", "most"), [("put in", 210), ("put in behind", 100), ("taken out", 110), ("other ones", 110)]
)
def test_lines_of_blocks_that_are_as_they_were_are_not_cut_out_of_their_file(
    monkeypatch: pytest.MonkeyPatch, name: str, most: int
) -> None:
    by_lines, cut = Walk.go, Counter[str]()

    def counted(walk: Walk, lines: Sequence[bytes]) -> None:
        cut["lines"] += len(lines)
        by_lines(walk, lines)

    monkeypatch.setattr(Walk, "go", counted)
    walked(list(made([LONG], keys)), LONG, 50, WAYS["as they stand"])
    assert cut["lines"] == 0
    walked(list(made([LONG], keys)), NIGHTS[name], 50, WAYS["as they stand"])
    assert 0 < cut["lines"] <= most


@given(nights=st.lists(_LINES, min_size=2, max_size=2), size=st.integers(1, 20))
def test_blocks_that_do_not_tell_their_bytes_are_walked_through_by_lines(nights: list[list[int]], size: int) -> None:
    before, tonight = ([line(n) for n in night] for night in nights)
    silent = [Block(block.ordinal, block.digests, block.keys) for block in made([before], keys)]
    assert walked(silent, tonight, size, WAYS["as they stand"]).new == walked(silent, tonight, size).new


@pytest.mark.parametrize(("most", "largest"), [(99, _MANY), (_MANY, 99)], ids=["lines", "bytes"])
def test_a_walk_ends_where_too_much_differs(most: int, largest: int) -> None:
    walk = Walk(iter(made([LONG], keys)), keys, most, largest)
    with pytest.raises(UnlikeError):
        walk.go(NIGHTS["every tenth"])


def test_the_same_line_twice_is_for_a_look_at_all_lines_unless_it_stands_where_it_stood() -> None:
    with pytest.raises(UnlikeError):
        walked(list(made([LONG], keys)), [*LONG, *OTHER, *OTHER])
    assert walked(list(made([LONG], keys)), [*LONG, LONG[0]]).new == [LONG[0]]


def test_blocks_in_no_order_and_digests_that_were_cut_are_not_believed() -> None:
    for blocks in ([Block(5, b"x" * 8), Block(5, b"y" * 8)], [Block(0, b"x" * 7)]):
        with pytest.raises(UnlikeError):
            walked(blocks, LONG)


def test_a_block_that_has_no_room_behind_it_is_for_a_look_at_all_lines() -> None:
    blocks = [Block(n, block.digests, block.keys) for n, block in enumerate(made([LONG], keys))]
    assert walked(blocks, NIGHTS["every tenth"], 50).changed
    with pytest.raises(UnlikeError):
        walked(blocks, NIGHTS["put in"], 50)


def test_long_lines_make_small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_blocks, "_MOST_BYTES", 20)
    assert [block.keys for block in made([LONG[:4], LONG[4:5]], keys)] == [b"0\n1\n", b"2\n3\n", b"4\n"]

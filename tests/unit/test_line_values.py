"""Lines as arrays of texts: the short way says what the plain one says, value by value."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from udecdash_updater import copy_text, line_values
from udecdash_updater.line_blocks import UnlikeError
from udecdash_updater.line_values import Demands, arrays, of_values

WIDTH = 4
_FIELDS = st.one_of(
    st.just(b"\\N"),
    st.text(st.sampled_from('aN"\\{},;é \b'), max_size=6).map(str.encode),
    st.sampled_from(
        [
            b"now",
            b"2021-04-01 10:00:00",
            b"2021-04-01 10:00:00-03",
            b"infinity",
            b"",
            b"\\t",
            b'"',
            b"\\\\N",
            b"a\\nb\\r",
        ]
    ),
    st.binary(max_size=3),
)
_LINES = st.lists(st.lists(_FIELDS, min_size=WIDTH - 1, max_size=WIDTH + 1).map(b"\t".join), min_size=1, max_size=4)
_PLACES = st.lists(st.integers(0, WIDTH - 1), unique=True, max_size=2).map(tuple)


def plainly(lines: list[bytes], demands: Demands) -> list[bytes] | None:
    try:
        return [copy_text.field(of_values(line_values._values(line, demands))).encode() for line in lines]
    except UnlikeError:
        return None


def shortly(lines: list[bytes], demands: Demands) -> list[bytes] | None:
    try:
        return list(arrays(lines, demands))
    except UnlikeError:
        return None


@given(
    lines=_LINES,
    long=st.integers(0, 8),
    required=_PLACES,
    wordy=st.dictionaries(st.integers(0, WIDTH - 1), st.booleans(), max_size=2),
    known=st.booleans(),
)
def test_any_lines_become_what_they_become_value_by_value(
    lines: list[bytes], long: int, required: tuple[int, ...], wordy: dict[int, bool], *, known: bool
) -> None:
    lines = [line for line in lines if b"\n" not in line] or [b"a\tb\tc\td"]
    demands = Demands(WIDTH, ((1, long), (2, long + 1)), required, wordy, *([long] if known else [0]))
    assert shortly(lines, demands) == plainly(lines, demands)


@pytest.mark.parametrize("field", [b"now", b"2021-04-01 10:00:00-03", b"a\rb", b"a\x00b", b"\xff", b"abcd", b"\\N"])
@pytest.mark.parametrize("others", [[], [b"1\tx\ty"] * 3], ids=["alone", "among others"])
def test_what_the_table_may_object_to_is_for_a_look_at_all_lines(field: bytes, others: list[bytes]) -> None:
    demands = Demands(3, ((1, 3),), (1,), {1: True}, 3)
    with pytest.raises(UnlikeError):
        list(arrays([*others, b"2\t%b\tz" % field, *others], demands))


def test_most_lines_take_the_short_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_values, "_values", None)
    told = list(arrays([b'1\t\\N\t"a"', b"2\t2021-04-01 10:00:00\tnow"], Demands(3, ((2, 20),), (0,), {1: True}, 20)))
    assert told == [b'{"1",NULL,"\\\\"a\\\\""}', b'{"2","2021-04-01 10:00:00","now"}']

"""The search for words that PostgreSQL reads as times, block by block, against a look at each field."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from udecdash_updater import words

_WORDS = [b"now", b"NaN", b"-inf", b"Infinity", b" today", b"tomorrow ", b"epoch", b"yester", b"day", b"no", b"w"]
_AROUND = [
    b"\\n",
    b"\\t",
    b"\\v",
    b"\\\\",
    b"\\N",
    b" ",
    b"-",
    b"+",
    b"\v",
    b"\f",
    b"10:00",
    b"utc",
    b"Z",
    b"x",
    b"2019",
    b"\\",
]
_ZONES = ["-03", "+0530", " EST", ".5 -3:30", " America/Santiago", "+00", " utc", "z", "", ".123456", " GMT"]
_ZONED = st.sampled_from([f"2019-01-01{of}{zone}".encode() for of in ("", " 10:00", "T24:00:00") for zone in _ZONES])
_BARE = st.sampled_from(
    [f"{date} 10:00{zone}".encode() for date in ("20190101", "2019.01.01") for zone in ("-03", "+3")]
)
_SLASHED = st.sampled_from([f"2019/01/01 10:00{zone}".encode() for zone in _ZONES])
_FIELD = st.lists(st.sampled_from(_WORDS + _AROUND), max_size=3).map(b"".join) | _ZONED | _BARE | _SLASHED
_LINES = st.lists(st.tuples(_FIELD, _FIELD, _FIELD), min_size=1, max_size=3)
_SOUND = st.sampled_from(
    b"2019-01-01 10:00:00.123|2019-01-01|2019-01-01T10:00:00Z|2019-01-01 10:00:00 UTC|\\N|20190101 10:00".split(b"|")
)
_NUMBERS = st.sampled_from(b"\\N|-1.5e-10|12|1e+5|-3|+7|-1e5".split(b"|"))
_OTHERS = st.sampled_from(b"now|2019-01-01-03|\\nNaN|-inf|text|2019-01-01 10:00 EST".split(b"|"))
_PLACES = st.sets(st.sampled_from([1, 2]), min_size=1).map(lambda places: dict.fromkeys(places, True))


def found(lines: list[tuple[bytes, ...]], places: dict[int, bool], block: int) -> bool:
    """What a search says of these lines, read in blocks of this size."""
    file, search = b"\n".join(b"\t".join(fields) for fields in lines), words.Search(places)
    blocks = [file[at : at + block] for at in range(0, len(file), block)]
    return any(search.found(each) for each in [*blocks, b""])


@settings(max_examples=300)
@given(lines=_LINES, places=_PLACES, block=st.sampled_from([1, 2, 3, 7, 200]))
def test_a_word_or_a_zone_is_found_however_the_blocks_are_cut(
    lines: list[tuple[bytes, ...]], places: dict[int, bool], block: int
) -> None:
    if any(words.is_one(fields[place]) for fields in lines for place in places):
        assert found(lines, places, block)


@given(
    lines=st.lists(st.tuples(_OTHERS, _SOUND, _OTHERS, _NUMBERS), min_size=1, max_size=3),
    block=st.sampled_from([1, 2, 3, 7, 200]),
)
def test_sound_values_are_no_reason_to_go_line_by_line_and_neither_is_what_other_columns_hold(
    lines: list[tuple[bytes, ...]], block: int
) -> None:
    assert not found(lines, {1: True, 3: False}, block)


def test_what_a_backslash_alone_is_left_of_hides_no_word_behind_it() -> None:
    assert found([(b"1", b"\\ 10:00:00", b"now")], {2: True}, 200)

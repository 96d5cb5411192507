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
]
_FIELD = st.lists(st.sampled_from(_WORDS + _AROUND), max_size=3).map(b"".join)
_LINES = st.lists(st.tuples(_FIELD, _FIELD, _FIELD), min_size=1, max_size=3)
_PLACES = st.sets(st.sampled_from([1, 2]), min_size=1)


@settings(max_examples=300)
@given(lines=_LINES, places=_PLACES, block=st.sampled_from([1, 2, 3, 7, 200]))
def test_a_word_is_found_in_its_columns_alone_however_the_blocks_are_cut(
    lines: list[tuple[bytes, ...]], places: set[int], block: int
) -> None:
    file = b"\n".join(b"\t".join(fields) for fields in lines)
    search = words.Search(places)
    blocks = [file[at : at + block] for at in range(0, len(file), block)]
    found = [search.found(each) for each in [*blocks, b""]]
    assert any(found) == any(words.is_one(fields[place]) for fields in lines for place in places)

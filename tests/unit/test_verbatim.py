"""The fast way takes no bytes that COPY would misread, and what it looks at them with makes no difference."""

from __future__ import annotations

import io

from hypothesis import example, given
from hypothesis import strategies as st

from tests.support import BOTH_LOOPS, looping, needs_loops
from udecdash_updater import compiled, rows, words
from udecdash_updater.verbatim import SuspiciousLineError, VerbatimReader

WORDS = (
    b"now|Infinity|nan|today|2019-01-01|2019-01-01 10:00:00.5|T10:00| 10:00:00|-03|+00|Z|UTC|-1.5|12|1e5|e|T|x|-|.| |:"
)
MARKS = [b"\\N", b"\\", b"\\\\", b"\\n", b"\\t", b"\\.", b"\\7", b"\r", b"\t", b"\t", b"\t", b"\n", b"\n"]
PARTS = [*WORDS.split(b"|"), *MARKS]
CONTENT = st.lists(st.sampled_from(PARTS), max_size=30).map(b"".join)
WORDY = st.dictionaries(st.integers(1, 3), st.booleans(), max_size=3)
BLOCK = st.sampled_from([1, 2, 3, 7, 300])


def reading(content: bytes, wordy: dict[int, bool], block: int, loops: compiled.Loops | None) -> int | None:
    """How many lines are read; None where the careful way must judge."""
    with looping(loops):
        reader = VerbatimReader(io.BytesIO(content), wordy)
        try:
            given = b"".join(iter(lambda: reader.read(block), b""))
        except SuspiciousLineError:
            return None
    assert given == content
    return reader.lines


@needs_loops
@given(CONTENT, WORDY, BLOCK)
@example(b"1\t\\T\tnow\n", {2: True}, 300)
@example(b"1\t2019-01-01 10:00:00", {1: True}, 1)
def test_compiled_loops_pass_what_python_passes(content: bytes, wordy: dict[int, bool], block: int) -> None:
    assert reading(content, wordy, block, compiled.LOOPS) == reading(content, wordy, block, None)


@BOTH_LOOPS
@given(CONTENT, WORDY, BLOCK)
def test_what_would_be_misread_is_never_passed(
    loops: compiled.Loops | None, content: bytes, wordy: dict[int, bool], block: int
) -> None:
    lines = content.split(b"\n")
    if not lines[-1]:
        lines.pop()
    odd = any(
        rows.unreadable(line.replace(b"\r", b"")) or b"\\." in line.replace(b"\\\\", b"") or line.endswith(b"\\\r")
        for line in lines
    )
    meant = any(words.is_one(field) for line in lines for n, field in enumerate(line.split(b"\t")) if n in wordy)
    found = reading(content, wordy, block, loops)
    assert found in ({None} if odd or meant else {None, len(lines)})


@BOTH_LOOPS
@given(
    st.lists(
        st.sampled_from([b"1\t2019-01-01 10:00:00.5\t-1.5\ta\\nb\n", b"\\N\t\\N\t\t\\\\\\N\n", b"2\t2019-01-01\t\tx\n"])
    ),
    BLOCK,
)
def test_plain_lines_all_pass(loops: compiled.Loops | None, lines: list[bytes], block: int) -> None:
    assert reading(b"".join(lines), {1: True, 2: False}, block, loops) == len(lines)

"""The compiled loops are there where they can be, do the work that they are for, and bear whatever they are given."""

from __future__ import annotations

import importlib
import shutil
import sysconfig
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import looping, needs_loops
from udecdash_updater import check_site, compiled, rows, weblog

PLACES = tuple(range(12))
KEPT_LINE = b"a\t2021-04-01 10:00:00.123456\t1\t2\t\\N\t\\N\t\\N\t\\N\t/courses/2\tMozilla\t\\N\t\\N\n"


def can_be_compiled() -> bool:
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    return shutil.which(compiler) is not None and Path(sysconfig.get_path("include"), "Python.h").exists()


@pytest.fixture
def loops() -> compiled.Loops:
    return compiled.LOOPS or pytest.skip("it was installed without a C compiler")


@pytest.mark.skipif(not can_be_compiled(), reason="there is no C compiler, or no Python.h")
def test_where_they_can_be_compiled_they_are() -> None:
    assert compiled.LOOPS is not None


@pytest.mark.parametrize("found", [ImportError("wrong ELF class"), SimpleNamespace(SOURCES="of other sources")])
def test_those_of_other_sources_or_another_machine_are_not_used_and_check_tells(
    monkeypatch: pytest.MonkeyPatch, found: object
) -> None:
    def imported(_name: str) -> object:
        if isinstance(found, Exception):
            raise found
        return found

    with monkeypatch.context() as patch:
        patch.setattr(importlib, "import_module", imported)
        assert compiled._found() == (None, "unusable")
    monkeypatch.setattr(compiled, "STATE", "unusable")
    [finding] = check_site.program_is_whole()
    assert (finding.outcome, "C compiler" in str(finding.hint)) == ("warning", True)


def test_plain_lines_of_the_web_log_are_sifted_by_them(loops: compiled.Loops) -> None:
    filtered = KEPT_LINE.replace(b"\t2\t", b"\t\\N\t")
    kept = KEPT_LINE.replace(b"123456", b"123").removesuffix(b"\t\\N\t\\N\n") + b"\n"
    assert loops.sift(KEPT_LINE + filtered + KEPT_LINE, 12, PLACES) == (3, 1, [b"a", b"a"], kept + kept)


PARTS = b"courses/|/courses/7|micourses/7|7|/ping|/activity_stream/summary|/quizzes/|5|/submissions/backup?user_id=|x|?"
URL = st.lists(st.sampled_from(PARTS.split(b"|")), max_size=6).map(b"".join)


@needs_loops
@given(URL)
def test_they_know_a_browsers_own_polling_as_python_does(url: bytes) -> None:
    assert compiled.LOOPS is not None
    found = compiled.LOOPS.sift(KEPT_LINE.replace(b"/courses/2", url), 12, PLACES)
    assert found is not None
    assert found[1] == weblog.is_trash(url)


@pytest.mark.parametrize(
    ("width", "places"),
    [(11, PLACES), (65, PLACES), (0, PLACES), (12, (*PLACES[:11], 12)), (12, (*PLACES[:11], -1)), (12, (0,) * 12)],
)
def test_a_layout_that_no_line_has_is_left_to_python(
    loops: compiled.Loops, width: int, places: tuple[int, ...]
) -> None:
    assert loops.sift(KEPT_LINE, width, places) is None


def test_what_they_cannot_take_is_an_error(loops: compiled.Loops) -> None:
    with pytest.raises(TypeError):
        loops.suspected(bytearray(8), ["a"])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="empty"):
        loops.suspected(bytearray(), [b"a"])
    with pytest.raises(ValueError, match="column"):
        loops.scan(b"a", b"", -1)
    with pytest.raises(TypeError):
        loops.sift(KEPT_LINE, 12, (1, 2))


STAMPS = [
    b"2021-04-01 10:00:00",
    b"2019-01-01T",
    b"2020-02-02",
    b"2018-01-01 x",
    b"~",
    b"\xff",
    b"\t",
    b"\n",
    b"\t",
    b"\n",
]


@needs_loops
@given(st.lists(st.sampled_from(STAMPS), max_size=30).map(b"".join), st.integers(0, 300), st.integers(0, 3))
def test_they_find_the_earliest_time_that_python_finds_in_any_bytes(looked: bytes, end: int, place: int) -> None:
    with looping(compiled.LOOPS):
        found = rows._earliest_by(place)(looked, end)
    with looping(None):
        assert rows._earliest_by(place)(looked, end) == found

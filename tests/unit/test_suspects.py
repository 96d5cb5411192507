"""What may stand twice: nothing that does is ever missed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import BOTH_LOOPS, looping, needs_loops
from udecdash_updater import compiled, suspects
from udecdash_updater.suspects import Suspects


@BOTH_LOOPS
@given(st.lists(st.lists(st.binary(min_size=1, max_size=2).filter(lambda one: b"\\" not in one), max_size=9)))
def test_every_id_that_passed_before_is_a_suspect_each_time(
    loops: compiled.Loops | None, batches: list[list[bytes]]
) -> None:
    watch, before, again = Suspects(), set(), []
    for batch in batches:
        with looping(loops):
            watch.note(batch)
        for one in batch:
            if one in before:
                again.append(one)
            before.add(one)
    assert watch.ids is not None
    left = list(watch.ids)
    for one in again:
        left.remove(one)


@needs_loops
@given(st.lists(st.tuples(st.booleans(), st.lists(st.binary(min_size=1, max_size=2), max_size=9)), max_size=6))
def test_suspects_are_the_same_whatever_finds_them_and_also_in_turns(batches: list[tuple[bool, list[bytes]]]) -> None:
    mixed, plain = Suspects(), Suspects()
    for by_python, batch in batches:
        with looping(None if by_python else compiled.LOOPS):
            mixed.note(batch)
        with looping(None):
            plain.note(batch)
    assert mixed.ids == plain.ids


def test_hardly_any_other_id_is_one() -> None:
    watch = Suspects()
    watch.note([b"%d" % number for number in range(100_000)])
    assert watch.ids is not None
    assert len(watch.ids) < 500


def test_an_id_with_a_backslash_may_be_any_other_one() -> None:
    watch = Suspects()
    watch.note([b"a", b"\\141"])
    watch.note([b"a"])
    assert watch.ids is None


def test_too_many_suspects_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suspects, "_MOST", 3)
    watch = Suspects()
    watch.note([b"a"] * 4)
    assert watch.ids == [b"a"] * 3
    watch.note([b"a"])
    assert watch.ids is None

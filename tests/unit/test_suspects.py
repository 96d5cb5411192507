"""What may stand twice: nothing that does is ever missed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from udecdash_updater import suspects
from udecdash_updater.suspects import Suspects


@given(st.lists(st.lists(st.binary(min_size=1, max_size=2).filter(lambda one: b"\\" not in one), max_size=9)))
def test_every_id_that_passed_before_is_a_suspect_each_time(batches: list[list[bytes]]) -> None:
    watch, before, again = Suspects(), set(), []
    for batch in batches:
        watch.note(batch)
        for one in batch:
            if one in before:
                again.append(one)
            before.add(one)
    assert watch.ids is not None
    left = list(watch.ids)
    for one in again:
        left.remove(one)


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

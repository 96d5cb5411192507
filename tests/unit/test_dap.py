"""Where the next query of a table begins, and how fast queries may follow each other."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from udecdash_updater import dap
from udecdash_updater.dap_batches import INCREMENTAL, SNAPSHOT, Batch

NOON = datetime(2026, 11, 1, 12, tzinfo=timezone.utc)


def at(hours: int) -> datetime:
    return NOON + timedelta(hours=hours)


def snapshot(until: int) -> Batch:
    return Batch(Path("x"), "canvas", "users", SNAPSHOT, 1, None, at(until), ())


def changes(since: int, until: int) -> Batch:
    return Batch(Path("x"), "canvas", "users", INCREMENTAL, 1, at(since), at(until), ())


@pytest.mark.parametrize(
    ("loaded", "on_disk", "begins"),
    [
        (None, [], None),
        (5, [], 5),
        (None, [snapshot(3)], 3),
        (None, [snapshot(3), changes(3, 4), changes(4, 6)], 6),
        (3, [changes(3, 4)], 4),
        (6, [snapshot(3), changes(3, 4)], 6),
        (1, [snapshot(9)], 9),
        (5, [changes(4, 7)], 7),
        (None, [changes(3, 4)], None),
        (3, [changes(4, 5)], None),
        (None, [snapshot(3), changes(4, 5)], None),
    ],
    ids=["nothing", "loaded", "snapshot on disk", "chain on disk", "chain after what is loaded", "all loaded",
         "newer snapshot", "overlap", "database emptied", "gap after what is loaded", "gap on disk"],
)  # fmt: skip
def test_the_next_query_begins_where_loaded_and_downloaded_end_unless_there_is_a_gap(
    loaded: int | None, on_disk: list[Batch], begins: int | None
) -> None:
    found = dap.next_since(None if loaded is None else at(loaded), on_disk)
    assert found == (None if begins is None else at(begins))


def test_never_more_queries_begin_in_a_minute_than_the_service_takes() -> None:
    now, begun = 0.0, []

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    pace = dap.Pace(5, clock=lambda: now, sleep=sleep)
    for _ in range(18):
        pace.wait()
        begun.append(now)
        now += 2  # what a query takes
    assert begun[:5] == [0, 2, 4, 6, 8]
    assert all(sum(start <= other < start + 60 for other in begun) <= 5 for start in begun)
    assert begun[-1] < 4 * 60

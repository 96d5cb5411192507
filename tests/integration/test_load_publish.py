"""Nights of the full tables against a plain model: whatever comes, goes, changes, swaps or repeats.

UDECDASH_EXAMPLES=10000 makes it a long soak of other examples each time.
"""

from __future__ import annotations

import itertools
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2's class has a lower-case name

from tests.installation import rows
from tests.nights import load, mini_dump
from udecdash_updater import lines
from udecdash_updater.settings import Settings

KEYED = "item_dim"
KEYLESS = "quiz_question_answer_dim"  # one of the contract's four tables without a key
ITEM = [("id", "bigint"), ("canvas_id", "bigint"), ("name", "varchar")]
SCHEMA = {KEYED: ITEM, KEYLESS: ITEM}
EXAMPLES = int(os.environ.get("UDECDASH_EXAMPLES", "10"))
IDS = range(1, 7)
Line = tuple[int, str]
Files = list[list[Line]]
# Few ids and few names, so that rows stay, change, and stand twice; canvas_id is unique, and rows swap it.
FILES = st.lists(st.lists(st.tuples(st.sampled_from(IDS), st.sampled_from("xyz")), max_size=5), min_size=1, max_size=3)
NIGHTS = st.lists(st.tuples(st.permutations(IDS), FILES, FILES), min_size=1, max_size=4)
_NUMBERS = itertools.count()


def written(folder: Path, canvas: list[int], keyed: Files, keyless: Files) -> Path:
    """A dump of these files; `canvas` holds the canvas_id of each id."""

    def named(table: str, files: Files) -> dict[str, bytes]:
        return {
            f"{table}-{n:05d}-{folder.name}.gz": "".join(f"{i}\t{canvas[i - 1]}\t{x}\n" for i, x in lines).encode()
            for n, lines in enumerate(files)
        }

    return mini_dump(folder, SCHEMA, {KEYED: named(KEYED, keyed), KEYLESS: named(KEYLESS, keyless)})


def first_of_each(canvas: list[int], files: Files) -> dict[int, tuple[int, int, str]]:
    found: dict[int, tuple[int, int, str]] = {}
    for number, name in itertools.chain.from_iterable(files):
        found.setdefault(number, (number, canvas[number - 1], name))
    return found


def standing(database: Connection, table: str) -> list[tuple[Any, ...]]:
    """The rows with their places on disk."""
    return rows(database, f"select id, canvas_id, name, ctid::text from {table}")


def untouched(before: list[tuple[Any, ...]], after: list[tuple[Any, ...]]) -> bool:
    """Whether of equal rows, so many as are in both kept their places."""
    common = Counter(row[:3] for row in before) & Counter(row[:3] for row in after)
    return common == Counter(row[:3] for row in set(before) & set(after))


@pytest.mark.parametrize("kept", [0, lines.WORTH_KEEPING], ids=["by lines that differ", "by all lines"])
@pytest.mark.timeout(240 * max(1, EXAMPLES // 10))
@settings(
    max_examples=EXAMPLES,
    derandomize=EXAMPLES == 10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(nights=NIGHTS)
def test_any_nights_make_the_tables_what_the_dump_says_and_leave_equal_rows_alone(
    postgres: Settings,
    database: Connection,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kept: int,
    nights: list[tuple[list[int], Files, Files]],
) -> None:
    monkeypatch.setattr(lines, "WORTH_KEEPING", kept)
    for canvas, keyed, keyless in nights:
        there = rows(database, f"select to_regclass('{KEYED}') is not null") == [(True,)]
        before = {table: standing(database, table) if there else [] for table in SCHEMA}
        dump = written(tmp_path / str(next(_NUMBERS)), canvas, keyed, keyless)
        done = load(postgres, dump, accept=["all"])
        after = {table: standing(database, table) for table in SCHEMA}
        expected = first_of_each(canvas, keyed)
        assert sorted(row[:3] for row in after[KEYED]) == sorted(expected.values())
        whole = [(number, canvas[number - 1], name) for number, name in itertools.chain.from_iterable(keyless)]
        assert Counter(row[:3] for row in after[KEYLESS]) == Counter(whole)
        assert all(untouched(before[table], after[table]) for table in SCHEMA)
        was, now = {row[0]: row[:3] for row in before[KEYED]}, expected
        told = done.published[KEYED]
        changed = sum(was[key] != now[key] for key in was.keys() & now.keys())
        assert (told.new, told.changed, told.gone) == (len(now.keys() - was), changed, len(was.keys() - now))
        repeated = rows(database, f"select sum(repeated) from udecdash.files where run_id = {done.run}")
        assert repeated == [(sum(map(len, keyed)) - len(expected),)]

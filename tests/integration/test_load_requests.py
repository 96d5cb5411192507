"""Nights of the web log against a plain model: however files regrow, regroup or repeat, each request is there once.

UDECDASH_EXAMPLES=10000 makes it a long soak of other examples each time.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2's class has a lower-case name

from tests.dumps import REQUEST, request_dump, request_line
from tests.installation import execute, rows
from tests.nights import load
from udecdash_updater import requests
from udecdash_updater.settings import Settings

EXAMPLES = int(os.environ.get("UDECDASH_EXAMPLES", "10"))
EMPTY = "truncate requests restart identity; truncate udecdash.files, udecdash.course_requests, udecdash.courses"


@dataclass(frozen=True)
class Asked:
    """A request: its number is its id, and its second."""

    number: int
    minute: int

    @property
    def key(self) -> str:
        return f"id-{self.number}"

    @property
    def line(self) -> bytes:
        return request_line(id=self.key, timestamp=f"2021-04-01 10:{self.minute:02d}:00")


# Few ids, so that they meet again: in the same file, in others, in later nights, and now and then at another time.
REQUESTS = st.builds(Asked, st.integers(1, 12), st.integers(0, 9))
FILE = st.lists(REQUESTS, max_size=6)
# A night is the whole list of files that lie there then, by name: few names, so that files regrow and vanish.
NIGHT = st.dictionaries(
    st.sampled_from([f"requests-0000{n}-{n}{n}.gz" for n in range(4)]), FILE, min_size=1, max_size=4
)
NIGHTS = st.lists(NIGHT, min_size=1, max_size=4)
# Where little came, one connection stages it, and a first load fills the index of ids on the way; else streams do, and
# it is built afterwards. Both whatever comes.
WAYS = ((0, 0), (requests._LITTLE, requests._MODEST))
Way = tuple[int, int]


def take(patch: pytest.MonkeyPatch, way: Way) -> None:
    """Let loads go this way, whatever comes."""
    patch.setattr(requests, "_LITTLE", way[0])
    patch.setattr(requests, "_MODEST", way[1])


def model(nights: list[dict[str, list[Asked]]]) -> list[list[str]]:
    """For each night the new ids in load order: files by their earliest time, then name; lines as they come."""
    known: set[str] = set()
    loaded: set[tuple[str, tuple[Asked, ...]]] = set()
    told = []
    for night in nights:
        new: list[str] = []
        files = [(name, asked) for name, asked in night.items() if (name, tuple(asked)) not in loaded]
        for name, asked in sorted(files, key=lambda item: (min((one.minute for one in item[1]), default=-1), item[0])):
            loaded.add((name, tuple(asked)))
            for one in asked:
                if one.key not in known:
                    known.add(one.key)
                    new.append(one.key)
        told.append(new)
    return told


@pytest.fixture
def folders(tmp_path: Path) -> Iterator[Path]:
    return (tmp_path / str(number) for number in itertools.count())


@pytest.mark.timeout(240 * max(1, EXAMPLES // 10))
@settings(
    max_examples=EXAMPLES,
    derandomize=EXAMPLES == 10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(nights=NIGHTS, way=st.sampled_from(WAYS))
def test_any_nights_of_the_web_log_load_each_request_once_in_load_order(
    postgres: Settings, database: Connection, folders: Iterator[Path], nights: list[dict[str, list[Asked]]], way: Way
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        take(patch, way)
        judge(postgres, database, folders, nights)


def judge(
    postgres: Settings, database: Connection, folders: Iterator[Path], nights: list[dict[str, list[Asked]]]
) -> None:
    """Load the nights one after the other; each must do what the model says."""
    with contextlib.suppress(Exception), database.cursor() as cursor:
        cursor.execute(EMPTY)
    expected: list[str] = []
    for night, new in zip(nights, model(nights), strict=True):
        files = {name: b"".join(one.line for one in asked) for name, asked in night.items()}
        done = load(postgres, request_dump(next(folders), files)).requests
        expected += new
        assert done.new == len(new)
        assert [key for (key,) in rows(database, "select id from requests order by local_id")] == expected
        for count in done.counts:
            assert count.lines == len(night[count.file.name]) == count.loaded + count.repeated
    newest = rows(database, "select course_id, newest from udecdash.course_requests")
    assert newest == (rows(database, "select 7, max(local_id) from requests") if expected else [])


@pytest.mark.parametrize("way", WAYS)
def test_an_id_that_comes_again_at_another_time_is_the_same_request(
    postgres: Settings, database: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: Way
) -> None:
    take(monkeypatch, way)
    first = request_line(id="a", timestamp="2021-04-01 10:00:00") + request_line(
        id="b", timestamp="2021-04-01 11:00:00"
    )
    load(postgres, request_dump(tmp_path / "1", {"requests-1.gz": first}))
    moved = request_line(id="a", timestamp="2021-06-01 10:00:00") + request_line(
        id="c", timestamp="2021-06-02 10:00:00"
    )
    done = load(postgres, request_dump(tmp_path / "2", {"requests-2.gz": moved})).requests
    assert [(count.loaded, count.repeated) for count in done.counts] == [(1, 1)]
    found = rows(database, "select id, timestamp::date::text from requests order by local_id")
    assert found == [("a", "2021-04-01"), ("b", "2021-04-01"), ("c", "2021-06-02")]


FOUND = """
create table requests (local_id bigserial, id varchar(36), timestamp timestamp(3), user_id bigint, course_id bigint,
    quiz_id bigint, discussion_id bigint, conversation_id bigint, assignment_id bigint, url text, user_agent text)
"""
NUMBERED = [request_line(id=f"{n}", course_id=f"{n % 3}") for n in range(30)]
# What repeats of course 1 has the places that new requests of course 0 have in their own partition.
REPEATED = {
    "requests-1.gz": NUMBERED + NUMBERED[1::3],
    "requests-2.gz": [
        request_line(id=f"{n}", course_id="0", timestamp="2021-05-01 10:00:00")
        for n in (*range(30, 50), *range(20, 30))
    ],
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("parted", [False, True], ids=["whole", "parted"])
def test_of_requests_that_repeat_in_a_first_load_the_first_stays_also_where_partitions_have_equal_places(
    postgres: Settings,
    database: Connection,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    way: Way,
    parted: bool,
) -> None:
    take(monkeypatch, way)
    if parted:
        parts = "".join(f"create table p{n} partition of requests for values in ({n});" for n in range(3))
        execute(database, f"{FOUND} partition by list (course_id); {parts}")
    done = load(postgres, request_dump(tmp_path, {name: b"".join(lines) for name, lines in REPEATED.items()})).requests
    assert [(count.loaded, count.repeated) for count in done.counts] == [(30, 10), (20, 10)]
    found = rows(database, "select id, course_id, timestamp::date::text from requests order by local_id")
    assert found == [(f"{n}", n % 3 if n < 30 else 0, "2021-04-01" if n < 30 else "2021-05-01") for n in range(50)]


@pytest.mark.parametrize("way", WAYS)
def test_an_empty_table_that_takes_no_id_twice_takes_each_request_once_and_begins_anew(
    postgres: Settings, database: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: Way
) -> None:
    take(monkeypatch, way)
    execute(database, f"{FOUND}; alter table requests add unique (id)")
    for night in (1, 2):
        files = {f"{night}-{name}": b"".join(lines) for name, lines in REPEATED.items()}
        done = load(postgres, request_dump(tmp_path / f"{night}", files)).requests
        assert [(count.loaded, count.repeated, count.rejected) for count in done.counts] == [(30, 10, 0), (20, 10, 0)]
        noted = rows(database, "select course_id, total from udecdash.course_requests order by 1")
        assert noted == [(0, 30), (1, 10), (2, 10)]
        execute(database, "truncate requests")


@pytest.mark.parametrize("way", WAYS)
def test_an_id_that_is_written_in_two_ways_is_the_same_request(
    postgres: Settings, database: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: Way
) -> None:
    take(monkeypatch, way)
    lines = request_line(id="abc") + request_line(id="\\141bc") + request_line(id="d")
    done = load(postgres, request_dump(tmp_path, {"requests-1.gz": lines})).requests
    assert [(count.loaded, count.repeated) for count in done.counts] == [(2, 1)]
    assert rows(database, "select id from requests order by local_id") == [("abc",), ("d",)]


def test_an_emptied_table_with_the_index_of_earlier_versions_takes_repeated_requests(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    load(postgres, request_dump(tmp_path / "1", {"requests-1.gz": request_line(id="a")}))
    execute(database, "create unique index requests_timestamp_id_index on requests (timestamp, id); truncate requests")
    done = load(postgres, request_dump(tmp_path / "2", {"requests-2.gz": request_line(id="b") * 2})).requests
    assert [(count.loaded, count.repeated) for count in done.counts] == [(1, 1)]


@pytest.mark.parametrize("way", WAYS)
def test_ids_that_are_no_text_are_rejects_however_often_they_come(
    postgres: Settings, database: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: Way
) -> None:
    take(monkeypatch, way)
    odd = request_line(id="nul").replace(b"nul", b"n\x00l") + request_line(id="latin").replace(b"latin", b"lat\xedn")
    lines = odd * 2 + request_line(id="a") * 2
    done = load(postgres, request_dump(tmp_path, {"requests-1.gz": lines})).requests
    assert [(count.loaded, count.repeated, count.rejected) for count in done.counts] == [(1, 1, 4)]


def test_ids_that_are_uuids_are_the_same_however_they_are_written(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    execute(database, FOUND.replace("id varchar(36)", "id uuid"))
    key = "0f0fe71a-2c23-a059-d710-81175b559639"
    lines = request_line(id=key) + request_line(id=key.upper())
    done = load(postgres, request_dump(tmp_path, {"requests-1.gz": lines})).requests
    assert [(count.loaded, count.repeated) for count in done.counts] == [(1, 1)]


@pytest.mark.parametrize("way", WAYS)
def test_months_of_history_come_again_in_other_files_beside_one_new_day(
    postgres: Settings, database: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: Way
) -> None:
    take(monkeypatch, way)
    days = [f"2021-{month:02d}-{day:02d}" for month in range(1, 7) for day in range(1, 29)]
    lines = [request_line(id=f"{day}/{n}", timestamp=f"{day} 10:{n:02d}:00") for day in days for n in range(5)]
    daily = {f"requests-{n:05d}-aa.gz": b"".join(lines[5 * n : 5 * n + 5]) for n in range(len(days))}
    load(postgres, request_dump(tmp_path / "1", daily))
    new = [request_line(id=f"new/{n}", timestamp=f"2021-07-01 10:{n:02d}:00") for n in range(5)]
    regrouped = {f"requests-{n:05d}-bb.gz": b"".join(lines[n::7]) for n in range(7)}
    done = load(postgres, request_dump(tmp_path / "2", {**regrouped, "requests-00007-bb.gz": b"".join(new)})).requests
    assert (done.new, sum(count.repeated for count in done.counts)) == (5, len(lines))
    assert rows(database, "select count(*), count(distinct id) from requests") == [(len(lines) + 5,) * 2]
    assert [key for (key,) in rows(database, "select id from requests order by local_id desc limit 5")] == [
        f"new/{n}" for n in (4, 3, 2, 1, 0)
    ]


def test_a_file_that_grew_to_the_same_size_is_read_again(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    for night, key in enumerate("ab"):
        folder = request_dump(tmp_path / str(night), {"requests-1.gz": request_line(id=key)})
        assert load(postgres, folder).requests.new == 1
    sizes = rows(database, "select count(distinct size), count(distinct checksum) from udecdash.files")
    assert sizes == [(1, 2)]


def test_unpacked_requests_of_the_same_length_are_read_again_and_the_same_ones_are_not(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    head = "\t".join(name for name, _ in REQUEST).encode() + b"\n"
    skipped = []
    for key in "aabb":
        folder = request_dump(tmp_path, {})
        (folder / "requests.txt").write_bytes(head + request_line(id=key))
        skipped.append(load(postgres, folder, unpacked=folder).requests.skipped)
    assert skipped == [0, 1, 0, 1]
    assert rows(database, "select id from requests order by local_id") == [("a",), ("b",)]


LIMITED = """
create table requests (local_id bigserial primary key, id varchar(36), timestamp timestamp(3), user_id bigint,
    course_id bigint, quiz_id bigint, discussion_id bigint, conversation_id bigint, assignment_id bigint not null,
    url varchar(20) constraint a_path check (url like '/%'), user_agent text)
"""


def test_rows_that_break_what_a_found_table_of_requests_asks_are_rejects_in_a_first_load_and_in_later_ones(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    with database.cursor() as cursor:
        cursor.execute(LIMITED)
    for night in (1, 2):
        odd = [{"assignment_id": "9"}, {}, {"assignment_id": "9", "url": "/" * 21}, {"assignment_id": "9", "url": "x"}]
        lines = [request_line(id=f"{night}-{n}", **fields) for n, fields in enumerate(odd, start=1)]
        run = load(postgres, request_dump(tmp_path / str(night), {f"{night}.gz": b"".join(lines)})).run
        assert rows(database, f"select line, reason from udecdash.rejects where run_id = {run} order by line") == [
            (2, "not null violation (23502) at assignment_id"),
            (3, "url: string data right truncation (22001)"),
            (4, "check violation (23514) at a_path"),
        ]
    assert rows(database, "select id from requests order by local_id") == [("1-1",), ("2-1",)]


def test_a_found_table_of_requests_may_be_partitioned_by_any_column(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    with database.cursor() as cursor:
        cursor.execute(FOUND + "partition by range (course_id); create table a_few partition of requests default")
    for night in (1, 2):
        files = {f"{n}.gz": request_line(id=f"{n}") for n in range(night + 1)}
        load(postgres, request_dump(tmp_path / str(night), files))
    assert rows(database, "select id from a_few order by local_id") == [("0",), ("1",), ("2",)]

"""Nights in which only lines that differ from the last load's are looked at: right whatever happened in between."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2's class has a lower-case name

from tests.installation import execute, rows
from tests.nights import Loaded, load, mini_dump, watch_copies
from udecdash_updater import db, lines, touched
from udecdash_updater.errors import ImplausibleError
from udecdash_updater.settings import Settings

TABLE, OTHER, PAIRS = "item_dim", "course_section_dim", "conversation_message_participant_fact"
ITEM = [("id", "bigint"), ("canvas_id", "bigint"), ("name", "varchar"), ("updated_at", "timestamp"), ("score", "int")]
PAIR = [("unread", "boolean"), ("conversation_message_id", "bigint"), ("user_id", "bigint"), ("text", "text")]
_AS_IT_IS = "select id, canvas_id, name, updated_at::text, score from item_dim order by id"


def line(number: int, **other: object) -> bytes:
    told = {
        "id": number,
        "canvas_id": number + 100,
        "name": f"n{number}",
        "updated_at": "2021-04-01 10:00:00",
        "score": 1,
    }
    return ("\t".join(str(value) for value in (told | other).values()) + "\n").encode()


def pair(number: int, text: str = "x") -> bytes:
    return f"false\t{number % 7}\t{number}\t{text}\n".encode()


ITEMS = [line(number) for number in range(1, 21)]


class Site:
    """A database whose nights hold these lines."""

    def __init__(self, postgres: Settings, folder: Path) -> None:
        self._postgres, self._folder, self._night = postgres, folder, 0

    def night(self, items: list[bytes], *, pairs: list[bytes] | None = None, accept: Sequence[str] = ()) -> Loaded:
        self._night += 1
        half = len(items) // 2
        named = {"0.gz": b"".join(items[:half]), "1.gz": b"".join(items[half:])}
        folder = mini_dump(
            self._folder / str(self._night),
            {TABLE: ITEM, OTHER: ITEM, PAIRS: PAIR},
            {TABLE: named, OTHER: {"0.gz": b"".join(ITEMS)}, PAIRS: {"0.gz": b"".join(pairs or [])}},
        )
        return load(self._postgres, folder, accept=accept)


@pytest.fixture
def site(postgres: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr(lines, "WORTH_KEEPING", 0)
    return Site(postgres, tmp_path)


@pytest.fixture
def copied(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tables whose files were read as a whole by COPY."""
    return watch_copies(monkeypatch)


def changes(done: Loaded, table: str = TABLE) -> tuple[int, int, int, int]:
    told = done.published[table]
    return told.rows, told.new, told.changed, told.gone


def expected(items: list[bytes]) -> list[tuple[Any, ...]]:
    split = [one.decode().rstrip("\n").split("\t") for one in items]
    return sorted((int(i), int(c), name, when, int(score)) for i, c, name, when, score in split)


def test_a_night_parses_only_lines_that_differ(site: Site, database: Connection, copied: list[str]) -> None:
    site.night(ITEMS)
    copied.clear()
    tonight = [line(30), *ITEMS[1:5], line(6, name="other"), line(7, canvas_id=900), *ITEMS[7:]]
    assert changes(site.night(tonight)) == (20, 1, 2, 1)
    assert not copied
    assert rows(database, _AS_IT_IS) == expected(tonight)
    assert changes(site.night([*ITEMS, line(40)])) == (21, 2, 2, 1)
    assert not copied
    assert rows(database, _AS_IT_IS) == expected([*ITEMS, line(40)])


def test_files_that_hold_what_they_held_are_not_read_again(
    site: Site, copied: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    site.night(ITEMS)
    copied.clear()
    monkeypatch.setattr(lines, "compare", None)
    assert changes(site.night(ITEMS)) == (20, 0, 0, 0)
    assert not copied


def test_each_file_is_accounted_for_as_by_a_look_at_all_lines(site: Site, database: Connection) -> None:
    counts = (
        "select file_name, lines, loaded, repeated, rejected from udecdash.files where run_id = {} and table_name ="
    )
    twice = [*ITEMS[:10], ITEMS[3], *ITEMS[10:], line(4, name="a later one"), ITEMS[12]]
    first = site.night(twice)
    kept = site.night([*twice[:-1], line(13, name="later")])
    for done in (first, kept):
        told = rows(database, f"{counts.format(done.run)} '{TABLE}' order by file_name")
        assert told == [("0.gz", 11, 10, 1, 0), ("1.gz", 12, 10, 2, 0)]
    assert rows(database, _AS_IT_IS) == expected(ITEMS)
    assert changes(kept) == (20, 0, 0, 0)


BY_HAND = (
    "update item_dim set name = 'by hand' where id = 3",
    "delete from item_dim where id = 3",
    "insert into item_dim (id, canvas_id) values (99, 99)",
    "delete from item_dim where id = 3; insert into item_dim (id, canvas_id) values (99, 99)",
    "alter table item_dim drop column score; alter table item_dim add column score bigint",
    "truncate item_dim",
    "alter table item_dim alter column score type bigint using score + 1",
    "drop table item_dim",
)


def test_what_somebody_changed_by_hand_is_put_right(site: Site, database: Connection, copied: list[str]) -> None:
    site.night(ITEMS)
    for statement in BY_HAND:
        execute(database, statement)
        copied.clear()
        site.night(ITEMS)
        assert set(copied) == {TABLE}, statement
        assert rows(database, _AS_IT_IS) == expected(ITEMS), statement


LOST = (
    "truncate udecdash.line_blocks",
    "delete from udecdash.line_blocks where number = {0}",
    "update udecdash.line_blocks set digests = substr(digests, 9) where number = {0}",
    "update udecdash.line_blocks set digests = substr(digests, 2) where number = {0}",
    "insert into udecdash.line_blocks select number, ordinal + 1, digests, keys from udecdash.line_blocks",
    "update udecdash.line_sets set repeated = null",
    "update udecdash.line_sets set published = false",
)


def test_what_is_kept_may_be_lost_and_costs_time_alone(site: Site, database: Connection) -> None:
    site.night(ITEMS)
    for score, lost in enumerate(LOST, start=2):
        [(number,)] = rows(database, f"select number from udecdash.line_sets where table_name = '{TABLE}'")
        execute(database, lost.format(number))
        tonight = [*ITEMS[:4], line(5, score=score), *ITEMS[5:]]
        assert changes(site.night(tonight)) == (20, 0, 1, 0), lost
        assert rows(database, _AS_IT_IS) == expected(tonight), lost


ODD = {
    b"5\t105\tx\t2021-04-01 10:00:00\tfive\n": "invalid text representation",
    b"5\t105\tx\tnow\t1\n": "such as now",
    b"5\t105\tx\n": "columns instead of",
    b"5\t105\t\xff\t2021-04-01 10:00:00\t1\n": "UTF-8",
    b"5\t105\ta\x00b\t2021-04-01 10:00:00\t1\n": "NUL",
    b"5\t101\tx\t2021-04-01 10:00:00\t1\n": "canvas_id",
    b"5\t105\t" + b"x" * 257 + b"\t2021-04-01 10:00:00\t1\n": "string data right truncation",
    b"\\N\t105\tx\t2021-04-01 10:00:00\t1\n": "not null violation",
    b"\\.\n": "end-of-copy mark",
}


def test_a_line_that_differs_and_cannot_be_loaded_is_a_reject_every_night(site: Site, database: Connection) -> None:
    for odd, reason in ODD.items():
        site.night(ITEMS, accept=["all"])
        for _ in range(2):
            done = site.night([*ITEMS[:4], odd, *ITEMS[5:]])
            told = rows(database, f"select reason from udecdash.rejects where run_id = {done.run}")
            assert len(told) == 1, odd
            assert reason in told[0][0], odd
            assert rows(database, _AS_IT_IS) == expected([*ITEMS[:4], *ITEMS[5:]]), odd


def test_values_are_read_as_copy_reads_them(site: Site, database: Connection, copied: list[str]) -> None:
    site.night(ITEMS)
    copied.clear()
    odd = r"tab\t, newline\n, backslash\\, \\N and ñ"
    site.night([*ITEMS[:-1], line(20, name=odd, updated_at="\\N", score=" 7 ")])
    assert not copied
    found = rows(database, "select name, updated_at, score from item_dim where id = 20")
    assert found == [("tab\t, newline\n, backslash\\, \\N and ñ", None, 7)]


def test_rows_that_swap_a_unique_value_are_written_anew(site: Site, database: Connection, copied: list[str]) -> None:
    site.night(ITEMS)
    copied.clear()
    tonight = [line(1, canvas_id=102), line(2, canvas_id=101), *ITEMS[2:]]
    assert changes(site.night(tonight)) == (20, 0, 2, 0)
    assert not copied
    assert rows(database, _AS_IT_IS) == expected(tonight)


def test_a_key_of_two_columns_and_not_the_first_ones(site: Site, database: Connection, copied: list[str]) -> None:
    site.night(ITEMS, pairs=[pair(n) for n in range(20)])
    copied.clear()
    done = site.night(ITEMS, pairs=[pair(3, "other"), *(pair(n) for n in range(4, 21))])
    assert changes(done, PAIRS) == (18, 1, 1, 3)
    assert not copied
    assert rows(database, f"select user_id, text from {PAIRS} where user_id < 5 order by 1") == [(3, "other"), (4, "x")]


def test_a_night_that_is_refused_leaves_the_next_one_right(site: Site, database: Connection) -> None:
    site.night(ITEMS)
    with pytest.raises(ImplausibleError):
        site.night(ITEMS[:2])
    assert rows(database, _AS_IT_IS) == expected(ITEMS)
    tonight = [line(1, name="other"), *ITEMS[1:]]
    assert changes(site.night(tonight)) == (20, 0, 1, 0)
    assert rows(database, _AS_IT_IS) == expected(tonight)


def test_a_table_with_rules_of_its_own_is_compared_as_a_whole(
    site: Site, database: Connection, copied: list[str]
) -> None:
    site.night(ITEMS)
    execute(database, "alter table item_dim add check (score < 5)")
    copied.clear()
    site.night([line(1, score=2), *ITEMS[1:]])
    assert copied == [TABLE] * 2


def test_more_lines_than_are_worth_it_are_compared_as_a_whole(
    site: Site, database: Connection, copied: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "_MOST", 5)
    site.night(ITEMS)
    copied.clear()
    tonight = [*(line(n, score=2) for n in range(1, 6)), *ITEMS[5:]]
    site.night(tonight)
    assert copied == [TABLE] * 2
    assert rows(database, _AS_IT_IS) == expected(tonight)


def test_the_newest_time_is_that_of_the_table_as_it_will_be(site: Site, database: Connection) -> None:
    newest = f"select newest::text from udecdash.table_loads where table_name = '{TABLE}' order by run_id desc limit 1"
    late = line(1, updated_at="2022-01-01 00:00:00")
    nights: list[tuple[list[bytes], str]] = [
        ([late, *ITEMS[1:]], "2022-01-01 00:00:00"),
        ([late, line(2, name="other"), *ITEMS[2:]], "2022-01-01 00:00:00"),
        (ITEMS, "2021-04-01 10:00:00"),
        ([*ITEMS, line(50, updated_at="2023-01-01 00:00:00")], "2023-01-01 00:00:00"),
    ]
    for items, when in nights:
        site.night(items, accept=["all"])
        assert rows(database, newest) == [(when,)]


def test_unpacked_files_go_by_lines_that_differ_too(
    postgres: Settings, database: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, copied: list[str]
) -> None:
    monkeypatch.setattr(lines, "WORTH_KEEPING", 0)
    header = "\t".join(name for name, _ in ITEM).encode() + b"\n"
    folder = mini_dump(tmp_path / "dump", {TABLE: ITEM}, {})
    for items in (ITEMS, [line(1, name="other"), *ITEMS[1:]]):
        copied.clear()
        (folder / f"{TABLE}.txt").write_bytes(header + b"".join(items))
        load(postgres, folder, unpacked=folder)
    assert not copied
    assert rows(database, _AS_IT_IS) == expected([line(1, name="other"), *ITEMS[1:]])


def test_an_unpacked_file_that_changes_between_its_load_and_the_keeping_of_its_lines_is_not_kept(
    postgres: Settings, database: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "WORTH_KEEPING", 0)
    header = "\t".join(name for name, _ in ITEM).encode() + b"\n"
    folder, other = mini_dump(tmp_path / "dump", {TABLE: ITEM}, {}), [line(1, name="other"), *ITEMS[1:]]
    (folder / f"{TABLE}.txt").write_bytes(header + b"".join(ITEMS))
    with monkeypatch.context() as patched:
        keep = lines.keep

        def change(cursor: db.Cursor, unkept: lines.Unkept) -> None:
            (folder / f"{TABLE}.txt").write_bytes(header + b"".join(other))
            keep(cursor, unkept)

        patched.setattr(lines, "keep", change)
        load(postgres, folder, unpacked=folder)
    load(postgres, folder, unpacked=folder)
    assert rows(database, _AS_IT_IS) == expected(other)


def test_what_is_kept_agrees_with_the_table_after_every_way(
    site: Site, database: Connection, copied: list[str]
) -> None:
    for score in range(2, 6):
        site.night([line(n, score=score if n < score else 1) for n in range(1, 21)])
        [(number, held)] = rows(database, f"select number, rows from udecdash.line_sets where table_name = '{TABLE}'")
        kept = "select sum(octet_length(digests) / 8), string_agg(encode(keys, 'escape'), '') from udecdash.line_blocks"
        keys = "".join(f"{n}\n" for n in range(1, 21))
        assert held == 20
        assert rows(database, f"{kept} where number = {number}") == [(20, keys)]
    assert copied.count(TABLE) == 2, "the first night's two files"


@pytest.mark.parametrize("most", [0, 1000], ids=["by all lines", "by lines that differ"])
def test_what_somebody_wrote_while_a_night_was_loaded_is_put_right_by_the_next(
    site: Site, database: Connection, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(lines, "_MOST", most)
    site.night(ITEMS)
    with monkeypatch.context() as patched:
        begin = touched.begin

        def interfere(cursor: db.Cursor) -> None:
            execute(database, "update item_dim set name = 'by hand' where id = 3")
            begin(cursor)

        patched.setattr(touched, "begin", interfere)
        tonight = [line(1, name="other"), *ITEMS[1:]]
        site.night(tonight)
    assert rows(database, "select name from item_dim where id in (1, 3) order by id") == [("other",), ("by hand",)]
    site.night(tonight)
    assert rows(database, _AS_IT_IS) == expected(tonight)


def test_unpacked_files_whose_columns_stand_otherwise_are_never_shifted(
    postgres: Settings, database: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "WORTH_KEEPING", 0)
    folder = mini_dump(tmp_path / "dump", {TABLE: ITEM}, {})
    names = [name for name, _ in ITEM]
    for order in (names, ["canvas_id", "id", *names[2:]], ["canvas_id", "id", *names[2:]], names):
        same_bytes = "".join(f"{n}\t{n % 3 + 1}\tx\t2021-04-01 10:00:00\t1\n" for n in range(1, 4))
        (folder / f"{TABLE}.txt").write_text("\t".join(order) + "\n" + same_bytes)
        load(postgres, folder, unpacked=folder)
        found = rows(database, f"select {order[0]}, {order[1]} from item_dim order by 1")
        assert found == [(n, n % 3 + 1) for n in range(1, 4)]


def test_lines_that_were_kept_long_ago_are_never_compared_with(
    site: Site, database: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = [line(1, name="other"), *ITEMS[1:]]
    site.night(ITEMS)
    with monkeypatch.context() as patched:
        patched.setattr(lines, "WORTH_KEEPING", len(ITEMS) + 1)
        patched.setattr(lines, "_MOST", 0)
        site.night(other)
    assert changes(site.night([*ITEMS, line(50)][:20], accept=["all"])) == (20, 0, 1, 0)
    assert rows(database, _AS_IT_IS) == expected(ITEMS)


def test_keys_at_the_end_of_lines_that_end_in_crlf_are_loaded_all_the_same(
    postgres: Settings, database: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "WORTH_KEEPING", 0)
    columns = [PAIR[0], PAIR[3], PAIR[1], PAIR[2]]
    for night, text in enumerate(("x", "y")):
        content = "".join(f"false\t{text}\t{n}\t{n}\r\n" for n in range(5)).encode()
        load(postgres, mini_dump(tmp_path / str(night), {PAIRS: columns}, {PAIRS: {"0.gz": content}}))
        assert rows(database, f"select distinct text, count(*) over () from {PAIRS}") == [(text, 5)]


def test_a_key_that_only_copy_understands_goes_by_all_lines_and_ends_no_night(site: Site, database: Connection) -> None:
    site.night(ITEMS)
    for score in (1, 2):
        tonight = [*ITEMS, line(30, score=score).replace(b"30", rb"30\n", 1)]
        assert changes(site.night(tonight))[0] == 21
        assert rows(database, _AS_IT_IS) == expected([*ITEMS, line(30, score=score)])


def test_a_server_that_hashes_no_rows_loads_all_lines_each_night(
    site: Site, database: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db, "HASHES_RECORDS", 99)
    for items in (ITEMS, [line(1, name="other"), *ITEMS[1:]]):
        site.night(items)
        assert rows(database, _AS_IT_IS) == expected(items)
    assert rows(database, "select count(*) from udecdash.line_sets where published") == [(0,)]


def test_files_that_were_changed_between_their_load_and_the_keeping_are_not_kept(
    site: Site, database: Connection, monkeypatch: pytest.MonkeyPatch, copied: list[str], tmp_path: Path
) -> None:
    keep = lines.keep

    def meddled(cursor: db.Cursor, unkept: lines.Unkept) -> None:
        for count in unkept.counts:
            content = gzip.decompress(count.file.path.read_bytes())
            count.file.path.write_bytes(gzip.compress(content.replace(b"n5", b"never loaded")))
        keep(cursor, unkept)

    with monkeypatch.context() as patched:
        patched.setattr(lines, "keep", meddled)
        site.night(ITEMS)
    copied.clear()
    tonight = [*ITEMS[:4], line(5, name="never loaded"), *ITEMS[5:]]
    assert changes(site.night(tonight)) == (20, 0, 1, 0)
    assert TABLE in copied
    assert rows(database, _AS_IT_IS) == expected(tonight)


def test_keys_that_stand_twice_are_judged_every_night_and_the_first_line_counts(
    site: Site, database: Connection, copied: list[str]
) -> None:
    one, other = line(4, name="one"), line(4, name="other")
    first = [*ITEMS[:3], one, *ITEMS[4:], other]
    site.night(first)
    copied.clear()
    nights: list[list[bytes]] = [
        [*ITEMS[:3], other, *ITEMS[4:], one],  # the same lines in another order
        [*ITEMS[:3], *ITEMS[4:], one],  # one of them is left
        [*ITEMS[:3], *ITEMS[4:]],
        first,
    ]
    for tonight in nights:
        site.night(tonight, accept=["all"])
        once = {one.partition(b"\t")[0]: one for one in reversed(tonight)}
        assert rows(database, _AS_IT_IS) == expected(list(once.values()))
    assert not copied


def test_keys_that_begin_to_stand_twice_do_not_ask_for_all_lines(
    site: Site, database: Connection, copied: list[str]
) -> None:
    site.night(ITEMS)
    copied.clear()
    one, two, new = line(4, name="one"), line(4, name="two"), [line(30, canvas_id=n) for n in (900, 901, 902)]
    nights: list[tuple[list[bytes], int]] = [
        ([*ITEMS[:3], one, two, *ITEMS[4:]], 1),
        ([*ITEMS[:3], two, *ITEMS[4:], one, *new], 3),
        ([*ITEMS[:3], two, *ITEMS[4:], *new[1:]], 1),
        (ITEMS, 0),
    ]
    for tonight, repeated in nights:
        done = site.night(tonight, accept=["all"])
        once = {one.partition(b"\t")[0]: one for one in reversed(tonight)}
        assert rows(database, _AS_IT_IS) == expected(list(once.values()))
        counted = f"select sum(repeated) from udecdash.files where run_id = {done.run} and table_name = '{TABLE}'"
        assert rows(database, counted) == [(repeated,)]
    assert not copied
    kept = f"select repeated from udecdash.line_sets where table_name = '{TABLE}'"
    assert rows(database, kept) == [(["30", "4"],)]


def test_too_many_keys_that_begin_to_stand_twice_are_for_a_look_at_all_lines(
    site: Site, database: Connection, copied: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    site.night(ITEMS)
    copied.clear()
    monkeypatch.setattr(lines, "MOST_REPEATED", 1)
    new = [line(n, name=name) for n in (30, 31) for name in ("one", "other")]
    site.night([*ITEMS, *new])
    assert rows(database, _AS_IT_IS) == expected([*ITEMS, *new[::2]])
    assert TABLE in copied


@pytest.mark.parametrize("odd", [b"8\tx\\\tdeleted", b"8\tx\x00\tdeleted", b"8\tx\tdeleted\tmore"])
def test_a_deleted_module_item_that_nobody_could_read_is_a_reject_and_not_filtered(
    postgres: Settings, database: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, odd: bytes
) -> None:
    monkeypatch.setattr(lines, "WORTH_KEEPING", 0)
    columns = [("id", "bigint"), ("title", "varchar"), ("workflow_state", "varchar")]
    first = b"1\ta\tactive\n2\tb\tactive\n7\tx\tdeleted\n"
    for number, content in enumerate((first, first + b"3\tc\tactive\n" + odd + b"\n")):
        files = {"module_item_dim": {f"{number}.gz": content}}
        run = load(postgres, mini_dump(tmp_path / str(number), {"module_item_dim": columns}, files)).run
    counted = f"select lines, loaded, filtered, rejected from udecdash.files where run_id = {run}"
    assert rows(database, counted) == [(5, 3, 1, 1)]


def test_a_unique_column_that_is_not_of_the_dump_does_not_end_a_night_by_lines(
    site: Site, database: Connection, copied: list[str]
) -> None:
    site.night(ITEMS)
    execute(database, "alter table item_dim add mine bigint unique, add unique (mine, canvas_id)")
    site.night(ITEMS)
    copied.clear()
    tonight = [*ITEMS[1:], line(30), line(31, canvas_id=1)]
    assert changes(site.night(tonight)) == (21, 2, 0, 1)
    assert TABLE not in copied
    assert rows(database, _AS_IT_IS) == expected(tonight)


@pytest.mark.parametrize("begins", ["tonight", "the night before"])
@pytest.mark.parametrize("odd", ["infinity", "2021-02-30 10:00:00", "a\\", "2021-04-01\t1"])
def test_a_line_that_repeats_a_key_and_could_be_no_row_is_a_reject_and_not_repeated(
    site: Site, database: Connection, copied: list[str], begins: str, odd: str
) -> None:
    twice = [*ITEMS, line(30), line(30, name="later")]
    site.night(twice if begins == "the night before" else ITEMS)
    copied.clear()
    assert changes(site.night([*twice, line(30, name="later still")]))[0] == 21
    assert TABLE not in copied
    done = site.night([*twice, line(30, name="later still"), line(30, updated_at=odd)])
    counted = f"select sum(repeated), sum(rejected) from udecdash.files where run_id = {done.run}"
    assert rows(database, f"{counted} and table_name = '{TABLE}'") == [(2, 1)]
    assert rows(database, _AS_IT_IS) == expected([*ITEMS, line(30)])

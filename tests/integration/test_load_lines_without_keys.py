"""Tables without a key by lines that differ: a row is told by its place, and equal rows are as many as their lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2's class has a lower-case name

from tests.installation import execute, rows
from tests.nights import Loaded, load, mini_dump, watch_copies
from udecdash_updater import db, lines, prints, tables
from udecdash_updater.accounts import Published
from udecdash_updater.settings import Settings

TABLE = "quiz_question_answer_dim"
COLUMNS = [("id", "bigint"), ("text", "varchar"), ("updated_at", "timestamp")]
_KEPT = "select count(*), count(distinct place) from udecdash.line_places"


def line(number: int, text: str = "same", time: str = "2021-04-01 10:00:00") -> bytes:
    return f"{number}\t{text}\t{time}\n".encode()


FIRST = [line(n % 40, f"t{n % 3}") for n in range(200)]  # 120 different ones, 80 of them twice


class Site:
    """A database whose nights hold these lines, and the tables that each night read by COPY."""

    def __init__(self, postgres: Settings, database: Connection, folder: Path, copied: list[str]) -> None:
        self._postgres, self._database, self._folder, self._night = postgres, database, folder, 0
        self.copied = copied

    def night(self, told: list[bytes], *, cut: int = 50) -> Loaded:
        """The table holds what these lines say, each as often as it stands there. `cut`: where a second file begins."""
        self._night += 1
        self.copied.clear()
        files = {TABLE: {"0.gz": b"".join(told[:cut]), "1.gz": b"".join(told[cut:])}}
        done = load(self._postgres, mini_dump(self._folder / str(self._night), {TABLE: COLUMNS}, files), accept=["all"])
        assert Counter(self.standing()) == Counter(one.decode().rstrip("\n") for one in told)
        return done

    def standing(self) -> list[str]:
        return [one for (one,) in rows(self._database, f"select concat_ws(E'\\t', id, text, updated_at) from {TABLE}")]


@pytest.fixture
def site(postgres: Settings, database: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    return Site(postgres, database, tmp_path, watch_copies(monkeypatch))


def changes(done: Loaded) -> tuple[int, int, int]:
    told = done.published[TABLE]
    return told.new, told.changed, told.gone


NIGHTS: dict[str, tuple[list[bytes], tuple[int, int, int]]] = {
    "one of two equal ones is gone": (FIRST[1:], (0, 0, 1)),
    "both are gone": ([one for one in FIRST if one != FIRST[0]], (0, 0, 2)),
    "a third one": ([*FIRST, FIRST[0]], (1, 0, 0)),
    "three new ones that are equal": ([*FIRST, *[line(99)] * 3], (3, 0, 0)),
    "one of two is another one": ([line(0, "other"), *FIRST[1:]], (1, 0, 1)),
    "both are another one": ([line(0, "other") if one == FIRST[0] else one for one in FIRST], (2, 0, 2)),
    "the same in another order": (FIRST[::-1], (0, 0, 0)),
    "a newer one": ([line(0, time="2022-01-01 00:00:00"), *FIRST[1:]], (1, 0, 1)),
    "odd texts": ([*FIRST, line(7, '{a,"b"},NULL \N{SNOWMAN}'), line(7, ""), line(7, '"')], (3, 0, 0)),
    "none is left": ([], (0, 0, 200)),
}


@pytest.mark.parametrize(("tonight", "done"), NIGHTS.values(), ids=list(NIGHTS))
def test_only_lines_that_differ_are_read_and_equal_rows_are_as_many_as_they_should_be(
    site: Site, database: Connection, tonight: list[bytes], done: tuple[int, int, int]
) -> None:
    site.night(FIRST)
    assert changes(site.night(tonight)) == done
    assert not site.copied
    assert rows(database, _KEPT) == [(len(tonight), len(tonight))]
    site.night(FIRST)
    assert not site.copied
    newest = f"select newest::text from udecdash.line_sets where table_name = '{TABLE}'"
    assert rows(database, newest) == [("2021-04-01 10:00:00",)]


def test_each_nights_places_are_those_of_the_next(site: Site, database: Connection) -> None:
    site.night(FIRST)
    told = FIRST
    for number in range(5):
        told = [*told[7:], *told[:3], line(1000 + number), line(1000 + number)]
        site.night(told)
        assert not site.copied
        astray = f"select count(*) from udecdash.line_places where place not in (select ctid from {TABLE})"
        assert rows(database, astray) == [(0,)]


def test_a_table_that_was_written_anew_in_another_order_loses_no_wrong_row(
    site: Site, database: Connection, postgres: Settings
) -> None:
    """Whose rows are equally long: CLUSTER then leaves places and transactions as they were, as a whole."""
    told = [line(n, f"n{n}") for n in range(100, 210)]  # one page

    def print_() -> prints.Print | None:
        with db.opened(postgres) as connection, connection.cursor() as cursor:
            return prints.take(cursor, db.identifier(TABLE))

    site.night(told, cut=0)  # each file has a number of its own for who wrote its rows
    before = print_()
    execute(database, f"create index turned on {TABLE} (text desc)")
    execute(database, f"cluster {TABLE} using turned")
    execute(database, "drop index turned")
    assert print_() == before, "a print does not tell it"
    site.night(told[1:], cut=0)
    assert site.copied, "all lines were compared"
    site.night(told[2:], cut=0)
    assert not site.copied, "and were kept again"


HANDS = {
    "a row changed": f"update {TABLE} set text = 'mine' where ctid = (select min(ctid) from {TABLE})",
    "one of equal rows deleted": f"delete from {TABLE} where ctid = (select min(ctid) from {TABLE})",
    "a copy of a row": f"insert into {TABLE} select * from {TABLE} limit 1",
    "one row instead of another": f"delete from {TABLE} where ctid = (select min(ctid) from {TABLE});"
                                  f"insert into {TABLE} select * from {TABLE} limit 1",
    "what is kept lost": "truncate udecdash.line_places",
    "a part of it lost": "delete from udecdash.line_places where place < '(0,20)'",
    "all of it lost, as by a crash": "truncate udecdash.line_places, udecdash.line_blocks, udecdash.line_sets",
    "a unique index": f"delete from {TABLE} a using {TABLE} b where a.id = b.id and a.ctid > b.ctid;"
                      f"create unique index on {TABLE} (id, text); drop index {TABLE}_id_text_idx",
}  # fmt: skip


@pytest.mark.parametrize("hands", HANDS.values(), ids=list(HANDS))
def test_what_somebody_did_in_between_is_put_right(site: Site, database: Connection, hands: str) -> None:
    site.night(FIRST)
    for statement in hands.split(";"):
        execute(database, statement)
    site.night(FIRST[60:])
    site.night([*FIRST[61:], line(99)])
    assert not site.copied, "the night before kept its lines"


def _nothing(_settings: Settings, _published: object) -> None:
    pass


def _other_hands(database: Connection) -> Callable[[Settings, list[Published]], None]:
    keep = tables.keep_lines

    def meddle(settings: Settings, published: list[Published]) -> None:
        execute(database, f"update {TABLE} set text = 'mine' where ctid = (select min(ctid) from {TABLE})")
        keep(settings, published)

    return meddle


@pytest.mark.parametrize("killed", [True, False], ids=["the run was killed", "somebody wrote"])
def test_what_happens_between_the_publish_and_the_keeping_is_put_right(
    site: Site, database: Connection, monkeypatch: pytest.MonkeyPatch, *, killed: bool
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(tables, "keep_lines", _nothing if killed else _other_hands(database))
        with pytest.raises(AssertionError) if not killed else monkeypatch.context():
            site.night(FIRST)
    site.night(FIRST[1:])
    assert site.copied
    site.night(FIRST[2:])
    assert not site.copied


def test_values_that_only_copy_understands_go_by_all_lines(site: Site) -> None:
    site.night(FIRST)
    told = b"7\t" + rb"a\x41" + b"\t2021-04-01 10:00:00\n"
    with pytest.raises(AssertionError):  # it is loaded as "aA"
        site.night([*FIRST, told])
    assert "7\taA\t2021-04-01 10:00:00" in site.standing()
    assert site.copied


def test_more_lines_than_are_judged_one_by_one_go_by_all(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.night(FIRST)
    monkeypatch.setattr(lines, "_MOST", 1)
    site.night(FIRST[1:])
    assert not site.copied
    site.night(FIRST[3:])
    assert site.copied

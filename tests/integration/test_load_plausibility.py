"""A dump that can hardly be what Canvas has is refused, with what was and what is, until somebody accepts it."""

from __future__ import annotations

from pathlib import Path

import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2's class has a lower-case name

from tests.dumps import REQUEST, request_line
from tests.installation import rows
from tests.nights import load, mini_dump
from udecdash_updater.errors import ImplausibleError
from udecdash_updater.settings import Settings

DATED = [("id", "bigint"), ("canvas_id", "bigint"), ("created_at", "timestamp"), ("updated_at", "timestamp")]
NAMES = ("course_dim", "term_dim", "user_dim")


def lines(count: int, day: str = "2021-04-01") -> bytes:
    return b"".join(
        b"%d\t%d\t2020-01-01 08:00:00\t%b 08:00:%02d\n" % (n, n, day.encode(), n % 60) for n in range(count)
    )


def night(folder: Path, **contents: bytes | None) -> Path:
    """A dump of these tables; None: no file. The files' names are the night's own."""
    files = {t: {f"{t}-00000-{folder.name}.gz": body} for t, body in contents.items() if body is not None}
    return mini_dump(folder, dict.fromkeys(contents, DATED), files)


def counts(database: Connection, *tables: str) -> list[int]:
    return [rows(database, f"select count(*) from {table}")[0][0] for table in tables]


@pytest.mark.parametrize(("was", "now"), [(200, 50), (200, 139), (12, 1), (1, 0), (30, 0)])
def test_a_table_that_shrank_is_refused_with_what_it_was_and_is_until_it_is_accepted(
    postgres: Settings, database: Connection, tmp_path: Path, was: int, now: int
) -> None:
    load(postgres, night(tmp_path / "1", course_dim=lines(was), user_dim=lines(9)))
    small = night(tmp_path / "2", course_dim=lines(now), user_dim=lines(9, "2021-04-02"))
    with pytest.raises(ImplausibleError) as refused:
        load(postgres, small)
    assert f"\n  course_dim  {was} rows  {now} rows" in str(refused.value)
    assert "user_dim" not in str(refused.value)
    for language in ("en", "es"):
        assert refused.value.hint(language).endswith(" udecdash-updater run --accept course_dim")
    assert counts(database, "course_dim") == [was]
    with pytest.raises(ImplausibleError):
        load(postgres, small, accept=["user_dim"])
    accepted = load(postgres, small, accept=["course_dim"])
    assert counts(database, "course_dim") == [now]
    assert rows(database, "select * from udecdash.accepted") == [(accepted.run, "course_dim", "shrunk")]
    load(postgres, small)  # what was accepted once is what the next night is measured by


@pytest.mark.parametrize(("was", "now"), [(200, 140), (12, 2), (5, 50), (0, 0)])
def test_a_table_that_lost_no_more_than_on_an_ordinary_day_is_loaded(
    postgres: Settings, database: Connection, tmp_path: Path, was: int, now: int
) -> None:
    load(postgres, night(tmp_path / "1", course_dim=lines(was), user_dim=lines(9)))
    load(postgres, night(tmp_path / "2", course_dim=lines(now), user_dim=lines(9, "2021-04-02")))
    assert counts(database, "course_dim") == [now]


def test_with_max_shrink_percent_100_a_table_may_lose_all(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    lenient = postgres.model_copy(update={"max_shrink_percent": 100})
    load(lenient, night(tmp_path / "1", course_dim=lines(200)))
    load(lenient, night(tmp_path / "2", course_dim=b""))
    assert counts(database, "course_dim") == [0]


def test_a_table_that_had_rows_and_has_no_file_is_refused_and_emptied_when_that_is_accepted(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    load(postgres, night(tmp_path / "1", course_dim=lines(3), term_dim=None, user_dim=lines(2)))
    without = night(tmp_path / "2", course_dim=None, term_dim=None, user_dim=lines(2, "2021-04-02"))
    with pytest.raises(ImplausibleError, match=r"course_dim  3 rows  no file  gone$"):
        load(postgres, without)
    assert counts(database, "course_dim", "term_dim") == [3, 0]
    load(postgres, without, accept=["course_dim"])
    assert counts(database, *NAMES) == [0, 0, 2]
    load(postgres, without)


def test_a_table_that_left_schema_json_is_refused_and_kept_as_it_is_when_that_is_accepted(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    load(postgres, night(tmp_path / "1", course_dim=lines(3), term_dim=b"", user_dim=lines(2)))
    without = night(tmp_path / "2", user_dim=lines(2, "2021-04-02"))
    with pytest.raises(ImplausibleError, match=r"course_dim  3 rows  not in schema\.json  gone$"):
        load(postgres, without)
    load(postgres, without, accept=["course_dim"])
    load(postgres, without)  # nobody is asked twice
    assert counts(database, "course_dim") == [3]
    load(postgres, night(tmp_path / "3", course_dim=lines(4), user_dim=lines(2, "2021-04-03")))
    assert counts(database, "course_dim") == [4]
    with pytest.raises(ImplausibleError, match="course_dim"):
        load(postgres, night(tmp_path / "4", user_dim=lines(2, "2021-04-04")))


def asked(folder: Path, day: int, *, files: bool = True, listed: bool = True) -> Path:
    """A dump of course_dim, and of requests, which may have no file or no place in schema.json."""
    contents = {"course_dim": {f"course_dim-{day}.gz": lines(3, f"2021-04-0{day}")}}
    if files:
        contents["requests"] = {f"requests-{day}.gz": request_line(id=str(day), timestamp="2021-04-01 10:00:00")}
    return mini_dump(folder, {"course_dim": DATED} | ({"requests": REQUEST} if listed else {}), contents)


@pytest.mark.parametrize("listed", [True, False])
def test_a_dump_without_any_request_file_is_refused_where_there_were_some_and_accepted_once_for_all(
    postgres: Settings, database: Connection, tmp_path: Path, listed: bool
) -> None:
    load(postgres, asked(tmp_path / "1", 1, files=False))  # nobody misses what never came
    load(postgres, asked(tmp_path / "2", 2))
    without = asked(tmp_path / "3", 3, files=False, listed=listed)
    with pytest.raises(ImplausibleError, match=r"\n  requests  files of run 2  no file  gone$") as refused:
        load(postgres, without)
    assert refused.value.tables == ("requests",)
    assert rows(database, "select max(updated_at)::date::text from course_dim") == [("2021-04-02",)]
    load(postgres, without, accept=["requests"])
    load(postgres, asked(tmp_path / "4", 4, files=False, listed=listed))
    load(postgres, asked(tmp_path / "5", 5))
    assert rows(database, "select id from requests order by 1") == [("2",), ("5",)]
    with pytest.raises(ImplausibleError, match="requests"):
        load(postgres, asked(tmp_path / "6", 6, files=False))


def test_a_dump_that_was_loaded_and_superseded_is_refused_and_the_newest_one_is_loaded_again_and_again(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    # Nothing inside the rows tells their age here: only the files do.
    first = night(tmp_path / "1", course_dim=lines(3), user_dim=lines(2))
    second = night(tmp_path / "2", course_dim=lines(4), user_dim=lines(2))
    load(postgres, first)
    load(postgres, second)
    load(postgres, second)
    with pytest.raises(ImplausibleError, match="course_dim  files of run 3  files of run 1  older\n  user_dim"):
        load(postgres, first)
    assert counts(database, "course_dim") == [4]
    load(postgres, first, accept=["all"])
    assert counts(database, "course_dim") == [3]
    load(postgres, first)
    load(postgres, second)  # forward again needs nobody's word
    assert counts(database, "course_dim") == [4]


def test_one_table_of_yesterday_among_those_of_today_is_refused(postgres: Settings, tmp_path: Path) -> None:
    load(postgres, night(tmp_path / "1", course_dim=lines(3), user_dim=lines(2)))
    second = night(tmp_path / "2", course_dim=lines(4), user_dim=lines(3))
    load(postgres, second)
    (second / "user_dim" / "user_dim-00000-2.gz").unlink()
    (tmp_path / "1" / "user_dim" / "user_dim-00000-1.gz").rename(second / "user_dim" / "user_dim-00000-1.gz")
    with pytest.raises(ImplausibleError) as refused:
        load(postgres, second)
    assert refused.value.tables == ("user_dim",)


def test_an_older_dump_that_was_never_loaded_is_known_by_its_newest_rows(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    load(postgres, night(tmp_path / "9", **{name: lines(3, "2021-04-09") for name in NAMES}))
    older = night(tmp_path / "8", **{name: lines(3, "2021-04-08") for name in NAMES})
    with pytest.raises(ImplausibleError) as refused:
        load(postgres, older)
    assert refused.value.tables == NAMES
    assert "course_dim  up to 2021-04-09 08:00:02  up to 2021-04-08 08:00:02  older" in str(refused.value)
    assert rows(database, "select max(updated_at)::date::text from course_dim") == [("2021-04-09",)]
    # A night in which the newest course was deleted and somebody logged in is newer all the same.
    load(postgres, night(tmp_path / "10", course_dim=lines(2, "2021-04-09"), term_dim=lines(3, "2021-04-09"),
                         user_dim=lines(3, "2021-04-10")))  # fmt: skip


def test_with_many_tables_the_hint_names_them_all_by_one_word(postgres: Settings, tmp_path: Path) -> None:
    many = [f"table_{n}_dim" for n in range(6)]
    load(postgres, night(tmp_path / "1", **{name: lines(2) for name in many}))
    with pytest.raises(ImplausibleError) as refused:
        load(postgres, night(tmp_path / "2", **dict.fromkeys(many, b"")))
    assert refused.value.hint().endswith("udecdash-updater run --accept all")


def test_unpacked_files_that_are_as_long_as_an_earlier_nights_are_no_older_dump(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    for folder, names in (("1", "ab"), ("2", "abc"), ("3", "xy")):
        unpacked = tmp_path / folder
        columns = [("id", "bigint"), ("canvas_id", "bigint"), ("name", "varchar")]
        mini_dump(unpacked, {"course_dim": columns}, {})
        body = "".join(f"{n}\t{n}\t{name}\n" for n, name in enumerate(names))
        (unpacked / "course_dim.txt").write_text(f"id\tcanvas_id\tname\n{body}")
        load(postgres, unpacked, unpacked=unpacked)
    assert rows(database, "select name from course_dim order by id") == [("x",), ("y",)]

"""The load on a real PostgreSQL: every line accounted for, every row as it was sent, and nothing half done."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2's class has a lower-case name

from tests import truth
from tests.dumps import ITEM, request_dump, request_line
from tests.nights import load, make_nights, mini_dump, process, write_archive
from tests.nights import truth as told
from tests.support import connect
from udecdash_updater import dashboard, dump, ledger, requests, tables
from udecdash_updater.errors import DatabaseError, DumpError
from udecdash_updater.options import RunOptions
from udecdash_updater.settings import Settings


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    return make_nights(tmp_path_factory.mktemp("nights"), [1, 2])


def rows(database: Connection, query: str) -> list[tuple[Any, ...]]:
    with database.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()


def reconciled(database: Connection) -> list[tuple[Any, ...]]:
    """Files whose lines are not all accounted for (the ledger itself refuses them, so: none), and the sums."""
    return rows(
        database,
        "select sum(lines), sum(loaded), sum(filtered), sum(repeated), sum(rejected) from udecdash.files",
    )


def test_a_night_into_an_empty_database_gives_every_figure_of_its_truth(
    postgres: Settings, database: Connection, nights: dict[int, Path]
) -> None:
    loaded = load(postgres, nights[1] / "dataFiles")
    assert process(postgres, loaded.run) > 0
    assert truth.wrong_night(database, told(nights[1])) == []


def test_two_nights_in_turn_give_the_cumulative_figures_and_a_repeated_one_changes_nothing(
    postgres: Settings, database: Connection, nights: dict[int, Path]
) -> None:
    for night in (nights[1], nights[2]):
        process(postgres, load(postgres, night / "dataFiles").run)
    assert truth.wrong_cumulative(database, told(nights[2])) == []
    before = rows(database, "select id, error_label from unprocessable_interactions order by id")
    again = load(postgres, nights[2] / "dataFiles")
    process(postgres, again.run)
    assert {(p.new, p.changed, p.gone) for p in again.published.values()} == {(0, 0, 0)}
    assert again.requests.new == 0
    assert truth.wrong_cumulative(database, told(nights[2])) == []
    assert rows(database, "select id, error_label from unprocessable_interactions order by id") == before


def test_unresolved_requests_of_the_night_before_resolve_when_their_resource_comes(
    postgres: Settings, database: Connection, nights: dict[int, Path]
) -> None:
    process(postgres, load(postgres, nights[1] / "dataFiles").run)
    first = {row[0] for row in rows(database, "select log::json->>'id' from unprocessable_interactions")}
    process(postgres, load(postgres, nights[2] / "dataFiles").run)
    second = {row[0] for row in rows(database, "select log::json->>'id' from unprocessable_interactions")}
    assert first - second
    assert len(second) == told(nights[2])["cumulative"]["unprocessable_distinct_ids"]


def test_local_id_grows_in_load_order_files_by_their_earliest_timestamp_then_line(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    def line(name: str, time: str) -> bytes:
        return request_line(id=name, timestamp=time)

    late = line("c", "2021-04-02 10:00:00") + line("d", "2021-04-02 09:00:00")
    early = line("b", "2021-04-01 23:00:00") + line("a", "2021-04-01 22:00:00")
    dump = request_dump(tmp_path, {"requests-00000-aa.gz": late, "requests-00000-bb.gz": early})
    load(postgres, dump)
    assert [row[0] for row in rows(database, "select id from requests order by local_id")] == ["b", "a", "c", "d"]


def test_a_regrown_a_regrouped_and_a_renamed_file_add_only_what_is_new(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    a, b, c = (request_line(id=name, timestamp=f"2021-04-0{n} 10:00:00") for n, name in enumerate("abc", start=1))
    first = load(postgres, request_dump(tmp_path / "1", {"requests-00000-1.gz": a + b}))
    regrown = load(postgres, request_dump(tmp_path / "2", {"requests-00000-1.gz": a + b + c}))
    renamed = load(postgres, request_dump(tmp_path / "3", {"requests-00000-2.gz": c + a, "requests-00000-3.gz": b + b}))
    assert [first.requests.new, regrown.requests.new, renamed.requests.new] == [2, 1, 0]
    assert rows(database, "select id from requests order by local_id") == [("a",), ("b",), ("c",)]
    known = load(postgres, tmp_path / "3")
    assert (known.requests.new, known.requests.skipped, known.requests.counts) == (0, 2, ())


def test_first_data_update_reads_known_files_again_and_still_loads_each_request_once(
    postgres: Settings, tmp_path: Path
) -> None:
    dump = request_dump(tmp_path, {"requests-00000-1.gz": request_line(id="a")})
    assert load(postgres, dump).requests.new == 1
    again = load(postgres, dump, compare=False)
    assert [(count.lines, count.loaded, count.repeated) for count in again.requests.counts] == [(1, 0, 1)]


def test_an_escaped_dot_at_the_end_of_a_line_is_a_dot_and_ends_nothing(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    text = [("id", "bigint"), ("canvas_id", "bigint"), ("name", "text")]
    lines = b"1\t1\ta\n2\t2\tfoo\\.\n3\t3\tc\n4\t4\td\\\\.\n"
    load(postgres, mini_dump(tmp_path / "d", {"item_dim": text}, {"item_dim": {"item_dim-1.gz": lines}}))
    assert rows(database, "select name from item_dim order by id") == [("a",), ("foo.",), ("c",), ("d\\.",)]
    assert reconciled(database) == [(4, 4, 0, 0, 0)]


def test_reasons_of_rejects_hold_no_content(postgres: Settings, database: Connection, tmp_path: Path) -> None:
    lines = b"1\tcanary\tx\ttrue\t\\N\n2\t2\tx\tcanary\t\\N\n3\t3\tx\ttrue\tcanary\n"
    load(postgres, mini_dump(tmp_path / "d", {"item_dim": ITEM}, {"item_dim": {"item_dim-1.gz": lines}}))
    reasons = [reason for (reason,) in rows(database, "select reason from udecdash.rejects order by line")]
    assert len(reasons) == 3
    assert not [reason for reason in reasons if "canary" in reason]
    assert [reason.split(":")[0] for reason in reasons] == ["canvas_id", "on_sale", "made"]


def test_a_file_of_crlf_lines_loads_without_its_carriage_returns(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    text = [("id", "bigint"), ("canvas_id", "bigint"), ("name", "text")]
    mixed = b"1\t1\ta\r\n2\t2\tb\n3\t3\tc\r\n"
    files = {"item_dim": {"item_dim-1.gz": mixed}, "other_dim": {"other_dim-1.gz": mixed.replace(b"b\n", b"b\r\n")}}
    load(postgres, mini_dump(tmp_path / "d", {"item_dim": text, "other_dim": text}, files))
    for table in ("item_dim", "other_dim"):
        assert rows(database, f"select name from {table} order by id") == [("a",), ("b",), ("c",)]


def test_more_rejects_than_allowed_stop_the_night_before_anything_is_published(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    strict = postgres.model_copy(update={"max_rejected_rows": 2})
    good = mini_dump(tmp_path / "1", {"item_dim": ITEM}, {"item_dim": {"item_dim-1.gz": b"1\t1\tx\ttrue\t\\N\n"}})
    load(strict, good)
    bad = mini_dump(tmp_path / "2", {"item_dim": ITEM}, {"item_dim": {"item_dim-2.gz": b"\\.\n" * 3}})
    with pytest.raises(DumpError, match=r"item_dim-2\.gz, line 1"):
        load(strict, bad)
    assert rows(database, "select id, name from item_dim") == [(1, "x")]


def test_repeated_rows_across_files_are_loaded_once_and_the_first_in_file_order_wins(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    files = {"item_dim-0.gz": b"1\t1\tfirst\ttrue\t\\N\n", "item_dim-1.gz": b"1\t1\tlater\ttrue\t\\N\n" * 2}
    load(postgres, mini_dump(tmp_path / "d", {"item_dim": ITEM}, {"item_dim": files}))
    assert rows(database, "select name from item_dim") == [("first",)]
    assert rows(database, "select file_name, repeated from udecdash.files order by 1") == [
        ("item_dim-0.gz", 0),
        ("item_dim-1.gz", 2),
    ]


def test_rows_change_vanish_and_swap_their_unique_values_and_untouched_ones_stay_untouched(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    def night(name: str, *lines: str) -> Path:
        content = "".join(f"{line}\ttrue\t\\N\n" for line in lines).encode()
        return mini_dump(tmp_path / name, {"item_dim": ITEM}, {"item_dim": {f"item_dim-{name}.gz": content}})

    load(postgres, night("1", "1\t1\tstays", "2\t2\tswaps", "3\t3\tswaps", "4\t4\tchanges", "5\t5\tgoes"))
    places = dict(rows(database, "select id, ctid::text from item_dim"))
    done = load(postgres, night("2", "1\t1\tstays", "2\t3\tswaps", "3\t2\tswaps", "4\t4\tchanged", "6\t6\tcomes"))
    one = done.published["item_dim"]
    assert (one.rows, one.new, one.changed, one.gone) == (5, 1, 3, 1)
    assert rows(database, "select id, canvas_id, name from item_dim order by id") == [
        (1, 1, "stays"),
        (2, 3, "swaps"),
        (3, 2, "swaps"),
        (4, 4, "changed"),
        (6, 6, "comes"),
    ]
    assert dict(rows(database, "select id, ctid::text from item_dim"))[1] == places[1]


def test_a_table_without_a_key_is_a_multiset(postgres: Settings, database: Connection, tmp_path: Path) -> None:
    name, columns = "learning_outcome_group_association_fact", [("learning_outcome_id", "bigint"), ("a", "bigint")]
    for number, content in enumerate([b"1\t\\N\n1\t\\N\n2\t2\n", b"1\t\\N\n2\t2\n2\t2\n3\t3\n"]):
        folder = tmp_path / str(number)
        done = load(postgres, mini_dump(folder, {name: columns}, {name: {f"{name}-{number}.gz": content}}))
    one = done.published[name]
    assert (one.rows, one.new, one.changed, one.gone) == (4, 2, 0, 1)
    found = rows(database, f"select learning_outcome_id, a from {name} order by 1")
    assert found == [(1, None), (2, 2), (2, 2), (3, 3)]


def test_a_found_table_with_enums_views_grants_and_columns_of_its_own_is_loaded_as_well(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    with database.cursor() as cursor:
        cursor.execute(
            "create type item_on_sale as enum ('False', 'True'); create type item_state as enum ('active');"
            "create table item_dim (id bigint primary key, canvas_id bigint unique, name varchar(256),"
            " on_sale item_on_sale, made timestamp(3), state item_state, extra_1 varchar(9) default 'kept');"
            "create view cheap as select id from item_dim where on_sale = 'True'"
        )
    columns = [*ITEM, ("state", "enum")]
    lines = b"1\t1\tx\ttrue\t\\N\tactive\n2\t2\ty\tfalse\t\\N\tfailed_to_import\n3\t3\tz\t\\N\t\\N\tdeleted\n"
    load(postgres, mini_dump(tmp_path / "1", {"item_dim": columns}, {"item_dim": {"item_dim-1.gz": lines}}))
    found = rows(database, "select id, on_sale::text, state::text, extra_1 from item_dim order by id")
    assert found == [
        (1, "True", "active", "kept"),
        (2, "False", "failed_to_import", "kept"),
        (3, None, "deleted", "kept"),
    ]
    assert rows(database, "select id from cheap") == [(1,)]
    again = load(postgres, tmp_path / "1").published["item_dim"]
    assert (again.new, again.changed, again.gone) == (0, 0, 0)


def test_a_column_that_a_dump_gains_is_added_and_one_that_it_moves_is_not_shifted(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    load(postgres, mini_dump(tmp_path / "1", {"item_dim": ITEM}, {"item_dim": {"a.gz": b"1\t1\tx\ttrue\t\\N\n"}}))
    moved = [ITEM[1], ITEM[0], ("weight", "int"), *ITEM[2:]]
    load(postgres, mini_dump(tmp_path / "2", {"item_dim": moved}, {"item_dim": {"b.gz": b"7\t1\t5\tx\ttrue\t\\N\n"}}))
    assert rows(database, "select id, canvas_id, weight, name from item_dim") == [(1, 7, 5, "x")]


def test_a_cut_archive_never_publishes_a_part(postgres: Settings, database: Connection, tmp_path: Path) -> None:
    dump = mini_dump(tmp_path / "d", {"item_dim": ITEM}, {})
    path = write_archive(dump / "item_dim" / "a.gz", b"".join(b"%d\t%d\tx\ttrue\t\\N\n" % (n, n) for n in range(999)))
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DumpError, match=r"a\.gz"):
        load(postgres, dump)
    assert rows(database, "select to_regclass('item_dim')") == [(None,)]


def test_a_requests_table_that_was_emptied_begins_anew_and_loses_no_interaction(
    postgres: Settings, database: Connection, nights: dict[int, Path]
) -> None:
    process(postgres, load(postgres, nights[1] / "dataFiles").run)
    with database.cursor() as cursor:
        cursor.execute("truncate requests restart identity; truncate quiz_interactions")
    again = load(postgres, nights[1] / "dataFiles", compare=False)
    assert process(postgres, again.run) > 0
    assert truth.wrong_night(database, told(nights[1])) == []


def test_digits_beyond_milliseconds_are_cut_not_rounded(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    line = request_line(timestamp="2021-04-01 10:00:59.999999")
    load(postgres, request_dump(tmp_path, {"requests-1.gz": line}))
    assert rows(database, "select timestamp::text from requests") == [("2021-04-01 10:00:59.999",)]


def test_requests_that_a_found_table_holds_twice_are_left_and_told(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    with database.cursor() as cursor:
        cursor.execute(
            "create table requests (local_id bigserial primary key, id varchar(36), timestamp timestamp(3),"
            " user_id bigint, course_id bigint, quiz_id bigint, discussion_id bigint, conversation_id bigint,"
            " assignment_id bigint, url text, user_agent text);"
            "insert into requests (id, timestamp) select 'a', '2021-04-01 10:00:00' from generate_series(1, 2)"
        )
    content = request_line(id="a") + request_line(id="b")
    assert load(postgres, request_dump(tmp_path, {"requests-1.gz": content})).requests.new == 1
    assert rows(database, "select id, count(*) from requests group by 1 order by 1") == [("a", 2), ("b", 1)]


def test_a_run_that_lost_its_lock_to_another_one_publishes_nothing_more(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    asked = request_dump(tmp_path, {"requests-1.gz": request_line(id="a")})
    book = ledger.open_run(postgres)
    dashboard.prepare(postgres)
    ours = "datname = current_database() and application_name like '% ledger'"
    rows(database, f"select pg_terminate_backend(pid) from pg_stat_activity where {ours}")
    other = ledger.open_run(postgres)
    found = dump.read(asked)
    for doing in (
        lambda: tables.load(postgres, found, book.run, RunOptions()),
        lambda: requests.load(postgres, found, found.files["requests"], book.run),
    ):
        with pytest.raises(DatabaseError, match="another run has begun"):
            doing()
    assert rows(database, "select to_regclass('course_dim'), (select count(*) from requests)") == [(None, 0)]
    other.close()
    book.close()


def test_who_reads_for_long_holds_no_night_up_and_goes_on_seeing_yesterday(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    def night(number: int) -> Path:
        lines = b"".join(b"%d\tof night %d\n" % (n, number) for n in range(number, number + 3))
        columns = [("id", "bigint"), ("name", "varchar")]
        return mini_dump(tmp_path / str(number), {"item_dim": columns}, {"item_dim": {f"item_dim-{number}.gz": lines}})

    look = "select id, name from item_dim order by id"
    load(postgres, night(1))
    before = [(n, "of night 1") for n in (1, 2, 3)]
    with contextlib.closing(connect(postgres)) as reader:
        reader.set_session(isolation_level="REPEATABLE READ")
        assert rows(reader, look) == before
        load(postgres, night(2), accept=["item_dim"])
        assert rows(database, look) == [(n, "of night 2") for n in (2, 3, 4)]
        assert rows(reader, look) == before

"""Requests that a found table refuses only when they are written: rejects with their lines, in every load."""

from __future__ import annotations

from pathlib import Path

import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2's class has a lower-case name

from tests import dap_nights
from tests.dumps import request_dump, request_line
from tests.installation import execute, rows
from tests.integration.test_dap_load_changes import LOG, logged, snapshot
from tests.integration.test_load_requests import FOUND, WAYS, take
from tests.nights import load
from udecdash_updater.errors import DumpError, TableError
from udecdash_updater.settings import Settings

NO = (
    "create function no() returns trigger language plpgsql as $$ begin"
    " if new.course_id = 8 then raise exception 'not %', new.url; end if; return new; end $$;"
)
KNOWN = "create table known (id bigint primary key); insert into known values (7); alter table requests"
# Each refuses the requests of course 8.
REFUSING = {
    "foreign key": (f"{FOUND}; {KNOWN} add constraint a_course foreign key (course_id) references known",
                    "foreign key violation (23503) at a_course"),
    "deferred key": (f"{FOUND}; {KNOWN} add constraint a_course foreign key (course_id) references known"
                     " initially deferred", "foreign key violation (23503) at a_course"),
    "check of a row": (f"{FOUND}; alter table requests add constraint whole check (requests.* is distinct from null"
                       " and (requests).course_id <> 8)", "check violation (23514) at whole"),
    "check of its own": (f"{FOUND}; alter table requests add mine bigint default 8;"
                         "alter table requests add constraint own check (course_id <> mine)",
                         "check violation (23514) at own"),
    "exclusion": (f"{FOUND}; alter table requests add constraint apart exclude (quiz_id with =)",
                  "exclusion violation (23P01) at apart"),
    "trigger before": (f"{FOUND}; {NO} create trigger no before insert on requests for each row execute function no()",
                       "raise exception (P0001)"),
    "trigger after": (f"{FOUND}; {NO} create constraint trigger no after insert on requests initially deferred"
                      " for each row execute function no()", "raise exception (P0001)"),
    "partition": (f"{FOUND} partition by list (course_id); create table a_few partition of requests for values in (7)",
                  "check violation (23514): no partition takes it"),
}  # fmt: skip


@pytest.fixture(params=WAYS, ids=["streams", "here"])
def _each_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    take(monkeypatch, request.param)


def night(folder: Path, number: int) -> Path:
    """Two files of three requests each, of which the second one is of course 8; it and the third have quiz 9."""

    def line(key: str, minute: int, **more: str) -> bytes:
        return request_line(id=f"{number}-{key}", timestamp=f"2021-04-0{number} 10:{minute:02d}:00", **more)

    odd = [line("x", 1, course_id="8", quiz_id="9"), line("y", 3, course_id="8", quiz_id="9")]
    files = {
        f"{number}-1.gz": line("a", 0) + odd[0] + line("b", 2),
        f"{number}-2.gz": odd[1] + line("c", 4) + line("a", 0),
    }
    return request_dump(folder / str(number), files)


@pytest.mark.usefixtures("_each_way")
@pytest.mark.parametrize("refuses", REFUSING)
def test_requests_that_a_found_table_refuses_are_rejects_with_their_lines_in_a_first_load_and_in_later_ones(
    postgres: Settings, database: Connection, tmp_path: Path, refuses: str
) -> None:
    made, why = REFUSING[refuses]
    execute(database, made)
    if refuses == "exclusion":  # it refuses the second of two, so here is a first one
        first = request_line(id="0", timestamp="2021-03-01 10:00:00", quiz_id="9")
        load(postgres, request_dump(tmp_path / "0", {"0.gz": first}))
        execute(database, "delete from udecdash.files")
    for number in (1, 2):
        run = load(postgres, night(tmp_path, number)).run
        told = f"select file_name, line, reason from udecdash.rejects where run_id = {run} order by 1"
        assert rows(database, told) == [(f"{number}-1.gz", 2, why), (f"{number}-2.gz", 1, why)]
        counted = (
            f"select lines, loaded, repeated, rejected from udecdash.files where run_id = {run} order by file_name"
        )
        assert rows(database, f"{counted}") == [(3, 2, 0, 1), (3, 1, 1, 1)]
    arrived = [key for (key,) in rows(database, "select id from requests where id <> '0' order by local_id")]
    assert arrived == ["1-a", "1-b", "1-c", "2-a", "2-b", "2-c"]


@pytest.mark.usefixtures("_each_way")
def test_more_refused_requests_than_may_be_left_out_end_a_later_night_and_nothing_of_it_is_there(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    load(postgres, request_dump(tmp_path / "1", {"1.gz": request_line(id="a")}))
    execute(database, "alter table requests add mine bigint default 8, add constraint own check (course_id <> mine)")
    lines = [request_line(id=str(n), course_id="8" if n % 2 else "7") for n in range(40)]
    few = postgres.model_copy(update={"max_rejected_rows": 3})
    with pytest.raises(DumpError, match=r"(?s)More than 3 lines cannot be loaded.*2.gz, line 2: check violation"):
        load(few, request_dump(tmp_path / "2", {"2.gz": b"".join(lines)}))
    assert rows(database, "select id from requests") == [("a",)]
    enough = postgres.model_copy(update={"max_rejected_rows": 20})
    done = load(enough, request_dump(tmp_path / "3", {"2.gz": b"".join(lines)})).requests
    assert (done.new, [reject.line for reject in done.rejects]) == (20, list(range(2, 41, 2)))


def test_lines_of_canvas_data_2_that_a_found_table_of_requests_refuses_are_rejects_too(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    execute(database, f"{FOUND}; alter table requests add mine bigint default 8, add check (course_id <> mine)")
    snapshot(tmp_path, 1)
    for night in (1, 2):
        lines = [logged(night), logged(night + 2, course_id="8"), logged(night + 4)]
        dap_nights.put(tmp_path, "canvas_logs.web_logs", ["\t".join(LOG), *lines], night=night)
        done = dap_nights.load(postgres, tmp_path).requests
        assert (done.new, [reject.line for reject in done.rejects]) == (2, [2])


DROPS = "create function drops() returns trigger language plpgsql as $$ begin"
# Each drops the requests of course 8 without a word.
DROPPING = {
    "before": f"{DROPS} if new.course_id = 8 then return null; end if; return new; end $$;"
              "create trigger drops before insert on requests for each row execute function drops()",
    "after": f"{DROPS} delete from requests where course_id = 8; return null; end $$;"
             "create trigger drops after insert on requests for each statement execute function drops()",
    "rule": "create rule drops as on insert to requests where new.course_id = 8 do instead nothing",
}  # fmt: skip


@pytest.mark.usefixtures("_each_way")
@pytest.mark.parametrize("drops", DROPPING)
def test_a_trigger_or_rule_that_drops_requests_is_named_with_what_to_do_and_nothing_is_loaded(
    postgres: Settings, database: Connection, tmp_path: Path, drops: str
) -> None:
    execute(database, f"{FOUND}; {DROPPING[drops]}")
    for number in (1, 2):
        if drops == "rule" and number == 1:  # COPY knows no rules, so a first load is whole
            continue
        if number == 2:
            load(postgres, request_dump(tmp_path / "0", {"0.gz": request_line(id="0")}))
        there = rows(database, "select id from requests")
        with pytest.raises(TableError, match=r"requests took [2-4] of [35] rows") as refused:
            load(postgres, night(tmp_path, number))
        kind = "rule" if drops == "rule" else "trigger"
        assert f"alter table requests disable {kind} drops;" in refused.value.hint()
        assert rows(database, "select id from requests") == there


@pytest.mark.usefixtures("_each_way")
def test_ids_may_be_uuids_in_a_found_table(postgres: Settings, database: Connection, tmp_path: Path) -> None:
    execute(database, FOUND.replace("id varchar(36)", "id uuid"))
    execute(database, "alter table requests add mine bigint default 8, add check (course_id <> mine)")
    keys = [f"0000000{letter}-0000-4000-8000-000000000000" for letter in "abcd"]
    for number in (1, 2):
        asked = [request_line(id=key, course_id="8" if key == keys[1] else "7") for key in keys[: number + 2]]
        done = load(postgres, request_dump(tmp_path / str(number), {f"{number}.gz": b"".join([*asked, asked[0]])}))
        assert [reject.line for reject in done.requests.rejects] == [2]
    assert rows(database, "select id::text from requests order by local_id") == [(keys[n],) for n in (0, 2, 3)]


def test_a_found_table_of_requests_that_lacks_columns_is_told(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    execute(database, f"{FOUND}; alter table requests drop user_agent, drop quiz_id")
    with pytest.raises(TableError, match="requests in DB_SCHEMA lacks the columns quiz_id, user_agent"):
        load(postgres, request_dump(tmp_path, {"1.gz": request_line(id="a")}))

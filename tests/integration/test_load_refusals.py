"""Found tables that refuse rows only when they are written, or cannot be filled at all: rejects, or a clear no."""

from __future__ import annotations

from pathlib import Path

import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2's class has a lower-case name

from tests.installation import execute, rows
from tests.nights import load, mini_dump
from udecdash_updater import check_database, db, obstacles
from udecdash_updater.errors import DumpError, TableError
from udecdash_updater.settings import Settings

COLUMNS = [("id", "bigint"), ("other_id", "bigint"), ("name", "varchar")]
MADE = "(id bigint primary key, other_id bigint, name varchar(256)"
_ALL = "insert into {} values (1, 1, 'a'), (2, 2, 'b'), (3, 3, 'goes');"
SOUND = "1,1,A 2,2,b 4,4,d"


def night(folder: Path, **tables: str) -> Path:
    """A dump of these tables; a comma stands for each tab, a blank between lines, and a bar between files."""
    contents = {
        name: {
            f"{name}-{number}-{folder.name}.gz": (part.replace(",", "\t").replace(" ", "\n") + "\n").encode()
            for number, part in enumerate(text.split("|"))
        }
        for name, text in tables.items()
    }
    return mini_dump(folder, dict.fromkeys(tables, COLUMNS), contents)


def ids(database: Connection, table: str) -> list[int]:
    return [row[0] for row in rows(database, f"select id from {table} order by id")]


# Each table refuses the row with the key 7, and takes the rest.
REFUSING = {
    "excluding_dim": ("create table {0} " + MADE + ", constraint apart exclude (name with =));",
                      "7,7,d", "exclusion violation (23P01) at apart"),
    "whole_dim": ("create table {0} " + MADE + "); alter table {0} add constraint whole check ({0} is not null);",
                  r"7,7,\N", "check violation (23514) at whole"),
    "own_dim": ("create table {0} " + MADE + ", mine text default 'x', constraint own check (name <> mine));",
                "7,7,x", "check violation (23514) at own"),
    "computed_dim": ("create table {0} " + MADE + ", part bigint generated always as (10 / (other_id - 7)) stored);",
                     "7,7,e", "division by zero (22012)"),
    "parted_dim": ("create table {0} " + MADE + ") partition by range (id);"
                   "create table few partition of {0} for values from (0) to (5);", "7,7,e",
                   "check violation (23514): no partition takes it"),
    "local_dim": ("create table {0} " + MADE + ") partition by range (id);"
                  "create table all_of_them partition of {0} for values from (0) to (9);"
                  "create unique index once on all_of_them (name);", "7,7,d", "unique violation (23505) at once"),
    "triggered_dim": ("create table {0} " + MADE + "); create function no() returns trigger language plpgsql as"
                      " $$ begin if new.id = 7 then raise exception 'not %', new.name; end if; return new; end $$;"
                      "create trigger no before insert on {0} for each row execute function no();",
                      "7,7,secret", "raise exception (P0001)"),
}  # fmt: skip
NULLS = ("create table nulls_dim (id bigint primary key, other_id bigint unique nulls not distinct, name text);",
         r"5,\N,e 7,\N,f", "unique violation (23505) at nulls_dim_other_id_key")  # fmt: skip


@pytest.mark.parametrize("full", [True, False], ids=["full", "empty"])
def test_a_row_that_the_table_refuses_when_it_is_written_is_a_reject_with_its_line_and_the_others_arrive(
    postgres: Settings, database: Connection, tmp_path: Path, full: bool
) -> None:
    shapes = REFUSING | ({"nulls_dim": NULLS} if database.server_version >= 150000 else {})
    for table, (made, _, _) in shapes.items():
        execute(database, made.format(table) + (_ALL.format(table) if full else ""))
    load(postgres, night(tmp_path / "1", **{table: f"{SOUND}|{bad}" for table, (_, bad, _) in shapes.items()}))
    for table in shapes:
        assert ids(database, table) == ([1, 2, 4, 5] if table == "nulls_dim" else [1, 2, 4]), table
    told = rows(database, "select table_name, file_name, line, reason from udecdash.rejects order by table_name")
    assert told == [
        (table, f"{table}-1-1.gz", 2 if table == "nulls_dim" else 1, shapes[table][2]) for table in sorted(shapes)
    ]
    unequal = "select * from udecdash.files where lines <> loaded + filtered + repeated + rejected"
    assert rows(database, unequal) == []


def test_more_refused_rows_than_may_be_left_out_end_the_night_before_anything_is_published(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    execute(database, f"create table item_dim {MADE} check (id < 100)); {_ALL.format('item_dim')}")
    execute(database, "alter table item_dim add mine int not null default 0 check (mine = 0 and other_id < 5)")
    few = postgres.model_copy(update={"max_rejected_rows": 2})
    with pytest.raises(DumpError, match=r"(?s)More than 2 lines cannot be loaded.*item_dim-0-1.gz, line 4: check viol"):
        load(few, night(tmp_path / "1", item_dim=f"{SOUND} 5,5,e 6,6,f 7,7,g"))
    assert ids(database, "item_dim") == [1, 2, 3]


def test_a_night_by_lines_finds_what_the_table_refuses_and_so_do_the_nights_after_it(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    many = " ".join(f"{number},{number},n" for number in range(10, 200))
    load(postgres, night(tmp_path / "1", item_dim=f"{SOUND} {many}"))
    execute(database, "alter table item_dim add mine text default 'x'; alter table item_dim add check (name <> mine)")
    load(postgres, night(tmp_path / "2", item_dim=f"{SOUND} {many}"))
    for number in (3, 4):
        load(postgres, night(tmp_path / str(number), item_dim=f"1,1,{number} 2,2,x 4,4,d 5,5,x {many}"))
        assert rows(database, "select id, name from item_dim where id < 10") == [(4, "d"), (1, str(number))]
        assert rows(database, f"select line from udecdash.rejects where run_id = {number}") == [(2,), (4,)]
    load(postgres, night(tmp_path / "5", item_dim=f"1,1,4 2,2,b 4,4,d 5,5,e {many}"))
    assert ids(database, "item_dim")[:4] == [1, 2, 4, 5]


def test_tables_that_refer_to_each_other_change_together_and_rows_that_refer_to_nothing_are_rejects(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    execute(database, f"create table parent_dim {MADE}); create table kid_dim {MADE}); create table toy_dim {MADE});"
            "alter table kid_dim add constraint parent foreign key (other_id) references parent_dim;"
            "alter table toy_dim add constraint kid foreign key (other_id) references kid_dim")  # fmt: skip
    first = load(postgres, night(tmp_path / "1", parent_dim="1,1,a 2,1,b", kid_dim="1,1,a 2,2,b", toy_dim="1,2,t"))
    assert first.drift == ("kid_dim: its foreign key parent was made deferrable",
                           "toy_dim: its foreign key kid was made deferrable")  # fmt: skip
    load(postgres, night(tmp_path / "2", parent_dim="2,1,b 3,1,c", kid_dim="2,2,b 3,3,c", toy_dim="1,3,t"))
    assert rows(database, "select count(*) from udecdash.rejects") == [(0,)]
    # The kid 2 loses its parent, so the toy 1 loses its kid.
    lost = {"parent_dim": "3,1,c", "kid_dim": "2,2,b 3,3,c", "toy_dim": "1,2,t 2,3,u"}
    done = load(postgres, night(tmp_path / "3", **lost)).published
    assert (ids(database, "kid_dim"), ids(database, "toy_dim")) == ([3], [2])
    assert rows(database, "select table_name, line, reason from udecdash.rejects order by 1") == [
        ("kid_dim", 1, "foreign key violation (23503) at parent"),
        ("toy_dim", 1, "foreign key violation (23503) at kid"),
    ]
    assert [(one.rows, one.new, one.changed, one.gone) for one in done.values()] == [(1, 0, 0, 1)] * 2 + [(1, 1, 0, 1)]


@pytest.mark.parametrize("way", ["all", "lines"])
def test_of_a_long_chain_of_rows_each_is_a_reject_when_the_first_refers_to_nothing(
    postgres: Settings, database: Connection, tmp_path: Path, way: str
) -> None:
    execute(database, f"create table item_dim {MADE}, constraint above foreign key (other_id) references item_dim)")
    chain = [f"{number},{number - 1},n" for number in range(1000, 1030)]
    sound = ["1,1,a", *MANY] if way == "lines" else ["1,1,a"]
    load(postgres, night(tmp_path / "1", item_dim=" ".join(sound)))
    run = load(postgres, night(tmp_path / "2", item_dim=" ".join([*sound, *chain]))).run
    assert len(ids(database, "item_dim")) == len(sound)
    told = rows(database, f"select line, reason from udecdash.rejects where run_id = {run} order by line")
    assert told == [(len(sound) + n, "foreign key violation (23503) at above") for n in range(1, 31)]


def test_what_the_dashboard_hangs_on_a_row_stays_when_the_row_changes_and_goes_with_it_only_by_its_own_rule(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    columns = [("id", "bigint"), ("canvas_id", "bigint")]

    def items(number: int, text: str) -> None:
        content = {f"item_dim-{number}.gz": (text.replace(",", "\t").replace(" ", "\n") + "\n").encode()}
        load(postgres, mini_dump(tmp_path / str(number), {"item_dim": columns}, {"item_dim": content}))

    items(1, "1,1 2,2 3,3")
    execute(
        database, "create table star (id bigint references item_dim on delete cascade); insert into star values (1)"
    )
    items(2, "1,10 2,2 3,3")
    assert rows(database, "select canvas_id, s.id from item_dim join star s using (id)") == [(10, 1)]
    items(3, "1,2 2,10 3,3")  # a swap that must not take away what hangs on the rows
    assert rows(database, "select canvas_id, s.id from item_dim join star s using (id)") == [(2, 1)]
    assert rows(database, "select count(*) from udecdash.rejects") == [(0,)]
    items(4, "2,2 3,3")
    assert rows(database, "select id from star") == []
    execute(database, "create table pin (id bigint constraint pinned references item_dim); insert into pin values (3)")
    with pytest.raises(TableError, match=r"foreign key violation \(23503\) at pinned of pin") as refused:
        items(5, "2,2 4,4")
    assert "on deletion" in refused.value.hint()
    assert ids(database, "item_dim") == [2, 3]


KEYLESS = "learning_outcome_group_association_fact"
REFUSING_ROWS = {
    "check": "alter table {0} add mine text default 'x', add constraint own check (name <> mine);",
    "trigger": "create function no() returns trigger language plpgsql as $$ begin"
               " if new.name = 'x' then raise exception 'not %', new.name; end if; return new; end $$;"
               "create trigger no before insert on {0} for each row execute function no();",
    "key": "create table letter (name text primary key); insert into letter values ('a'), ('b'), ('c');"
           "alter table {0} add constraint known foreign key (name) references letter (name);",
    "null": "alter table {0} alter name set not null;",
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSING_ROWS)
@pytest.mark.parametrize("before", ["empty", "full", "lines"])
def test_a_table_without_a_key_takes_all_rows_but_those_that_it_refuses(
    postgres: Settings, database: Connection, tmp_path: Path, kind: str, before: str
) -> None:
    execute(database, f"create table {KEYLESS} (id bigint, other_id bigint, name text)")
    many = [f"{number},1,a" for number in range(10, 200)] if before == "lines" else []
    if before != "empty":
        load(postgres, night(tmp_path / "1", **{KEYLESS: " ".join(["1,1,a 2,2,b 2,2,b", *many])}))
    execute(database, REFUSING_ROWS[kind].format(KEYLESS))
    if before == "lines":
        load(postgres, night(tmp_path / "2", **{KEYLESS: " ".join(["1,1,a 2,2,b 2,2,b", *many])}))
    bad = r"\N" if kind == "null" else "x"
    text = " ".join([f"1,1,a 2,2,b 4,4,{bad} 2,2,b 2,2,b|5,5,{bad} 3,3,c 4,4,{bad}", *many])
    load(postgres, night(tmp_path / "3", **{KEYLESS: text}))
    held = rows(database, f"select id, name from {KEYLESS} where id < 10 order by id")
    assert held == [(1, "a"), (2, "b"), (2, "b"), (2, "b"), (3, "c")]
    assert rows(database, "select file_name, line from udecdash.rejects order by 1, 2") == [
        (f"{KEYLESS}-0-3.gz", 3), (f"{KEYLESS}-1-3.gz", 1), (f"{KEYLESS}-1-3.gz", 3)
    ]  # fmt: skip
    unequal = "select * from udecdash.files where lines <> loaded + filtered + repeated + rejected"
    assert rows(database, unequal) == []


MANY = [f"{number},{number},n" for number in range(10, 200)]  # so many that the second night goes by lines


@pytest.mark.parametrize("way", ["all", "lines"])
def test_rows_that_swap_unique_values_stay_where_they_are_beside_one_that_the_table_refuses(
    postgres: Settings, database: Connection, tmp_path: Path, way: str
) -> None:
    execute(database, "create table item_dim (id bigint primary key, other_id bigint unique, name text);"
            "create table star (id bigint references item_dim on delete cascade)")  # fmt: skip
    many = MANY if way == "lines" else []
    load(postgres, night(tmp_path / "1", item_dim=" ".join(["1,1,a 2,2,b 3,3,c 4,4,d", *many])))
    execute(database, "insert into star select id from item_dim;"
            "alter table item_dim add mine text default 'x', add check (name <> mine)")  # fmt: skip
    if many:
        load(postgres, night(tmp_path / "2", item_dim=" ".join(["1,1,a 2,2,b 3,3,c 4,4,d", *many])))
    load(postgres, night(tmp_path / "3", item_dim=" ".join(["1,2,a 2,3,b 3,1,c 4,4,x", *many])))
    assert rows(database, "select id, other_id from item_dim join star using (id) where id < 10 order by id") == [
        (1, 2), (2, 3), (3, 1)
    ]  # fmt: skip
    assert rows(database, "select line, reason from udecdash.rejects") == [
        (4, "check violation (23514) at item_dim_check")
    ]


@pytest.mark.parametrize("way", ["all", "lines"])
@pytest.mark.parametrize("referring", ["table of the dump", "itself", "table of the dashboard that waits"])
def test_rows_swap_unique_values_to_which_foreign_keys_refer_that_wait_for_the_end(
    postgres: Settings, database: Connection, tmp_path: Path, referring: str, way: str
) -> None:
    to = "references item_dim (other_id)"
    execute(database, f"create table item_dim {MADE}, unique (other_id));" + {
        "table of the dump": f"create table kid_dim {MADE}, constraint parent foreign key (other_id) {to});",
        "itself": f"alter table item_dim add mine bigint {to};",
        "table of the dashboard that waits": f"create table moon (mine bigint {to} deferrable initially deferred);",
    }[referring])  # fmt: skip
    many, kids = MANY if way == "lines" else [], {"kid_dim": "5,1,k 6,2,k 7,3,k"} if "dump" in referring else {}
    before = " ".join(["1,1,a 2,2,b 3,3,c", *many])
    load(postgres, night(tmp_path / "1", item_dim=before, **kids))
    if not kids:
        execute(database, "update item_dim set mine = 2 where id = 1" if referring == "itself" else
                "insert into moon values (1)")  # fmt: skip
        load(postgres, night(tmp_path / "2", item_dim=before))
    # Two kids follow their parents, one does not; the kid 7 loses its parent.
    kids = {"kid_dim": "5,2,k 6,1,k 7,3,k 8,1,k"} if kids else {}
    load(postgres, night(tmp_path / "3", item_dim=" ".join(["1,2,a 2,1,b 3,4,c", *many]), **kids))
    assert rows(database, "select id, other_id from item_dim where id < 10 order by id") == [(1, 2), (2, 1), (3, 4)]
    told = rows(database, "select table_name, line, reason from udecdash.rejects")
    assert told == ([("kid_dim", 3, "foreign key violation (23503) at parent")] if kids else [])
    if kids:
        assert rows(database, "select id, other_id from kid_dim order by id") == [(5, 2), (6, 1), (8, 1)]


@pytest.mark.parametrize("seen", ["not null", "references", "trigger", "check"])
def test_rows_do_not_swap_unique_values_where_somebody_would_see_them_without(
    postgres: Settings, database: Connection, tmp_path: Path, seen: str
) -> None:
    execute(database, "create table item_dim (id bigint primary key, other_id bigint unique, name text);"
            "create table star (id bigint references item_dim)")  # fmt: skip
    load(postgres, night(tmp_path / "1", item_dim="1,1,a 2,2,b"))
    execute(database, {
        "not null": "alter table item_dim alter other_id set not null",
        "references": "create table moon (id bigint references item_dim (other_id) on update cascade);"
                      "insert into moon values (1)",
        "trigger": "create function yes() returns trigger language plpgsql as $$ begin return new; end $$;"
                   "create trigger yes before update on item_dim for each row execute function yes()",
        "check": "alter table item_dim add check (other_id is not null)",
    }[seen])  # fmt: skip
    with pytest.raises(TableError, match=r"unique violation \(23505\) at item_dim_other_id_key") as refused:
        load(postgres, night(tmp_path / "2", item_dim="1,2,a 2,1,b"))
    assert "deferrable" in refused.value.hint()
    assert rows(database, "select id, other_id from item_dim order by id") == [(1, 1), (2, 2)]


def test_a_trigger_or_rule_that_drops_rows_is_named_and_nothing_is_published(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    execute(database, f"create table item_dim {MADE}); {_ALL.format('item_dim')}"
            "create rule nowhere as on insert to item_dim where new.id = 4 do instead nothing")  # fmt: skip
    with pytest.raises(TableError, match="2 rows after the publish and 3 were staged") as refused:
        load(postgres, night(tmp_path / "1", item_dim=SOUND))
    assert refused.value.hint().endswith("or: alter table item_dim disable rule nowhere;")
    assert ids(database, "item_dim") == [1, 2, 3]


def test_what_is_no_table_that_can_be_filled_is_told_before_a_night_and_by_it(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    execute(database, f"create table real_one {MADE}); create view a_dim as table real_one;"
            "create materialized view b_dim as table real_one; create sequence c_dim; create type d_dim as enum ();"
            f"create index e_dim on real_one (name); create table f_dim (); create table g_dim {MADE});"
            f"create table heir () inherits (g_dim); create table h_dim {MADE}); create table i_dim {MADE});"
            "alter table i_dim add constraint acts foreign key (id) references h_dim on delete cascade;"
            "alter table h_dim enable row level security; alter table h_dim force row level security;"
            "drop role if exists udt_plain; create role udt_plain; grant select on h_dim to udt_plain")  # fmt: skip
    names = [f"{letter}_dim" for letter in "abcdefghi"]
    with db.opened(postgres) as session, session.cursor() as cursor:
        cursor.execute("set role udt_plain")
        told = [str(found.told) for found in obstacles.find(cursor, names)]
    assert [text.partition(" ")[0] for text in told] == [*names[:6], "Row", "heir", "The"]
    assert told[0] == "a_dim in DB_SCHEMA is a view; the updater fills tables."
    assert told[6] == "Row level security hides rows of h_dim from udt_plain."
    with pytest.raises(TableError, match="a_dim in DB_SCHEMA is a view"):
        load(postgres, night(tmp_path / "1", a_dim=SOUND))
    checked = postgres.model_copy(update={"path_data_files": night(tmp_path / "2", a_dim=SOUND, z_dim=SOUND)})
    with db.opened(postgres) as session, session.cursor() as cursor:
        [finding] = check_database.tables_can_be_filled(checked, cursor)
    assert (finding.name, finding.code) == ("tables", 5)
    execute(database, "drop owned by udt_plain; drop role udt_plain")


def test_rules_and_triggers_that_keep_rows_from_a_table_are_told_by_check_and_a_rule_without_condition_ends_a_night(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    execute(database, f"create table a_dim {MADE}); create table b_dim {MADE}); create table c_dim {MADE});"
            "create rule always as on update to a_dim do instead nothing;"
            "create rule also as on insert to a_dim do also select 1;"
            "create rule \"Now and then\" as on insert to b_dim where new.id = 4 do instead nothing;"
            "create function part() returns trigger language plpgsql as"
            " $$ begin if new.id = 4 then return  NULL; end if; return new; end $$;"
            "create function returns() returns trigger language plpgsql as $$ begin return new; end $$;"
            "create trigger part before insert on c_dim for each row execute function part();"
            "create trigger off before update on c_dim for each row execute function part();"
            "create trigger later after insert on c_dim for each row execute function part();"
            "create trigger fine before insert on c_dim for each row execute function returns();"
            "alter table c_dim disable trigger off")  # fmt: skip
    found = night(tmp_path / "1", a_dim=SOUND, b_dim=SOUND, c_dim=SOUND)
    checked = postgres.model_copy(update={"path_data_files": found})
    with db.opened(postgres) as session, session.cursor() as cursor:
        findings = list(check_database.tables_can_be_filled(checked, cursor))
    assert [(one.outcome, str(one.hint)) for one in findings] == [
        ("failed", "alter table a_dim disable rule always;"),
        ("warning", 'alter table b_dim disable rule "Now and then";'),
        ("warning", "Let it return each row, or: alter table c_dim disable trigger part;"),
    ]
    with pytest.raises(TableError, match="By its rule always, something else happens instead of writing to a_dim"):
        load(postgres, found)


def test_a_key_that_the_table_computes_itself_is_refused(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    computed = "create table item_dim (id bigint generated always as (other_id) stored primary key, other_id bigint)"
    execute(database, computed)
    with pytest.raises(TableError, match="item_dim computes its key id itself"):
        load(postgres, night(tmp_path / "1", item_dim=SOUND))


def test_a_trigger_that_refuses_another_row_each_time_ends_the_night(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    lines = [" ".join(f"{number},{number},{name}" for number in range(20)) for name in "ab"]
    load(postgres, night(tmp_path / "1", item_dim=lines[0]))
    execute(database, "create function no() returns trigger language plpgsql as $$ begin"
            " if new.id = (select min(id) from item_dim) then raise exception 'no'; end if; return new; end $$;"
            "create trigger no before update on item_dim for each row execute function no()")  # fmt: skip
    with pytest.raises(TableError, match="publishing item_dim: raise exception"):
        load(postgres, night(tmp_path / "2", item_dim=lines[1]))
    assert rows(database, "select distinct name, count(*) over () from item_dim") == [("a", 20)]

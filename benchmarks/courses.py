"""The courses of the benchmark of interactions: what they hold, their requests, and how to forget what was done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from psycopg2.extensions import cursor as Cursor  # noqa: N812 - psycopg2's class has a lower-case name

from benchmarks import ground
from benchmarks.ground import Server
from udecdash_updater import dashboard, ledger
from udecdash_updater.resolution import INTERACTION_TABLES
from udecdash_updater.settings import Settings

_WORLD = """
set search_path = public;
create table course_dim (id bigint primary key, canvas_id bigint unique);
create table enrollment_dim (id bigserial primary key, course_id bigint, workflow_state text);
create table file_dim (id bigint primary key, canvas_id bigint unique);
create table quiz_dim (like file_dim including all);
create table discussion_topic_dim (like file_dim including all);
create table assignment_dim (like file_dim including all);
create table external_tool_activation_dim (like file_dim including all);
create table wiki_page_dim (id bigint primary key, canvas_id bigint unique, url text);
create table module_item_dim (id bigint primary key, canvas_id bigint unique, content_type text, wiki_page_id bigint,
    file_id bigint, quiz_id bigint, discussion_topic_id bigint, assignment_id bigint, course_id bigint);
insert into course_dim select n, n + 100 from generate_series(1, {courses}) n;
insert into enrollment_dim (course_id, workflow_state)
    select c, 'active' from generate_series(1, {courses}) c, generate_series(1, 1 + c % 90);
insert into file_dim select n, n + 1000000 from generate_series(1, 20000) n;
insert into quiz_dim select n, n + 1000000 from generate_series(1, 20000) n;
insert into assignment_dim select n, n + 1000000 from generate_series(1, 20000) n;
insert into discussion_topic_dim select n, n + 1000000 from generate_series(1, 20000) n;
insert into external_tool_activation_dim select n, n + 1000000 from generate_series(1, 500) n;
insert into wiki_page_dim select n, n + 1000000, 'page-' || n % 200 from generate_series(1, {courses} * 20) n;
insert into module_item_dim (id, canvas_id, content_type, wiki_page_id, file_id, course_id)
    select n, n + 1000000, (array['WikiPage', 'Attachment', 'ExternalUrl', 'SubHeader'])[n % 4 + 1],
        case n % 4 when 0 then n end, case n % 4 when 1 then 1 + n % 20000 end, 1 + n / 200 % {courses}
    from generate_series(1, {courses} * 20) n;
insert into module_item_dim (id, canvas_id, content_type, wiki_page_id, course_id)
    select 10000000 + n, 10000000 + n, 'WikiPage', n, 1 + n / 200 % {courses} from generate_series(1, {courses} * 20) n;
create index on module_item_dim (course_id);
analyze;
insert into udecdash.table_loads select 1, 'course_dim', now(), 100, 100, 0, 0;
"""
# A third names nothing; the rest name popular items of the course again and again, in each of the rules' ways.
_REQUESTS = """
insert into requests (id, timestamp, user_id, course_id, quiz_id, url, user_agent)
select gen_random_uuid(), %(begin)s::timestamp + n * interval '1.37 seconds', 1 + (n * 7919) %% 400, c,
    case n %% 12 when 10 then 1 + (n * 13) %% 60 end,
    '/courses/' || c + 100 || case n %% 12
        when 0 then '/pages/page-' || (n * 31) %% 150 when 1 then '/files/' || own + (n * 17) %% 150
        when 2 then '/quizzes/' || own + (n * 13) %% 60 when 3 then '/assignments/' || own + (n * 11) %% 60
        when 4 then '/discussion_topics/' || own + (n * 19) %% 60
        when 5 then '/files/' || own + (n * 17) %% 150 || '/download?download_frd=1'
        when 6 then '/grades' when 7 then '/modules' when 8 then '' when 9 then '/modules/items/' || 1000001 + n %% 97
        when 10 then '/quizzes' else (array['/external_tools/1000007', '/external_tools/7.5', '/quizzes/syllabus',
            '/files/999/preview', '/users/7', '/announcements'])[1 + n / 12 %% 6] end,
    (array['Mozilla/5.0 (Linux; Android 10) Mobile', 'Mozilla/5.0 (X11; Linux x86_64)', 'Mozilla/5.0 (Windows NT 10)',
        null])[1 + n / 12 %% 4]
from generate_series(1, %(requests)s) n, generate_series(%(first)s, %(last)s) c,
    lateral (select 1000001 + c %% 100 * 200) items (own) order by n, c
"""
_COUNT = """
insert into udecdash.course_requests select course_id, max(local_id), count(*) from requests group by 1
on conflict (course_id) do update set newest = excluded.newest, total = excluded.total
"""
_FORGET = "truncate {}, course_interactions, unprocessable_interactions, udecdash.wanted, udecdash.courses"
_KEEP = """
create table public.history as
    select max(timestamp) + interval '1 day' as ended, (select max(id) from unprocessable_interactions) as missed
    from requests where local_id <= (select max(mark) from udecdash.courses);
create table public.courses_then as table udecdash.courses;
"""
_UNDO = """
delete from course_interactions where interaction_date > (select ended from history);
delete from unprocessable_interactions where id > (select missed from history);
truncate udecdash.courses;
insert into udecdash.courses select * from courses_then;
"""
_ROWS = "select count(*), coalesce(sum(hashtextextended({}::text, 0)::numeric), 0)::text from {} t"
_MISS = "(course_id, user_id, url, error_label, error_message, log::jsonb)"


def prepare(settings: Settings, courses: int) -> None:
    """So many courses without any request. Settings are those of an empty database."""
    ledger.open_run(settings).close()
    with ground.session(settings) as cursor:
        cursor.execute(_WORLD.format(courses=courses))
    dashboard.prepare(settings)


def request(cursor: Cursor, courses: range, requests: int, begin: str = "2021-03-20 10:00") -> None:
    """So many requests more in each of these courses, those of one moment side by side, as the web log has them."""
    values = {"first": courses[0], "last": courses[-1], "requests": requests, "begin": begin}
    cursor.execute(_REQUESTS, values)


def ready(settings: Settings) -> None:
    """The requests are counted and indexed, as a load does it, and the server knows its tables."""
    with ground.session(settings) as cursor:
        cursor.execute("begin")
        cursor.execute(_COUNT)
        dashboard.index_requests(cursor)
        cursor.execute("commit")
        cursor.execute("vacuum analyze")


def forget(settings: Settings) -> None:
    """Nothing has been judged; what was written before is on the disk."""
    with ground.session(settings) as cursor:
        cursor.execute(_FORGET.format(", ".join(INTERACTION_TABLES)))
        cursor.execute("checkpoint")


def written(settings: Settings) -> Mapping[str, Sequence[object]]:
    """What stands in each table that jobs write: count and checksum of the rows."""
    whole = dict.fromkeys((*INTERACTION_TABLES, "course_interactions"), "t")
    found: dict[str, Sequence[object]] = {}
    with ground.session(settings) as cursor:
        for table, row in (whole | {"unprocessable_interactions": _MISS}).items():
            cursor.execute(_ROWS.format(row, table))
            found[table] = cursor.fetchone() or ()
    return found


def keep_history(settings: Settings) -> None:
    """What has been judged so far is history: `forget_night` leaves it alone."""
    with ground.session(settings) as cursor:
        cursor.execute(_KEEP)


def night_as_files(server: Server, settings: Settings, folder: Path) -> str:
    """What was judged since `keep_history`, as a file for each table; the script by which psql copies them back."""
    newer = dict.fromkeys(INTERACTION_TABLES, "viewed > (select ended from history)")
    newer["course_interactions"] = "interaction_date > (select ended from history)"
    newer["unprocessable_interactions"] = "id > (select missed from history)"
    folder.mkdir()
    files = {table: folder / f"{table}.tsv" for table in newer}
    out = (f"\\copy (select * from {table} where {newer[table]}) to '{file}'\n" for table, file in files.items())
    ground.psql(server, settings, "".join(out))
    back = (f"\\copy {table} from '{file}'\n" for table, file in files.items())
    return "".join(["begin;\n", *back, "commit;\n"])


def forget_night(settings: Settings) -> None:
    """What was judged since `keep_history` is not; what was written before is on the disk, and in memory."""
    with ground.session(settings) as cursor:
        for table in INTERACTION_TABLES:
            cursor.execute(f"delete from {table} where viewed > (select ended from history)")
        cursor.execute(_UNDO)
        cursor.execute("vacuum")
        cursor.execute("checkpoint")

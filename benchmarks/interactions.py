"""What interactions cost: `python -m benchmarks.interactions [REQUESTS]` prints medians and writes interactions.md.

Both sides stand in one run, take turns and work on the same rows: ours, and the first updater's way (a query a
lookup, an INSERT a row). Requests name popular items again and again, as those of a course do; a third names nothing.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2's class has a lower-case name

from udecdash_updater import course, dashboard, db, embedded, ledger
from udecdash_updater.clock import Clock
from udecdash_updater.interactions import Classifier
from udecdash_updater.resources import Lookup, Resources
from udecdash_updater.settings import Settings
from udecdash_updater.weblog import Request

ROUNDS = 5
ORIGINAL = 2_000
RESULT = Path(__file__).with_suffix(".md")
_WORLD = """
create table course_dim (id bigint primary key, canvas_id bigint unique);
create table file_dim (id bigint primary key, canvas_id bigint unique);
create table quiz_dim (like file_dim including all);
create table discussion_topic_dim (like file_dim including all);
create table assignment_dim (like file_dim including all);
create table external_tool_activation_dim (like file_dim including all);
create table wiki_page_dim (id bigint primary key, canvas_id bigint unique, url text);
create table module_item_dim (id bigint primary key, canvas_id bigint unique, content_type text, wiki_page_id bigint,
    file_id bigint, quiz_id bigint, discussion_topic_id bigint, assignment_id bigint, course_id bigint);
insert into course_dim select n, n + 100 from generate_series(1, 100) n;
insert into file_dim select n, n + 1000000 from generate_series(1, 20000) n;
insert into quiz_dim select n, n + 1000000 from generate_series(1, 20000) n;
insert into assignment_dim select n, n + 1000000 from generate_series(1, 20000) n;
insert into discussion_topic_dim select n, n + 1000000 from generate_series(1, 20000) n;
insert into wiki_page_dim select n, n + 1000000, 'page-' || n % 200 from generate_series(1, 20000) n;
insert into module_item_dim (id, canvas_id, content_type, wiki_page_id, course_id)
    select n, n + 1000000, 'WikiPage', n, n / 200 + 1 from generate_series(1, 19999) n;
"""
_REQUESTS = """
insert into requests (id, timestamp, user_id, course_id, url, user_agent)
select gen_random_uuid(), timestamp '2021-03-20 10:00' + n * interval '1.37 seconds', 1 + (n * 7919) %% 400, %(course)s,
    '/courses/' || %(course)s + 100 || case n %% 9
        when 0 then '/pages/page-' || (n * 31) %% 150 when 1 then '/files/' || 1000001 + (n * 17) %% 150
        when 2 then '/quizzes/' || 1000001 + (n * 13) %% 60 when 3 then '/assignments/' || 1000001 + (n * 11) %% 60
        when 4 then '/discussion_topics/' || 1000001 + (n * 19) %% 60
        when 5 then '/files/' || 1000001 + (n * 17) %% 150 || '/download?download_frd=1'
        when 6 then '/grades' when 7 then '/modules' else '' end,
    case n %% 3 when 0 then 'Mozilla/5.0 (Linux; Android 10) Mobile' else 'Mozilla/5.0 (X11; Linux x86_64)' end
from generate_series(1, %(requests)s) n
"""
_FORGET = """
update udecdash.courses set mark = 0, total = 0, unresolved = 0;
truncate quiz_interactions, wiki_page_interactions, discussion_topic_interactions, assignment_interactions,
    external_url_interactions, context_external_tool_interactions, attachment_interactions, course_interactions,
    unprocessable_interactions, udecdash.wanted;
"""


def connect(settings: Settings) -> Connection:
    """A connection that is not ours."""
    found = psycopg2.connect(host=settings.db_host, port=settings.db_port, dbname=settings.db_name,
                             user=settings.db_username, options="-c search_path=public")  # fmt: skip
    found.autocommit = True
    return found


def run(session: Connection, statement: str, **values: object) -> None:
    """Execute a statement."""
    with session.cursor() as cursor:
        cursor.execute(statement, values or None)


def prepare(settings: Settings, requests: int) -> None:
    """A world, and as many requests in each of two courses."""
    ledger.open_run(settings).close()
    with contextlib.closing(connect(settings)) as session:
        run(session, _WORLD)
        dashboard.prepare(settings)
        run(session, "insert into udecdash.table_loads select 1, 'course_dim', now(), 100, 100, 0, 0")
        for number in (1, 2):
            run(session, _REQUESTS, course=number, requests=requests)
        run(
            session,
            "insert into udecdash.course_requests select course_id, max(local_id), count(*) from requests group by 1",
        )
        run(session, "vacuum analyze")


def ours(settings: Settings, number: int) -> None:
    """A worker's work on one course: rows in the database to interactions in the tables."""
    with db.opened(settings, name=db.WORKER, patient=True) as connection:
        course.process_course(connection, settings, 1, number)


def original(settings: Settings, requests: int) -> None:
    """The first updater's way, on the same rows: a query for each lookup, an INSERT for each row."""
    tables = {"files": "file_dim", "quizzes": "quiz_dim", "assignments": "assignment_dim",
              "discussion_topics": "discussion_topic_dim"}  # fmt: skip
    kinds = {
        "files": "attachment",
        "quizzes": "quiz",
        "assignments": "assignment",
        "discussion_topics": "discussion_topic",
    }
    clock = Clock("America/Santiago")
    with contextlib.closing(connect(settings)) as session, session.cursor() as cursor:
        cursor.execute("select id, timestamp::text, user_id, course_id, url, user_agent from requests"
                       " where course_id = 1 order by local_id limit %s", [requests])  # fmt: skip
        for _, timestamp, user, number, url, _ in cursor.fetchall():
            kind, _, name = url.removeprefix("/courses/101/").partition("/")
            found, table = None, kinds.get(kind)
            if kind == "pages":
                cursor.execute("select p.id, p.canvas_id from wiki_page_dim p join module_item_dim m"
                               " on m.wiki_page_id = p.id"
                               " where m.course_id = %s and p.url = %s", [number, name])  # fmt: skip
                found, table = cursor.fetchone(), "wiki_page"
            elif kind in tables:
                cursor.execute(
                    f"select id, canvas_id from {tables[kind]} where canvas_id = %s", [name.partition("/")[0]]
                )
                found = cursor.fetchone()
            if found:
                viewed = clock.viewed(timestamp)
                cursor.execute(f"insert into {table}_interactions (course_id, user_id, item_id, item_canvas_id, viewed,"
                               " url, device) values (%s, %s, %s, %s, %s, %s, 'DESKTOP') on conflict do nothing",
                               [number, user, *found, viewed, url])  # fmt: skip
                cursor.execute("insert into course_interactions values (%s, %s, 202103, %s) on conflict do nothing",
                               [number, user, viewed[:10]])  # fmt: skip
            else:
                cursor.execute("insert into unprocessable_interactions (course_id, user_id, url, log)"
                               " values (%s, %s, %s, '{}')", [number, user, url])  # fmt: skip


def classify(requests: list[Request]) -> None:
    """The rules alone, everything looked up."""
    classifier = Classifier(101, {}, Resources(), Clock("America/Santiago"))
    for chunk in (requests[start : start + 10_000] for start in range(0, len(requests), 10_000)):
        while needs := classifier.needs(chunk):
            for lookup, ids in needs.items():
                found = [(number, number + 1) for number in ids] if lookup.column == "id" else [(n - 1, n) for n in ids]
                classifier.resources.add(lookup, ids, found if len(Lookup._fields) == 2 else [])
        for request in chunk:
            classifier.classify(request)


def timed(work: Callable[[], object]) -> float:
    """How many seconds it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def pair(settings: Settings, workers: int) -> None:
    """Two courses, by as many workers."""
    if workers == 1:
        for number in (1, 2):
            ours(settings, number)
        return
    context = get_context("fork")
    both = [context.Process(target=ours, args=(settings, number)) for number in (1, 2)]
    for process in both:
        process.start()
    for process in both:
        process.join()


@contextlib.contextmanager
def served() -> Iterator[Settings]:
    """A PostgreSQL of the benchmark's own."""
    with tempfile.TemporaryDirectory(prefix="udb-", dir="/tmp") as home:
        Path(home).chmod(0o711)
        with embedded.servers(Settings(db_host="embedded", udecdash_home=Path(home))) as settings:
            yield settings


def measure(requests: int) -> dict[str, float]:
    """Medians in requests a second, or as ratios."""
    seconds: dict[str, list[float]] = {}
    with served() as settings, contextlib.closing(connect(settings)) as session:
        prepare(settings, requests)
        with session.cursor() as cursor:
            cursor.execute("select local_id, id, timestamp::text, user_id, course_id, quiz_id, discussion_id,"
                           " assignment_id, url, user_agent from requests where course_id = 1"
                           " order by local_id")  # fmt: skip
            read = [Request._make(row) for row in cursor]
        sides: dict[str, Callable[[], object]] = {
            "classification": lambda: classify(read),
            "one worker": lambda: ours(settings, 1),
            "original": lambda: original(settings, ORIGINAL),
            "two courses, one worker": lambda: pair(settings, 1),
            "two courses, two workers": lambda: pair(settings, 2),
        }
        for _, (name, side) in itertools.product(range(ROUNDS), sides.items()):
            run(session, _FORGET)
            run(session, "checkpoint")
            seconds.setdefault(name, []).append(timed(side))
    took = {name: statistics.median(found) for name, found in seconds.items()}
    rate = requests / took["one worker"]
    return {
        "classification alone, requests a second": requests / took["classification"],
        "a job's whole work, requests a second": rate,
        "the original's way, requests a second": ORIGINAL / took["original"],
        "ours / the original's way": rate * took["original"] / ORIGINAL,
        "two workers / one": took["two courses, one worker"] / took["two courses, two workers"],
        "seconds per million requests, one worker": 1_000_000 / rate,
    }


def main() -> None:
    """Measure, tell, and write it down."""
    requests = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    found = measure(requests)
    rows = "\n".join(f"| {name} | {value:,.1f} |" for name, value in found.items())
    load = os.getloadavg()[0]
    text = (
        f"# Interactions, measured\n\n`python -m benchmarks.interactions {requests}`: medians of {ROUNDS} rounds in"
        f" which the sides take turns, on {os.cpu_count()} cores, Python {platform.python_version()}."
        f" Load at the end: {load:.1f} (beside other work only the ratios tell something).\n\n"
        f"| figure | value |\n| --- | --- |\n{rows}\n"
    )
    sys.stdout.write(text)
    RESULT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

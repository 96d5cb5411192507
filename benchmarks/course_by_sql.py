"""A job's work by one set-based SQL statement, as fast as we could write it: what our way is measured against.

Two variants: each question that repeats is answered once, as our own workers do, or every request for itself. They
write what we write, but for what unresolved requests wait for (R14): that they leave out.
"""

from __future__ import annotations

from pathlib import Path

from psycopg2.extensions import cursor as Cursor  # noqa: N812 - psycopg2's class has a lower-case name

from udecdash_updater import weblog

_STATEMENT = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
_INSERT = """{0}s as (
    insert into {0}_interactions (course_id, user_id, item_id, item_canvas_id, url, viewed, device)
    select %(course)s, user_id, item_id, item_canvas_id, url, viewed, device from hits
    where kind = '{0}' order by item_canvas_id, user_id, viewed, local_id
    on conflict do nothing returning 1)"""
_KINDS = ("wiki_page", "quiz", "discussion_topic", "assignment", "external_url", "context_external_tool")
_QUESTION = {
    name: f"coalesce(r.{name}, {nothing})"
    for name, nothing in {"url": "''", "quiz_id": "0", "discussion_id": "0", "assignment_id": "0"}.items()
}
_COLUMNS = ", ".join(f"{filled} as {name}" for name, filled in _QUESTION.items())
VARIANTS = {
    "once": (
        f"select distinct {_COLUMNS} from fresh r",
        " and ".join(f"a.{name} = {filled}" for name, filled in _QUESTION.items()),
    ),
    "each": (f"select r.local_id, {_COLUMNS} from fresh r", "a.local_id = r.local_id"),
}
"""How the requests become questions, and which question is a request's."""

FUNCTIONS = r"""
create function public.bench_number(part text) returns text language sql immutable parallel safe as
$$ select case when btrim(part, E' \t\n\v\f\r') ~ '^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)$'
    then btrim(part, E' \t\n\v\f\r') end $$;
create function public.bench_id(number text) returns bigint language sql immutable parallel safe as
$$ select case when number ~ '^[+-]?0*[0-9]{1,18}$' then number::bigint end $$;
"""
"""R7's numbers; ids of more than 18 digits are in none of the benchmark's URLs."""


def process(cursor: Cursor, course: int, variant: str) -> None:
    """All that is due in one course, in one transaction; courses have the canvas_id `course` + 100."""
    asked, of = VARIANTS[variant]
    statement = _STATEMENT.format(asked=asked, of=of, inserts=",\n".join(map(_INSERT.format, _KINDS)))
    values = {"course": course, "path": f"/courses/{course + 100}/", "mobile": weblog.MOBILE.pattern}
    cursor.execute(statement, values)

"""10 000 hostile table, file and course names: no SQL, no path, no header and no page is another for them."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from html.parser import HTMLParser
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2's class has a lower-case name

from udecdash_updater import copy_text, db, dump, ledger, notifier
from udecdash_updater.dump import DumpFile
from udecdash_updater.errors import DumpError
from udecdash_updater.notice import Notice, in_words
from udecdash_updater.settings import Settings

PARTS = (
    *('"', "'", "''", '""', ";", "--", "/*", "*/", "$$", "\\", "\\'", "%", "%s", "%(x)s", "{", "}", "{0}", "{table}"),
    *("drop table requests", "); delete from requests; --", 'U&"\\0022"', "E'\\n'", "public.", "pg_catalog."),
    *("../", "..", "/", "/etc/passwd", "~", "\t", "\r", "\n", "\r\n", "\x1b[2J", "\x7f", "\u2028", "\u0085", "\u202e"),
    *("\r\nBcc: eve@example.com", "=?utf-8?q?=0D=0ABcc:_eve=40example.com?=", "<script>alert(1)</script>"),
    *("<img src=x ", "onerror=alert(1)>", "&lt;", "]]>", "javascript:", "{{ 7 * 7 }}", "{% raw %}", "-rf", "$(id)"),
    *("`id`", "| id", "&", "ñandú", "名", "\U0001f4a5", "e\u0301", "requests", "course_dim", "a", " ", "_"),
)  # fmt: skip
SEED, MANY = 1809, 10_000
SAFE = re.compile(r"[a-z][a-z0-9_]{0,62}")


def names(most: int = MANY) -> list[str]:
    """Different names of one to six parts each, none longer than PostgreSQL's identifiers."""
    chance = random.Random(SEED)

    def made() -> Iterator[str]:
        while True:
            yield "".join(chance.choices(PARTS, k=chance.randint(1, 6)))

    found: dict[str, None] = {}
    for name in made():
        if 0 < len(name.encode()) <= 63:
            found[name] = None
        if len(found) == most:
            return list(found)
    raise AssertionError("the names never end")


HOSTILE = names()


def in_hundreds(everything: list[str]) -> Iterator[list[str]]:
    left = iter(everything)
    return iter(lambda: list(islice(left, 100)), [])


def test_an_identifier_is_one_name_whatever_stands_in_it(database: Connection) -> None:
    with database.cursor() as cursor:
        for some in in_hundreds(HOSTILE):
            columns = db.comma([db.definition(name, "text") for name in some])
            table = db.identifier(some[0])
            cursor.execute(db.raw("create table ") + table + db.raw(" (") + columns + db.raw(")"))
            cursor.execute(db.statement("has_rows", table=table))
            assert cursor.fetchone() == (False,)
            cursor.execute("select a.attname from pg_attribute a where attrelid = (select c.oid from pg_class c "
                           "where c.relname = %s and c.relnamespace = 'public'::regnamespace) and attnum > 0 "
                           "order by attnum", [some[0]])  # fmt: skip
            assert [name for (name,) in cursor] == some
        cursor.execute("select count(*) from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'")
        assert cursor.fetchone() == (MANY // 100,)


def test_literals_values_and_copied_rows_come_back_as_they_were(database: Connection) -> None:
    with database.cursor() as cursor:
        cursor.execute("create temporary table course_names (place integer, name text)")
        lines = [f"{place}\t{copy_text.field(name)}\n" for place, name in enumerate(HOSTILE)]
        db.copy_lines(cursor, "course_names", ["place", "name"], lines)
        cursor.execute("select name from course_names order by place")
        assert [name for (name,) in cursor] == HOSTILE
        for some in in_hundreds(HOSTILE):
            cursor.execute(db.raw("select ") + db.comma([db.literal(name) for name in some]))
            assert cursor.fetchone() == tuple(some)


def test_the_ledger_keeps_file_names_as_they_are(postgres: Settings, database: Connection) -> None:
    book = ledger.open_run(postgres)
    book.close()
    with database.cursor() as cursor:
        rejects = [(book.run, "requests", name, line, "NUL byte") for line, name in enumerate(HOSTILE)]
        db.insert_many(cursor, "record_rejects", rejects)
        cursor.execute("select file_name from udecdash.rejects order by line")
        assert [name for (name,) in cursor] == HOSTILE


def test_a_table_or_column_with_such_a_name_is_refused(tmp_path: Path) -> None:
    let_through = {name for name in HOSTILE if is_taken(dump._plain, name)}
    assert {name for name in let_through if not SAFE.fullmatch(name)} == set()
    assert "requests" in let_through
    # That this is what a schema.json is judged by, the table as well as the column:
    path, bigint = tmp_path / "schema.json", [{"name": "id", "type": "bigint"}]
    for name in HOSTILE[::50]:
        for table in (
            {"tableName": name, "columns": bigint},
            {"tableName": "a", "columns": [bigint[0] | {"name": name}]},
        ):
            path.write_text(json.dumps({"schema": {"it": table}}), encoding="utf-8")
            assert is_taken(dump.read_schema, path) == (name in let_through)


def is_taken(judge: Callable[[Any], object], what: object) -> bool:
    try:
        judge(what)
    except (DumpError, ValueError):
        return False
    return True


def test_a_damaged_file_never_leaves_the_folder_for_damaged_ones(tmp_path: Path) -> None:
    aside = tmp_path / "aside"
    for name in HOSTILE[::5]:
        if "/" in name or name in (".", ".."):  # no name of a file
            continue
        path = tmp_path / name
        path.touch()
        moved = dump.set_aside(DumpFile("user_dim", path, 0, ()), aside)
        assert moved.parent == aside
        assert moved.is_file()
    assert [path for path in tmp_path.iterdir() if path != aside] == []


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: set[tuple[str, tuple[str, ...]]] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.add((tag, tuple(sorted(name for name, _ in attrs))))


def tags(html: str) -> set[tuple[str, tuple[str, ...]]]:
    parser = _Tags()
    parser.feed(html)
    return parser.found


def notice(some: list[str]) -> Notice:
    error = DumpError(f"{some[0]}/{some[1]}: damaged", hint=some[2])
    return Notice(
        7, datetime(2025, 3, 4, tzinfo=timezone.utc), ((some[3], error),), tuple(some), "\n".join(some), some[4]
    )


def test_no_subject_holds_a_line_end_and_no_text_a_control_character() -> None:
    settings = Settings()
    for name in HOSTILE:
        worded = in_words(notice([name] * 5), settings, lambda text: text)
        texts = (worded.headline, worded.host, worded.log, *worded.warnings)
        assert "\n" not in worded.subject
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]", worded.subject + "".join(texts))


@pytest.mark.parametrize("language", ["es", "en"])
def test_no_header_and_no_tag_is_added_to_a_mail(language: str) -> None:
    settings = Settings(language=language)
    plain = notifier.compose(settings, notice(["plain"] * 100), lambda text: text)
    page = plain.get_body(("html",))
    assert page
    for some in in_hundreds(HOSTILE):
        mail = notifier.compose(settings, notice(some), lambda text: text)
        assert mail.keys() == plain.keys()
        head = mail.as_bytes().partition(b"\r\n\r\n")[0]
        assert not re.search(rb"^bcc:", head, re.MULTILINE | re.IGNORECASE)
        html = mail.get_body(("html",))
        assert html
        assert tags(html.get_content()) == tags(page.get_content())

"""The rules read a second time, slowly and in another style, and compared on generated worlds and requests.

`plain` below scans texts a character at a time and tables a row at a time; it shares no code with the package, no
regular expression, no memory. Hypothesis makes the URLs out of pieces that mix all kinds and quirks.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from udecdash_updater.clock import Clock
from udecdash_updater.interactions import Classifier, Interaction
from udecdash_updater.resolution import Unresolved
from udecdash_updater.resources import Resources, pages_by_slug
from udecdash_updater.targets import URL_KINDS, parse
from udecdash_updater.weblog import Request, is_trash

COURSE, COURSE_CANVAS_ID = 10, 7
Row = dict[str, Any]
World = dict[str, list[Row]]


# ---- the plain reading ----


def plain_part(url: str, kind: str) -> str | None:
    beginning = f"/courses/{COURSE_CANVAS_ID}/{kind}/"
    for position in range(len(url)):
        if url[position:].startswith(beginning):
            part = ""
            for character in url[position + len(beginning) :]:
                if character in "/?":
                    break
                part += character
            if part != "":
                return part
    return None


def plain_number(part: str | None) -> int | str | None:
    """An id, 'nothing' for a number that finds nothing, None for what is no number."""
    if part is None:
        return None
    text = part.strip(" \t\n\v\f\r")
    negative = text[:1] == "-"
    if text[:1] in ("+", "-"):
        text = text[1:]
    digits = text.replace(".", "", 1)
    if digits == "" or any(character not in "0123456789" for character in digits):
        return None
    if "." in text:
        return "nothing"
    value = 0
    for digit in text:
        value = 10 * value + "0123456789".index(digit)
    value = -value if negative else value
    return value if -(2**63) <= value <= 2**63 - 1 else "nothing"


def plain_rows(world: World, table: str, column: str, value: object) -> list[Row]:
    return [row for row in world[table] if row[column] == value]


def plain_item(world: World, url: str) -> Row:
    """The module item that the URL names; without one a row that points nowhere."""
    number = plain_number(plain_part(url, "modules/items"))
    found = [] if number == 0 else plain_rows(world, "module_item_dim", "canvas_id", number)
    return found[0] if found else dict.fromkeys(ITEM)


def plain_pages(world: World, slug: str) -> list[Row]:
    pages = []
    for page in plain_rows(world, "wiki_page_dim", "url", slug):
        for item in plain_rows(world, "module_item_dim", "wiki_page_id", page["id"]):
            if item["course_id"] == COURSE and page not in pages:
                pages.append(page)
    return pages


def plain(world: World, request: Request) -> tuple[str, Row] | str | None:
    """The table and the item's row, else the label."""
    url, label = request.url or "", None
    item = plain_item(world, url)

    slug = plain_part(url, "pages")
    if slug is not None:
        pages = plain_pages(world, slug)
        if len(pages) == 1:
            return "wiki_page", pages[0]
        label = "multiple_wiki_pages" if pages else "wiki_page_not_found"
    if pages := plain_rows(world, "wiki_page_dim", "id", item["wiki_page_id"]):
        return "wiki_page", pages[0]

    for name, kind, column, pointer in (
        ("file", "files", None, item["file_id"]),
        ("quiz", "quizzes", request.quiz_id, item["quiz_id"]),
        ("discussion_topic", "discussion_topics", request.discussion_id, item["discussion_topic_id"]),
        ("assignment", "assignments", request.assignment_id, item["assignment_id"]),
        ("external_tool_activation", "external_tools", None, None),
    ):
        if name == "external_tool_activation" and item["content_type"] == "ExternalUrl":
            return "external_url", item
        table = name + "_dim"
        number = plain_number(plain_part(url, kind))
        rows = []
        if column not in (None, 0):
            rows = plain_rows(world, table, "id", column)
            label = label if rows else "record_not_found_" + table
        elif number is not None:
            rows = plain_rows(world, table, "canvas_id", number)
            label = label if rows else "record_not_found_" + table
        rows = rows or plain_rows(world, table, "id", pointer)
        if rows:
            return name.replace("file", "attachment").replace(
                "external_tool_activation", "context_external_tool"
            ), rows[0]
    return label


def plain_viewed(timestamp: str, zone: str) -> str:
    """Local time from the zone's offset of that very second, by plain addition."""
    utc = datetime.strptime(timestamp[:19] + "+0000", "%Y-%m-%d %H:%M:%S%z")
    offset = utc.astimezone(ZoneInfo(zone)).utcoffset()
    assert offset is not None
    local = utc.replace(tzinfo=None) + offset
    return f"{local.year:04}-{local:%m-%d %H:%M:%S}"


def plain_device(agent: str | None) -> str:
    marks = (
        "Mobile, iPhone, iPod, iPad, Android, BlackBerry, IEMobile, Kindle, NetFront, Silk-Accelerated, hpwOS, "
        "webOS, Fennec, Minimo, Opera Mobi, Opera Mini, Blazer, Dolfin, Dolphin, Skyfire, Zune"
    )
    return "MOBILE" if any(mark in (agent or "") for mark in marks.split(", ")) else "DESKTOP"


# ---- what is generated: ids are few, so that they meet; canvas_id = id + 2, so that mixing them up shows ----

IDS = st.integers(1, 4)
POINTERS = st.sampled_from([None, None, None, 0, 1, 2, 3, 4])
SLUGS = st.sampled_from(["a", "a", "a", "b", "ñ #", "A", "3"])
ITEM: dict[str, st.SearchStrategy[Any]] = {
    "course_id": st.sampled_from([COURSE, COURSE, COURSE, 11]),
    "content_type": st.sampled_from(["WikiPage", "ExternalUrl", "ExternalUrl ", None]),
    "wiki_page_id": POINTERS,
    "file_id": POINTERS,
    "quiz_id": POINTERS,
    "discussion_topic_id": POINTERS,
    "assignment_id": POINTERS,
}
TABLES = ("file_dim", "quiz_dim", "discussion_topic_dim", "assignment_dim", "external_tool_activation_dim")


def rows_of(**columns: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Row]]:
    ids = st.sets(IDS, min_size=2)
    rows = ids.flatmap(
        lambda ids: st.tuples(*(st.fixed_dictionaries({"id": st.just(i), **columns}) for i in sorted(ids)))
    )
    return rows.map(lambda rows: [{**row, "canvas_id": row["id"] + 2} for row in rows])


WORLDS = st.fixed_dictionaries(
    {
        "module_item_dim": rows_of(**ITEM),
        "wiki_page_dim": rows_of(url=SLUGS | st.none()),
        **{table: rows_of() for table in TABLES},
    }
)
NUMBERS = (
    st.sampled_from(["0", "3", "4", "5", "6", "7", ""])
    | st.sampled_from(
        [
            "+5",
            "-5",
            " 5",
            "5\t",
            "5\xa0",
            "\x1c5",
            "05",
            "5.0",
            ".5",
            "5.",
            "-.5",
            ".",
            "5.0.0",
            "1e5",
            "1_0",
            "5#",
            "5~5",
            "٥",
            "²",
            "+",
            "+-5",
            "- 5",
            "",
            "folder",
            "%205",
        ]
    )
    | st.sampled_from([str(2**63), str(2**63 - 1), "9" * 40, "0" * 40 + "5"])
)
KINDS = ["pages", "files", "quizzes", "discussion_topics", "assignments", "external_tools", "modules/items"]
PLACES = st.builds(
    "{}/courses/{}/{}/{}{}".format,
    st.sampled_from(["", "", "/api/v1", "https://host", "/login?to="]),
    st.sampled_from([str(COURSE_CANVAS_ID)] * 20 + ["8", "07", "77", "", "-7"]),
    st.sampled_from([*KINDS, *KINDS, "pages", "modules/items", "modules/items", "modules", "Pages"]),
    NUMBERS | SLUGS,
    st.sampled_from(["", "", "/", "?", "/download?", "/download", "?x=/", "#", "&", "/submissions/5"]),
)
JUNK = st.text("/?ab57courses", max_size=12)
URLS = st.lists(st.one_of(PLACES, PLACES, PLACES, JUNK), max_size=4).map("".join)
COLUMNS = st.sampled_from([None, None, None, None, 0, 1, 2, 5])
AGENTS = st.none() | st.sampled_from(["", "iPad", "ipad", "x Opera Mini/7", "OperaMini", "webOS", "Windows NT"])
CHANGES = [datetime(2021, 4, 4, 3), datetime(2021, 9, 5, 4), datetime(2022, 9, 11, 4), datetime(2019, 4, 7, 3)]
"""Ends and beginnings of summer time in Chile, UTC."""
TIMES = st.builds(
    lambda change, seconds, fraction: f"{change + timedelta(seconds=seconds):%Y-%m-%d %H:%M:%S}{fraction}",
    st.sampled_from(CHANGES),
    st.integers(-7300, 7300) | st.sampled_from([-3601, -3600, -1, 0, 1, 3599, 3600]),
    st.sampled_from(["", ".0", ".999", ".9999999"]),
)
REQUESTS = st.builds(
    lambda time, quiz, topic, assignment, url, agent: Request(
        1, "x", time, 20, COURSE, quiz, topic, assignment, url, agent
    ),
    TIMES,
    COLUMNS,
    COLUMNS,
    COLUMNS,
    st.none() | URLS | URLS | URLS,
    AGENTS,
)


def judged(world: World, chunk: list[Request]) -> list[Interaction | Unresolved]:
    """What the package makes of a chunk, looking up in the world what it asks for."""
    items = [row["wiki_page_id"] for row in world["module_item_dim"] if row["course_id"] == COURSE]
    pages = [row for item in items for row in world["wiki_page_dim"] if row["id"] == item]
    classifier = Classifier(
        COURSE_CANVAS_ID,
        pages_by_slug((row["url"], row["id"], row["canvas_id"]) for row in pages),
        Resources(),
        Clock("America/Santiago"),
    )
    while needs := classifier.needs(chunk):
        for lookup, ids in needs.items():
            rows = [row for row in world[lookup.table] if row[lookup.column] in ids]
            classifier.resources.add(lookup, ids, [[row[c] for c in lookup.columns] for row in rows])
    return [classifier.classify(request) for request in chunk]


@settings(max_examples=1500, deadline=None)
@given(URLS)
def test_what_a_url_names_agrees_with_the_plain_reading(url: str) -> None:
    target = parse(url, COURSE_CANVAS_ID)
    assert target.slug == plain_part(url, "pages")
    assert target.downloaded == ("/download?" in url)
    item = plain_number(plain_part(url, "modules/items"))
    assert target.item_id == (None if item in (0, "nothing") else item)
    for kind, table in URL_KINDS.items():
        number = plain_number(plain_part(url, kind))
        found = target.mentions.get(table)
        assert (found and ("nothing" if found.id is None else found.id)) == number


@settings(max_examples=600, deadline=None)
@given(world=WORLDS, chunk=st.lists(REQUESTS, min_size=1, max_size=6))
def test_the_package_and_the_plain_reading_agree(world: World, chunk: list[Request]) -> None:
    for request, answer in zip(chunk, judged(world, chunk), strict=True):
        expected = plain(world, request)
        if isinstance(answer, Unresolved):
            assert answer.label == expected
            assert 0 < len(answer.message) <= 255
            continue
        assert isinstance(expected, tuple)
        assert request.timestamp is not None
        assert answer == Interaction(
            table=expected[0] + "_interactions",
            course_id=request.course_id,
            user_id=request.user_id,
            item_id=expected[1]["id"],
            item_canvas_id=expected[1]["canvas_id"],
            viewed=plain_viewed(request.timestamp, "America/Santiago"),
            url=request.url or "",
            device=plain_device(request.user_agent),
            downloaded="/download?" in (request.url or ""),
        )


@settings(max_examples=300, deadline=None)
@given(
    zone=st.sampled_from(
        [
            "America/Santiago",
            "Pacific/Easter",
            "America/Punta_Arenas",
            "UTC",
            "Europe/Madrid",
            "Asia/Kolkata",
            "Asia/Kathmandu",
            "Australia/Lord_Howe",
            "America/St_Johns",
            "Africa/Monrovia",
            "Pacific/Apia",
        ]
    ),
    times=st.lists(st.datetimes(datetime(1900, 1, 2), datetime(2037, 12, 30)), max_size=8),
    near=st.lists(TIMES, max_size=8),
)
@example(zone="America/Goose_Bay", times=[], near=["2010-03-14 04:00:59", "2010-03-14 04:01:00"])
@example(zone="Pacific/Apia", times=[datetime(2011, 12, 30, 9, 59, 59), datetime(2011, 12, 30, 10)], near=[])
@example(zone="America/Santiago", times=[datetime(1910, 1, 10, 4, 42, s) for s in (44, 45, 46)], near=[])
def test_local_times_agree_with_the_plain_reading(zone: str, times: list[datetime], near: list[str]) -> None:
    clock = Clock(zone)
    for timestamp in [*near, *(f"{time:%Y-%m-%d %H:%M:%S.%f}" for time in times)]:
        assert clock.viewed(timestamp) == plain_viewed(timestamp, zone)


@pytest.mark.parametrize("zone", ["America/Santiago", "Australia/Lord_Howe", "America/St_Johns"])
def test_a_year_of_quarters_of_an_hour_is_right_in_any_order(zone: str) -> None:
    clock = Clock(zone)
    start = datetime(2021, 1, 1, tzinfo=timezone.utc)
    for step in range(366 * 96):
        time = f"{start + timedelta(minutes=15 * (step * 7919 % (366 * 96))):%Y-%m-%d %H:%M:%S}"
        assert clock.viewed(time) == plain_viewed(time, zone)


def plain_trash(url: str) -> bool:
    for position in range(len(url)):
        if not url[position:].startswith("courses/"):
            continue
        rest = url[position + len("courses/") :]
        digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
        rest = rest[len(digits) :]
        if digits and rest in ("/ping", "/activity_stream/summary"):
            return True
        if digits and rest.startswith("/quizzes/"):
            rest = rest[len("/quizzes/") :]
            quiz = rest[: len(rest) - len(rest.lstrip("0123456789"))]
            end = "/submissions/backup?user_id="
            if quiz and rest[len(quiz) :].startswith(end) and rest[len(quiz + end) :][:1] in tuple("0123456789"):
                return True
    return False


@settings(max_examples=500, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                "courses/7",
                "courses/",
                "/",
                "/ping",
                "ping",
                "/activity_stream/summary",
                "/quizzes/5",
                "/quizzes/",
                "/submissions/backup",
                "?user_id=3",
                "?user_id=",
                "?",
                "courses/x",
                "courses/77/ping",
                "\\n",
                "ñ",
            ]
        ),
        max_size=7,
    ).map("".join)
)
@example("courses/7/quizzes/5/submissions/backup?user_id=3")
@example("courses/7/ping\\n")
def test_trash_agrees_with_the_plain_reading(url: str) -> None:
    assert is_trash(url.encode()) == plain_trash(url)

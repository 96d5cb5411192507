"""A corpus of hostile lines, each kind in each place of a file of each sort of table: every line is accounted for."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2's class has a lower-case name

from tests.dumps import ITEM, REQUEST, request_line
from tests.installation import rows
from tests.nights import load, mini_dump
from tests.support import EITHER_LOOPS
from udecdash_updater import compiled, db, words
from udecdash_updater.rows import LONGEST
from udecdash_updater.settings import Settings

MODULE_ITEM = [("id", "bigint"), ("canvas_id", "bigint"), ("title", "varchar"), ("position", "int"),
               ("workflow_state", "varchar"), ("created_at", "timestamp")]  # fmt: skip
SCHEMA = {"item_dim": ITEM, "module_item_dim": MODULE_ITEM, "requests": REQUEST}
LOADED, FILTERED = "(loaded)", "(filtered)"
PLACES = {"first": 0, "middle": 1, "last": 3, "unended": 3}
# Where a line of each table has a text, a number that may be NULL, and a time.
TEXT = {"item_dim": 2, "module_item_dim": 2, "requests": 13}
NUMBER = {"item_dim": 1, "module_item_dim": 1, "requests": 9}
TIME = {"item_dim": 4, "module_item_dim": 5, "requests": 1}
TOO_LONG = {"item_dim": (2, 257), "module_item_dim": (2, 257), "requests": (0, 37)}


@pytest.fixture(autouse=True, params=EITHER_LOOPS)
def _loops(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "LOOPS", request.param)


@dataclass(frozen=True)
class Case:
    """A file of three sound lines and one odd one, and what must become of that: loaded, filtered, or a reason."""

    table: str
    kind: str
    place: str
    lines: tuple[bytes, ...]
    outcome: str

    @property
    def name(self) -> str:
        return re.sub(r"\W+", "_", f"{self.kind} {self.place}") + ".gz"

    @property
    def content(self) -> bytes:
        return b"\n".join(self.lines) + (b"" if self.place == "unended" else b"\n")

    @property
    def line(self) -> int:
        return PLACES[self.place] + 1

    @property
    def sound(self) -> list[str]:
        kept = [line for n, line in enumerate(self.lines, start=1) if n != self.line or self.outcome == LOADED]
        return [line.split(b"\t")[0].decode() for line in kept]


def sound_line(table: str, number: int) -> bytes:
    if table == "item_dim":
        return b"%d\t%d\tcanary\tfalse\t2021-01-01 10:00:00.123" % (number, number)
    if table == "module_item_dim":
        return b"%d\t%d\tcanary\t1\tactive\t2021-01-01 10:00:00" % (number, number)
    return request_line(id=str(number), timestamp="2021-04-01 10:00:00.5").rstrip(b"\n")


def with_field(line: bytes, place: int, value: bytes) -> bytes:
    fields = line.split(b"\t")
    fields[place] = value
    return b"\t".join(fields)


def odd_lines(table: str, line: bytes) -> dict[str, tuple[bytes, str]]:
    """Each kind of odd line and what must become of it."""
    width = len(SCHEMA[table])

    def text(value: bytes) -> bytes:
        return with_field(line, TEXT[table], value)

    def number(value: bytes) -> bytes:
        return with_field(line, NUMBER[table], value)

    def time(value: bytes) -> bytes:
        return with_field(line, TIME[table], value)

    place, length = TOO_LONG[table]
    width_of = r"{} columns instead of " + str(width)
    odd_time = r"timestamp|datetime|not of the form"
    kinds = {
        "only an end of copy mark": (b"\\.", rf"end-of-copy mark|{width_of.format(1)}"),
        "a backslash and a dot in a text": (text(b"a\\.b"), LOADED),
        "a backslash before a tab": (text(b"x\\"), "backslash before a tab"),
        "a backslash before the newline": (
            with_field(line, width - 1, b"\\"),
            "backslash before the end|is not a number",
        ),
        "a whole backslash before a tab": (text(b"x\\\\"), LOADED),
        "a column short": (line.rpartition(b"\t")[0], width_of.format(width - 1)),
        "a column long": (line + b"\tmore", width_of.format(width + 1)),
        "only tabs": (b"\t" * (width - 1), "invalid text representation|is not a number"),
        "a NUL byte": (text(b"a\x00b"), "NUL byte"),
        "an escaped NUL": (text(b"a\\000b"), "invalid byte sequence|character not in repertoire"),
        "bad UTF-8": (text(b"\xff\xfe"), "not UTF-8"),
        "cut UTF-8": (text("ñ".encode()[:1]), "not UTF-8"),
        "half a character by UTF-16": (text(b"\xed\xa0\x80"), "not UTF-8"),
        "bad UTF-8 by an escape": (text(b"\\xff"), "character not in repertoire"),
        "a lone carriage return": (text(b"a\rb"), "carriage return"),
        "a carriage return at the end": (line + b"\r", LOADED),
        "two carriage returns at the end": (text(b"a") + b"\r\r", "carriage return|is not a number"),
        "an end of copy mark and a carriage return": (b"\\.\r", rf"end-of-copy mark|{width_of.format(1)}"),
        "only a NULL": (b"\\N", width_of.format(1)),
        "an empty line": (b"", width_of.format(1)),
        "a space": (b" ", width_of.format(1)),
        "a number beyond 64 bits": (number(b"9223372036854775808"), "numeric value out of range"),
        "a number of 63 bits": (number(line.split(b"\t")[0].rjust(19, b"8")), LOADED),
        "a text in a number": (number(b"nine"), "invalid text representation"),
        "a fraction in a number": (number(b"1.5"), "invalid text representation"),
        "an empty number": (number(b""), "invalid text representation"),
        "a day that no year has": (time(b"2021-02-30 10:00:00"), odd_time),
        "a time that is none": (time(b"noon"), odd_time),
        "zeros for a time": (time(b"0000-00-00 00:00:00"), odd_time),
        "a text longer than its column": (with_field(line, place, b"x" * length), "string data right truncation"),
        "a key that is NULL": (with_field(line, 0, b"\\N"), "not null violation|id: is NULL"),
        "every text that is allowed": (text("«ñandú» 漢字 🎓 \"' \\\\ \\t\\n\\N \x01\x7f".encode()), LOADED),
    }
    if table == "item_dim":
        kinds["a boolean that is none"] = (with_field(line, 3, b"perhaps"), "invalid text representation")
    if table == "module_item_dim":
        kinds["a deleted item"] = (with_field(line, 4, b"deleted"), FILTERED)
    if table == "requests":
        kinds |= {
            "all columns NULL": (b"\t".join([b"\\N"] * width), FILTERED),
            "nobody's request": (with_field(line, 5, b"\\N"), FILTERED),
            "somebody else's request": (with_field(line, 22, b"143540000000000037"), FILTERED),
            "a user agent's number in the wrong column": (with_field(line, 22, b"Mozilla"), "is not a number"),
        }
    return kinds


def corpus(first: int) -> Iterator[Case]:
    """Every case; no two lines have the same id, and ids begin at `first`."""
    number = first
    for table in SCHEMA:
        for kind in odd_lines(table, b"\t" * 40):
            for place, at in PLACES.items():
                line, outcome = odd_lines(table, sound_line(table, number + 3))[kind]
                if place == "unended" and not line:
                    continue  # nothing after the last newline is no line
                lines = [sound_line(table, number + n) for n in range(3)]
                yield Case(table, kind, place, (*lines[:at], line, *lines[at:]), outcome)
                number += 4


def write(folder: Path, cases: list[Case]) -> Path:
    files: dict[str, dict[str, bytes]] = {table: {} for table in SCHEMA}
    for case in cases:
        files[case.table][case.name] = case.content
    return mini_dump(folder, SCHEMA, files)


def wrong(database: Connection, run: int, cases: list[Case]) -> list[str]:
    """Cases of whose four lines one went astray."""
    found = {
        (table, file): counts
        for table, file, *counts in rows(
            database,
            "select table_name, file_name, lines, loaded, filtered, repeated, rejected from udecdash.files"
            f" where run_id = {run}",
        )
    }
    rejects: dict[tuple[str, str], list[tuple[int, str]]] = {}
    for table, file, line, reason in rows(
        database, f"select table_name, file_name, line, reason from udecdash.rejects where run_id = {run}"
    ):
        rejects.setdefault((table, file), []).append((line, reason))
    told = []
    for case in cases:
        key = (case.table, case.name)
        loaded, filtered = 3 + (case.outcome == LOADED), int(case.outcome == FILTERED)
        rejected = 4 - loaded - filtered
        if found[key] != [4, loaded, filtered, 0, rejected]:
            told.append(f"{key}: {found[key]}, {rejects.get(key)}")
        elif rejected:
            [(line, reason)] = rejects[key]
            if line != case.line or not re.search(case.outcome, reason):
                told.append(f"{key}: line {line}: {reason}")
    return told


def test_the_sound_rows_of_the_corpus_arrive_and_each_other_line_is_named(
    postgres: Settings, database: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lenient = postgres.model_copy(update={"max_rejected_rows": 1000})
    requested: Counter[str] = Counter()
    # The first night fills an empty requests, the second appends; in the third, the server's language is unknown to us.
    for night in (1, 2, 3):
        if night == 3:
            monkeypatch.setattr(db, "copy_place", lambda _: None)
        cases = list(corpus(night * 100_000))
        assert len(cases) >= 200
        run = load(lenient, write(tmp_path / str(night), cases)).run
        assert "\n".join(wrong(database, run, cases)) == ""
        for table in ("item_dim", "module_item_dim"):
            expected = Counter(key for case in cases if case.table == table for key in case.sound)
            assert Counter(key for (key,) in rows(database, f"select id::text from {table}")) == expected
        requested.update(key for case in cases if case.table == "requests" for key in case.sound)
        assert Counter(key for (key,) in rows(database, "select id from requests")) == requested
    assert rows(database, "select count(*) from udecdash.rejects where reason ~ 'canary|10:00'") == [(0,)]


@pytest.mark.parametrize("table", SCHEMA)
def test_a_line_of_64_megabytes_is_one_reject_among_sound_rows(
    postgres: Settings, database: Connection, tmp_path: Path, table: str
) -> None:
    long = with_field(sound_line(table, 2), TEXT[table], b"x" * (64 << 20))
    lines = [sound_line(table, 1), long, with_field(sound_line(table, 3), TEXT[table], b"x" * 250)]
    run = load(postgres, mini_dump(tmp_path, SCHEMA, {table: {"a.gz": b"\n".join(lines) + b"\n"}})).run
    assert rows(database, f"select id::text from {table} order by 1") == [("1",), ("3",)]
    assert rows(database, f"select line, reason from udecdash.rejects where run_id = {run}") == [
        (2, "longer than 16 MB")
    ]


def test_the_longest_line_that_is_allowed_arrives_whole_either_way(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    text = [("id", "bigint"), ("canvas_id", "bigint"), ("name", "text")]
    long = b"2\t2\t" + b"y" * (LONGEST - 1000)
    files = {"plain_dim": b"1\t1\ta\n" + long + b"\n", "odd_dim": b"\\.\n" + long + b"\n"}
    load(postgres, mini_dump(tmp_path, dict.fromkeys(files, text), {t: {"a.gz": c} for t, c in files.items()}))
    for table in files:
        assert rows(database, f"select length(name) from {table} where id = 2") == [(LONGEST - 1000,)]


def test_lines_in_unpacked_files_are_judged_alike_and_counted_without_the_header(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    cases = [case for case in corpus(1) if case.place == "middle"]
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    mini_dump(tmp_path, SCHEMA, {})
    for table, columns in SCHEMA.items():
        lines = [line for case in cases if case.table == table for line in case.lines]
        header = "\t".join(name for name, _ in columns).encode()
        (unpacked / f"{table}.txt").write_bytes(b"\n".join([header, *lines]) + b"\n")
    load(postgres.model_copy(update={"max_rejected_rows": 1000}), tmp_path, unpacked=unpacked)
    for table in SCHEMA:
        own = [case for case in cases if case.table == table]
        rejected = [n * 4 + case.line for n, case in enumerate(own) if case.outcome not in (LOADED, FILTERED)]
        found = rows(database, f"select line from udecdash.rejects where table_name = '{table}' order by 1")
        assert [line for (line,) in found] == rejected
        counted = rows(database, f"select lines, loaded, rejected from udecdash.files where table_name = '{table}'")
        assert counted == [(4 * len(own), sum(len(case.sound) for case in own), len(rejected))]


TIMED = [
    ("id", "bigint"),
    ("created_at", "timestamp"),
    ("day", "date"),
    ("score", "double precision"),
    ("name", "text"),
]


@pytest.mark.parametrize("before", ["made", "found"])
def test_a_word_that_postgresql_would_read_as_a_value_is_a_reject_and_the_same_word_in_a_text_arrives(
    postgres: Settings, database: Connection, tmp_path: Path, before: str
) -> None:
    if before == "found":
        found = "create domain moment as timestamp; create table item_dim (id bigint primary key, created_at moment)"
        with database.cursor() as cursor:
            cursor.execute(found)
    times = [b"now", b"NOW", b" Today", b"today 10:00", b"tomorrow", b"yesterday", b"epoch", b"infinity", b"-infinity",
             b"\\tnow", b"n\\157w", b"n\\ow", b"\\Now", b"today UTC",
             b"2021-01-01 10:00:00-03", b"2021-01-01 10:00:00 EST", b"0044-03-15 BC",
             b"20210101 10:00+03", b"2021/01/01 10:00-03", b"2021-01-01 10:00\\-03"]  # fmt: skip
    odd = [(1, word) for word in times] + [(2, b"infinity"), (3, b"NaN"), (3, b"-Infinity"), (3, b"inf")]
    files = {}
    for number, (place, word) in enumerate(odd):
        line = with_field(b"%d\t2021-01-01 10:00:00\t2021-01-01\t1.5\tinfinity" % number, place, word)
        files[f"{number:02d}.gz"] = b"100%d\t2021-01-01 10:00:00\t2021-01-01\t1.5\tnow\n" % number + line + b"\n"
    run = load(postgres, mini_dump(tmp_path, {"item_dim": TIMED}, {"item_dim": files})).run
    assert rows(database, "select count(*), min(created_at)::text, max(name) from item_dim") == [
        (len(odd), "2021-01-01 10:00:00", "now")
    ]
    rejects = f"select line, reason from udecdash.rejects where run_id = {run} order by file_name"
    expected = [(2, f"{TIMED[place][0]}: {words.REASON}") for place, _ in odd]
    assert rows(database, rejects) == expected


def test_a_text_that_is_such_a_word_does_not_send_its_file_the_careful_way(
    postgres: Settings, database: Connection, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines = b"1\t2021-01-01 10:00:00\t2021-01-01\t1.5\tnow\n2\t2021-01-01 10:00:00\t2021-01-01\t1.5\tbye\\nNow\n"
    lines += b"3\t\\N\t2021-01-01\t-1.5e-9\t2021-01-01 10:00:00-03\n"
    load(postgres, mini_dump(tmp_path, {"item_dim": TIMED}, {"item_dim": {"a.gz": lines}}))
    assert rows(database, "select id, name from item_dim order by id") == [
        (1, "now"), (2, "bye\nNow"), (3, "2021-01-01 10:00:00-03"),
    ]  # fmt: skip
    assert "line by line" not in caplog.text


def test_a_time_with_a_zone_is_a_reject_however_deep_it_stands_in_a_file_that_is_otherwise_sound(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    lines = [b"%d\t2021-01-01 10:00:00\t2021-01-01\t1.5\tx\n" % number for number in range(9000)]
    lines[7000] = b"7000\t2021-01-01 10:00:00-03\t2021-01-01\t1.5\tx\n"
    run = load(postgres, mini_dump(tmp_path, {"item_dim": TIMED}, {"item_dim": {"a.gz": b"".join(lines)}})).run
    told = [(7001, f"created_at: {words.REASON}")]
    assert rows(database, f"select line, reason from udecdash.rejects where run_id = {run}") == told
    assert rows(database, "select count(*) from item_dim") == [(8999,)]


def test_what_a_date_means_does_not_hang_on_the_server(
    postgres: Settings, database: Connection, tmp_path: Path
) -> None:
    with database.cursor() as cursor:
        name = postgres.db_name
        cursor.execute(f"alter database {name} set datestyle = 'German, DMY'")
        cursor.execute(f"alter database {name} set timezone = 'America/Santiago'")
        cursor.execute(f"alter database {name} set intervalstyle = 'iso_8601'")
    lines = b"1\t2021-02-01 10:00:00\t2021-02-01\t1\ta\n2\t01/02/2021\t2021-02-01\t1\tb\n"
    load(postgres, mini_dump(tmp_path, {"item_dim": TIMED}, {"item_dim": {"a.gz": lines}}))
    assert rows(database, "select id, to_char(created_at, 'YYYY-MM-DD HH24') from item_dim") == [(1, "2021-02-01 10")]
    reasons = rows(database, "select line, reason from udecdash.rejects")
    assert reasons == [(2, "created_at: datetime field overflow (22008)")]

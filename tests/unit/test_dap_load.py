"""Canvas Data 2's schemas, first lines and web log, without a server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.dap_nights import put
from udecdash_updater import dap_schema, dap_weblog, rows, sieve
from udecdash_updater.dap_ids import Ids
from udecdash_updater.errors import DumpError
from udecdash_updater.sieve import KEPT, kept_lines

LOG = "meta.ts\tvalue.url\tkey.id\tvalue.timestamp\tvalue.user_id\tvalue.course_id\tvalue.quiz_id\tmeta.action"


def kept(folder: Path, *lines: str, ids: Ids, header: str = LOG) -> tuple[list[dict[str, str]], list[str], int]:
    """The rows that are kept of a file of the web log, why others are not, and how many are filtered."""
    batch = put(folder, "canvas_logs.web_logs", [header, *lines], night=1)
    [file] = dap_weblog.files([batch])
    told = dap_weblog.with_ids(file, ids)
    tally, rejects = rows.Tally(), []
    with rows.reading(file.path) as plain:
        body = rows.skip_header(plain)
        found = [
            line for _, line in kept_lines(body, told, tally, lambda number, why: rejects.append(f"{number} {why}"))
        ]
    assert tally.lines == len(lines)
    values = [line.decode().rstrip("\n").split("\t") for line in found]
    return [dict(zip(KEPT, value, strict=True)) for value in values], rejects, tally.filtered


def test_a_line_of_the_web_log_is_one_of_requests_with_ids_that_go_on(tmp_path: Path) -> None:
    line = "t\t/a\\tb\tu-1\t2026-01-01T10:00:00.123Z\t5\t7\t0\tU"
    [row], rejects, filtered = kept(tmp_path, line, ids=Ids(15, {5: -99}))
    assert (rejects, filtered) == ([], 0)
    assert row == dict.fromkeys(KEPT, "\\N") | {
        "id": "u-1", "timestamp": "2026-01-01 10:00:00.123", "user_id": "-99", "course_id": "150000000000007",
        "quiz_id": "0", "url": "/a\\tb",
    }  # fmt: skip


def test_deleted_rows_and_rows_without_a_course_are_filtered_and_others_are_rejects(tmp_path: Path) -> None:
    found = kept(
        tmp_path,
        "t\t\\N\tu-1\t\\N\t\\N\t\\N\t\\N\tD",
        "t\t/a\tu-2\t2026-01-01T10:00:00.123Z\t5\t\\N\t\\N\tU",
        "t\t/courses/7/ping\tu-3\t2026-01-01T10:00:00.123Z\t5\t7\t\\N\tU",
        "t\t/a\tu-4\tyesterday\t5\t7\t\\N\tU",
        "t\t/a\tu-5",
        ids=Ids(0),
    )
    assert found[0] == []
    assert found[1] == ["4 timestamp: is not of the form YYYY-MM-DD HH:MM:SS.fff", "5 3 columns instead of 8"]
    assert found[2] == 3


@pytest.mark.parametrize("field", ["-", "--5", "5" * 5000, "5.0"])
def test_a_user_that_is_no_number_is_left_to_postgresql_to_refuse(tmp_path: Path, field: str) -> None:
    line = f"t\t/a\tu-1\t2026-01-01T10:00:00.123Z\t{field}\t7\t\\N\tU"
    [row], _, _ = kept(tmp_path, line, ids=Ids(15))
    assert (row["user_id"], row["course_id"]) == (field, "150000000000007")


@pytest.mark.parametrize("block", [7, 64, 300])
@pytest.mark.parametrize("end", ["", "\r"])
def test_a_line_that_is_too_long_is_a_reject_and_the_lines_around_it_are_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, block: int, end: str
) -> None:
    monkeypatch.setattr(rows, "LONGEST", 300)
    monkeypatch.setattr(sieve, "_BLOCK", block)

    def line(number: int, url: str = "/a") -> str:
        return f"t\t{url}\tu-{number}\t2026-01-01T10:00:00.123Z\t5\t7\t\\N\tU{end}"

    long = [line(2, "/" + "x" * 300), "x" * 1000 + end, line(4, "\t" * 400), line(5, "/" + "x" * 5000)]
    found, rejects, filtered = kept(tmp_path, line(1), *long, line(6), line(7, "/b"), ids=Ids(15))
    assert [(row["id"], row["url"], row["course_id"]) for row in found] == [
        (f"u-{number}", url, "150000000000007") for number, url in ((1, "/a"), (6, "/a"), (7, "/b"))
    ]
    assert rejects == [f"{number} {rows.TOO_LONG}" for number in (2, 3, 4, 5)]
    assert filtered == 0


def test_a_web_log_without_what_a_request_is_made_of_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DumpError, match="lacks the columns timestamp, user_id"):
        kept(tmp_path, ids=Ids(0), header="key.id\tvalue.course_id\tvalue.url")


@pytest.mark.parametrize(
    "header", ["key.id\tvalue.a\tvalue.a", "id\tname", "key.id\tvalue.", "key.id\tvalue." + 64 * "x"]
)
def test_a_first_line_that_names_no_columns_is_refused(tmp_path: Path, header: str) -> None:
    path = tmp_path / "part.tsv"
    path.write_text(f"{header}\n")
    with pytest.raises(DumpError, match="line 1"):
        dap_schema.columns(path, "canvas.users")


def test_types_are_the_widest_of_their_kind_and_what_is_unknown_is_text(tmp_path: Path) -> None:
    kinds = {
        "a": {"type": "integer", "format": "int32"}, "b": {"type": "number"}, "c": {"type": ["boolean", "null"]},
        "d": {"type": "string", "format": "date-time"}, "e": {"type": "string", "maxLength": 255},
        "f": {"$ref": "#/definitions/State"}, "g": {"type": "object", "properties": {}}, "h": {"oneOf": []},
        "i": {"type": "string", "format": "date"},
    }  # fmt: skip
    schema = {
        "definitions": {"State": {"type": "string", "enum": ["on", "off"]}},
        "properties": {"key": {"properties": {"id": {"type": "integer"}}}, "value": {"properties": kinds}},
    }
    table = dap_schema.read([put(tmp_path, "new_quizzes.items", ["key.id"], night=1, schema=schema)])
    assert (table.name, table.local, table.key) == ("new_quizzes.items", "new_quizzes__items", ("id",))
    assert list(table.types.values()) == [
        "bigint", "bigint", "double precision", "boolean", "timestamp without time zone", "text", "text", "text",
        "text", "date",
    ]  # fmt: skip


def test_a_schema_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DumpError, match="is no schema of a table"):
        dap_schema.read([put(tmp_path, "canvas.users", ["key.id"], night=1, schema={"properties": {}})])

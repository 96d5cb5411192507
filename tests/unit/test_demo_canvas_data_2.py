"""The generated night, told once more as Canvas Data 2: the same things under local ids."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from udecdash_updater.demo.canvas_data_2 import main, tell

Lines = list[dict[str, str]]


def lines(path: Path) -> Lines:
    head, *rest = gzip.decompress(path.read_bytes()).decode().removesuffix("\n").split("\n")
    return [dict(zip(head.split("\t"), line.split("\t"), strict=True)) for line in rest]


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory, small_nights: Path) -> Path:
    return tell(small_nights / "night1" / "dataFiles", tmp_path_factory.mktemp("served"), 1)


def told(night: Path, table: str) -> Lines:
    return lines(night / f"{table.replace('.', '/')}.tsv.gz")


def test_ids_are_those_of_the_urls(night: Path) -> None:
    courses = {row["key.id"] for row in told(night, "canvas.courses")}
    users = {row["key.id"] for row in told(night, "canvas.users")}
    assert all(int(course) < 10**6 for course in courses)
    assert {row["value.course_id"] for row in told(night, "canvas.enrollments")} <= courses
    assert {row["value.user_id"] for row in told(night, "canvas.enrollments")} <= users
    logged = {row["value.course_id"] for row in told(night, "canvas_logs.web_logs")} - {"\\N"}
    assert logged & courses == courses


def test_a_module_item_is_a_content_tag_and_names_what_it_points_at(night: Path) -> None:
    tags = told(night, "canvas.content_tags")
    assert {row["value.tag_type"] for row in tags} == {"context_module"}
    for kind, table in {"Quizzes::Quiz": "quizzes", "WikiPage": "wiki_pages", "Attachment": "attachments"}.items():
        things = {row["key.id"] for row in told(night, f"canvas.{table}")}
        pointed = {row["value.content_id"] for row in tags if row["value.content_type"] == kind}
        assert pointed
        assert len(pointed & things) > len(pointed) / 2  # some point at what a later night brings
    assert "Quiz" not in {row["value.content_type"] for row in tags}


def test_columns_are_those_of_the_schema_and_each_key_stands_once_but_in_the_web_log(night: Path) -> None:
    for path in sorted(night.rglob("*.tsv.gz")):
        parts = json.loads(path.with_name(path.name.replace(".tsv.gz", ".schema.json")).read_text())["schema"]
        values = parts["properties"]["value"]["properties"]
        rows = lines(path)
        assert [name for name in rows[0] if name.startswith("value.")] == [f"value.{name}" for name in values]
        keys = [row["key.id"] for row in rows]
        assert len(set(keys)) == len(keys) or path.name == "web_logs.tsv.gz", path


def test_the_command_tells_a_night(tmp_path: Path, small_nights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(small_nights / "night2"), str(tmp_path), "--night", "2"]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'night2'}\n"
    assert (tmp_path / "night2" / "canvas" / "courses.tsv.gz").is_file()

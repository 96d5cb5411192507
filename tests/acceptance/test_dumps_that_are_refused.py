"""A dump that is not there, not whole or not plausible: exit 4, file and table named, yesterday's data served."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2's class has a lower-case name

from tests import truth
from tests.installation import Installation, contents, rows
from tests.nights import process
from tests.nights import truth as figures
from udecdash_updater.settings import Settings

Spoil = Callable[[Path], list[str]]
"""Spoils the dump in a folder; says what must be told about it."""
ACCEPT = "udecdash-updater run --accept"
WORKERS_STOPPED = "INFO workers stop ..."


def one_file(data_files: Path, table: str = "enrollment_dim") -> Path:
    return min((data_files / table).glob("*.gz"))


def no_folder(data_files: Path) -> list[str]:
    shutil.rmtree(data_files)
    return [f"PATH_DATA_FILES: {data_files} is not a folder"]


def no_dump(data_files: Path) -> list[str]:
    shutil.rmtree(data_files)
    data_files.mkdir()
    return [f"{data_files}/schema.json: No such file"]


def no_files(data_files: Path) -> list[str]:
    for file in data_files.glob("*/*.gz"):
        file.unlink()
    return [f"{data_files} holds no file of any table"]


def a_table_without_its_file(data_files: Path) -> list[str]:
    shutil.rmtree(data_files / "enrollment_dim")
    return ["can hardly be what Canvas has", "enrollment_dim", "rows no file gone", f"{ACCEPT} enrollment_dim"]


def a_cut_archive(data_files: Path) -> list[str]:
    file = one_file(data_files)
    file.write_bytes(file.read_bytes()[:-9])
    return ["table enrollment_dim", str(file), "cut short"]


def a_cut_archive_of_requests(data_files: Path) -> list[str]:
    file = one_file(data_files, "requests")
    whole = file.rename(file.with_name("requests-00000-ffffffff.gz"))  # a new one: known ones are not read again
    whole.write_bytes(whole.read_bytes()[:-30])
    return ["table requests", str(whole), "cut short"]


def a_flipped_byte(data_files: Path) -> list[str]:
    file = one_file(data_files)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(content)
    return ["table enrollment_dim", str(file), "damaged"]


def an_archive_that_is_a_web_page(data_files: Path) -> list[str]:
    one_file(data_files).write_text("<html>Service Unavailable</html>\n")
    return ["table enrollment_dim", str(one_file(data_files))]


def lines_that_cannot_be_loaded(data_files: Path) -> list[str]:
    file = one_file(data_files)
    file.write_bytes(file.read_bytes() + gzip.compress(b"not\ta\trow\n" * 101))
    return ["enrollment_dim", file.name, "columns instead of", WORKERS_STOPPED]


def a_table_that_shrank(data_files: Path) -> list[str]:
    for file in (data_files / "submission_dim").glob("*.gz"):
        file.write_bytes(gzip.compress(b""))
    return ["submission_dim", "rows 0 rows shrunk", f"{ACCEPT} submission_dim", WORKERS_STOPPED]


def a_table_that_left_the_schema(data_files: Path) -> list[str]:
    schema = json.loads((data_files / "schema.json").read_text())
    schema["schema"] = {k: t for k, t in schema["schema"].items() if t["tableName"] != "enrollment_dim"}
    (data_files / "schema.json").write_text(json.dumps(schema))
    return ["enrollment_dim", "rows not in schema.json gone", f"{ACCEPT} enrollment_dim"]


SPOILED: list[Spoil] = [
    no_folder,
    no_dump,
    no_files,
    a_table_without_its_file,
    a_cut_archive,
    a_cut_archive_of_requests,
    a_flipped_byte,
    an_archive_that_is_a_web_page,
    lines_that_cannot_be_loaded,
    a_table_that_shrank,
    a_table_that_left_the_schema,
]


@pytest.mark.parametrize("spoil", SPOILED)
def test_a_night_is_refused_because_of(yesterday: Installation, database: Connection, spoil: Spoil) -> None:
    site, before = yesterday, contents(database)
    words = spoil(site.data_files)
    site.run(4, ENABLE_DOWNLOAD="False")
    mail = site.told()
    for expected in [*words, "Run: 2", "exit code 4", "What to do: "]:
        assert expected in mail
    assert site.is_back
    assert contents(database) == before
    [(code, error)] = rows(database, "select exit_code, error from udecdash.runs where id = 2")
    assert (code, words[0] in error) == (4, True)


def test_a_cut_archive_is_fetched_once_more_and_the_night_is_done_with_a_warning(
    yesterday: Installation, services: Settings, database: Connection, small_nights: Path
) -> None:
    site = yesterday
    a_cut_archive(site.data_files)  # one that canvasDataCli left yesterday and would never fetch again
    ended = site.run(10)
    process(services, 2)
    assert truth.wrong_night(database, figures(small_nights / "night1")) == []
    assert "enrollment_dim" in ended.log
    [(code, warnings)] = rows(database, "select exit_code, warnings from udecdash.runs where id = 2")
    assert (code, len(warnings)) == (10, 1)
    assert site.is_back


def test_an_archive_that_arrives_cut_twice_is_refused_and_the_cleared_folders_are_put_back(
    yesterday: Installation, database: Connection
) -> None:
    site, before = yesterday, contents(database)
    site.serve(2)
    site.faults({"fault": "cut", "bytes": 60, "content_length": False, "file": "enrollment_dim-*", "times": 9})
    site.run(4, CLEAR_DIRECTORIES_BEFORE_DOWNLOAD="True")
    assert "table enrollment_dim" in site.told()
    assert contents(database) == before
    assert site.is_back
    site.faults()
    site.run(0, CLEAR_DIRECTORIES_BEFORE_DOWNLOAD="True")


def test_a_table_that_lost_its_rows_in_canvas_is_named_and_the_download_before_it_is_undone(
    yesterday: Installation, database: Connection
) -> None:
    site, before = yesterday, contents(database)
    site.serve(2)
    site.faults({"fault": "shrunk", "without": ["enrollment_dim"]})
    site.run(4, CLEAR_DIRECTORIES_BEFORE_DOWNLOAD="True")
    assert f"{ACCEPT} enrollment_dim" in site.told()
    assert list((site.data_files / "enrollment_dim").glob("*.gz"))
    assert contents(database) == before

"""The stand-in behaves as canvasDataCli 0.6.6 was measured to: one test a habit."""

from __future__ import annotations

import gzip
import json
import os
import zlib
from pathlib import Path

import pytest

from tests.canvas import NIGHT_1, Canvas, listed, make_canvas
from udecdash_updater.demo.canvas_data_cli.cli import parse
from udecdash_updater.demo.canvas_data_cli.config import ConfigError, read

NIGHT_2 = {
    "course_dim": {"course_dim-00000-cccccccc.gz": gzip.compress(b"1\tAlgebra II\n")},
    "requests": {"requests-00000-00000000.gz": gzip.compress(b"regrown under its old name")},
}


@pytest.fixture
def canvas(tmp_path: Path) -> Canvas:
    return make_canvas(tmp_path)


def test_sync_downloads_every_file_and_tells_so(canvas: Canvas) -> None:
    done = canvas.run("sync", "-c", "config.js")
    assert canvas.on_disk() == listed(NIGHT_1)
    assert "total number of files: 11 files\n" in done.stdout
    assert done.stdout.endswith("sync command completed successfully\n")


def test_stderr_carries_a_deprecation_warning_even_when_all_is_well(canvas: Canvas) -> None:
    assert "DeprecationWarning" in canvas.run("sync", "-c", "config.js").stderr


def test_schema_json_is_written_anew_each_time_without_a_final_newline(canvas: Canvas) -> None:
    canvas.data_files.mkdir()
    (canvas.data_files / "schema.json").write_text("old")
    canvas.run("sync", "-c", "config.js")
    text = (canvas.data_files / "schema.json").read_text()
    assert text == json.dumps(json.loads(text), indent=2)


def test_a_name_on_disk_is_never_fetched_again_whatever_its_size(canvas: Canvas) -> None:
    canvas.run("sync", "-c", "config.js")
    damaged = canvas.data_files / "course_dim" / "course_dim-00000-aaaaaaaa.gz"
    damaged.write_bytes(b"")
    done = canvas.run("sync", "-c", "config.js")
    assert damaged.read_bytes() == b""
    assert "no new files were downloaded" in done.stdout


def test_what_is_not_listed_is_deleted_but_hidden_files_and_folders_stay(canvas: Canvas) -> None:
    (canvas.data_files / "old_dim").mkdir(parents=True)
    for name in ("old_dim/old_dim-00000-11111111.gz", "stray", ".hidden", "schema.json"):
        (canvas.data_files / name).write_text("x")
    canvas.run("sync", "-c", "config.js")
    assert canvas.on_disk() == {**listed(NIGHT_1), ".hidden": b"x"}
    assert (canvas.data_files / "old_dim").is_dir()


def test_the_newest_night_is_served_and_takes_the_place_of_the_old(canvas: Canvas) -> None:
    canvas.run("sync", "-c", "config.js")
    canvas.serve(2, NIGHT_2)
    canvas.run("sync", "-c", "config.js")
    regrown = NIGHT_1["requests"]["requests-00000-00000000.gz"]  # its name was there, so it stays as it was
    assert canvas.on_disk() == {**listed(NIGHT_2), "requests/requests-00000-00000000.gz": regrown}


def test_the_file_current_chooses_the_night(canvas: Canvas) -> None:
    canvas.serve(2, NIGHT_2)
    (canvas.served / "current").write_text("1\n")
    canvas.run("sync", "-c", "config.js")
    assert canvas.on_disk() == listed(NIGHT_1)


def test_an_incomplete_list_only_warns_and_still_deletes(canvas: Canvas) -> None:
    canvas.run("sync", "-c", "config.js")
    canvas.faults({"fault": "incomplete", "without": ["user_dim"]})
    done = canvas.run("sync", "-c", "config.js")
    assert "Could not retrieve a full list of files!" in done.stderr
    assert not list((canvas.data_files / "user_dim").iterdir())


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("api500", "[ApiError] { errorCode: 500"),
        ("unauthorized", "[ApiError] { errorCode: 401"),
        ("api404", "no files exist for account, cannot sync"),
    ],
)
def test_an_api_error_is_not_retried_and_ends_in_exit_1(canvas: Canvas, fault: str, told: str) -> None:
    canvas.faults({"fault": fault, "times": 1})
    assert told in canvas.run("sync", "-c", "config.js", code=1).stderr
    assert not canvas.on_disk()
    canvas.run("sync", "-c", "config.js")


def test_five_failed_downloads_are_retried(canvas: Canvas) -> None:
    canvas.faults({"fault": "fail", "file": "user_dim-00000-*", "times": 5})
    canvas.run("sync", "-c", "config.js")
    assert canvas.on_disk() == listed(NIGHT_1)


def test_two_files_that_fail_three_times_each_exhaust_the_one_budget(canvas: Canvas) -> None:
    (canvas.data_files).mkdir()
    (canvas.data_files / "stray").write_text("x")
    canvas.faults(
        {"fault": "fail", "file": "user_dim-00000-*", "times": 3},
        {"fault": "fail", "file": "course_dim-*", "times": 3},
    )
    assert "ReferenceError" in canvas.run("sync", "-c", "config.js", code=1).stderr
    found = canvas.on_disk()
    assert len([name for name in found if name.endswith(".gz")]) == 10  # the other files are kept
    assert len([name for name in found if name.endswith(".tmp")]) == 1
    assert "stray" in found  # and nothing is cleaned


def test_a_cut_body_is_noticed_by_its_length_and_fetched_again(canvas: Canvas) -> None:
    canvas.faults({"fault": "cut", "file": "course_dim-*", "bytes": 9, "times": 1})
    canvas.run("sync", "-c", "config.js")
    assert canvas.on_disk() == listed(NIGHT_1)


def test_a_cut_body_without_length_is_kept_as_good_and_never_repaired(canvas: Canvas) -> None:
    canvas.faults({"fault": "cut", "file": "course_dim-*", "bytes": 9, "content_length": False, "times": 1})
    canvas.run("sync", "-c", "config.js")
    canvas.run("sync", "-c", "config.js")
    assert len(canvas.on_disk()["course_dim/course_dim-00000-aaaaaaaa.gz"]) == 9
    assert "unexpected end of file" in canvas.run("unpack", "-c", "config.js", "-f", "course_dim", code=1).stderr


def test_unpack_writes_header_and_rows_of_all_files_by_name(canvas: Canvas) -> None:
    canvas.run("sync", "-c", "config.js")
    canvas.run("unpack", "-c", "config.js", "-f", "user_dim", "course_dim")
    assert (canvas.unpacked / "user_dim.txt").read_bytes() == b"id\tname\n1\tAna\n2\tLuis\n3\tEva\n"
    assert (canvas.unpacked / "course_dim.txt").read_bytes() == b"id\tname\n1\tAlgebra\n"
    assert not (canvas.unpacked / "requests.txt").exists()


def test_unpack_takes_no_comma_list_and_passes_over_unknown_tables(canvas: Canvas) -> None:
    canvas.run("sync", "-c", "config.js")
    done = canvas.run("unpack", "-c", "config.js", "-f", "user_dim,course_dim")
    assert "no files matched filter, nothing will be unpacked" in done.stderr
    canvas.run("unpack", "-c", "config.js", "-f", "no_such_table")
    assert not list(canvas.unpacked.iterdir())


def test_unpack_of_a_table_without_folder_fails(canvas: Canvas) -> None:
    canvas.run("sync", "-c", "config.js")
    assert "ENOENT" in canvas.run("unpack", "-c", "config.js", "-f", "quiz_dim", code=1).stderr


def test_unpack_before_any_sync_fails(canvas: Canvas) -> None:
    done = canvas.run("unpack", "-c", "config.js", "-f", "user_dim", code=1)
    assert "could not find schema" in done.stderr


@pytest.mark.parametrize(
    ("packed", "text"),
    [
        (gzip.compress(b"1\ta\n\n \t\n\xc2\xa0\n\xef\xbb\xbf\n2\tb\n"), b"1\ta\n2\tb\n"),
        (gzip.compress(b"1\ta\r\n2\tb\r\r\n"), b"1\ta\n2\tb\r\n"),
        (gzip.compress(b"1\t\xff\xc3x\n2\t\xe2\x82"), b"1\t\xef\xbf\xbd\xef\xbf\xbdx\n2\t\xef\xbf\xbd\n"),
        (gzip.compress(b"1\ta\x00b\rc\xc2\x85d\xe2\x80\xa8e"), b"1\ta\x00b\rc\xc2\x85d\xe2\x80\xa8e\n"),
        (gzip.compress(b"1\ta\n") + gzip.compress(b"2\tb\n") + b"\0\0", b"1\ta\n2\tb\n"),
        (gzip.compress(b""), b""),
        (zlib.compress(b"1\ta"), b"1\ta\n"),
    ],
    ids=["blank lines", "CRs", "no UTF-8", "NUL and line ends", "two members", "no line", "zlib"],
)
def test_unpack_alters_bytes_as_the_original_does(canvas: Canvas, packed: bytes, text: bytes) -> None:
    canvas.run("sync", "-c", "config.js")
    (canvas.data_files / "course_dim" / "course_dim-00000-aaaaaaaa.gz").write_bytes(packed)
    canvas.run("unpack", "-c", "config.js", "-f", "course_dim")
    assert (canvas.unpacked / "course_dim.txt").read_bytes() == b"id\tname\n" + text


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "unexpected end of file"),
        (gzip.compress(b"1\ta\n")[:-9], "unexpected end of file"),
        (gzip.compress(b"1\ta\n")[:-8] + bytes(8), "incorrect data check"),
        (gzip.compress(b"1\ta\n") + b"xyz", "incorrect header check"),
        (b"<html>", "incorrect header check"),
    ],
    ids=["empty", "cut", "wrong sum", "more behind it", "a page"],
)
def test_unpack_reads_every_file_and_dies_of_a_damaged_one(canvas: Canvas, content: bytes, told: str) -> None:
    canvas.run("sync", "-c", "config.js")
    (canvas.data_files / "course_dim" / "course_dim-00001-bbbbbbbb.gz.tmp").write_bytes(content)
    assert told in canvas.run("unpack", "-c", "config.js", "-f", "course_dim", code=1).stderr


def test_fetch_stores_names_with_the_sequence_before_them(canvas: Canvas) -> None:
    canvas.run("fetch", "-c", "config.js", "-t", "course_dim")
    assert list(canvas.on_disk()) == ["course_dim/1-course_dim-00000-aaaaaaaa.gz"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "must provide a valid command"),
        (("upload",), "invalid command"),
        (("sync",), "Missing required argument: config"),
        (("unpack", "-c", "config.js"), "Missing required argument: filter"),
        (("sync", "-c", "other.js"), "does not exist"),
    ],
)
def test_wrong_usage_ends_in_exit_1(canvas: Canvas, arguments: tuple[str, ...], told: str) -> None:
    assert told in canvas.run(*arguments, code=1).stderr


def test_help_version_and_sample(canvas: Canvas) -> None:
    assert canvas.run("--version").stdout == "0.6.6\n"
    assert "decompress and merge files" in canvas.run("--help").stdout
    assert "--filter, -f" in canvas.run("unpack", "--help").stdout
    canvas.run("sampleConfig")
    assert read(canvas.folder / "config.js.sample").text("saveLocation") == "./dataFiles"


def test_filter_takes_words_up_to_the_next_option() -> None:
    found = parse(["unpack", "--filter", "a", "b", "-c", "config.js", "-f", "d", "-l=debug"])
    assert found.words == ["unpack"]
    assert found.options == {"filter": ["a", "b", "d"], "config": ["config.js"], "level": ["debug"]}


@pytest.mark.parametrize(
    "text",
    [
        "module.exports = {saveLocation: './d', \"apiUrl\": \"http://h/api\", key: 'k', secret: `s`,}",
        "'use strict';\nconst key = 'k'\n/* , */ module.exports = { // {\n saveLocation: './' + 'd', apiUrl: 'http://h/api',"
        " key, secret: process.env.NO_SUCH_VARIABLE || 's' };",
        "var path = require('path');\nexports.saveLocation = path.join('.', 'd');exports.apiUrl='http://h/api';"
        "exports.key=process.env.NO_SUCH_VARIABLE ?? 'k';exports.secret='\\x73'",
    ],
)
def test_config_js_is_read_in_the_forms_people_write(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.js").write_text(text)
    config = read(tmp_path / "config.js")
    assert config.save_location == Path(os.path.normpath(Path.cwd() / "d"))
    assert (config.text("apiUrl"), config.text("key"), config.text("secret")) == ("http://h/api", "k", "s")


@pytest.mark.parametrize("text", ["module.exports = {key: f()}", "module.exports = {key: 'k'", "key = 'k'", "}"])
def test_a_config_js_beyond_the_reader_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.js").write_text(text)
    with pytest.raises(ConfigError):
        read(tmp_path / "config.js")


def test_a_config_without_key_is_invalid_and_the_environment_gives_it(canvas: Canvas) -> None:
    text = (canvas.folder / "config.js").read_text()
    canvas.configure(text.replace("|| 'the-key-of-the-api'", ""))
    assert "missing key fields in config" in canvas.run("sync", "-c", "config.js", code=1).stderr
    canvas.run("sync", "-c", "config.js", CD_API_KEY="from the environment")


@pytest.mark.parametrize("fault", [{"fault": "exit", "code": 3}, {"fault": "kill", "at": "middle"}])
def test_faults_of_the_process_happen_as_often_as_told(canvas: Canvas, fault: dict[str, object]) -> None:
    canvas.faults({**fault, "times": 1})
    canvas.run("sync", "-c", "config.js", code=3 if fault["fault"] == "exit" else -9)
    canvas.run("sync", "-c", "config.js")
    assert canvas.on_disk() == listed(NIGHT_1)

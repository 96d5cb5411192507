"""The download stage against the stand-in: what counts as done, what fails and how, and what is never left behind."""

from __future__ import annotations

import contextlib
import gzip
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.canvas import NIGHT_1, Canvas, listed, make_canvas
from udecdash_updater import canvas_cli, programs
from udecdash_updater.canvas_cli import Backoff
from udecdash_updater.errors import DownloadError
from udecdash_updater.logs import LOGGER, SecretMask

AT_ONCE = Backoff(first=0, longest=0)


@pytest.fixture
def canvas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Canvas]:
    monkeypatch.setattr(programs, "GRACE_SECONDS", 1.0)
    monkeypatch.setenv("CANVAS_STANDIN_RETRY_MS", "1")
    made = make_canvas(tmp_path)
    yield made
    assert running(made) == []  # whatever a test did, no process of the command outlives it


def running(canvas: Canvas) -> list[str]:
    """The processes that work in the folder of config.js, zombies aside."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink() == canvas.folder:
                found.append((process / "cmdline").read_text())
        except OSError:
            continue
    return found


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(LOGGER, "propagate", True)
    caplog.set_level(logging.DEBUG, LOGGER.name)
    return caplog


def failure(canvas: Canvas, **settings: object) -> str:
    with pytest.raises(DownloadError) as caught:
        canvas_cli.sync(canvas.settings(**settings), backoff=AT_ONCE)
    assert caught.value.exit_code == 3
    return str(caught.value)


def test_sync_brings_the_dump_and_tells_the_last_lines(canvas: Canvas, log: pytest.LogCaptureFixture) -> None:
    done = canvas_cli.sync(canvas.settings(), backoff=AT_ONCE)
    assert canvas.on_disk() == listed(NIGHT_1)
    assert done.attempts == 1
    assert done.last_lines[-1] == "sync command completed successfully"
    assert "DeprecationWarning" in log.text  # noise on stderr is logged, and no sign of failure


def test_a_second_sync_of_the_same_dump_is_done_too(canvas: Canvas) -> None:
    canvas_cli.sync(canvas.settings(), backoff=AT_ONCE)
    assert "finished cleanup, done!" in canvas_cli.sync(canvas.settings(), backoff=AT_ONCE).last_lines


@pytest.mark.parametrize(
    "fault",
    [
        {"fault": "api500"},
        {"fault": "exit", "code": 7},
        {"fault": "kill", "at": "middle"},
        {"fault": "leave_tmp", "file": "user_dim-00000-*"},
        {"fault": "nothing"},
    ],
)
def test_a_fault_that_passes_is_overcome_by_another_attempt(canvas: Canvas, fault: dict[str, object]) -> None:
    canvas.faults({**fault, "times": 1})
    assert canvas_cli.sync(canvas.settings(download_attempts=2), backoff=AT_ONCE).attempts == 2
    assert canvas.on_disk() == listed(NIGHT_1)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("api500", ["exit code 1", "[ApiError] { errorCode: 500"]),
        ("unauthorized", ["exit code 1", "errorCode: 401"]),
        ("api404", ["no files exist for account, cannot sync"]),
        ("kill", ["signal 9"]),
        ("nothing", ["holds no files", "total number of files: 0 files"]),
    ],
)
def test_a_fault_that_stays_ends_in_an_error_with_the_last_lines(canvas: Canvas, fault: str, told: list[str]) -> None:
    canvas.faults({"fault": fault})
    message = failure(canvas, download_attempts=2)
    for part in told:
        assert part in message


def test_an_attempt_that_fails_is_told_in_the_language_of_the_log(
    canvas: Canvas, log: pytest.LogCaptureFixture
) -> None:
    canvas.faults({"fault": "api500"})
    failure(canvas)
    shown = [SecretMask(language="es").format(record) for record in log.records if record.levelname == "WARNING"]
    assert [line.partition("WARNING ")[2] for line in shown] == [
        "canvasDataCli sync terminó con el código de salida 1."
    ]


def test_a_budget_of_retries_exhausted_in_one_attempt_is_fresh_in_the_next(canvas: Canvas) -> None:
    canvas.faults({"fault": "fail", "file": "user_dim-00000-*", "times": 8})
    assert canvas_cli.sync(canvas.settings(download_attempts=2), backoff=AT_ONCE).attempts == 2


def test_success_without_doing_anything_is_not_believed(canvas: Canvas) -> None:
    canvas_cli.sync(canvas.settings(), backoff=AT_ONCE)
    canvas.faults({"fault": "exit", "code": 0, "text": "all is well\n"})
    message = failure(canvas)
    assert "wrote no" in message
    assert "all is well" in message


def test_an_incomplete_list_is_warned_of(canvas: Canvas, log: pytest.LogCaptureFixture) -> None:
    canvas.faults({"fault": "incomplete"})
    canvas_cli.sync(canvas.settings(), backoff=AT_ONCE)
    assert [record for record in log.records if record.levelno == logging.WARNING and "full list" in record.message]


def test_a_hanging_command_is_ended(canvas: Canvas) -> None:
    canvas.faults({"fault": "hang", "at": "middle"})
    assert "was still running after 1 s" in failure(canvas, download_timeout=1)


def test_a_command_that_hangs_once_is_run_again(canvas: Canvas) -> None:
    canvas.faults({"fault": "hang", "times": 1})
    done = canvas_cli.sync(canvas.settings(download_timeout=2, download_attempts=2), backoff=AT_ONCE)
    assert done.attempts == 2


def test_a_hanging_command_that_ignores_sigterm_is_killed_with_its_children(canvas: Canvas) -> None:
    canvas.faults({"fault": "fork", "stubborn": True}, {"fault": "hang", "stubborn": True})
    assert "was still running" in failure(canvas, download_timeout=1)


def test_a_child_that_stays_does_not_keep_the_stage_and_is_ended(canvas: Canvas) -> None:
    canvas.faults({"fault": "fork"})
    assert canvas_cli.sync(canvas.settings(), backoff=AT_ONCE).attempts == 1


@pytest.mark.parametrize("one_line", [True, False])
def test_a_flood_of_output_is_passed_in_bounded_memory(canvas: Canvas, one_line: bool) -> None:
    canvas.faults({"fault": "flood", "megabytes": 20, "one_line": one_line}, {"fault": "exit", "code": 1})
    message = failure(canvas)
    assert len(message) < programs.LAST_LINES * 1100
    assert "the stand-in ends as it was told" in message or one_line


def test_secrets_of_config_js_are_masked_in_log_and_error(canvas: Canvas, log: pytest.LogCaptureFixture) -> None:
    canvas.faults({"fault": "exit", "text": "bad the-key-of-the-api, the-secret-of-the-api\n"})
    message = failure(canvas)
    assert "bad ***, ***" in message
    assert "bad ***, ***" in log.text
    assert "-of-the-api" not in message + log.text


def test_our_own_secrets_are_not_handed_down(canvas: Canvas, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", "hidden-from-node")
    canvas.command.write_text("#!/bin/sh\nenv; exit 1\n")
    message = failure(canvas)
    assert "PATH=" in message
    assert "hidden-from-node" not in message


@pytest.mark.parametrize(
    ("break_it", "told"),
    [
        (lambda canvas: canvas.command.unlink(), "SERVER_CANVAS_DATA_CLI_COMMAND_PATH: {command} does not exist"),
        (lambda canvas: canvas.command.chmod(0o644), "{command} may not be executed"),
        (
            lambda canvas: (canvas.folder / "config.js").unlink(),
            "PATH_CANVAS_CONFIG: there is no config.js in {folder}",
        ),
    ],
)
def test_what_is_missing_is_named_by_setting_and_path(canvas: Canvas, break_it: object, told: str) -> None:
    assert callable(break_it)
    break_it(canvas)
    expected = told.format(command=canvas.command, folder=canvas.folder)
    assert expected in failure(canvas)
    with pytest.raises(DownloadError, match=r"does not exist|may not|no config\.js"):
        canvas_cli.check(canvas.settings())


def test_a_command_that_is_no_program_is_named(canvas: Canvas) -> None:
    canvas.command.write_bytes(b"\x7fELF nonsense")
    assert f"{canvas.command} cannot be run" in failure(canvas)


def test_a_missing_config_folder_is_named(canvas: Canvas) -> None:
    nowhere = canvas.home / "nowhere"
    assert f"PATH_CANVAS_CONFIG: {nowhere} is not a folder" in failure(canvas, path_canvas_config=nowhere)


def test_check_warns_of_a_config_that_saves_elsewhere(canvas: Canvas, log: pytest.LogCaptureFixture) -> None:
    canvas_cli.check(canvas.settings())
    assert not log.records
    canvas_cli.check(canvas.settings(path_data_files=canvas.home / "elsewhere"))
    assert "PATH_DATA_FILES is" in log.text


def test_a_command_found_on_the_path_will_do(canvas: Canvas, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{canvas.command.parent}{os.pathsep}{os.environ['PATH']}")
    settings = canvas.settings(server_canvas_data_cli_command_path="canvasDataCli")
    assert canvas_cli.sync(settings, backoff=AT_ONCE).attempts == 1


def test_unpack_unpacks_the_tables_that_have_files(canvas: Canvas) -> None:
    settings = canvas.settings(file_extension="txt")
    canvas_cli.sync(settings, backoff=AT_ONCE)
    canvas_cli.unpack(settings, ["user_dim", "course_dim", "quiz_dim"])
    folder = canvas_cli.unpacked_folder(settings)
    assert sorted(path.name for path in folder.iterdir()) == ["course_dim.txt", "user_dim.txt"]
    assert (folder / "user_dim.txt").read_bytes() == b"id\tname\n1\tAna\n2\tLuis\n3\tEva\n"


def test_yesterdays_unpacked_files_are_removed_even_when_unpack_fails(canvas: Canvas) -> None:
    settings = canvas.settings(file_extension="txt")
    canvas_cli.sync(settings, backoff=AT_ONCE)
    canvas_cli.unpack(settings, ["user_dim", "course_dim"])
    (canvas.unpacked / "quiz_dim.txt").write_text("id\tname\nold\n")
    (canvas.data_files / "user_dim" / "user_dim-00000-ffffffff.gz").write_bytes(gzip.compress(b"1\tAna\n")[:-4])
    canvas.faults({"fault": "exit", "command": "unpack", "code": 1})
    with pytest.raises(DownloadError, match="unpack ended with exit code 1"):
        canvas_cli.unpack(settings, ["user_dim", "course_dim", "quiz_dim"])
    assert not list(canvas.unpacked.iterdir())


def test_a_damaged_archive_fails_unpack_with_the_last_lines(canvas: Canvas) -> None:
    settings = canvas.settings(file_extension="txt")
    canvas_cli.sync(settings, backoff=AT_ONCE)
    (canvas.data_files / "user_dim" / "user_dim-00000-ffffffff.gz").write_bytes(b"")
    with pytest.raises(DownloadError, match="unexpected end of file"):
        canvas_cli.unpack(settings, ["user_dim"])


def test_unpack_that_succeeds_without_output_is_not_believed(canvas: Canvas) -> None:
    settings = canvas.settings(file_extension="txt")
    canvas_cli.sync(settings, backoff=AT_ONCE)
    canvas.faults({"fault": "exit", "command": "unpack", "code": 0})
    with pytest.raises(DownloadError, match=r"made no course_dim\.txt"):
        canvas_cli.unpack(settings, ["user_dim", "course_dim"])


@pytest.mark.parametrize(
    ("field", "folder"),
    [
        ("unpackLocation: './out'", "canvas/out"),
        ("// unpackLocation: './out'", "canvas/unpackedFiles"),
        ("/* unpackLocation: './out' */", "canvas/unpackedFiles"),
        ("'unpackLocation': `../out`, apiUrl: 'http://h'", "out"),
        ("unpackLocation: process.env.OUT_FOLDER || './out'", "canvas/from-the-environment"),
        ("unpackLocation: process.env.NOT_SET || './out'", "canvas/out"),
        ("unpackLocation: require('path').join(__dirname, 'out')", "canvas/out"),
        ("unpackLocation:\n  path.join(__dirname, 'out')", "canvas/out"),
    ],
)
def test_the_unpacked_folder_is_found_in_config_js(
    canvas: Canvas, monkeypatch: pytest.MonkeyPatch, field: str, folder: str
) -> None:
    monkeypatch.setenv("OUT_FOLDER", "from-the-environment")
    canvas.configure("module.exports = {\n  apiUrl: 'https://h/api', " + field + "\n}\n")
    assert canvas_cli.unpacked_folder(canvas.settings()) == canvas.home / folder


KILLED_RUN = """
import sys
from pathlib import Path
from udecdash_updater import canvas_cli
from udecdash_updater.settings import Settings
canvas_cli.sync(Settings(path_data_files=sys.argv[1], path_canvas_config=sys.argv[2],
    server_canvas_data_cli_command_path=sys.argv[3], download_attempts=1))
"""


@contextlib.contextmanager
def another_run(canvas: Canvas) -> Iterator[subprocess.Popen[bytes]]:
    """A run in a process of its own, whose command hangs."""
    folders = [str(canvas.data_files), str(canvas.folder)]
    with subprocess.Popen([sys.executable, "-c", KILLED_RUN, *folders, str(canvas.command)]) as run:
        try:
            while not (canvas.served / "faults.json.state").exists():
                assert run.poll() is None
                time.sleep(0.02)
            yield run
        finally:
            run.kill()


def test_a_command_left_by_a_killed_run_is_ended_before_the_next(canvas: Canvas) -> None:
    canvas.faults({"fault": "hang", "times": 1})
    with another_run(canvas) as run:
        run.kill()
        run.wait()
        assert running(canvas)  # the orphan
        assert canvas_cli.sync(canvas.settings(), backoff=AT_ONCE).attempts == 1
    assert canvas.on_disk() == listed(NIGHT_1)


def test_a_second_download_into_the_same_folder_is_refused_while_the_first_lives(canvas: Canvas) -> None:
    canvas.faults({"fault": "hang", "seconds": 3, "times": 1})
    with another_run(canvas) as run:
        assert f"Another canvasDataCli of process {run.pid} is at work" in failure(canvas)
        assert run.wait() == 0

"""PostgreSQL, Redis, the mail server, supervisord or the front end away: what still works is done, and told."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2's class has a lower-case name

from tests.installation import DASHBOARD, Installation, contents, rows
from tests.mail import mail_server
from udecdash_updater import dispatch
from udecdash_updater.settings import Settings

NOWHERE = "unix:///nonexistent/redis.sock"


def closed_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return str(found.getsockname()[1])


def test_without_postgresql_nothing_is_touched_and_everyone_is_told(yesterday: Installation) -> None:
    site = yesterday
    site.serve(2)
    before = sorted(site.data_files.rglob("*"))
    site.run(5, DB_HOST="127.0.0.1", DB_PORT=closed_port(), CLEAR_DIRECTORIES_BEFORE_DOWNLOAD="True")
    for words in ('failed in stage "check"', "exit code 5", "Connection refused", "without a number"):
        assert words in site.told()
    assert sorted(site.data_files.rglob("*")) == before
    assert site.is_back


def test_without_redis_the_load_is_done_and_the_next_run_enqueues_what_is_missing(
    yesterday: Installation, services: Settings, database: Connection
) -> None:
    site, before = yesterday, contents(database)
    site.serve(2)
    site.run(6, REDIS_URL=NOWHERE)
    assert "Redis (REDIS_URL) does not answer: " in site.told()
    assert 'failed in stage "enqueue"' in site.told()
    assert contents(database)["requests"] != before["requests"]
    due = {due.course for due in dispatch.due_courses(services)}
    assert due
    assert site.is_back
    outcomes = dict(rows(database, "select name, outcome from udecdash.stages where run_id = 2"))
    assert (outcomes["load requests"], outcomes["enqueue"], outcomes["report"]) == ("done", "failed", "done")

    site.run(0)
    assert f"for {len(due)} courses" in site.log
    assert [mail.message["Subject"].partition(": ")[2] for mail in site.mail.mails][1:] == ["works again"]


def test_without_a_mail_server_the_night_is_done_with_a_warning(yesterday: Installation, database: Connection) -> None:
    site = yesterday
    ended = site.run(10, SMTP_PORT=closed_port())
    assert "no mail can be sent: SMTP server 127.0.0.1" in ended.log
    assert rows(database, "select exit_code from udecdash.runs where id = 2") == [(10,)]
    assert rows(database, "select count(*) from udecdash.table_loads where run_id = 2") == [(99,)]


def test_without_a_mail_server_a_failed_night_keeps_its_own_code(yesterday: Installation) -> None:
    site = yesterday
    site.run(3, SMTP_PORT=closed_port(), SERVER_CANVAS_DATA_CLI_COMMAND_PATH="/nonexistent/canvasDataCli")
    assert "The administrators could not be told" in site.log


def test_a_login_that_the_mail_server_refuses_is_found_before_it_is_needed(yesterday: Installation) -> None:
    with mail_server(login=("notices", "the-right-one")) as server:
        ended = yesterday.run(10, SMTP_PORT=str(server.port), SMTP_USER="notices", SMTP_PASS="canary-wrong-one")
    assert "no mail can be sent: " in ended.log
    assert "canary" not in ended.log


def test_without_supervisord_the_jobs_are_enqueued_nevertheless(yesterday: Installation, tmp_path: Path) -> None:
    site = yesterday
    site.serve(2)
    config = tmp_path / "none.conf"
    config.write_text("[supervisorctl]\nserverurl=unix:///nonexistent/supervisor.sock\n")
    site.run(6, SUPERVISOR_CONFIG=str(config))
    assert 'failed in stage "workers start"' in site.told()
    assert "jobs enqueued for" in site.log
    assert site.page == DASHBOARD


def test_a_front_end_that_is_missing_ends_the_night_before_anything_is_touched(
    yesterday: Installation, database: Connection
) -> None:
    site, before = yesterday, contents(database)
    site.serve(2)
    site.run(7, FRONTEND_DIR=str(site.folder / "none"))
    assert f"{site.folder}/none is not a folder" in site.told()
    assert contents(database) == before
    assert "INFO download" not in site.log


def test_a_front_end_without_its_page_is_told(yesterday: Installation) -> None:
    site = yesterday
    (site.front_end / "index.html").unlink()
    site.run(7)
    assert f"{site.front_end}/index.html is missing" in site.told()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_front_end_that_may_not_be_written_is_told(yesterday: Installation) -> None:
    site = yesterday
    site.front_end.chmod(0o555)
    try:
        site.run(7)
    finally:
        site.front_end.chmod(0o755)
    assert "may not be written by this user" in site.told()


def test_of_several_failures_the_first_gives_the_code_and_all_are_told(yesterday: Installation) -> None:
    site = yesterday
    missing = "/nonexistent/canvasDataCli"
    site.run(3, SERVER_CANVAS_DATA_CLI_COMMAND_PATH=missing, FRONTEND_DIR="/nonexistent/www", REDIS_URL=NOWHERE)
    for words in ('Error in stage "check" (exit code 3)', missing, 'Also in stage "maintenance off" (exit code 7)'):
        assert words in site.told()

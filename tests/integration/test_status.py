"""How far a run is: counted while files are read, seen from another terminal and at the foot of the run's own."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2's class has a lower-case name

from tests.commands import call, document, start
from tests.installation import CRON, ROOT, Installation, rows
from tests.support import until
from udecdash_updater import checks, db, dump, figures, ledger, progress, report_page, status, terminal
from udecdash_updater import rows as reading
from udecdash_updater.errors import DumpError
from udecdash_updater.language import say
from udecdash_updater.ledger import Ledger
from udecdash_updater.progress import Progress
from udecdash_updater.settings import Settings


@pytest.fixture
def book(postgres: Settings) -> Iterator[Ledger]:
    """A run at work, in its stage load tables."""
    found = ledger.open_run(postgres)
    found.begin_stage(6, "load tables")
    yield found
    found.close()


def test_another_terminal_sees_how_far_each_table_is(
    book: Ledger, postgres: Settings, small_nights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "SECONDS", 0.0)
    found = dump.read(small_nights / "night1" / "dataFiles")
    files = [*found.files["enrollment_dim"], *found.files["course_dim"]]
    counted = Progress()
    counted.listeners.append(book.record_progress)
    with counted.over(files), db.opened(postgres) as session, session.cursor() as cursor:
        cursor.execute("create temporary table target (line text)")
        with reading.reading(files[0].path) as plain:
            lines = plain.read().split(b"\n")
            db.copy_in(cursor, db.identifier("target"), ["line"], reading.LineReader(iter([b"a\n", b"b\n"])))
        seen = status.read(postgres).running
        assert seen is not None
        assert (seen.run, seen.pid, seen.stage) == (book.run, os.getpid(), "load tables")
        by_name = {one.table: one for one in seen.tables}
        assert by_name["enrollment_dim"].done == files[0].size
        assert by_name["enrollment_dim"].rows == 2
        assert by_name["enrollment_dim"].total == sum(file.size for file in found.files["enrollment_dim"])
        assert by_name["course_dim"].done == 0
        assert seen.stage_left is not None
        assert len(lines) > 1
    seen = status.read(postgres).running
    assert seen is not None
    assert seen.tables == ()


def test_a_file_that_is_read_again_counts_once(small_nights: Path) -> None:
    file = dump.read(small_nights / "night1" / "dataFiles").files["course_dim"][0]
    counted = Progress()
    with counted.over([file]):
        for _ in range(2):
            reading.demand_sound(file.path)
        [one] = counted.tables()
    assert (one.done, one.total) == (file.size, file.size)


def test_a_listener_that_fails_is_left_out_and_the_reading_goes_on(
    book: Ledger, small_nights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "SECONDS", 0.0)
    file = dump.read(small_nights / "night1" / "dataFiles").files["course_dim"][0]
    counted = Progress()
    counted.listeners.append(book.record_progress)
    book.close()
    with counted.over([file]):
        reading.demand_sound(file.path)
        [one] = counted.tables()
    assert one.done == one.total
    assert counted.listeners == []


def test_status_tells_the_stage_of_a_run_at_work_and_the_nights_before(
    yesterday: Installation, database: Connection
) -> None:
    site = yesterday
    site.fill_in()
    assert document(call(site, "status", "--json"))["running"] is None
    site.serve(2)
    site.faults({"fault": "hang"})
    with site.start() as process:
        assert until(lambda: "INFO canvasDataCli sync, attempt 1" in site.log)
        told = document(call(site, "status", "--json"))
        assert (told["running"]["run"], told["running"]["pid"]) == (2, process.pid)
        assert told["running"]["stage"] == "download"
        assert [night["run"] for night in told["nights"]] == [1]
        shown = start(site, "status").stdout
        assert f"Run 2 is at work on {told['running']['host']} (process {process.pid})" in shown
        assert "Stage: download" in shown
        process.terminate()  # killed, it would leave a canvasDataCli that hangs
        site.end(process, 1)
    with database.cursor() as cursor:
        cursor.execute("update udecdash.courses set mark = 0")
        cursor.execute("update udecdash.runs set ended_at = null, exit_code = null, error = null where id = 2")
    killed = call(site, "status").stdout
    assert "No run is at work." in killed
    assert re.search(r"│ 2 +│ .*was killed", killed)
    assert re.search(r"^\d+ courses are not done", killed, re.MULTILINE)


def test_courses_that_fail_are_named_with_the_reason_and_jobs_are_counted(
    yesterday: Installation, database: Connection
) -> None:
    yesterday.fill_in()
    assert "Every course is done." in call(yesterday, "status").stdout
    with database.cursor() as cursor:
        cursor.execute(
            "update udecdash.courses set failures = 3, failure = 'no room'"
            " where course_id = (select min(course_id) from udecdash.courses) returning course_id"
        )
        [(course,)] = cursor.fetchall()
        cursor.execute(
            "insert into udecdash.jobs (id, run_id, queue, courses, requests, outcome) values"
            " ('a', 1, 'q', '{}', 5, 'done'), ('b', 1, 'q', '{}', 5, 'failed'), ('c', 1, 'q', '{}', 5, null),"
            " ('d', 1, 'long', '{7,8}', 1234, null)"
        )
        cursor.execute("update udecdash.jobs set started_at = now() - interval '2 hours', attempts = 3 where id = 'd'")
    told = document(call(yesterday, "status", "--json"))
    assert [(one["course"], one["failures"], one["failure"]) for one in told["courses"]] == [(course, 3, "no room")]
    [at_work] = told["jobs"].pop("at_work")
    assert told["jobs"] == {"run": 1, "jobs": 4, "done": 1, "failed": 1, "lost": 0, "waiting": 1, "busy": 1}
    assert 7200 <= at_work.pop("seconds") < 9000
    assert at_work == {"job": "d", "queue": "long", "courses": 2, "requests": 1234, "tries": 3}
    shown = call(yesterday, "status").stdout
    assert "Jobs of run 1: 1 of 4 done, 1 at work, 1 waits, 1 failed." in shown
    assert re.search(r"│ long +│ +2 │ +1,234 │ +3 │ +2 h 0 min │", shown)
    assert "1 failed, 2 not ended; 2 h 0 min since the first began" in call(yesterday, "report").stdout
    assert re.search(rf"│ {course} .* no room", shown)
    checked = {one["name"]: one for one in document(call(yesterday, "check", "--json", code=None))["checks"]}
    assert checked["jobs"]["told"] == f"1 course fails, as {course}: no room"


def test_what_a_run_did_is_shown_again_by_its_number(yesterday: Installation) -> None:
    yesterday.fill_in()
    newest = document(call(yesterday, "report", "--json"))
    assert newest == document(call(yesterday, "report", "1", "--json"))
    counted = {one["table"]: one for one in newest["tables"]}
    assert counted["course_dim"]["rows"] > 0
    assert newest["interactions"] > 0
    assert "Run 1: tables" in call(yesterday, "report").stdout
    assert "The ledger knows no run 7." in call(yesterday, "report", "7", code=2).stderr


def test_before_the_first_night_there_is_nothing_to_see(installation: Installation, database: Connection) -> None:
    installation.fill_in()
    assert document(call(installation, "status", "--json")) == {
        "running": None,
        "nights": [],
        "jobs": None,
        "courses": [],
    }
    assert "No night was here yet." in call(installation, "report", code=2).stderr
    assert rows(database, "select nspname from pg_namespace where nspname like 'udecdash%'") == []


def test_on_a_terminal_a_run_shows_a_bar_its_log_above_it_and_the_summary_at_the_end(yesterday: Installation) -> None:
    yesterday.fill_in(ENABLE_DOWNLOAD="False")
    ours, theirs = pty.openpty()
    environment = {**CRON, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "150"}
    process = subprocess.Popen(
        [sys.executable, str(yesterday.main)], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    )
    os.close(theirs)
    shown = b"".join(iter(lambda: _read(ours), b"")).decode()
    os.close(ours)
    assert process.wait() == 0, shown
    assert "INFO load tables ..." in shown
    assert "━━━━" in shown
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    assert "Run 2: tables" in plain
    assert re.search(r"│ load tables +│ +done │", plain)
    assert plain.index("the run ended with exit code 0") < plain.index("Run 2: tables")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # Linux' way to say that nobody is at the other end any more
        return b""


def test_how_a_night_ended_is_told_in_the_language_of_whoever_asks(
    book: Ledger, postgres: Settings, database: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    error = DumpError(say("no such table"), hint=say("cli no schema", path="/srv"))
    book.end_stage(6, "failed", error)
    book.end_run(4, error, [say("nobody told"), "as it is"])
    book.close()
    terminal.show_status(status.read(postgres), postgres.zone, "es")
    assert "El volcado no es confiable" in capsys.readouterr().out
    terminal.show_status(status.read(postgres), postgres.zone, "en")
    assert "The dump cannot be trusted" in capsys.readouterr().out
    run = figures.read(postgres).run
    assert (run.error.en, run.error.es) == (str(error), error.full("es"))
    assert [warning.es for warning in run.warnings] == [say("nobody told").text("es"), "as it is"]
    assert run.hint.es == "canvasDataCli sync terminó bien, pero no escribió /srv/schema.json."
    found = [(str(error), error.full("es"))]
    assert rows(database, "select message, message_es from udecdash.stages where outcome = 'failed'") == found


def test_whoever_looks_on_as_a_run_begins_is_not_taken_for_a_killed_run(postgres: Settings) -> None:
    ledger.open_run(postgres).close()
    with checks._reading(postgres) as asking, report_page.alone(postgres):
        ledger.open_run(postgres).close()
        asking.execute("select count(*) from pg_stat_activity where application_name = %s", [db.READER])
        assert asking.fetchall() == [(2,)]

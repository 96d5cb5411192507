"""`udecdash-updater check`: before the first night, on a good site, and with each thing that can be wrong."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import time
from typing import Any

import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2's class has a lower-case name

from tests.commands import call, document, listing, start
from tests.installation import Installation, contents, rows


def checked(site: Installation, *words: str) -> dict[str, dict[str, Any]]:
    """Each check by its name; of a name that comes twice, the worse one."""
    found = document(call(site, "check", "--json", *words, code=None))["checks"]
    return {
        one["name"]: one for one in sorted(found, key=lambda one: ["OK", "warning", "failed"].index(one["outcome"]))
    }


@pytest.fixture
def site(yesterday: Installation) -> Installation:
    yesterday.fill_in()
    return yesterday


def test_before_the_first_night_everything_is_asked_and_nothing_is_made(
    installation: Installation, database: Connection
) -> None:
    installation.fill_in()
    before = listing(installation.folder)
    found = checked(installation)
    assert {name for name, one in found.items() if one["outcome"] == "failed"} == set()
    assert found["ledger"]["told"] == "none yet; the first night makes it"
    assert found["dump"]["told"] == "none is there yet; the first night downloads it"
    assert found["redis workers"]["outcome"] == "warning"
    assert "supervisorctl start 'udecdash-workers:*'" in found["redis workers"]["hint"]
    assert listing(installation.folder) == before
    assert contents(database) == {}
    assert rows(database, "select nspname from pg_namespace where nspname like 'udecdash%'") == []


def test_a_good_site_is_told_line_by_line_and_nothing_changes(site: Installation, database: Connection) -> None:
    before, there = contents(database), listing(site.folder)
    shown = start(site, "check")
    assert shown.stderr == ""
    assert re.search(r"^OK +postgresql +version \d", shown.stdout, re.MULTILINE)
    assert re.search(r"^OK +workers +2 run under supervisord$", shown.stdout, re.MULTILINE)
    assert re.search(r"^OK +mail +127.0.0.1 takes us; 2 addresses", shown.stdout, re.MULTILINE)
    assert "0 failed" in shown.stdout
    assert contents(database) == before
    assert listing(site.folder) == there
    assert site.mail.mails == []


def test_a_test_notice_is_sent_only_when_asked_for(site: Installation) -> None:
    found = checked(site, "--notify")
    assert found["test notice"]["outcome"] == "OK"
    [mail] = site.mail.mails
    assert "test notice" in str(mail.message["Subject"])
    assert "This is a test" in mail.text


def test_nagios_gets_one_line_its_numbers_and_its_exit_codes(site: Installation) -> None:
    shown = call(site, "check", "--nagios", code=None)
    line, *more = shown.stdout.splitlines()
    assert more == []
    assert re.match(r"UDECDASH (OK|WARNING) - .* \| failed=0 warnings=\d+ ", line)
    assert re.search(r" last_run_age=[\d.e+]+ .*courses_due=0", line)
    site.values["FRONTEND_DIR"] = "/nonexistent"
    site.fill_in()
    critical = call(site, "check", "--nagios", code=2)
    assert critical.stdout.startswith("UDECDASH CRITICAL - ")
    assert "front end: " in critical.stdout
    installed = call(site, "check", code=7).stdout
    assert re.search(r"^failed +front end .*\n +-> ", installed, re.MULTILINE)


def test_an_administrator_who_reads_spanish_is_told_in_spanish_and_a_program_as_ever(site: Installation) -> None:
    english = checked(site)
    site.fill_in(LANGUAGE="es", SMTP_PASS="short")
    shown = call(site, "check", code=None).stdout
    assert re.search(r"^OK +workers +2 funcionan bajo supervisord$", shown, re.MULTILINE)
    assert re.search(r"^aviso +secrets +SMTP_PASS tiene menos de 8 caracteres", shown, re.MULTILINE)
    assert re.search(r"\d+ revisiones: 0 fallas, \d+ avisos", shown)
    assert checked(site)["workers"] == english["workers"]
    status = call(site, "status").stdout
    assert "No hay ejecución en curso." in status
    assert "Ejecución 1: tablas" in call(site, "report").stdout
    assert "La página de espera está puesta." in call(site, "maintenance", "on").stdout
    (site.canvas / "config.js").write_text("module.exports = {saveLocation: './elsewhere'}")
    assert re.search(r"^aviso +download +saveLocation en .* es ", call(site, "check", code=None).stdout, re.MULTILINE)
    assert "La página del tablero está de vuelta." in call(site, "maintenance", "off").stdout
    site.fill_in(LANGUAGE="es", DB_PORT="many")
    refused = call(site, "status", code=2)
    assert refused.stderr.startswith("La configuración no se puede usar.")
    assert "Corrija cada variable" in refused.stderr


def test_settings_that_cannot_be_used_fail_with_all_their_names(installation: Installation) -> None:
    installation.fill_in(DB_PORT="many", PATH_DATA_FILES=None)
    found = document(call(installation, "check", "--json", code=2))["checks"]
    assert found[0]["name"] == "settings"
    assert {"DB_PORT", "PATH_DATA_FILES"} <= set(re.findall("[A-Z_]+", found[0]["told"]))


def test_what_can_be_wrong_on_this_machine_is_told_with_what_to_type(site: Installation) -> None:
    (site.folder / ".env").chmod(0o644)
    config = site.canvas / "config.js"
    config.write_text(config.read_text().replace("./dataFiles", "./elsewhere"))
    old = time.time() - 50 * 3600
    os.utime(site.data_files / "schema.json", (old, old))
    found = checked(site)
    assert found["secrets"]["hint"] == f"chmod o-rwx {site.folder / '.env'}"
    assert "PATH_DATA_FILES is" in found["download"]["told"]
    assert found["dump"]["outcome"] == "warning"
    assert found["dump"]["numbers"]["dump_age"] > 49 * 3600
    call(site, "maintenance", "on")
    with site.main.open("a", encoding="utf-8") as file:
        file.write("\nos.environ['TIME_ZONE'] = 'America/Punta_Arenas'\n")
    found = checked(site)
    assert found["loading page"]["hint"].endswith("udecdash-updater maintenance off")
    assert found["workers' settings"]["told"].startswith("TIME_ZONE stand in main.py alone")
    shutil.rmtree(site.canvas)
    assert checked(site)["download"]["code"] == 3


def test_servers_that_are_away_are_told_each_by_its_own_check(site: Installation) -> None:
    site.values["DB_PORT"] = "1"
    site.values["REDIS_URL"] = "unix:///nonexistent/redis.sock"
    site.values["SUPERVISOR_CONFIG"] = "/nonexistent/supervisord.conf"
    site.values["SMTP_PORT"] = "1"
    site.fill_in()
    found = checked(site)
    codes = {name: found[name]["code"] for name in ("postgresql", "redis", "workers", "mail")}
    assert codes == {"postgresql": 5, "redis": 6, "workers": 6, "mail": 10}
    assert all(found[name]["hint"] for name in codes)
    assert call(site, "check", code=5)


def test_pages_and_metrics_that_cannot_be_written_are_told_before_the_night(site: Installation) -> None:
    assert "are blank" in checked(site)["report"]["told"]
    metrics = site.folder / "missing" / "udecdash.prom"
    site.fill_in(REPORT_DIR=str(site.folder / "new" / "pages"), METRICS_FILE=str(metrics))
    assert checked(site)["report"]["told"] == f"{metrics.parent} may not be written by this user."
    site.fill_in(REPORT_DIR=str(site.main / "pages"), METRICS_FILE=None)
    assert str(site.main) in checked(site)["report"]["told"]
    site.fill_in(REPORT_DIR=str(site.folder / "new" / "pages"))
    assert checked(site)["report"]["outcome"] == "OK"
    assert not (site.folder / "new").exists()


def test_a_worker_that_does_not_run_is_told_with_the_whole_command_that_starts_it(site: Installation) -> None:
    command = shlex.split(site.values["SERVER_SUPERVISORD_COMMAND_PATH"])
    command += ["-c", site.values["SUPERVISOR_CONFIG"]]
    name = next(iter(site.workers))
    subprocess.run([*command, "stop", name], check=True, capture_output=True)
    hint = checked(site)["workers"]["hint"]
    assert hint == shlex.join([*command, "start", name])
    subprocess.run(shlex.split(hint), check=True, capture_output=True)
    assert checked(site)["workers"]["outcome"] == "OK"


def test_rights_that_are_lacking_are_named_with_the_statement_that_gives_them(
    site: Installation, database: Connection
) -> None:
    with database.cursor() as cursor:
        cursor.execute("drop role if exists udecdash_guest")
        cursor.execute("create role udecdash_guest login")
        cursor.execute("grant usage on schema udecdash to udecdash_guest")
        cursor.execute("grant select on all tables in schema udecdash to udecdash_guest")
    try:
        site.fill_in(DB_USERNAME="udecdash_guest")
        found = checked(site)
        assert found["rights"]["code"] == 5
        assert "grant create on schema udecdash to udecdash_guest" in found["rights"]["hint"]
    finally:
        with database.cursor() as cursor:
            cursor.execute("drop owned by udecdash_guest; drop role udecdash_guest")


def test_runs_jobs_and_requests_that_went_wrong_are_warned_of(site: Installation, database: Connection) -> None:
    with database.cursor() as cursor:
        cursor.execute(
            "update udecdash.runs set exit_code = 3, error = 'no dump', started_at = now() - interval '2 days'"
        )
        cursor.execute("update udecdash.courses set mark = 0")
        cursor.execute("delete from requests where local_id in (select newest from udecdash.course_requests limit 2)")
    found = checked(site)
    assert found["last run"]["code"] == 3
    assert "failed: no dump" in found["last run"]["told"]
    assert found["jobs"]["outcome"] == "warning"
    assert "udecdash-updater requeue" in found["jobs"]["hint"]
    assert "2 courses lost their newest one" in found["requests"]["told"]
    assert "DELETE_REQUEST_AFTER_PROCESS=false" in found["requests"]["hint"]
    with database.cursor() as cursor:
        cursor.execute("update udecdash.runs set exit_code = null, ended_at = null")
    assert "was killed" in checked(site)["last run"]["told"]


def test_a_clock_that_was_set_back_makes_no_age_below_zero(site: Installation, database: Connection) -> None:
    later = time.time() + 3600
    os.utime(site.data_files / "schema.json", (later, later))
    with database.cursor() as cursor:
        cursor.execute("update udecdash.runs set started_at = started_at + interval '1 hour'")
    found = checked(site)
    assert found["dump"]["told"].endswith("downloaded 0.0 s ago")
    assert "began 0.0 s ago" in found["last run"]["told"]
    assert (found["dump"]["numbers"]["dump_age"], found["last run"]["numbers"]["last_run_age"]) == (0.0, 0.0)


def test_a_ledger_that_is_older_or_newer_is_told_and_not_read_further(site: Installation, database: Connection) -> None:
    with database.cursor() as cursor:
        cursor.execute("delete from udecdash.migrations where number > 1")
    older = checked(site)
    assert "brings it up to date" in older["ledger"]["told"]
    assert "jobs" not in older
    with database.cursor() as cursor:
        cursor.execute("insert into udecdash.migrations (number, name) values (9999, 'of tomorrow')")
    assert checked(site)["ledger"]["code"] == 5

"""The command udecdash-updater: runs and what they are told, settings, the loading page."""

from __future__ import annotations

import json
import shutil
import threading
from collections import Counter
from pathlib import Path

import pytest
import redis
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2's class has a lower-case name

from tests import truth
from tests.commands import call, document, listing, start
from tests.installation import DASHBOARD, Installation, contents, rows
from tests.nights import process
from tests.nights import truth as told
from tests.support import until
from udecdash_updater import dispatch
from udecdash_updater.settings import Settings

LOADED = "select table_name from udecdash.table_loads where run_id = %s order by 1"


@pytest.fixture
def second(yesterday: Installation, small_nights: Path) -> Installation:
    """A site that loaded the first night yesterday; today's dump lies on disk and nothing is downloaded."""
    shutil.rmtree(yesterday.data_files)
    shutil.copytree(small_nights / "night2" / "dataFiles", yesterday.data_files)
    yesterday.values["ENABLE_DOWNLOAD"] = "False"
    yesterday.fill_in()
    return yesterday


def loaded(database: Connection, run: int) -> list[str]:
    return [name for (name,) in rows(database, LOADED % run)]


def test_a_dry_run_before_the_first_night_tells_what_lies_there_and_touches_nothing(
    second: Installation, database: Connection
) -> None:
    with database.cursor() as cursor:
        cursor.execute("drop schema udecdash, udecdash_staging, public cascade; create schema public")
    before = listing(second.folder)
    plan = document(call(second, "run", "--dry-run", "--json"))["plan"]
    assert listing(second.folder) == before
    assert rows(database, "select nspname from pg_namespace where nspname like 'udecdash%'") == []
    assert contents(database) == {}
    planned = {one["table"]: one for one in plan["tables"]}
    files = sorted(second.data_files.glob("requests/*.gz"))
    assert planned["requests"]["files"] == len(files)
    assert planned["requests"]["bytes"] == sum(file.stat().st_size for file in files)
    assert planned["requests"]["known"] == 0


def test_a_dry_run_on_a_loaded_site_knows_which_request_files_are_new(
    second: Installation, database: Connection, small_nights: Path
) -> None:
    before = contents(database)
    shown = call(second, "run", "--dry-run").stdout
    assert "Nothing was touched." in shown
    plan = document(call(second, "run", "--dry-run", "--json"))["plan"]
    requests = next(one for one in plan["tables"] if one["table"] == "requests")
    assert requests["known"] + requests["files"] == len(list(second.data_files.glob("requests/*.gz")))
    assert requests["known"] > 0
    assert requests["files"] > 0
    assert contents(database) == before
    assert rows(database, "select max(id) from udecdash.runs") == [(1,)]


def test_a_dry_run_tells_a_damaged_file_as_the_night_would(second: Installation) -> None:
    file = next(second.data_files.glob("course_dim/*.gz"))
    file.write_bytes(file.read_bytes()[:-9])
    answered = document(call(second, "run", "--dry-run", "--json", code=4))
    assert file.name in answered["error"]["message"]
    assert answered["exit_code"] == 4
    assert file.exists()


def test_only_the_tables_named_are_loaded_and_interactions_come_out_as_if_all_had_been(
    second: Installation, services: Settings, database: Connection, small_nights: Path
) -> None:
    before = contents(database)
    call(second, "run", "--table", "wiki_page_dim", "--table", "quiz_dim")
    assert loaded(database, 2) == ["quiz_dim", "wiki_page_dim"]
    assert rows(database, "select count(*) from udecdash.files where run_id = 2 and table_name = 'requests'") == [(0,)]
    after = contents(database)
    assert {name for name in before if before[name] != after[name]} <= {"wiki_page_dim", "quiz_dim"}
    process(services, 2)

    assert document(call(second, "status", "--json"))["nights"][0]["only"] == ["wiki_page_dim", "quiz_dim"]
    call(second, "run", "--table", "requests")
    assert loaded(database, 3) == []
    assert rows(database, "select count(*) > 0 from udecdash.files where run_id = 3") == [(True,)]
    process(services, 3)

    call(second, "run")
    process(services, 4)
    assert truth.wrong_cumulative(database, told(small_nights / "night2")) == []


def test_a_table_that_the_dump_does_not_have_is_a_mistake_of_usage(second: Installation, database: Connection) -> None:
    before = contents(database)
    answered = call(second, "run", "--table", "course_dimm", code=2)
    assert "--table course_dimm: schema.json has no such table" in answered.stderr
    assert contents(database) == before


def test_what_is_accepted_on_the_command_line_is_loaded(second: Installation, database: Connection) -> None:
    shutil.rmtree(second.data_files / "group_dim")
    assert "run --accept group_dim" in call(second, "run", code=4).stderr
    call(second, "run", "--accept", "group_dim", code=10)
    assert rows(database, "select count(*) from group_dim") == [(0,)]


def test_a_night_answers_with_one_document_and_logs_json_when_asked(second: Installation) -> None:
    second.fill_in(LOG_FORMAT="json")
    ended = start(second, "run", "--json")
    assert ended.returncode == 0, ended.stderr
    answered = json.loads(ended.stdout)
    assert answered["exit_code"] == 0
    assert answered["run"] == 2
    counted = {one["table"]: one for one in answered["summary"]["tables"]}
    assert counted["course_dim"]["rows"] == counted["course_dim"]["loaded"] > 0
    assert counted["requests"]["new"] == counted["requests"]["loaded"] > 0
    assert [stage["name"] for stage in answered["summary"]["stages"]][:2] == ["check", "clear"]
    lines = [json.loads(line) for line in ended.stderr.splitlines()]
    assert {"time", "level", "message"} <= set(lines[0])


def test_nothing_is_loaded_with_settings_that_cannot_be_used_and_the_document_says_why(
    installation: Installation,
) -> None:
    installation.fill_in(DB_PORT="many", PATH_DATA_FILES=None)
    answered = document(call(installation, "config", "validate", "--json", code=2))
    assert "DB_PORT" in answered["error"]["message"]
    assert "PATH_DATA_FILES" in answered["error"]["message"]
    assert "many" not in json.dumps(answered)


def test_settings_are_shown_with_their_source_and_without_secrets(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIME_ZONE", "America/Punta_Arenas")
    installation.fill_in(SMTP_USER="me@example.cl", SMTP_PASS="the-canary-of-smtp")
    shown = document(call(installation, "config", "show", "--json"))
    assert shown["SMTP_PASS"] == {"value": "***", "from": "main.py"}
    assert shown["DB_PASSWORD"] == {"value": "***", "from": ".env"}
    assert shown["TIME_ZONE"] == {"value": "America/Punta_Arenas", "from": "environment"}
    assert shown["DB_SCHEMA"] == {"value": "public", "from": "default"}
    assert set(shown) == {name.upper() for name in Settings.model_fields}
    table = call(installation, "config", "show")
    assert "canary" not in table.output
    assert "SMTP_USER" in table.output


def test_the_shell_completes_tables_of_the_dump_and_stays_silent_without_one(second: Installation) -> None:
    words = f"udecdash-updater run --folder {second.folder} --table wiki_"
    asked = {"_UDECDASH_UPDATER_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": "5"}
    completed = start(second, environment=asked)
    assert {"plain,wiki_page_dim", "plain,wiki_page_fact"} <= set(completed.stdout.split())
    shutil.rmtree(second.data_files)
    nothing = start(second, environment=asked)
    assert (nothing.stdout.strip(), nothing.stderr) == ("", "")


def test_main_py_is_read_and_never_run(installation: Installation) -> None:
    installation.fill_in()
    ran = installation.folder / "ran"
    with installation.main.open("a", encoding="utf-8") as file:
        file.write(f"\nopen({str(ran)!r}, 'w')\nos.environ['SMTP_PORT'] = str(2500 + 25)\n")
        file.write("os.environ['LANGUAGE'] = 'es'\nos.environ.update(TIME_ZONE='UTC')\n")
    answered = call(installation, "config", "show", "--json")
    shown = document(answered)
    assert not ran.exists()
    assert shown["LANGUAGE"] == {"value": "es", "from": "main.py"}
    assert shown["TIME_ZONE"] == {"value": "UTC", "from": "main.py"}
    assert "main.py computes SMTP_PORT" not in answered.stderr  # it also stands there in plain words
    installation.main.write_text("PASSWORD = 'canary\n", encoding="utf-8")
    broken = call(installation, "config", "validate", code=2)
    assert "main.py: is not Python, line 1" in broken.stderr
    assert "canary" not in broken.output


def test_the_loading_page_goes_up_and_away_by_hand(installation: Installation) -> None:
    installation.fill_in()
    assert "is up" in call(installation, "maintenance", "on").stdout
    assert installation.page != DASHBOARD
    assert document(call(installation, "maintenance", "off", "--json"))["up"] is False
    assert installation.page == DASHBOARD
    assert "Nothing to do" in call(installation, "maintenance", "off").stdout
    shutil.rmtree(installation.front_end)
    assert "FRONTEND_DIR" in call(installation, "maintenance", "on", code=7).stderr


def test_requeue_puts_back_what_redis_has_lost_and_nothing_twice(second: Installation, services: Settings) -> None:
    call(second, "run")
    due = len(dispatch.due_courses(services))
    assert document(call(second, "requeue", "--json"))["courses"] == 0
    with redis.Redis.from_url(services.redis_url.get_secret_value()) as client:
        client.flushall()
    assert f"jobs enqueued for {due} courses" in call(second, "requeue").stdout
    assert "0 jobs enqueued for 0 courses" in call(second, "requeue").stdout


def test_nights_in_one_process_leave_no_descriptor_no_thread_and_no_session(
    yesterday: Installation, database: Connection
) -> None:
    def held() -> Counter[str]:
        files = (str(path.readlink()) for path in Path("/proc/self/fd").iterdir() if path.exists())
        sessions = rows(database, "select application_name from pg_stat_activity where datname = current_database()")
        return Counter([*files, *(thread.name for thread in threading.enumerate()), *(name for (name,) in sessions)])

    yesterday.fill_in()
    call(yesterday, "run")  # what is opened once, as catalogs, is open now
    before = held()
    for _ in range(3):
        call(yesterday, "run")
    # What other tests of this process have left may go meanwhile.
    assert until(lambda: held() <= before), held() - before

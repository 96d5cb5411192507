"""Instructure's own client fetches from the stand-in of its API: what lies on disk then, and what is told when not."""

from __future__ import annotations

import json
import multiprocessing
import os
import shlex
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2's class has a lower-case name
from pydantic import SecretStr

from tests.dap import CLIENT, SECRET, faults, lines, needs_client, serve
from tests.support import processes
from udecdash_updater import check_site, dap, dap_batches, plan
from udecdash_updater.canvas_cli import Backoff
from udecdash_updater.dap_batches import Batch
from udecdash_updater.demo.dap_api.api import Rules
from udecdash_updater.demo.dap_api.server import Running, running
from udecdash_updater.errors import DapError
from udecdash_updater.options import RunOptions
from udecdash_updater.settings import Settings

pytestmark = needs_client
USERS, COURSES, WEB_LOGS = "canvas.users", "canvas.courses", "canvas_logs.web_logs"
NIGHT_1, NIGHT_2 = (datetime(2026, 1, 1, tzinfo=timezone.utc) + timedelta(days=night) for night in (1, 2))
AT_ONCE = Backoff(first=0, factor=1, longest=0)
NAP = f"sleep 1000000{os.getpid()}"  # of this process alone


@dataclass
class Site:
    """What is served, where it is downloaded to, and the settings that lead from here to there."""

    served: Path
    api: Running
    settings: Settings

    @property
    def folder(self) -> Path:
        assert self.settings.path_data_files
        return self.settings.path_data_files

    def download(self, **changes: Any) -> dict[str, Batch]:  # noqa: ANN401 - settings
        pace = dap.Pace(1000)
        batches = dap.download(self.settings.model_copy(update=changes), backoff=AT_ONCE, pace=pace)
        return {batch.name: batch for batch in batches}

    def refused(self, **changes: Any) -> str:  # noqa: ANN401 - settings
        with pytest.raises(DapError) as raised:
            self.download(**changes)
        assert raised.value.exit_code == 3
        assert SECRET not in str(raised.value)
        return str(raised.value)

    def asked(self, table: str) -> int:
        """How many queries of a table came."""
        return sum(f"/table/{table}/data" in line for line in self.api.seen)

    def left(self) -> list[str]:
        """The batches' folders that are there, finished or not, by what they are."""
        return sorted(f"{p.parent.name} {p.name.partition('-')[2]}" for p in self.folder.glob("*/*/*"))


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Chooses the tables that the dashboard needs."""
    return lambda *names: monkeypatch.setattr(dap_batches, "NEEDED", names)


@pytest.fixture
def site(tmp_path: Path, postgres: Settings, tables: Callable[..., None]) -> Iterator[Site]:
    served = tmp_path / "served"
    tables(USERS)
    serve(served, 1, USERS, [["1", "Ana"], ["2", "Bea"], ["3", "Cid"]])
    serve(served, 1, COURSES, [["9", "Algebra"]])
    rules = Rules(client_id="us#me", client_secret=SECRET, part_rows=2, minute=0)
    with running(served, rules) as api:
        changes = {
            "source": "dap",
            "path_data_files": tmp_path / "data",
            "server_dap_command_path": str(CLIENT),
            "dap_api_url": api.url,
            "dap_client_id": "us#me",
            "dap_client_secret": SecretStr(SECRET),
            "download_attempts": 1,
            "download_timeout": 120,
        }
        yield Site(served, api, postgres.model_copy(update=changes))


def second_night(served: Path) -> None:
    serve(served, 2, USERS, [["1", "Ana"], ["2", "Beatriz"], ["4", "Dio"]])
    serve(served, 2, COURSES, [["9", "Algebra"]])


def test_the_first_download_is_a_snapshot_and_the_next_one_goes_on_from_it(site: Site) -> None:
    snapshot = site.download()[USERS]
    assert (snapshot.kind, snapshot.since, snapshot.until, snapshot.schema_version) == ("snapshot", None, NIGHT_1, 1)
    assert [row["value.name"] for row in sorted(lines(snapshot.paths), key=lambda row: row["key.id"])] == [
        "Ana", "Bea", "Cid",
    ]  # fmt: skip
    assert {path.name for path in snapshot.folder.iterdir()} == {
        "batch.json", "schema.json", *(file.name for file in snapshot.files),
    }  # fmt: skip
    assert (len(snapshot.files), snapshot.damage(), set(snapshot.schema()["properties"])) == (
        2,
        "",
        {"key", "value", "meta"},
    )
    second_night(site.served)
    changes = site.download()[USERS]
    assert (changes.kind, changes.since, changes.until) == ("incremental", NIGHT_1, NIGHT_2)
    told = sorted((row["key.id"], row["value.name"], row["meta.action"]) for row in lines(changes.paths))
    assert told == [("2", "Beatriz", "U"), ("3", "\\N", "D"), ("4", "Dio", "U")]
    assert dap_batches.read(site.folder) == [snapshot, changes]


def test_what_is_loaded_counts_where_nothing_lies_on_disk_and_no_change_is_a_batch_too(
    site: Site, database: Connection
) -> None:
    with database.cursor() as cursor:
        cursor.execute("create schema udecdash")
        cursor.execute(
            "create table udecdash.dap_tables (namespace text, table_name text, until timestamptz, rows bigint,"
            " places numeric, columns text[])"
        )
        cursor.execute("insert into udecdash.dap_tables values ('canvas', 'users', %s)", [NIGHT_1])
    batch = site.download()[USERS]
    assert (batch.kind, batch.since, batch.until, batch.files) == ("incremental", NIGHT_1, NIGHT_1, ())
    assert dap_batches.read(site.folder) == [batch]


def test_the_key_goes_by_the_environment_alone_without_tracking_and_without_other_secrets(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_PASSWORD", "canary-db")
    monkeypatch.setenv("DAP_CONSOLE_THEME", "none that there is")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    witness = tmp_path / "dap"
    told = tmp_path / "told"
    witness.write_text(f'#!/bin/sh\n(env; echo "$@") > {told}\nexec {shlex.quote(str(CLIENT))} "$@"\n')
    witness.chmod(0o755)
    site.download(server_dap_command_path=str(witness))
    *environment, arguments = told.read_text().splitlines()
    assert {f"DAP_CLIENT_SECRET={SECRET}", "DAP_TRACKING=false"} <= set(environment)
    assert "canary-db" not in told.read_text()
    assert SECRET not in arguments


def test_a_failed_job_is_told_with_type_and_uuid_and_does_not_skip_the_rest(
    site: Site, tables: Callable[..., None]
) -> None:
    tables(USERS, COURSES)
    faults(site.served, {"fault": "failed", "table": "users", "message": ""})
    told = site.refused()
    assert "canvas.users: job " in told
    assert "ProcessingError (uuid " in told
    assert "the service gave no message" in told
    assert "1 of 2 tables are on disk" in told
    assert site.left() == ["courses snapshot"]
    faults(site.served)
    assert {name: batch.kind for name, batch in site.download().items()} == {USERS: "snapshot", COURSES: "incremental"}


@pytest.mark.parametrize(
    "fault",
    [
        {"fault": "failed"},
        {"fault": "status", "on": "schema", "status": 504},
        {"fault": "page", "on": "query"},
        {"fault": "cut", "bytes": 15},
        {"fault": "cut", "bytes": 15, "content_length": False},
        {"fault": "garbage"},
    ],
    ids=lambda fault: "-".join(map(str, fault.values())),
)
def test_what_passes_is_tried_again_and_told_and_leaves_nothing(
    site: Site, fault: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    faults(site.served, {**fault, "times": 1})
    batch = site.download(download_attempts=2)[USERS]
    assert (len(lines(batch.paths)), site.left()) == (3, ["users snapshot"])
    told = [record.getMessage() for record in caplog.records if record.name == "udecdash_updater"]
    again = "canvas.users: attempt 1 of 2 failed, and it is tried again: "
    assert [line.startswith(again) for line in told] == ([True] if fault.get("on") != "schema" else [])
    assert fault["fault"] != "failed" or "ProcessingError (uuid " in told[0]


@pytest.mark.parametrize("fault", [{"fault": "cut", "bytes": 0}, {"fault": "garbage"}])
def test_a_download_that_fails_leaves_nothing(site: Site, fault: dict[str, Any]) -> None:
    faults(site.served, fault)
    assert "canvas.users: " in site.refused()
    assert (site.left(), dap_batches.read(site.folder)) == ([], [])


def test_a_time_that_is_not_served_any_more_makes_the_table_come_whole(site: Site) -> None:
    site.download()
    second_night(site.served)
    faults(site.served, {"fault": "range", "table": "users"})
    batch = site.download()[USERS]
    assert (batch.kind, batch.until) == ("snapshot", NIGHT_2)
    assert dap_batches.read(site.folder) == [batch]


def test_a_key_that_is_not_taken_ends_the_download_at_once(site: Site, tables: Callable[..., None]) -> None:
    tables(USERS, COURSES)
    told = site.refused(dap_client_secret=SecretStr("canary-wrong"), download_attempts=3)
    assert "canvas.users: AuthenticationError (uuid " in told
    assert "1 were not asked for any more" in told
    assert (site.asked("users"), site.asked("courses")) == (0, 0)


def test_a_table_that_does_not_exist_is_told_without_trying_again(site: Site) -> None:
    told = site.refused(dap_tables=("canvas.none",), download_attempts=3)
    assert "canvas.none: NotFoundError (uuid " in told
    assert (site.asked("none"), site.asked("users")) == (2, 1)


def test_a_client_that_takes_too_long_is_ended(site: Site, tmp_path: Path) -> None:
    told = site.refused(server_dap_command_path=script(tmp_path / "dap", f"exec {NAP}"), download_timeout=1)
    assert "dap was still running after 1 s and was ended" in told
    assert (site.left(), processes(NAP)) == ([], {})


def script(path: Path, *lines: str) -> str:
    """A client that does this instead."""
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)
    return str(path)


def test_the_first_table_is_asked_for_alone_and_then_never_more_than_three_at_once(
    site: Site, tables: Callable[..., None], tmp_path: Path
) -> None:
    tables(USERS, *(f"canvas.t{number}" for number in range(8)))
    at_work, most, order = tmp_path / "at work", tmp_path / "most", tmp_path / "order"
    at_work.mkdir()
    client = script(
        tmp_path / "dap",
        f'touch "{at_work}/$$"; echo "$*" >> "{order}"',
        # The first one sees itself alone, the others wait for each other, and a little for one too many.
        'case "$*" in *users*) least=1;; *) least=3;; esac; n=0',
        f'until [ $(ls "{at_work}" | wc -l) -ge $least ] || [ $n -gt 100 ]; do sleep 0.05; n=$((n+1)); done',
        f'sleep 0.2; ls "{at_work}" | wc -l >> "{most}"; rm "{at_work}/$$"; exit 5',
    )
    assert "0 of 9 tables are on disk; " in site.refused(server_dap_command_path=client)
    seen = [int(line) for line in most.read_text().split()]
    assert (seen[0], max(seen), len(seen)) == (1, 3, 9)
    assert "users" in order.read_text().splitlines()[0]


def asleep(count: int) -> None:
    """Return when so many clients are at work."""
    limit = time.monotonic() + 30
    while len(processes(NAP)) < count:
        assert time.monotonic() < limit
        time.sleep(0.05)


def sleeping(site: Site, tmp_path: Path) -> str:
    """A client that answers for the first table as the real one does, and sleeps for the others."""
    return script(tmp_path / "dap", f'case "$*" in *users*) exec "{CLIENT}" "$@";; esac', f"exec {NAP}")


def test_whoever_interrupts_a_download_ends_every_client_that_runs(
    site: Site, tables: Callable[..., None], tmp_path: Path
) -> None:
    tables(USERS, *(f"canvas.t{number}" for number in range(8)))

    def interrupt() -> None:
        asleep(3)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        site.download(server_dap_command_path=sleeping(site, tmp_path), download_attempts=3)
    assert (site.left(), processes(NAP)) == (["users snapshot"], {})


def test_the_clients_of_a_download_that_was_killed_are_ended_by_the_next_one(
    site: Site, tables: Callable[..., None], tmp_path: Path
) -> None:
    tables(USERS, *(f"canvas.t{number}" for number in range(8)))
    client = sleeping(site, tmp_path)
    killed = multiprocessing.get_context("fork").Process(
        target=site.download, kwargs={"server_dap_command_path": client}
    )
    killed.start()
    asleep(3)
    killed.kill()
    killed.join()
    asleep(3)  # they do not know
    tables(USERS)
    assert site.download()[USERS].kind == "incremental"
    assert (site.left(), processes(NAP)) == (["users incremental", "users snapshot"], {})


def test_a_job_that_takes_its_time_is_awaited(site: Site) -> None:
    faults(site.served, {"fault": "slow", "polls": 1})
    assert site.download()[USERS].kind == "snapshot"


def test_tokens_that_end_while_a_job_runs_are_fetched_anew(site: Site) -> None:
    faults(site.served, {"fault": "slow", "polls": 1})
    with running(site.served, Rules(client_id="us#me", client_secret=SECRET, token_seconds=2, minute=0)) as api:
        assert site.download(dap_api_url=api.url)[USERS].kind == "snapshot"
    assert sum("/ids/auth/login" in line for line in api.seen) > 2


@pytest.mark.parametrize("endpoint", ["query", "url"])
def test_a_token_that_is_refused_in_the_middle_is_fetched_anew_with_the_next_attempt(site: Site, endpoint: str) -> None:
    faults(site.served, {"fault": "unauthorized", "on": endpoint, "times": 1})
    assert site.download(download_attempts=2)[USERS].kind == "snapshot"
    assert site.left() == ["users snapshot"]


def test_a_schema_that_has_grown_comes_with_the_rows(site: Site) -> None:
    site.download()
    rows = [["1", "Ana", "x"], ["2", "Bea", "\\N"], ["3", "Cid", "\\N"]]
    serve(site.served, 2, USERS, rows, columns="id name note", version=2)
    batch = site.download()[USERS]
    assert (batch.schema_version, set(batch.schema()["properties"]["value"]["properties"])) == (2, {"name", "note"})
    assert [row["value.note"] for row in lines(batch.paths)] == ["x"]


def test_cleared_tables_come_whole_and_the_web_log_goes_on(site: Site, tables: Callable[..., None]) -> None:
    tables(USERS, WEB_LOGS)
    serve(site.served, 1, WEB_LOGS, [["1", "/courses"]], columns="id url")
    site.download()
    kinds = {name: batch.kind for name, batch in site.download(clear_directories_before_download=True).items()}
    assert kinds == {USERS: "snapshot", WEB_LOGS: "incremental"}


def test_too_many_queries_are_waited_out_by_the_client(site: Site) -> None:
    faults(site.served, {"fault": "limited", "on": "query", "seconds": 1, "times": 1})
    assert site.download()[USERS].kind == "snapshot"


def test_a_folder_that_a_killed_download_left_is_removed(site: Site) -> None:
    unfinished = dap_batches.new_folder(site.folder, "canvas", "users", "snapshot")
    (unfinished / "job_1").mkdir()
    (unfinished / "job_1" / "part.tsv.gz").write_bytes(b"")
    site.download()
    assert not unfinished.exists()


def test_the_check_refuses_a_key_that_is_not_taken_and_a_client_that_is_not_there(site: Site) -> None:
    dap.check(site.settings)
    wrong = site.settings.model_copy(update={"dap_client_secret": SecretStr("canary-wrong")})
    with pytest.raises(DapError, match=r"does not let us in: AuthenticationError \(uuid "):
        dap.check(wrong)
    nowhere = site.settings.model_copy(update={"server_dap_command_path": "/nonexistent/dap"})
    with pytest.raises(DapError, match="SERVER_DAP_COMMAND_PATH: /nonexistent/dap does not exist"):
        dap.check(nowhere)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", ""])
def test_a_service_that_is_away_is_noted_by_the_check_and_ends_the_download_at_once(
    site: Site, url: str, tables: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    tables(USERS, COURSES)
    away = {"dap_api_url": url} if url else {}
    faults(site.served, {"fault": "page", "on": "login"})
    with caplog.at_level("WARNING", "udecdash"):
        dap.check(site.settings.model_copy(update=away))
    assert ("is away: NoAnswer: " if url else "the answer is none of the service") in caplog.text
    assert ("1 were not asked for any more" in site.refused(**away)) == bool(url)


def test_batches_are_told_as_the_loader_reads_them(site: Site) -> None:
    batch = site.download()[USERS]
    told = json.loads((batch.folder / "batch.json").read_text())
    assert set(told) == {"namespace", "table", "kind", "schema_version", "since", "until", "files"}
    assert (told["kind"], told["since"], told["until"]) == ("snapshot", None, "2026-01-02T00:00:00Z")


def test_check_and_dry_run_tell_of_the_key_and_of_what_waits_on_disk(site: Site) -> None:
    site.download()
    (download,) = check_site.download_works(site.settings)
    assert str(download.told) == f"{CLIENT} is there, and {site.api.url} takes the key"
    whole = site.settings.model_copy(update={"clear_directories_before_download": True})
    assert [finding.outcome for finding in check_site.download_works(whole)] == ["OK", "warning"]
    (waiting,) = check_site.dump_is_fresh(site.settings)
    assert "1 batch of 1 table" in str(waiting.told)
    planned = plan.make(site.settings, RunOptions()).tables
    assert [(table.table, table.files) for table in planned] == [(USERS, 2)]
    (path, *_) = dap_batches.read(site.folder)[0].paths
    path.write_bytes(b"")
    (damaged,) = check_site.dump_is_fresh(site.settings)
    assert f"{path} has 0 bytes" in str(damaged.told)

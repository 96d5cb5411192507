"""What checks make of facts: exit codes, the line for Nagios, and what Redis and canvasDataCli's surroundings tell."""

from __future__ import annotations

import time
from unittest import mock

import pytest

from udecdash_updater import check_database, check_queue, db
from udecdash_updater.errors import DatabaseError, WorkersError
from udecdash_updater.findings import FAILED, OK, WARNING, exit_code, failed, nagios, ok, warning
from udecdash_updater.settings import Settings

GOOD = {
    "redis_version": "7.2.4",
    "aof_enabled": 1,
    "save": "",
    "maxmemory": 0,
    "maxmemory_policy": "allkeys-lru",
}


def test_the_first_failure_gives_the_exit_code_whatever_warnings_come_before() -> None:
    odd = warning("disk", "little", "df")
    away, idle = failed("postgresql", DatabaseError("away")), failed("workers", WorkersError("idle"))
    assert exit_code([ok("settings", "fine")]) == 0
    assert exit_code([ok("settings", "fine"), odd]) == 10
    assert exit_code([odd, away, idle]) == 5


def test_nagios_reads_one_line_and_numbers_whatever_was_told() -> None:
    line, code = nagios([ok("dump", "fine", dump_age=3600.0), warning("disk", "two\nlines | and a bar", "df")])
    assert line == "UDECDASH WARNING - disk: two lines / and a bar | failed=0 warnings=1 dump_age=3600"
    assert code == 1
    assert nagios([ok("dump", "fine")]) == ("UDECDASH OK - 1 check passed | failed=0 warnings=0", 0)
    line, code = nagios([failed("workers", WorkersError("idle"))])
    assert line.startswith("UDECDASH CRITICAL - workers: ")
    assert code == 2


@pytest.mark.parametrize(
    ("remote", "encrypted", "sslmode", "outcome"),
    [
        (False, False, "prefer", OK),
        (True, False, "prefer", WARNING),
        (True, True, "prefer", WARNING),  # whoever stands between could offer a certificate of his own
        (True, True, "verify-full", OK),
    ],
)
def test_a_server_on_another_machine_should_be_encrypted_and_known(
    monkeypatch: pytest.MonkeyPatch, *, remote: bool, encrypted: bool, sslmode: str, outcome: str
) -> None:
    facts = ("15.18", 150018, encrypted, remote, time.time(), 1000, None)
    monkeypatch.setattr(db, "one", lambda *_: facts)
    found = check_database.server_fits(Settings(db_sslmode=sslmode), mock.Mock())
    assert [one.outcome for one in found if one.name == "postgresql TLS"] == [outcome]


def test_old_servers_and_clocks_that_are_apart_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = ("11.22", 110022, False, False, time.time() - 3600, 1000, None)
    monkeypatch.setattr(db, "one", lambda *_: facts)
    found = {one.name: one for one in check_database.server_fits(Settings(), mock.Mock())}
    assert found["postgresql"].outcome == FAILED
    assert "apart" in str(found["clock"].told)


@pytest.mark.parametrize(
    ("facts", "judge", "outcome"),
    [
        ({}, check_queue.version, OK),
        ({"redis_version": "6.0.9"}, check_queue.version, WARNING),
        ({"redis_version": "7.2.4", "valkey_version": "9.1.2"}, check_queue.version, OK),
        ({}, check_queue.persistence, OK),
        ({"aof_enabled": 0}, check_queue.persistence, WARNING),
        ({"aof_enabled": 0, "save": "3600 1"}, check_queue.persistence, OK),
        ({}, check_queue.eviction, OK),  # it never needs to throw anything away
        ({"maxmemory": 1 << 30}, check_queue.eviction, WARNING),
        ({"maxmemory": 1 << 30, "maxmemory_policy": "noeviction"}, check_queue.eviction, OK),
    ],
)
def test_redis_is_judged_by_what_it_would_lose(
    facts: dict[str, object], judge: check_queue.Judge, outcome: str
) -> None:
    found = judge(GOOD | facts)
    assert found.outcome == outcome
    assert bool(found.hint) == (outcome != OK)
    assert found.outcome != FAILED

"""The files of production/ and supervisord_config/ as their readers read them; for roles.sql see test_roles.py."""

from __future__ import annotations

import configparser
import getpass
import os
import re
import shlex
import shutil
import subprocess
import sys
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from unittest import mock

import pytest
from click.testing import CliRunner
from supervisor.options import ServerOptions

from udecdash_updater import batches, group
from udecdash_updater.cli import main
from udecdash_updater.queues import queue_names
from udecdash_updater.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
UNITS = ("udecdash-updater.service", "udecdash-updater.timer")
# What keeps a service from doing more than its work; MemoryDenyWriteExecute would stop Node.js.
HARDENED = {
    "CapabilityBoundingSet": "",
    "NoNewPrivileges": "true",
    "PrivateDevices": "true",
    "PrivateTmp": "true",
    "ProtectHome": "true",
    "ProtectSystem": "strict",
    "RestrictNamespaces": "true",
    "RestrictSUIDSGID": "true",
    "UMask": "0027",
}


def unit(name: str) -> dict[str, dict[str, list[str]]]:
    """A unit file's sections, each setting with all its values."""
    sections: dict[str, dict[str, list[str]]] = {}
    for line in (ROOT / "production" / name).read_text(encoding="utf-8").splitlines():
        if found := re.fullmatch(r"\[(\w+)\]", line):
            section = sections.setdefault(found[1], {})
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            section.setdefault(key, []).append(value)
    return sections


def test_the_service_runs_main_py_once_and_gives_it_time_to_put_the_site_back() -> None:
    service = unit("udecdash-updater.service")["Service"]
    assert service["Type"] == ["oneshot"]
    assert service["ExecStart"] == ["/opt/udecdash/venv/bin/python /opt/udecdash/main.py"]
    assert service["SuccessExitStatus"] == ["10"]
    assert (service["KillMode"], service["KillSignal"]) == (["mixed"], ["SIGTERM"])
    assert service["TimeoutStopSec"] == ["5min"]


@pytest.mark.parametrize("setting", HARDENED)
def test_the_service_may_do_no_more_than_its_work(setting: str) -> None:
    assert unit("udecdash-updater.service")["Service"][setting] == [HARDENED[setting]]


def test_the_timer_starts_it_at_the_hour_of_the_crontab_and_makes_up_for_missed_nights() -> None:
    minute, hour = re.findall(
        r"^(\d+) (\d+) \* \* \* ", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE
    )[0]
    timer = unit("udecdash-updater.timer")["Timer"]
    assert timer == {"OnCalendar": [f"*-*-* {int(hour):02}:{minute}:00"], "Persistent": ["true"]}


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
def test_systemd_understands_both_and_calls_the_service_safe(tmp_path: Path) -> None:
    for name in UNITS:
        text = (ROOT / "production" / name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(text.replace("/opt/udecdash/venv/bin/python", "/bin/true"), encoding="utf-8")
    for command in (["verify", *UNITS], ["security", "--offline=true", "--threshold=20", UNITS[0]]):
        done = subprocess.run(["systemd-analyze", *command], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr
        assert "udecdash-updater" not in done.stderr, done.stderr


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
def test_systemd_reads_the_timer_as_once_every_night() -> None:
    [hour] = unit("udecdash-updater.timer")["Timer"]["OnCalendar"]
    command = ["systemd-analyze", "calendar", "--iterations=3", hour]
    done = subprocess.run(command, env={"LC_ALL": "C", "TZ": "UTC"}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    nights = [
        datetime.strptime(found, "%Y-%m-%d %H:%M")
        for found in re.findall(r"\w{3} (\S+ \S+):00 UTC$", done.stdout, re.M)
    ]
    assert [night.strftime("%H:%M") for night in nights] == ["05:30"] * 3
    assert [after - before for before, after in pairwise(nights)] == [timedelta(days=1)] * 2


PLACES = group.Places("python3", "/FILL/IN/folder/of/main.py", "FILL-IN-account", "/FILL/IN/logs")


def workers(text: str) -> configparser.RawConfigParser:
    parsed = configparser.RawConfigParser(comment_prefixes=(";",))
    parsed.read_string(text)
    return parsed


def test_the_workers_file_is_what_config_workers_writes() -> None:
    shipped = (ROOT / "supervisord_config" / "udecdash-workers.conf").read_text(encoding="utf-8")
    assert shipped == group.configuration(Settings(), PLACES)


def test_a_host_of_workers_alone_needs_no_main_py_to_write_its_programs(tmp_path: Path) -> None:
    wanted = {"DB_HOST": "db", "DB_PORT": "5432", "DB_NAME": "d", "DB_USERNAME": "u", "DB_PASSWORD": "p"}
    dot_env = "".join(f"{name}={value}\n" for name, value in (wanted | {"QUEUE_LIMITS": "5"}).items())
    (tmp_path / ".env").write_text(dot_env, encoding="utf-8")
    with mock.patch.dict(os.environ):
        told = CliRunner().invoke(main, ["config", "workers", "--folder", str(tmp_path)], catch_exceptions=False)
    assert told.exit_code == 0, told.output
    found = workers(told.stdout)
    assert found["group:udecdash-workers"]["programs"] == "udecdash-first_queue,udecdash-course_too_long"
    assert found["program:udecdash-first_queue"]["directory"] == str(tmp_path)


def test_each_queue_has_a_program_that_begins_with_it_and_outlives_its_jobs() -> None:
    settings = Settings(queue_limits=(5, 50))
    found = workers(group.configuration(settings, PLACES, 5))
    assert found["group:udecdash-workers"]["programs"] == ",".join(map(group.program, queue_names(settings)))
    assert Settings().supervisor_programs == f"{group.GROUP}:*"
    programs = {name: found[name] for name in found.sections() if name.startswith("program:")}
    assert [one["command"].rpartition(" ")[2] for one in programs.values()] == list(queue_names(settings))
    assert [int(one["numprocs"]) for one in programs.values()] == [2, 1, 2]
    for one in programs.values():
        assert int(one["stopwaitsecs"]) > batches._MOST_SECONDS
        assert (one["stopsignal"], one["stopasgroup"]) == ("TERM", "false")


def test_supervisord_reads_the_workers_file_as_it_is_meant_whatever_the_folders_are_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "50% of a folder"
    folder.mkdir()
    monkeypatch.setattr(sys, "executable", f"{folder}/bin/python")
    text = group.configuration(Settings(queue_limits=(5,)), group.places(folder, getpass.getuser()))
    config = tmp_path / "supervisord.conf"
    config.write_text(f"[supervisord]\n{text}", encoding="utf-8")
    options = ServerOptions()
    options.realize(["-c", str(config)])
    [found] = options.process_group_configs
    for one in found.process_configs:
        assert shlex.split(one.command)[:3] == [f"{folder}/bin/python", "-m", "udecdash_updater.worker"]
        assert one.directory == str(folder)
        assert Path(one.stdout_logfile).parent == folder

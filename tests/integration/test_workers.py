"""The workers' group under a real supervisord: stopped, started, and told when it is neither."""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from pydantic import SecretStr
from rq import Queue
from rq.job import Job, JobStatus

from tests.installation import production_programs
from tests.support import alive, short_home, until
from udecdash_updater import workers
from udecdash_updater.embedded import worker_environment
from udecdash_updater.errors import SettingsError, WorkersError
from udecdash_updater.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
SUPERVISORCTL = f"{shlex.quote(sys.executable)} -m supervisor.supervisorctl"
GROUP = """
[program:udecdash-workers]
command=sleep 1000
numprocs=2
process_name=%(program_name)s_%(process_num)02d
startsecs=0
"""
BYSTANDER = """
[program:bystander]
command=sleep 1001
startsecs=0
"""
NAMES = ["udecdash-workers:udecdash-workers_00", "udecdash-workers:udecdash-workers_01"]

Supervised = Callable[..., Settings]


@pytest.fixture
def supervised() -> Iterator[Supervised]:
    """Starts a supervisord with the given programs; returns the settings that reach it."""
    with contextlib.ExitStack() as stack:

        def start(programs: str, **changes: object) -> Settings:
            folder = stack.enter_context(short_home())
            control = folder / "s.sock"
            config = folder / "supervisord.conf"
            user = "user=root\n" if os.geteuid() == 0 else ""
            config.write_text(
                f"[unix_http_server]\nfile={control}\n[supervisorctl]\nserverurl=unix://{control}\n"
                f"[supervisord]\nnodaemon=true\nsilent=true\nminfds=256\nlogfile={folder}/log\n{user}"
                f"pidfile={folder}/pid\nchildlogdir={folder}\n[rpcinterface:supervisor]\n"
                f"supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n{programs}"
            )
            command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(config)]
            process = stack.enter_context(subprocess.Popen(command, cwd=folder))

            def ended() -> bool:
                knock(control)
                return process.poll() is not None

            stack.callback(until, ended)
            stack.callback(process.terminate)
            assert until(control.exists)
            update = {"server_supervisord_command_path": SUPERVISORCTL, "supervisor_config": config, **changes}
            return Settings().model_copy(update=update)

        yield start


def knock(path: Path) -> None:
    """Wake a supervisord, which else looks at signals and children once a second only."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as door:
        door.connect(str(path))


def pids(settings: Settings) -> dict[str, str]:
    """Each running program and its process id, as supervisorctl tells them."""
    command = [*shlex.split(SUPERVISORCTL), "-c", str(settings.supervisor_config), "status"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    lines = [line.replace(",", " ").split() for line in done.stdout.splitlines() if " pid " in line]
    return {line[0]: line[3] for line in lines}


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_only_the_group_is_stopped_and_started(supervised: Supervised) -> None:
    settings = supervised(GROUP + BYSTANDER)
    before = pids(settings)
    assert set(before) == {*NAMES, "bystander"}
    assert workers.stop(settings) == dict.fromkeys(NAMES, "STOPPED")
    assert pids(settings) == {"bystander": before["bystander"]}
    assert workers.start(settings) == dict.fromkeys(NAMES, "RUNNING")
    after = pids(settings)
    assert after["bystander"] == before["bystander"]
    assert not {after[name] for name in NAMES} & set(before.values())


def test_stopping_what_is_stopped_and_starting_what_runs_is_fine(supervised: Supervised) -> None:
    settings = supervised(GROUP)
    workers.stop(settings)
    assert workers.stop(settings) == dict.fromkeys(NAMES, "STOPPED")
    workers.start(settings)
    before = pids(settings)
    assert workers.start(settings) == workers.state(settings) == dict.fromkeys(NAMES, "RUNNING")
    assert pids(settings) == before


def test_a_blank_command_does_nothing_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("udecdash_updater").propagate = True
    with caplog.at_level(logging.INFO, logger="udecdash_updater"):
        assert (workers.stop(Settings()), workers.start(Settings()), workers.state(Settings())) == ({}, {}, {})
    # Another test may have left a second way to the same place: each record counts once.
    assert [record.levelname for record in dict.fromkeys(caplog.records)] == ["INFO", "INFO"]
    assert "SERVER_SUPERVISORD_COMMAND_PATH is blank" in caplog.text


@pytest.mark.parametrize("action", [workers.stop, workers.start, workers.state])
def test_a_missing_group_is_told_with_the_command(supervised: Supervised, action: Callable[..., object]) -> None:
    settings = supervised(BYSTANDER)
    with pytest.raises(WorkersError, match="no such group") as raised:
        action(settings)
    assert "supervisor.supervisorctl" in str(raised.value)
    assert raised.value.exit_code == 6


@pytest.mark.parametrize("action", [workers.stop, workers.start, workers.state])
def test_a_supervisord_that_is_away_is_told(home: Path, action: Callable[..., object]) -> None:
    config = home / "c.conf"
    config.write_text(f"[supervisorctl]\nserverurl=unix://{home}/none.sock\n")
    update = {"server_supervisord_command_path": SUPERVISORCTL, "supervisor_config": config}
    with pytest.raises(WorkersError, match="no such file"):
        action(Settings().model_copy(update=update))


def test_an_old_supervisorctl_that_fails_with_exit_code_0_is_understood(home: Path) -> None:
    for text in (
        "unix:///run/supervisor.sock refused connection",
        "g: ERROR (no such group)",
        "g:w: ERROR (spawn error)",
    ):
        old = script(home / "supervisorctl", f"echo '{text}'")
        with pytest.raises(WorkersError, match=r"ERROR|refused"):
            workers.start(Settings().model_copy(update={"server_supervisord_command_path": str(old)}))


@pytest.mark.parametrize("command", ["/nonexistent/supervisorctl", "/etc/passwd"])
def test_a_command_that_cannot_be_run_is_told(command: str) -> None:
    with pytest.raises(WorkersError, match=command):
        workers.stop(Settings().model_copy(update={"server_supervisord_command_path": command}))


def test_workers_that_do_not_start_are_told_with_their_last_words(supervised: Supervised) -> None:
    failing = "\n[program:udecdash-workers]\ncommand=sh -c 'echo DB_HOST is blank >&2; exit 2'\nautostart=false\n"
    with pytest.raises(WorkersError, match=r"spawn error|abnormal termination") as raised:
        workers.start(supervised(failing, supervisor_programs="udecdash-workers"))
    assert "DB_HOST is blank" in str(raised.value)


def test_workers_whose_program_is_missing_are_told(supervised: Supervised) -> None:
    missing = "\n[program:udecdash-workers]\ncommand=/nonexistent/python\nautostart=false\n"
    with pytest.raises(WorkersError, match="ERROR"):
        workers.start(supervised(missing, supervisor_programs="udecdash-workers"))


def test_a_worker_that_died_for_good_is_started_again(supervised: Supervised, tmp_path: Path) -> None:
    once = f"sh -c 'test -e {tmp_path}/cured && exec sleep 1000; exit 1'"
    settings = supervised(
        f"\n[program:udecdash-workers]\ncommand={once}\nstartretries=0\n", supervisor_programs="udecdash-workers"
    )
    assert until(lambda: workers.state(settings) == {"udecdash-workers": "FATAL"})
    assert workers.stop(settings) == {"udecdash-workers": "FATAL"}
    (tmp_path / "cured").touch()
    assert workers.start(settings) == {"udecdash-workers": "RUNNING"}


def test_a_hanging_supervisorctl_is_killed_with_all_it_started(home: Path) -> None:
    hanging = script(home / "supervisorctl", f"sleep 1000 &\necho $! > {home}/pid\necho stuck here\nwait")
    update = {"server_supervisord_command_path": str(hanging), "supervisor_timeout": 1}
    for action in (workers.stop, workers.start, workers.state):
        with pytest.raises(WorkersError, match="no answer within the time set") as raised:
            action(Settings().model_copy(update=update))
        assert "stuck here" in str(raised.value)
        child = int((home / "pid").read_text())
        assert until(lambda pid=child: not alive(pid))  # type: ignore[misc] # its default is an int


def test_workers_that_end_their_jobs_do_not_stop_the_night(
    supervised: Supervised, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    logging.getLogger("udecdash_updater").propagate = True
    busy = f"sh -c 'trap \"sleep 6; exit 0\" TERM; touch {tmp_path}/busy; while :; do sleep 0.1; done'"
    settings = supervised(
        f"\n[program:udecdash-workers]\ncommand={busy}\nstopwaitsecs=20\nstartsecs=0\n",
        supervisor_programs="udecdash-workers",
        supervisor_timeout=3,
    )
    assert until((tmp_path / "busy").exists)
    assert workers.stop(settings) == {"udecdash-workers": "STOPPING"}
    assert "Workers still end their jobs" in caplog.text
    # Asked to start while it still stops, it is started once it has stopped.
    assert workers.start(settings.model_copy(update={"supervisor_timeout": 30})) == {"udecdash-workers": "RUNNING"}


def test_a_worker_that_stopped_between_start_and_status_is_started_again(home: Path) -> None:
    # What the real one says when a program ends just after it was asked to start while it still stopped.
    settings = Settings().model_copy(
        update={
            "server_supervisord_command_path": str(
                script(
                    home / "supervisorctl",
                    f'case "$1" in\n'
                    f"start) test -e {home}/asked && touch {home}/runs && exit 0; touch {home}/asked\n"
                    'echo "udecdash-workers: ERROR (abnormal termination)"; exit 7;;\n'
                    f'status) test -e {home}/runs && echo "udecdash-workers RUNNING" && exit 0\n'
                    'echo "udecdash-workers STOPPED"; exit 3;;\nesac',
                )
            ),
            "supervisor_programs": "udecdash-workers",
        }
    )
    assert workers.start(settings) == {"udecdash-workers": "RUNNING"}


@pytest.mark.parametrize("programs", ["all", "udecdash-workers:* all", "-c", " "])
def test_never_all(supervised: Supervised, programs: str) -> None:
    settings = supervised(BYSTANDER, supervisor_programs=programs)
    before = pids(settings)
    with pytest.raises(SettingsError, match="SUPERVISOR_PROGRAMS"):
        workers.stop(settings)
    assert pids(settings) == before


def test_several_programs_may_be_named(supervised: Supervised) -> None:
    settings = supervised(GROUP + BYSTANDER, supervisor_programs="udecdash-workers:udecdash-workers_00, bystander")
    assert workers.stop(settings) == {NAMES[0]: "STOPPED", "bystander": "STOPPED"}
    assert set(pids(settings)) == {NAMES[1]}


SUDO = """
echo "$0 $*" >> "$(dirname "$0")/arguments"
test "$1 $2 $3$4" = "-S -p --" || exit 9
shift 4
read -r given
test "$given" = "canary 7c1'$" || { echo "Sorry, try again: $given"; exit 1; }
exec "$@"
"""


def test_a_password_goes_to_sudos_standard_input_only(
    supervised: Supervised, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(home / "sudo", SUDO)
    monkeypatch.setenv("PATH", f"{home}:{os.environ['PATH']}")
    settings = supervised(GROUP, server_sudo_password=SecretStr("canary 7c1'$"))
    assert workers.stop(settings) == dict.fromkeys(NAMES, "STOPPED")
    assert workers.start(settings) == dict.fromkeys(NAMES, "RUNNING")
    arguments = (home / "arguments").read_text()
    assert "supervisor.supervisorctl" in arguments
    assert "canary" not in arguments


def test_a_refused_password_is_told_without_it(
    supervised: Supervised, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(home / "sudo", SUDO)
    monkeypatch.setenv("PATH", f"{home}:{os.environ['PATH']}")
    settings = supervised(GROUP, server_sudo_password=SecretStr("wrong-canary"))
    with pytest.raises(WorkersError, match="Sorry, try again: \\*\\*\\*") as raised:
        workers.stop(settings)
    assert "wrong-canary" not in str(raised.value)
    assert set(pids(settings)) == set(NAMES)


def test_the_production_file_runs_real_workers(
    supervised: Supervised, services: Settings, redis_url: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """supervisord_config/udecdash-workers.conf, filled in, with the settings in the .env of its folder."""
    names = ("DB_HOST", "DB_PORT", "DB_NAME", "DB_USERNAME", "DB_PASSWORD", "REDIS_URL")
    environment = worker_environment(services)
    (home / ".env").write_text("".join(f"{name}={environment[name]}\n" for name in names))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    settings = supervised(production_programs(home))
    states = workers.start(settings)
    assert set(states.values()) == {"RUNNING"}
    assert set(states) == {"udecdash-workers:first_queue_00", "udecdash-workers:course_too_long_00"}
    with redis.Redis.from_url(redis_url) as client:
        job = Queue("course_too_long", connection=client, serializer="json").enqueue(
            "udecdash_updater.jobs.process_courses", 1, []
        )

        def done() -> bool:
            fetched = Job.fetch(job.id, connection=client, serializer="json")
            return fetched.get_status() in {JobStatus.FINISHED, JobStatus.FAILED}

        assert until(done)
        assert Job.fetch(job.id, connection=client, serializer="json").return_value() == []
        assert workers.stop(settings) == dict.fromkeys(states, "STOPPED")

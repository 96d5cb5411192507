"""Two ways to supervisord for an account that is not root: a socket of its group's, and sudo. With real accounts."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import supervisor
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2's class has a lower-case name
from pydantic import SecretStr

from tests.installation import ROOT, Installation, rows, supervisord
from tests.support import command_lines_with, short_home
from udecdash_updater import workers
from udecdash_updater.errors import WorkersError
from udecdash_updater.settings import Settings

NAMES = ["udecdash-workers:udecdash-workers_00", "udecdash-workers:udecdash-workers_01"]
GROUP = (
    "[program:udecdash-workers]\ncommand=sleep 1000\nnumprocs=2\nstartsecs=0\n"
    "process_name=%(program_name)s_%(process_num)02d\n"
)
PASSWORD = "canary-Sudo 7'$"
SUDO = shutil.which("sudo") or "sudo"

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("useradd"), reason="only root can make the accounts that this is tried with"
)


@dataclass(frozen=True)
class Account:
    """An account of the test's own, and the groups it is in."""

    name: str
    group: str

    @property
    def groups(self) -> list[int]:
        return os.getgrouplist(self.name, pwd.getpwnam(self.name).pw_gid)


@contextlib.contextmanager
def account(name: str, *groups: str) -> Iterator[Account]:
    listed = ["-G", ",".join(groups)] if groups else []
    subprocess.run(["useradd", "--no-create-home", "--user-group", *listed, name], check=True)
    try:
        yield Account(name, name)
    finally:
        subprocess.run(["userdel", "--force", name], check=True, capture_output=True)


@pytest.fixture(scope="module")
def operator() -> Iterator[Account]:
    """An account with a password, in a group that the other one is not in."""
    group = f"udt-{os.getpid()}-ops"
    subprocess.run(["groupadd", group], check=True)
    try:
        with account(f"udt-{os.getpid()}-a", group) as made:
            subprocess.run(["chpasswd"], input=f"{made.name}:{PASSWORD}\n", text=True, check=True)
            yield Account(made.name, group)
    finally:
        subprocess.run(["groupdel", group], check=True)


@pytest.fixture(scope="module")
def stranger() -> Iterator[Account]:
    with account(f"udt-{os.getpid()}-b") as made:
        yield made


@contextlib.contextmanager
def acting_as(person: Account) -> Iterator[None]:
    """This process, and all that it starts, as that account; root again afterwards."""
    entry, mine = pwd.getpwnam(person.name), os.getgroups()
    os.setgroups(person.groups)
    os.setresgid(entry.pw_gid, entry.pw_gid, 0)
    os.setresuid(entry.pw_uid, entry.pw_uid, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)
        os.setresgid(0, 0, 0)
        os.setgroups(mine)


@pytest.fixture
def supervisorctl(operator: Account, home: Path) -> str:
    """A supervisorctl that other accounts can run: neither Python nor package need be open to them."""
    shutil.copytree(Path(supervisor.__file__).parent, home / "lib" / "supervisor")
    subprocess.run(["chmod", "-R", "a+rX", str(home / "lib")], check=True)
    command = home / "supervisorctl"
    for python in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        command.write_text(
            f'#!/bin/sh\nPYTHONPATH={home}/lib exec {shlex.quote(python)} -m supervisor.supervisorctl "$@"\n'
        )
        command.chmod(0o755)
        with acting_as(operator), contextlib.suppress(OSError):
            if subprocess.run([command, "--help"], cwd="/", capture_output=True, check=False).returncode == 0:
                return str(command)
    pytest.skip("no Python here can be run by other accounts")


@pytest.fixture
def own_socket(operator: Account) -> Iterator[Path]:
    """supervisord as supervisord_config/README.md has it: its socket belongs to a group."""
    with (
        short_home() as folder,
        supervisord(folder, GROUP, rights=f"chmod=0770\nchown=root:{operator.group}\n") as config,
    ):
        yield config


@pytest.fixture
def roots_socket() -> Iterator[Path]:
    """supervisord as Debian has it: root's alone."""
    with short_home() as folder, supervisord(folder, GROUP, rights="chmod=0700\n") as config:
        yield config


def settings(command: str, config: Path, password: str = "") -> Settings:
    return Settings().model_copy(
        update={
            "server_supervisord_command_path": command,
            "supervisor_config": config,
            "server_sudo_password": SecretStr(password),
        }
    )


@contextlib.contextmanager
def sudoers(person: Account, command: str, config: Path) -> Iterator[None]:
    """The line of supervisord_config/README.md: this account, this command, nothing else."""
    if not shutil.which("sudo"):
        pytest.skip("sudo is not installed")
    file = Path("/etc/sudoers.d") / person.name
    file.write_text(f"{person.name} ALL=(root) {command} -c {config} *\n")
    file.chmod(0o440)
    try:
        yield
    finally:
        file.unlink()


def test_a_socket_of_the_group_needs_no_sudo(
    operator: Account, supervisorctl: str, own_socket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    chosen = settings(supervisorctl, own_socket)
    assert grp.getgrnam(operator.group).gr_gid in operator.groups
    with acting_as(operator):
        assert workers.stop(chosen) == dict.fromkeys(NAMES, "STOPPED")
        assert workers.start(chosen) == dict.fromkeys(NAMES, "RUNNING")


def test_an_account_outside_the_group_is_refused_and_told(
    stranger: Account, supervisorctl: str, own_socket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    chosen = settings(supervisorctl, own_socket)
    with acting_as(stranger):
        for action in (workers.stop, workers.start, workers.state):
            with pytest.raises(WorkersError, match="Permission denied"):
                action(chosen)
    assert set(workers.state(chosen).values()) == {"RUNNING"}


def test_real_sudo_takes_the_password_from_standard_input_and_no_process_shows_it(
    operator: Account, supervisorctl: str, roots_socket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    chosen = settings(supervisorctl, roots_socket, PASSWORD)
    with sudoers(operator, supervisorctl, roots_socket), command_lines_with("canary") as seen, acting_as(operator):
        assert workers.stop(chosen) == dict.fromkeys(NAMES, "STOPPED")
        assert workers.start(chosen) == dict.fromkeys(NAMES, "RUNNING")
    assert seen == []


@pytest.mark.parametrize("action", [workers.stop, workers.start])
def test_real_sudo_with_a_wrong_password_is_told_without_it(
    operator: Account,
    supervisorctl: str,
    roots_socket: Path,
    monkeypatch: pytest.MonkeyPatch,
    action: Callable[[Settings], object],
) -> None:
    monkeypatch.chdir("/")
    told = pytest.raises(WorkersError, match=r"incorrect password|no password was provided")
    with sudoers(operator, supervisorctl, roots_socket), acting_as(operator), told as raised:
        action(settings(supervisorctl, roots_socket, "canary-wrong"))
    assert "canary" not in str(raised.value)
    assert raised.value.exit_code == 6
    assert set(workers.state(settings(supervisorctl, roots_socket)).values()) == {"RUNNING"}


def test_a_night_that_sudo_refuses_loads_and_enqueues_and_ends_with_6(
    operator: Account, yesterday: Installation, database: Connection
) -> None:
    site, sudo = yesterday, yesterday.folder / "bin" / "sudo"
    # The night is root's, who needs no password; real sudo is asked by an account that does.
    dropped = f"setpriv --reuid {operator.name} --regid {operator.name} --init-groups"
    sudo.write_text(f'#!/bin/sh\nexec {dropped} {SUDO} "$@"\n')
    sudo.chmod(0o755)
    environment = {"PATH": f"{sudo.parent}:/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
    command, config = site.values["SERVER_SUPERVISORD_COMMAND_PATH"], Path(site.values["SUPERVISOR_CONFIG"])
    with sudoers(operator, command, config):
        site.serve(2)
        site.fill_in(SERVER_SUDO_PASSWORD="canary-wrong")
        ended = site.end(site.start(environment=environment), 6)
        outcomes = dict(rows(database, "select name, outcome from udecdash.stages where run_id = 2"))
        assert [name for name, outcome in outcomes.items() if outcome != "done"] == ["workers stop", "workers start"]
        assert (outcomes["workers stop"], outcomes["workers start"]) == ("warning", "failed")
        assert "jobs enqueued for" in ended.log
        assert "canary" not in ended.log + site.told()
    assert site.is_back


def test_sudo_lets_nothing_through_but_supervisorctl_with_our_configuration(
    operator: Account, supervisorctl: str, roots_socket: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    with sudoers(operator, supervisorctl, roots_socket), acting_as(operator):
        for other in (settings("/bin/cat", roots_socket, PASSWORD), settings(supervisorctl, home / "x", PASSWORD)):
            with pytest.raises(WorkersError, match="not allowed"):
                workers.stop(other)
    assert set(workers.state(settings(supervisorctl, roots_socket)).values()) == {"RUNNING"}

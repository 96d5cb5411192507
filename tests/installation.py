"""A site as an administrator sets it up: main.py filled in, canvasDataCli, front end, mail, supervisord."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2's class has a lower-case name

from tests.mail import MailServer
from tests.support import until
from udecdash_updater.demo.prepare import write_command
from udecdash_updater.settings import SEED_NAMES

ROOT = Path(__file__).resolve().parents[1]
DASHBOARD = "<!doctype html><title>The dashboard</title>"
EVERYONE = ["ana@udec.example", "pedro@udec.example"]
SUPERVISORCTL = f"{shlex.quote(sys.executable)} -m supervisor.supervisorctl"
CRON = {"PATH": "/usr/bin:/bin"}
_END_SECONDS = 120
# What stands in main.py; the rest stands in .env beside it, because the workers need it as well.
_IN_MAIN = tuple(name for name in SEED_NAMES if not name.startswith("DB_"))


class Run(subprocess.Popen[bytes]):
    """A started run. Leaving the block kills it: a test that fails must not wait for a run that hangs on purpose."""

    def __exit__(self, *error: object) -> None:
        self.kill()
        super().__exit__(*error)  # type: ignore[arg-type] # as they came


@dataclass(frozen=True)
class Ended:
    """How a run of the main script ended."""

    code: int
    out: str
    log: str


@dataclass
class Installation:
    """A folder with everything in it; `values` are the settings that main.py (and .env) hold."""

    folder: Path
    mail: MailServer
    values: dict[str, str] = field(default_factory=dict)

    @property
    def main(self) -> Path:
        return self.folder / "main.py"

    @property
    def canvas(self) -> Path:
        return self.folder / "canvas"

    @property
    def data_files(self) -> Path:
        return self.canvas / "dataFiles"

    @property
    def front_end(self) -> Path:
        return self.folder / "frontend"

    @property
    def page(self) -> str:
        return (self.front_end / "index.html").read_text(encoding="utf-8")

    def serve(self, night: int) -> None:
        """Canvas has this night's dump from now on."""
        (self.folder / "served" / "current").write_text(str(night))

    def forget_regrown(self, night: Path) -> None:
        """Delete the request files that grew under their old name: canvasDataCli fetches no name that is on disk."""
        for file in night.glob("dataFiles/requests/*.gz"):
            known = self.data_files / "requests" / file.name
            if known.exists() and known.stat().st_size != file.stat().st_size:
                known.unlink()

    def faults(self, *faults: dict[str, Any]) -> None:
        """canvasDataCli goes wrong like this from now on; as it should, without any."""
        (self.folder / "served" / "faults.json.state").unlink(missing_ok=True)
        (self.folder / "served" / "faults.json").write_text(json.dumps(faults))

    def fill_in(self, **changes: str | None) -> None:
        """Write main.py from the template, and .env beside it; None leaves a setting out."""
        chosen = {name: value for name, value in {**self.values, **changes}.items() if value is not None}
        lines = (ROOT / "main_example.py").read_text(encoding="utf-8").splitlines(keepends=True)
        for name in _IN_MAIN:
            [place] = [n for n, line in enumerate(lines) if line.startswith(f'    "{name}": ')]
            lines[place] = f'    "{name}": {chosen.get(name, "")!r},\n'
        self.main.write_text("".join(line for line in lines if "delete this line" not in line), encoding="utf-8")
        self.dot_env({name: value for name, value in chosen.items() if name not in _IN_MAIN})

    def dot_env(self, values: dict[str, str]) -> None:
        """Write .env beside main.py, readable by its owner alone."""
        path = self.folder / ".env"
        path.write_text("".join(f"{name}='{value}'\n" for name, value in values.items()), encoding="utf-8")
        path.chmod(0o600)

    def start(self, script: Path | None = None, environment: dict[str, str] | None = None) -> Run:
        """The main script as cron starts it: hardly any environment, another folder; its output goes to files."""
        with (self.folder / "out").open("wb") as out, (self.folder / "log").open("wb") as log:
            return Run(
                [sys.executable, str(script or self.main)],
                cwd="/",
                env={**CRON, "PYTHONPATH": str(ROOT)} if environment is None else environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
            )

    def run(self, expected: int | None = 0, **changes: str | None) -> Ended:
        """Fill main.py in, run it to its end, and see that it ended with the code expected (None: any)."""
        self.fill_in(**changes)
        return self.end(self.start(), expected)

    def end(self, process: subprocess.Popen[bytes], expected: int | None = 0) -> Ended:
        """Wait for a started run and see how it ended."""
        try:
            code = process.wait(_END_SECONDS)
        finally:
            process.kill()
        ended = Ended(code, (self.folder / "out").read_text(), self.log)
        assert expected in (None, code), ended.log
        return ended

    @property
    def workers(self) -> dict[str, str]:
        """Each program of its supervisord and its state, as supervisorctl tells them."""
        return worker_states(Path(self.values["SUPERVISOR_CONFIG"]))

    @property
    def is_back(self) -> bool:
        """Whether the front end is as it was, with nothing of ours in its folder, and the workers run."""
        files = sorted(path.name for path in self.front_end.iterdir())
        return files == ["index.html"] and self.page == DASHBOARD and set(self.workers.values()) == {"RUNNING"}

    def told(self) -> str:
        """The text of the one mail that everyone got, each run of white space as one space."""
        [mail] = self.mail.mails
        assert mail.recipients == EVERYONE
        return " ".join(mail.text.split())

    @property
    def log(self) -> str:
        """What the last run has written to stderr so far."""
        return (self.folder / "log").read_text(encoding="utf-8")

    def kill_when(self, words: str) -> None:
        """Start a run and kill it for good once its log says so."""
        self.fill_in()
        with self.start() as process:
            assert until(lambda: words in self.log or process.poll() is not None)
            process.send_signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL, self.log


def install(folder: Path, nights: Path, mail: MailServer) -> Installation:
    """Set a site up in `folder`; Canvas serves the nights below `nights`, the first one first."""
    site = Installation(folder, mail)
    for place in (site.canvas, site.front_end, folder / "served"):
        place.mkdir(parents=True)
    for night in nights.glob("night*"):
        (folder / "served" / night.name).symlink_to(night)
    site.serve(1)
    site.canvas.joinpath("config.js").write_text(
        "module.exports = {\n  saveLocation: './dataFiles',\n  unpackLocation: './unpackedFiles',\n"
        f"  apiUrl: 'file://{folder}/served',\n  key: 'the-key-of-the-api',\n  secret: 'the-secret-of-the-api'\n}}\n"
    )
    (site.front_end / "index.html").write_text(DASHBOARD, encoding="utf-8")
    site.values = {
        "PATH_DATA_FILES": str(site.data_files),
        "PATH_CANVAS_CONFIG": str(site.canvas),
        "SERVER_CANVAS_DATA_CLI_COMMAND_PATH": str(write_command(folder / "bin" / "canvasDataCli")),
        "FRONTEND_DIR": str(site.front_end),
        "SMTP_HOST": mail.host,
        "SMTP_PORT": str(mail.port),
        "NOTIFICATION_EMAILS": os.pathsep.join(EVERYONE),
        "DOWNLOAD_ATTEMPTS": "1",
        "LANGUAGE": "en",
    }
    return site


@contextlib.contextmanager
def supervisord(folder: Path, programs: str, rights: str = "", more: Mapping[str, str] | None = None) -> Iterator[Path]:
    """A supervisord with these programs, until the block ends; yields its configuration.

    `rights`: of its socket; `more`: what else stands in its environment.
    """
    folder.mkdir(exist_ok=True)
    control, config = folder / "s.sock", folder / "supervisord.conf"
    user = "user=root\n" if os.geteuid() == 0 else ""
    config.write_text(
        f"[unix_http_server]\nfile={control}\n{rights}[supervisorctl]\nserverurl=unix://{control}\n"
        f"[supervisord]\nnodaemon=true\nsilent=true\nminfds=256\nlogfile={folder}/log\n{user}"
        f"pidfile={folder}/pid\nchildlogdir={folder}\n[rpcinterface:supervisor]\n"
        f"supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n{programs}"
    )
    environment = {**CRON, "PYTHONPATH": str(ROOT), **(more or {})}
    command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(config)]
    with subprocess.Popen(command, cwd=folder, env=environment) as process:
        try:
            assert until(control.exists)
            yield config
        finally:
            process.terminate()

            def ended() -> bool:
                # It looks at signals once a second only, or as soon as somebody knocks.
                with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as door:
                    door.connect(str(control))
                return process.poll() is not None

            until(ended)


def worker_states(config: Path) -> dict[str, str]:
    """Each program of that supervisord and its state, as supervisorctl tells them."""
    command = [*shlex.split(SUPERVISORCTL), "-c", str(config), "status"]
    told = subprocess.run(command, check=False, capture_output=True, text=True).stdout
    return {name: state for name, state, *_ in (line.split() for line in told.splitlines())}


def production_programs(folder: Path, module: str = "udecdash_updater.worker") -> str:
    """supervisord_config/'s own file, filled in for a main.py in `folder`; of its programs only the first and the last.

    Their workers run `module`.
    """
    text = (ROOT / "supervisord_config" / "udecdash-workers.conf").read_text(encoding="utf-8")
    account = subprocess.run(["id", "-un"], check=True, capture_output=True, text=True).stdout.strip()
    for place, value in {
        "command=python3 -m udecdash_updater.worker": f"command={sys.executable} -m {module}",
        "/FILL/IN/folder/of/main.py": str(folder),
        "/FILL/IN/logs": str(folder),
        "FILL-IN-account": account,
        "numprocs=1": "numprocs=0",
    }.items():
        assert place in text
        text = text.replace(place, value)
    assert "FILL" not in text
    for queue in ("first_queue", "course_too_long"):
        text = text.replace(
            f"process_name={queue}_%(process_num)02d\nnumprocs=0", f"process_name={queue}_%(process_num)02d\nnumprocs=1"
        )
    return text


def execute(database: Connection, statements: str) -> None:
    with database.cursor() as cursor:
        cursor.execute(statements)


def rows(database: Connection, query: str) -> list[tuple[Any, ...]]:
    """The rows of a query."""
    with database.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()


def contents(database: Connection) -> dict[str, list[tuple[Any, ...]]]:
    """A checksum of every table of the dashboard, its rows' places on disk included: an untouched row keeps its own."""
    names = [name for (name,) in rows(database, "select tablename from pg_tables where schemaname = 'public'")]
    query = "select count(*), sum(hashtext(t.ctid::text || t::text)) from {} t"
    return {name: rows(database, query.format(name)) for name in names}

"""What every benchmark stands on: a server with production's settings, fresh databases, sides that take turns."""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import psycopg2
from psycopg2 import sql
from pydantic import SecretStr

from udecdash_updater import compiled, guard
from udecdash_updater.binaries import server_account
from udecdash_updater.cluster import DATABASE, open_cluster
from udecdash_updater.settings import Settings

# What a site's own server has and the embedded one has not: a log for replicas, memory, the usual number of sessions.
_PRODUCTION = {
    "wal_level": "replica",
    "max_wal_senders": "10",
    "shared_buffers": "1GB",
    "max_wal_size": "8GB",
    "fsync": "on",
    "synchronous_commit": "on",
}
_START_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Server:
    """A running PostgreSQL: settings that reach it (another DB_NAME a database) and the folder of its programs."""

    settings: Settings
    programs: Path


@contextlib.contextmanager
def server(folder: Path) -> Iterator[Server]:
    """A PostgreSQL of our own with production's settings, its data below `folder`, stopped at the end."""
    account = server_account()
    sockets = folder / "s"
    sockets.mkdir()
    if account:
        os.chown(sockets, account.uid, account.gid)
    # The guard is the embedded servers' own: it drops root's rights, and its server ends with us.
    prefix = [sys.executable, "-I", "-S", guard.__file__, "--lock", str(folder / "lock"), "--signal", "INT", "--bare"]
    prefix += [*(["--user", account.name] if account else []), "--"]
    cluster = open_cluster(folder / "postgres", account, folder, prefix)
    words = [word for name, value in _PRODUCTION.items() for word in ("-c", f"{name}={value}")]
    with subprocess.Popen([*prefix, *cluster.command(sockets), *words], stderr=subprocess.DEVNULL) as process:
        try:
            limit = time.monotonic() + _START_SECONDS
            while not cluster.ready(sockets) and time.monotonic() < limit:
                time.sleep(0.05)
            found = Settings(
                db_host=str(sockets), db_port=5432, db_name=DATABASE, db_username=DATABASE, db_sslmode="disable",
                redis_url=SecretStr("unix:///nonexistent/redis.sock"), enable_download=False,
            )  # fmt: skip
            yield Server(found, cluster.programs.folder)
        finally:
            process.terminate()


@contextlib.contextmanager
def folder_for_servers() -> Iterator[Path]:
    """A folder of the benchmark's own on a real disk, open to the account of root's servers; gone at the end."""
    folder = Path(tempfile.mkdtemp(prefix="udb-", dir=os.environ.get("TMPDIR", "/var/tmp")))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def session(settings: Settings) -> Iterator[psycopg2.extensions.cursor]:
    """A cursor on the database of `settings`; each statement is its own transaction."""
    connection = psycopg2.connect(
        host=settings.db_host, port=settings.db_port, dbname=settings.db_name, user=settings.db_username
    )
    connection.autocommit = True
    with contextlib.closing(connection), connection.cursor() as cursor:
        yield cursor


def create_database(server: Server, name: str, *, model: str = "template0") -> Settings:
    """A database called `name`, empty or a copy of `model`, and all that was written before it on the disk."""
    with session(server.settings) as cursor:
        cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {} (FORCE)").format(sql.Identifier(name)))
        create = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        cursor.execute(create.format(sql.Identifier(name), sql.Identifier(model)))
        cursor.execute("CHECKPOINT")
    return server.settings.model_copy(update={"db_name": name})


def psql(server: Server, settings: Settings, script: str) -> float:
    """Run a script by psql in one session; the seconds it took."""
    program = server.programs / "psql"
    command = [str(program if program.exists() else shutil.which("psql")), "-qX", "-v", "ON_ERROR_STOP=1"]
    command += ["-h", settings.db_host, "-U", settings.db_username, "-d", settings.db_name]
    began = time.perf_counter()
    subprocess.run(command, input=script, text=True, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


Told = Mapping[str, float]
"""The figures of one round of one side by name; `seconds` is one of them."""

Side = Callable[[], Told]
"""One round of one side: it prepares, works, and tells its figures."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What the rounds of all sides told: figure by side and round."""

    rounds: Mapping[str, Sequence[Mapping[str, float]]]

    def of(self, side: str, figure: str = "seconds") -> list[float]:
        """A side's figure in each round."""
        return [told[figure] for told in self.rounds[side]]

    def median(self, side: str, figure: str = "seconds") -> float:
        """The median of a side's figure."""
        return statistics.median(self.of(side, figure))

    def ratio(self, side: str, floor: str, figure: str = "seconds") -> tuple[float, float, float]:
        """Median of the ratios of the rounds, the least and the greatest of them."""
        found = [a / b for a, b in zip(self.of(side, figure), self.of(floor, figure), strict=True)]
        return statistics.median(found), min(found), max(found)


def take_turns(sides: Mapping[str, Side], rounds: int, say: Callable[[str], None]) -> Figures:
    """Run the sides one after the other, `rounds` times: what disturbs the machine disturbs them alike."""
    told: dict[str, list[Mapping[str, float]]] = {name: [] for name in sides}
    for number in range(rounds):
        for name, side in sides.items():
            told[name].append(side())
            say(f"  round {number + 1}, {name}: {told[name][-1]['seconds']:.2f} s")
    return Figures(told)


def machine(server: Server) -> list[str]:
    """What the figures were taken on: processor, memory, load, versions."""
    model = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.machine())  # fmt: skip
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 30
    with session(server.settings) as cursor:
        cursor.execute("show server_version")
        version = (cursor.fetchone() or ("",))[0]
    told = " ".join(f"{name}={value}" for name, value in _PRODUCTION.items())
    return [
        f"{os.cpu_count()} cores ({model}), {memory} GiB, {platform.system()} {platform.release()}",
        f"PostgreSQL {version} ({told}), Python {platform.python_version()}",
        f"psycopg2-binary {metadata.version('psycopg2-binary')}, isal {metadata.version('isal')}, "
        f"innermost loops {'compiled' if compiled.LOOPS else 'by Python'}",
        f"load when it began (1, 5, 15 minutes): {load()}",
    ]


def load() -> str:
    """How busy the machine is: the average load of 1, 5 and 15 minutes."""
    return " ".join(f"{n:.1f}" for n in os.getloadavg())


def options(name: str, description: str, topics: Sequence[str], results: Path) -> argparse.ArgumentParser:
    """What every benchmark can be asked for; `results` is where the figures go if nothing else is said."""
    parser = argparse.ArgumentParser(prog=f"benchmarks.{name}", description=description)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=topics, default=topics, metavar="TOPIC", help=" ".join(topics))
    parser.add_argument("--out", type=Path, default=results)
    return parser

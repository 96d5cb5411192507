"""What the topics of the benchmark of the load share: the bench, a line of the results, and what psql does."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks import data, ground
from benchmarks.ground import Figures, Server
from udecdash_updater.settings import Settings
from udecdash_updater.sieve import KEPT

COLUMNS = ", ".join(KEPT)


@dataclass(frozen=True, slots=True)
class Bench:
    """What all topics share: the server, a folder to work in, the data, how often, how large, and where to tell."""

    server: Server
    folder: Path
    dump: Path
    rounds: int
    requests: int
    students: int
    say: Callable[[str], None]

    def fresh(self, model: str = "template0") -> Settings:
        """A new database, empty or a copy of `model`."""
        return ground.create_database(self.server, "bench", model=model)

    def keep(self, name: str) -> str:
        """The database that was used last, as a model for others."""
        ground.create_database(self.server, name, model="bench")
        return name

    def take_turns(self, sides: Mapping[str, ground.Side]) -> Figures:
        """Run the sides in turn."""
        return ground.take_turns(sides, self.rounds, self.say)

    @property
    def tables(self) -> Path:
        """The dump without the web log."""
        return self.dump / data.TABLES

    @property
    def web_log(self) -> Path:
        """The web log."""
        return self.dump / data.REQUESTS


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the results: what, our figure, the other side's, their ratio, and what is to be reached."""

    what: str
    ours: str
    floor: str
    ratio: str
    reach: str


def line(what: str, found: Figures, sides: tuple[str, str], reach: str, figure: str = "seconds") -> Line:
    """The line that tells a figure of two sides and their ratio."""
    unit = {"seconds": "s", "wal_mb": "MB", "peak_mib": "MiB"}[figure]
    ours, floor = (f"{found.median(side, figure):.2f} {unit}" for side in sides)
    ratio, least, greatest = found.ratio(*sides, figure)
    return Line(what, ours, floor, f"**{ratio:.3g}** ({least:.3g} to {greatest:.3g})", reach)


def filtered(bench: Bench, loaded: Settings, file: Path, after: int = 0) -> None:
    """The requests of a load as psql reads them, those after a local_id, in a file."""
    rows = f"select {COLUMNS} from requests where local_id > {after} order by local_id"
    ground.psql(bench.server, loaded, f"\\copy ({rows}) to '{file}'\n")


def copied(bench: Bench, settings: Settings, *files: Path) -> dict[str, float]:
    """The seconds that psql takes to copy such files into `requests`, one psql for each, all at once."""
    scripts = [f"\\copy public.requests ({COLUMNS}) from '{file}'\n" for file in files]
    began = time.perf_counter()
    with ThreadPoolExecutor() as pool:
        list(pool.map(partial(ground.psql, bench.server, settings), scripts))
    return {"seconds": time.perf_counter() - began}


def definition_of(bench: Bench, settings: Settings, table: str) -> str:
    """A table of a database with its indexes, as a script for psql."""
    command = [str(bench.server.programs / "pg_dump"), "-h", settings.db_host, "-U", settings.db_username]
    command += ["-d", settings.db_name, "--schema-only", "--table", table]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout

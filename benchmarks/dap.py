"""How fast a web log of Canvas Data 2 is loaded, and how fast Instructure's own client loads the same.

    .venv-dap/bin/pip install 'instructure-dap-client[postgresql]>=2.3,<3'
    .venv/bin/python -m benchmarks.dap --rows 1000000

Both fetch the same files from the stand-in of the API and load them into PostgreSQL: a snapshot, then a night in which
one row in two hundred changed and as many came. The client does it by `initdb` and `syncdb`. Load against load: what
the client takes to fetch the same answer into files (`snapshot`, `incremental`: its start, login, query, download) is
taken off its `initdb` and `syncdb`, which do all that too. Our load is all that a night does with the files on disk.

Two readings. As it comes: the client's table has its primary key and nothing else. The same kind of table: a copy of
that database, where its table gets what ours has besides (`INDEXES`); to create them counts as part of its initdb, and
its syncdb keeps them up. Neither makes the tables alike: the client's has all 23 columns, ours the ten of the contract.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import json
import os
import random
import statistics
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from benchmarks.ground import Server, create_database, folder_for_servers, machine, server, session
from udecdash_updater import dap, dap_batches, dap_load, dashboard, dump, ledger
from udecdash_updater.canvas_cli import Backoff
from udecdash_updater.demo.dap_api.api import Rules
from udecdash_updater.demo.dap_api.server import Running, running
from udecdash_updater.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
KEY = "demonstration"
HELPERS = str(Settings().load_connections - 1)  # as requests.load has
_INT = {"type": "integer", "format": "int64"}
_WORDS = ("GET", "POST", "PUT", "DELETE")


def _words(*names: str) -> dict[str, Any]:
    return {"type": "string", "enum": [*names, "__dap_unspecified__"]}


# Canvas' own 23 columns, of the types that the client makes of the real schema.
COLUMNS: dict[str, dict[str, Any]] = {
    "timestamp": {"type": "string", "format": "date-time"},
    **dict.fromkeys(
        ("user_id", "real_user_id", "course_id", "quiz_id", "discussion_id", "conversation_id", "assignment_id"), _INT
    ),
    "url": {"type": "string"},
    "http_method": _words(*_WORDS),
    "http_status": {"type": "integer", "format": "int16"},
    "http_version": _words("HTTP/1.1", "HTTP/2.0"),
    "remote_ip": {"type": "string"},
    "interaction_micros": {"type": "integer", "format": "int32"},
    "web_application_controller": {"type": "string", "maxLength": 64},
    "web_application_action": {"type": "string", "maxLength": 64},
    "web_application_context_type": _words("Course", "Group", "User"),
    "web_application_context_id": _INT,
    "session_id": {"type": "string", "format": "uuid"},
    "developer_key_id": _INT,
    "participated": {"type": "boolean"},
    "user_agent": {"type": "string", "maxLength": 255},
}
# What requests has besides an index of id, which is the client's primary key. The client drops a column that Canvas
# does not know, so that time, which grows as local_id does and is as wide, stands for it.
INDEXES = (
    "create index web_logs_timestamp on canvas_logs.web_logs (timestamp)",
    "create index web_logs_course on canvas_logs.web_logs (course_id, timestamp)",
)
REQUIRED = ["timestamp", "url", "http_method", "http_status", "http_version", "remote_ip", "interaction_micros"]


def row(seed: int, number: int) -> list[str]:
    """One request, in the order of COLUMNS, its key first; the seed decides all but the key and the time."""
    rng, course = random.Random(seed * 10**9 + number), 100 + number % 200
    when = datetime(2026, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=number // 10)
    user, item = 1000 + rng.randrange(20000), rng.randrange(100000)
    null = "\\N"
    url = f"/courses/{course}/modules/items/{item}?page={rng.randrange(9)}"
    values = [when.strftime("%Y-%m-%dT%H:%M:%S.000Z"), str(user), null, str(course), null, null, null, null, url]
    values += ["GET", "200", "HTTP/1.1", f"10.0.{user % 250}.{item % 250}", str(rng.randrange(900000))]
    values += ["context_modules", "item_redirect", "Course", str(course), str(uuid.UUID(int=rng.getrandbits(128)))]
    values += [null, "false", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/120.0 Safari/537.36"]
    return [str(uuid.uuid5(uuid.NAMESPACE_URL, str(number))), *values]


def tell(served: Path, night: int, rows: Iterator[list[str]]) -> None:
    """Write one night's web log, as the stand-in serves it."""
    folder = served / f"night{night}" / "canvas_logs"
    folder.mkdir(parents=True)
    with gzip.open(folder / "web_logs.tsv.gz", "wt", compresslevel=1, encoding="utf-8", newline="\n") as file:
        file.write("\t".join(["meta.ts", "key.id", *(f"value.{name}" for name in COLUMNS)]) + "\n")
        for one in rows:
            file.write("\t".join(["2026-01-01T10:00:00.000Z", *one]) + "\n")
    (folder / "web_logs.schema.json").write_text(json.dumps({"schema": _schema(), "version": 1}))
    (served / "current").write_text(str(night))


def _schema() -> dict[str, Any]:
    def part(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
        return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}

    meta = {"ts": {"type": "string", "format": "date-time"}, "action": {"type": "string", "enum": ["U", "D"]}}
    parts = {
        "key": part({"id": {"type": "string", "format": "uuid"}}, ["id"]),
        "value": part(COLUMNS, REQUIRED),
        "meta": part(meta, ["ts"]),
    }
    return {"$schema": "http://json-schema.org/draft-07/schema#", **part(parts, ["key", "meta"])}


def nights(served: Path, rows: int) -> None:
    """Two nights: in the second, one row in two hundred is another, and as many are new."""
    tell(served, 1, (row(7, number) for number in range(rows)))
    tell(served, 2, (row(8 if number % 200 == 0 else 7, number) for number in range(rows + rows // 200)))
    (served / "current").write_text("1")


def ask_before(api: Running, query: dict[str, str]) -> str:
    """Let the stand-in make the files of a query before anything is timed; when its data ends."""
    pair = base64.b64encode(f"{KEY}:{KEY}".encode()).decode()
    form = {"Authorization": f"Basic {pair}", "Content-Type": "application/x-www-form-urlencoded"}
    token = _post(api.url + "/ids/auth/login", b"grant_type=client_credentials", form)["access_token"]
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    told = _post(f"{api.url}/dap/query/canvas_logs/table/web_logs/data", json.dumps(query).encode(), headers)
    return str(told.get("at") or told["until"])


def _post(url: str, body: bytes, headers: dict[str, str]) -> dict[str, Any]:
    request = urllib.request.Request(url, body, headers)
    with urllib.request.urlopen(request) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def timed(name: str, work: Callable[[], object]) -> float:
    """Do it and tell how long it took."""
    began = time.monotonic()
    work()
    took = time.monotonic() - began
    sys.stdout.write(f"{name:<52} {took:8.2f} s\n")
    sys.stdout.flush()
    return took


@dataclass(frozen=True, slots=True)
class Client:
    """Instructure's client, and the service that it talks to."""

    command: str
    api: Running

    def run(self, kind: str, settings: Settings, *more: str) -> None:
        """Run `initdb` or `syncdb` on a database, or with `more` arguments `snapshot` or `incremental`."""
        environment = os.environ | {
            "DAP_API_URL": self.api.url,
            "DAP_CLIENT_ID": KEY,
            "DAP_CLIENT_SECRET": KEY,
            "DAP_TRACKING": "false",
            "DAP_CONNECTION_STRING": f"postgresql:///{settings.db_name}",
            "PGHOST": settings.db_host,
            "PGPORT": str(settings.db_port),
            "PGUSER": settings.db_username,
        }
        arguments = [self.command, "--non-interactive", "--loglevel", "warning", kind, "--namespace", "canvas_logs"]
        subprocess.run([*arguments, "--table", "web_logs", *more], env=environment, check=True)


@dataclass(frozen=True, slots=True)
class Databases:
    """Ours, the client's as it comes, and the client's with our indexes."""

    ours: Settings
    bare: Settings
    indexed: Settings


def prepared(settings: Settings) -> int:
    """Our schemas and tables are there; the number of a run in the ledger."""
    book = ledger.open_run(settings)
    dashboard.prepare(settings)
    book.close()
    return book.run


def fetched(settings: Settings) -> None:
    """Our download of the web log alone: the same client, without its database part."""
    dap.download(settings, backoff=Backoff(first=1, factor=1, longest=1), pace=dap.Pace(1000))


def loaded(settings: Settings, run: int) -> None:
    """Our load of what lies on disk."""
    batches = dap_batches.read(settings.path_data_files or Path())
    files, _ = dump.verify(dap_load.web_log_files(settings, batches), threads=settings.load_connections)
    dap_load.load_web_log(settings, batches, files, run)
    dap_batches.forget(batches)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5, help="of the second night")
    parser.add_argument("--client", default=str(ROOT / ".venv-dap" / "bin" / "dap"))
    asked = parser.parse_args(arguments)
    with folder_for_servers() as home, server(home) as postgres:
        sys.stdout.write("\n".join(machine(postgres)) + "\n")
        nights(home / "served", asked.rows)
        with running(home / "served", Rules(part_rows=10**9, minute=0)) as api:
            chosen = {
                "path_data_files": home / "data",
                "server_dap_command_path": asked.client,
                "dap_api_url": api.url,
                "dap_client_id": KEY,
                "dap_client_secret": SecretStr(KEY),
                "download_attempts": 1,
            }
            ours = create_database(postgres, "ours").model_copy(update=chosen)
            measure(postgres, ours, Client(asked.client, api), home / "served", asked.rounds)
    return 0


def measure(postgres: Server, ours: Settings, theirs: Client, served: Path, rounds: int) -> None:
    """Both nights of all three, on the same server, one after the other; the second `rounds` times."""
    dap_batches.NEEDED = (dap_batches.WEB_LOGS,)  # type: ignore[assignment] # nothing else is served here
    run, query = prepared(ours), {"format": "tsv"}
    bare = create_database(postgres, "bare")
    until = at_night(served, theirs.api, 1, query)
    first = {
        "fetch": timed("night 1, the client: snapshot", lambda: fetch(theirs, bare, served, "snapshot", query)),
        "bare": timed("night 1, the client: initdb", lambda: theirs.run("initdb", bare)),
    }
    indexed = create_database(postgres, "indexed", model="bare")
    first["indexed"] = first["bare"] + timed("night 1, our indexes on its table", lambda: add_indexes(indexed))
    ratios([first | of_ours(1, ours, run)])
    query["since"] = until
    at_night(served, theirs.api, 2, query)
    for settings in (ours, bare, indexed):  # as autovacuum does within the day that lies between
        with session(settings) as cursor:
            cursor.execute("vacuum (analyze)")
    ratios([second_night(postgres, ours, theirs, served, run, query) for _ in range(rounds)])
    for table, name in (("requests", "ours"), *(("canvas_logs.web_logs", name) for name in ("bare", "indexed"))):
        tell_size(ours.model_copy(update={"db_name": f"{name}_again"}), table)


def second_night(
    postgres: Server, ours: Settings, theirs: Client, served: Path, run: int, query: dict[str, str]
) -> dict[str, float]:
    """The second night of all three, each on a copy of what the first one left, made right before it."""

    def again(name: str) -> Settings:
        return create_database(postgres, f"{name}_again", model=name)

    def synced(name: str, what: str) -> float:
        copy = again(name)
        return timed(f"night 2, the client: syncdb, {what}", lambda: theirs.run("syncdb", copy))

    found = {
        "fetch": timed("night 2, the client: incremental", lambda: fetch(theirs, ours, served, "incremental", query)),
        "bare": synced("bare", "as it comes"),
        "indexed": synced("indexed", "with our indexes"),
    }
    return found | of_ours(2, ours.model_copy(update={"db_name": again("ours").db_name}), run)


def at_night(served: Path, api: Running, night: int, query: dict[str, str]) -> str:
    """Let the service serve a night, what will be asked made ready; when its data ends."""
    (served / "current").write_text(str(night))
    ask_before(api, query)
    return ask_before(api, query | {"mode": "condensed"})


def fetch(theirs: Client, settings: Settings, served: Path, kind: str, query: dict[str, str]) -> None:
    """The client's download of a night, without a database."""
    since = ["--since", query["since"]] if "since" in query else []
    theirs.run(kind, settings, *since, "--format", "tsv", "--output-directory", str(served.parent / kind))


def add_indexes(settings: Settings) -> None:
    """Our indexes on the client's table, with the memory and the helpers that ours are built with."""
    with session(settings) as cursor:
        cursor.execute("set maintenance_work_mem = '256MB'")
        cursor.execute("select set_config('max_parallel_maintenance_workers', %s, false)", [HELPERS])
        for index in INDEXES:
            cursor.execute(index)


def of_ours(night: int, settings: Settings, run: int) -> dict[str, float]:
    """How long our download and our load of a night take."""
    download = timed(f"night {night}, we: the download", lambda: fetched(settings))
    return {"download": download, "load": timed(f"night {night}, we: the load", lambda: loaded(settings, run))}


def ratios(rounds: Sequence[dict[str, float]]) -> None:
    """How many times as fast we are, by both readings: of the medians, and the least and the greatest of the rounds."""
    medians = {name: statistics.median(told[name] for told in rounds) for name in rounds[0]}
    for kind, name in (("bare", "as it comes"), ("indexed", "the same kind of table")):
        for what, ratio in (("load against load", _loads), ("fetching included", _nights)):
            found = sorted(ratio(told, kind) for told in rounds)
            told = f"{ratio(medians, kind):.1f} ({found[0]:.1f} to {found[-1]:.1f})"
            sys.stdout.write(f"  {name}, {what}: {told} times as fast\n")
    sys.stdout.flush()


def _loads(told: dict[str, float], kind: str) -> float:
    return (told[kind] - told["fetch"]) / told["load"]


def _nights(told: dict[str, float], kind: str) -> float:
    return told[kind] / (told["download"] + told["load"])


def tell_size(settings: Settings, table: str) -> None:
    """How many rows there are at the end, and how large the table is without and with its indexes."""
    with session(settings) as cursor:
        cursor.execute(f"select count(*) from {table}")
        rows = (cursor.fetchone() or (0,))[0]
        cursor.execute("select pg_table_size(%s) >> 20, pg_indexes_size(%s) >> 20", (table, table))
        heap, indexes = cursor.fetchone() or (0, 0)
    sys.stdout.write(f"{settings.db_name} {table}: {rows} rows, {heap} MB and {indexes} MB of indexes\n")


if __name__ == "__main__":
    sys.exit(main())

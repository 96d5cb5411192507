"""main.py as cron runs it with SOURCE=dap: Instructure's client, the stand-in of the API, real servers."""

from __future__ import annotations

import gzip
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2's class has a lower-case name

from tests import dap_nights
from tests.dap import CLIENT, SECRET, faults, needs_client
from tests.installation import Installation, rows
from tests.nights import process
from tests.nights import truth as told
from tests.support import processes, until
from udecdash_updater import dap_batches
from udecdash_updater.demo.dap_api.api import Rules
from udecdash_updater.demo.dap_api.server import running
from udecdash_updater.settings import Settings

pytestmark = needs_client


@pytest.fixture
def served(installation: Installation, small_nights: Path) -> Iterator[Path]:
    """The small nights as Canvas Data 2 tells them, served; the site takes them from there."""
    folder = dap_nights.told(installation.folder / "dap", small_nights, 1, 2)
    (folder / "current").write_text("1")
    with running(folder, Rules(client_id="us#me", client_secret=SECRET, minute=0)) as api:
        installation.values |= {
            "SOURCE": "dap",
            "SERVER_DAP_COMMAND_PATH": str(CLIENT),
            "DAP_API_URL": api.url,
            "DAP_CLIENT_ID": "us#me",
            "DAP_CLIENT_SECRET": SECRET,
            "DAP_JOBS_PER_MINUTE": "1000",
        }
        for name in ("PATH_CANVAS_CONFIG", "SERVER_CANVAS_DATA_CLI_COMMAND_PATH"):
            del installation.values[name]
        yield folder


def counts(database: Connection, interactions: dict[str, Any]) -> dict[str, int]:
    """How many rows the interaction tables have."""
    return {name: rows(database, f"select count(*) from {name}")[0][0] for name in _tables(interactions)}


def _tables(interactions: dict[str, Any]) -> dict[str, int]:
    """How many they must have; the ids in them are other ones than those of Canvas Data 1."""
    return {name: t["must"]["count"] for name, t in interactions.items() if isinstance(t, dict) and "must" in t}


def without(served: Path, column: str) -> None:
    """The service has removed a column of canvas.users."""
    schema, path = served / "canvas" / "users.schema.json", served / "canvas" / "users.tsv.gz"
    told = json.loads(schema.read_text())
    del told["schema"]["properties"]["value"]["properties"][column]
    schema.write_text(json.dumps(told))
    lines = [line.split("\t") for line in gzip.decompress(path.read_bytes()).decode().splitlines()]
    place = lines[0].index(f"value.{column}")
    rest = ["\t".join(fields[:place] + fields[place + 1 :]) for fields in lines]
    path.write_bytes(gzip.compress("\n".join([*rest, ""]).encode(), mtime=0))


def test_a_night_from_canvas_data_2_goes_on_from_the_one_before_and_gives_the_interactions_of_canvas_data_1(
    installation: Installation, services: Settings, database: Connection, small_nights: Path, served: Path
) -> None:
    dap_nights.fetch(served, installation.data_files, 1)
    process(services, dap_nights.load(services, installation.data_files).run)
    dap_batches.forget(dap_batches.read(installation.data_files))

    (served / "current").write_text("2")
    without(served / "night2", "locale")
    ended = installation.run(expected=10)
    assert "columns that Canvas has removed; what they held stays: canvas.users.locale" in ended.log
    process(services, 2)
    second = told(small_nights / "night2")
    assert counts(database, second["cumulative"]) == _tables(second["cumulative"])
    assert (ended.log.count(": incremental of "), ended.log.count(": snapshot of ")) == (18, 0)
    assert dap_batches.read(installation.data_files) == []


def test_a_table_that_cannot_be_downloaded_ends_the_night_by_its_name_and_the_error_of_the_service(
    installation: Installation, served: Path
) -> None:
    faults(served, {"fault": "forbidden", "on": "query", "type": "AccountUnderMaintenance"})
    ended = installation.run(expected=3)
    mail = installation.told()
    for text in (ended.log, mail):
        assert "canvas.assignments: AccountUnderMaintenance (uuid " in text
        assert SECRET not in text
    assert "Canvas Data 2 could not be downloaded as a whole." in mail
    assert installation.page


def test_what_a_killed_download_left_running_and_lying_about_is_gone_with_the_next_run(
    installation: Installation, served: Path
) -> None:
    faults(served, {"fault": "hang", "on": "query"})
    client = f"--output-directory {installation.data_files}"
    installation.fill_in()
    with installation.start() as run:
        assert until(lambda: bool(processes(client)) or run.poll() is not None), installation.log
        run.send_signal(signal.SIGKILL)
        run.wait()
    [left] = processes(client)
    [unfinished] = installation.data_files.glob("canvas/*/*")
    faults(served, {"fault": "forbidden", "on": "query"})
    installation.run(expected=3)
    assert left not in processes(client)
    assert not unfinished.exists()

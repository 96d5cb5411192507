"""A second run while one is at work; the lock of a run that was killed; a run that is told to stop."""

from __future__ import annotations

import re
import shutil
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2's class has a lower-case name

from tests.installation import Installation, contents, rows
from tests.support import processes, until, working_below
from udecdash_updater import ledger
from udecdash_updater.errors import RunActiveError
from udecdash_updater.ledger import Ledger
from udecdash_updater.settings import Settings

DOWNLOADING = "INFO canvasDataCli sync, attempt 1"


def test_a_second_run_ends_at_once_with_75_and_a_killed_runs_lock_is_free(
    yesterday: Installation, database: Connection
) -> None:
    site, before = yesterday, contents(database)
    site.serve(2)
    site.faults({"fault": "hang"})
    site.fill_in(CLEAR_DIRECTORIES_BEFORE_DOWNLOAD="True")
    with site.start() as first:
        assert until(lambda: DOWNLOADING in site.log and not list(site.data_files.glob("*_dim")))
        shutil.copy(site.folder / "log", site.folder / "log-of-the-first")
        files = sorted(site.canvas.rglob("*"))

        second = site.end(site.start(), 75)
        assert re.search(rf"Another run is active\. Run 2, process {first.pid} on \S+, since ", second.log)
        assert sorted(site.canvas.rglob("*")) == files
        assert site.mail.mails == []
        assert rows(database, "select max(id) from udecdash.runs") == [(2,)]
        assert first.poll() is None
        assert working_below(site.canvas)

        first.send_signal(signal.SIGKILL)
    site.faults()
    site.run(0, CLEAR_DIRECTORIES_BEFORE_DOWNLOAD="True")
    assert contents(database)["requests"] != before["requests"]
    assert site.is_back
    assert rows(database, "select id, exit_code, error from udecdash.runs where id > 1 order by id") == [
        (2, 1, "killed"),
        (3, 0, None),
    ]
    # canvasDataCli is known by its folder only.
    assert until(
        lambda: not processes(str(site.folder)) and not working_below(site.canvas)
    )  # nor does the killed run's canvasDataCli live on


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_run_that_is_told_to_stop_puts_everything_back_and_says_so(
    yesterday: Installation, database: Connection, number: signal.Signals
) -> None:
    site, before = yesterday, contents(database)
    site.serve(2)
    site.faults({"fault": "hang", "at": "middle"})
    site.fill_in(CLEAR_DIRECTORIES_BEFORE_DOWNLOAD="True")
    with site.start() as process:
        assert until(lambda: DOWNLOADING in site.log and any(site.data_files.glob("*_dim")))
        process.send_signal(number)
        site.end(process, 1)
    assert f"The run was told to stop. Signal {number.name}." in site.told()
    assert len(list(site.data_files.glob("*_dim"))) > 50
    assert contents(database) == before
    assert site.is_back
    assert not processes(str(site.folder))
    assert not working_below(site.canvas)


def test_of_many_runs_that_begin_at_the_same_moment_one_is_at_work(services: Settings, database: Connection) -> None:
    begin = threading.Barrier(20)

    def open_run(_: int) -> Ledger | str:
        begin.wait()
        try:
            return ledger.open_run(services)
        except RunActiveError as error:
            return str(error)

    with ThreadPoolExecutor(20) as pool:
        found = list(pool.map(open_run, range(20)))
    [at_work] = [one for one in found if isinstance(one, Ledger)]
    assert rows(database, "select id from udecdash.runs") == [(at_work.run,)]
    assert {one for one in found if isinstance(one, str) and not one.startswith("Another run is active.")} == set()
    at_work.close()
    ledger.open_run(services).close()

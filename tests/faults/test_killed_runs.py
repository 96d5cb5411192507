"""Runs that are killed for good (kill -9): readers see yesterday or today, and the next plain run needs no hands.

By default one run is killed at each stage boundary, and 6 at random instants, in two rounds.
UDECDASH_ROUNDS=200 makes it a long soak of 600 random kills; the seed of a round is its number.
"""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from psycopg2 import sql
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2's class has a lower-case name

from tests import truth, witness
from tests.installation import Installation
from tests.nights import load, process
from tests.nights import truth as told
from tests.support import connect
from tests.witness import Witness
from udecdash_updater.settings import Settings
from udecdash_updater.stages import STAGES

ROUNDS = int(os.environ.get("UDECDASH_ROUNDS", "2"))
KILLS = 3
_LONGER_THAN_A_RUN = 3.0


@dataclass(frozen=True)
class Digests:
    """What tables and requests look like after one night and the next when nobody disturbs them."""

    tables: tuple[str, str]
    requests: tuple[str, str]


@pytest.fixture(scope="module")
def undisturbed(embedded_servers: Settings, night_1_database: str, small_nights: Path) -> Digests:
    name = "undisturbed"
    with contextlib.closing(connect(embedded_servers)) as session, session.cursor() as cursor:
        session.autocommit = True
        copy = sql.SQL("create database {} template {}")
        cursor.execute(copy.format(sql.Identifier(name), sql.Identifier(night_1_database)))
    settings = embedded_servers.model_copy(update={"db_name": name})
    with contextlib.closing(connect(settings)) as database:
        database.autocommit = True
        before = witness.full_tables(database), witness.requests(database)
        load(settings, small_nights / "night2" / "dataFiles")
        after = witness.full_tables(database), witness.requests(database)
    return Digests((before[0], after[0]), (before[1], after[1]))


def prepare(site: Installation, small_nights: Path) -> None:
    """Tonight's dump is there, and every table folder is cleared for it."""
    site.serve(2)
    site.forget_regrown(small_nights / "night2")
    site.values["CLEAR_DIRECTORIES_BEFORE_DOWNLOAD"] = "True"


def recovered(site: Installation, services: Settings, database: Connection, small_nights: Path) -> list[str]:
    """What is wrong after a plain run and its jobs; nothing is done for it by hand."""
    site.run()
    [run] = [run for (run,) in _rows(database, "select max(id) from udecdash.runs")]
    process(services, run)
    assert site.is_back
    assert _rows(database, "select count(*) from pg_tables where schemaname = 'udecdash_staging'") == [(0,)]
    assert list(site.canvas.glob(".udecdash-cleared-*")) == []
    assert _rows(database, "select count(*) from udecdash.runs where ended_at is null") == [(0,)]
    return truth.wrong_cumulative(database, told(small_nights / "night2"))


def _rows(database: Connection, query: str) -> list[tuple[int]]:
    with database.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()


def check(seen: Witness, undisturbed: Digests, database: Connection) -> None:
    assert seen.wrong == []
    assert seen.pages > 0
    assert seen.tables <= set(undisturbed.tables)
    assert seen.requests <= set(undisturbed.requests)
    assert witness.full_tables(database) == undisturbed.tables[1]
    assert witness.requests(database) == undisturbed.requests[1]


@pytest.mark.timeout(600)  # fourteen runs, also on a machine with other work to do
def test_runs_killed_at_each_stage_boundary_in_turn_leave_nothing_to_mend(
    yesterday: Installation, services: Settings, database: Connection, small_nights: Path, undisturbed: Digests
) -> None:
    """A run for each stage, all in a row, each killed as the next stage begins; then one plain run."""
    site = yesterday
    prepare(site, small_nights)
    with Witness(services, site.front_end / "index.html") as seen:
        for stage in STAGES:
            site.kill_when(f"INFO {stage.name} ...")
            published = STAGES.index(stage) > [one.name for one in STAGES].index("load tables")
            assert witness.full_tables(database) in undisturbed.tables[int(published) :], stage.name
        assert recovered(site, services, database, small_nights) == []
    check(seen, undisturbed, database)


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_runs_killed_at_random_instants_leave_nothing_to_mend(
    yesterday: Installation,
    services: Settings,
    database: Connection,
    small_nights: Path,
    undisturbed: Digests,
    seed: int,
) -> None:
    """Three runs in a row, each killed after a random time; then one plain run."""
    site, chance = yesterday, random.Random(seed)
    prepare(site, small_nights)
    site.fill_in()
    with Witness(services, site.front_end / "index.html") as seen:
        for _ in range(KILLS):
            with site.start() as process_, contextlib.suppress(subprocess.TimeoutExpired):
                process_.wait(chance.uniform(0, _LONGER_THAN_A_RUN))  # leaving the block kills it
        assert recovered(site, services, database, small_nights) == []
    check(seen, undisturbed, database)

"""A disk that is full, under the data folder or under PostgreSQL: told, nothing lost, and the next plain run is whole.

Each needs a small file system of its own, and so root.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2's class has a lower-case name

from tests import truth, witness
from tests.installation import Installation, rows
from tests.nights import load, mini_dump, process
from tests.nights import truth as told
from tests.postgres import private_server
from tests.support import connect, short_home
from udecdash_updater.errors import DatabaseError
from udecdash_updater.settings import Settings

MEGABYTE = 1 << 20


class SmallDisk:
    """A file system of its own in a folder, whose room can be taken and given back."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def leave(self, room: int) -> None:
        """Leave so many bytes, and no more."""
        self._resize(shutil.disk_usage(self.folder).used + room)

    def _resize(self, size: int) -> None:
        subprocess.run(["mount", "-o", f"remount,size={size}", str(self.folder)], check=True)


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[SmallDisk]:
    """Such a file system, until the block ends; the test is skipped where we may not make one."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400m,mode=711", "none", str(folder)], check=False)
    if mounted.returncode:
        pytest.skip("this machine lets nobody mount a file system")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_under_the_data_folder_is_a_failed_download_and_the_next_night_is_whole(
    yesterday: Installation, services: Settings, database: Connection, small_nights: Path
) -> None:
    site, before = yesterday, (witness.full_tables(database), witness.requests(database))
    with small_disk(site.data_files) as disk:  # what lay there is hidden meanwhile
        shutil.copytree(small_nights / "night1" / "dataFiles", site.data_files, dirs_exist_ok=True)
        site.serve(2)
        site.forget_regrown(small_nights / "night2")
        disk.leave(20_000)
        site.run(3)
        assert site.is_back
        assert (witness.full_tables(database), witness.requests(database)) == before
        disk.leave(100 * MEGABYTE)
        site.run()
    process(services, 3)
    assert truth.wrong_cumulative(database, told(small_nights / "night2")) == []


def test_a_data_folder_that_is_a_file_system_of_its_own_is_cleaned_of_damaged_archives_but_not_cleared(
    yesterday: Installation, services: Settings, database: Connection, small_nights: Path
) -> None:
    site = yesterday
    with small_disk(site.data_files):
        shutil.copytree(small_nights / "night1" / "dataFiles", site.data_files, dirs_exist_ok=True)
        damaged = min(site.data_files.glob("enrollment_dim/*.gz"))
        damaged.write_bytes(damaged.read_bytes()[:-9])
        ended = site.run(10, CLEAR_DIRECTORIES_BEFORE_DOWNLOAD="True")
        assert "is a file system of its own" in ended.log
        aside = site.data_files.parent / f".{site.data_files.name}-damaged" / f"enrollment_dim--{damaged.name}"
        assert aside.is_file()
        assert not list(site.data_files.parent.glob(".udecdash-cleared-*"))
    process(services, 2)
    assert truth.wrong_night(database, told(small_nights / "night1")) == []


ITEM = [("id", "bigint"), ("canvas_id", "bigint"), ("name", "varchar"), ("updated_at", "timestamp")]


def test_a_full_disk_under_postgresql_leaves_yesterday_and_says_so(tmp_path: Path) -> None:
    chance = random.Random(1)
    many = b"".join(b"%d\t%d\t%x\t2021-04-02 10:00:00\n" % (n, n, chance.getrandbits(900)) for n in range(30_000))
    few = b"1\t1\tx\t2021-04-01 10:00:00\n"
    today = mini_dump(tmp_path / "2", {"item_dim": ITEM}, {"item_dim": {"item_dim-2.gz": many}})
    with short_home() as folder, small_disk(folder) as disk, private_server(folder) as server:
        load(server.settings, mini_dump(tmp_path / "1", {"item_dim": ITEM}, {"item_dim": {"item_dim-1.gz": few}}))
        disk.leave(3 * MEGABYTE)
        with pytest.raises(DatabaseError) as full:
            load(server.settings, today)
        disk.leave(300 * MEGABYTE)
        if not server.answers():  # without room for its log it ends itself
            server.stop_immediately()
            server.start()
        with contextlib.closing(connect(server.settings)) as session:
            session.autocommit = True
            assert rows(session, "select id, name from item_dim") == [(1, "x")]
            load(server.settings, today)
            assert rows(session, "select count(*), sum(length(name)) > 5000000 from item_dim") == [(30_000, True)]
    assert "No space left" in str(full.value) or "server closed the connection" in str(full.value)

"""FILE_EXTENSION=txt: what canvasDataCli unpack makes is loaded, and gives the same figures."""

from __future__ import annotations

from pathlib import Path

from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2's class has a lower-case name

from tests import truth
from tests.installation import Installation
from tests.nights import process
from tests.nights import truth as figures
from udecdash_updater.settings import Settings


def test_unpacked_files_give_the_same_figures(
    installation: Installation, services: Settings, database: Connection, small_nights: Path
) -> None:
    site = installation
    site.run(0, FILE_EXTENSION="txt")
    process(services, 1)
    assert truth.wrong_night(database, figures(small_nights / "night1")) == []

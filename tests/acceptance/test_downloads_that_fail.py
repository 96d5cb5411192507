"""canvasDataCli missing, hanging, failing, lying: exit 3, told with its last lines; yesterday's data is served."""

from __future__ import annotations

from typing import Any

import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2's class has a lower-case name

from tests.installation import Installation, contents, rows

LINES = "the stand-in ends as it was told"
FAULTS: dict[str, tuple[list[dict[str, Any]], list[str]]] = {
    "hangs": (
        [{"fault": "hang", "at": "end"}],
        ["was still running after 1 s and was ended"],
    ),
    "fails": ([{"fault": "exit", "code": 9}], ["sync ended with exit code 9", LINES]),
    "is killed": ([{"fault": "kill", "at": "middle"}], ["sync ended with signal 9"]),
    "is refused by Canvas": ([{"fault": "unauthorized"}], ["sync ended with exit code 1", "errorCode: 401"]),
    "brings no file": ([{"fault": "nothing"}], ["ended well, but", "holds no files"]),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_canvas_data_cli_that(yesterday: Installation, database: Connection, fault: str) -> None:
    site, before = yesterday, contents(database)
    faults, words = FAULTS[fault]
    site.faults(*faults)
    site.serve(2)
    site.run(3, CLEAR_DIRECTORIES_BEFORE_DOWNLOAD="True", DOWNLOAD_TIMEOUT="1" if fault == "hangs" else "60")
    mail = site.told()
    for expected in [
        *words,
        'failed in stage "download"',
        "exit code 3",
        "Run: 2",
        "What to do: Run the command by hand",
    ]:
        assert expected in mail
    assert "INFO clear ..." in mail  # the last lines of the log
    assert site.is_back
    assert contents(database) == before
    assert len(list(site.data_files.glob("*_dim/*.gz"))) > 50  # what was cleared is put back
    [(code, error)] = rows(database, "select exit_code, error from udecdash.runs where id = 2")
    assert (code, words[0] in error) == (3, True)
    assert rows(database, "select name, outcome from udecdash.stages where run_id = 2 order by position") == [
        ("check", "done"),
        ("clear", "done"),
        ("download", "failed"),
        ("workers start", "done"),
        ("maintenance off", "done"),
    ]


@pytest.mark.parametrize("trouble", ["does not exist", "may not be executed"])
def test_a_command_that(yesterday: Installation, database: Connection, trouble: str) -> None:
    site, before = yesterday, contents(database)
    command = site.folder / "bin" / "other"
    if trouble == "may not be executed":
        command.write_text("#!/bin/sh\n")
    site.run(3, SERVER_CANVAS_DATA_CLI_COMMAND_PATH=str(command))
    assert f"SERVER_CANVAS_DATA_CLI_COMMAND_PATH: {command} {trouble}" in site.told()
    assert 'failed in stage "check"' in site.told()
    assert site.is_back
    assert contents(database) == before

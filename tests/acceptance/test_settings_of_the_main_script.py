"""Where main.py finds its settings when cron starts it, and what it says when they cannot be used."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2's class has a lower-case name

from tests.installation import CRON, ROOT, Installation, rows
from udecdash_updater.settings import SEED_NAMES

NEEDED = {
    *("DB_HOST", "DB_PORT", "DB_NAME", "DB_USERNAME", "DB_PASSWORD", "PATH_DATA_FILES"),
    *("PATH_CANVAS_CONFIG", "SERVER_CANVAS_DATA_CLI_COMMAND_PATH"),
}
PYTHONPATH = {"PYTHONPATH": str(ROOT)}


def test_everything_wrong_is_told_at_once_with_exit_code_2_and_nothing_is_touched(
    installation: Installation, database: Connection
) -> None:
    site = installation
    wrong = {"SMTP_PORT": "canary-1", "ENABLE_DOWNLOAD": "canary-2", "REDIS_URL": "http://canary-3"}
    ended = site.run(2, **{**dict.fromkeys(NEEDED), **wrong})
    assert set(re.findall(r"^  - (\w+):", ended.log, re.MULTILINE)) == {*NEEDED, *wrong}
    assert "canary" not in ended.log + ended.out
    assert "The settings cannot be used." in ended.log
    assert "La configuración no se puede usar." in site.run(2, **{**dict.fromkeys(NEEDED), **wrong}, LANGUAGE="es").log
    assert sorted(path.name for path in site.front_end.iterdir()) == ["index.html"]
    assert not site.data_files.exists()
    assert rows(database, "select count(*) from pg_namespace where nspname like 'udecdash%'") == [(0,)]
    assert site.mail.mails == []


def test_a_main_script_with_nothing_filled_in_that_is_no_demonstration_fails_loudly(installation: Installation) -> None:
    ended = installation.run(2, **dict.fromkeys(installation.values))
    assert set(re.findall(r"^  - (\w+):", ended.log, re.MULTILINE)) == NEEDED


def test_the_main_script_wins_over_the_environment_and_that_over_dot_env(
    installation: Installation, database: Connection
) -> None:
    """Each source holds one right value that a wrong one of the next source must not replace."""
    site = installation
    site.fill_in(DB_PORT="1", DB_NAME="of-dot-env", DB_SCHEMA="of_dot_env", ENABLE_DOWNLOAD="False")
    name, port = site.values["DB_NAME"], site.values["DB_PORT"]
    environment = {**CRON, **PYTHONPATH, "DB_PORT": port, "DB_NAME": name, "DB_SCHEMA": " ", "ENABLE_DOWNLOAD": "True"}
    site.end(site.start(environment={**environment, "PATH_DATA_FILES": "/nonexistent"}), 4)
    # main.py turned the download off and named the folder; the environment the port and database; .env the schema.
    assert "INFO canvasDataCli" not in site.log
    assert f"PATH_DATA_FILES: {site.data_files} is not a folder" in site.log
    assert rows(database, "select count(*) from pg_tables where schemaname = 'of_dot_env'") != [(0,)]


def test_the_template_itself_runs_with_everything_in_the_environment(
    installation: Installation, database: Connection
) -> None:
    site = installation
    environment = {**CRON, **site.values}  # neither HOME nor PYTHONPATH nor a language
    site.end(site.start(ROOT / "main_example.py", environment), 0)
    assert rows(database, "select exit_code from udecdash.runs") == [(0,)]


@pytest.mark.parametrize("name", SEED_NAMES)
def test_the_template_leaves_every_value_to_be_filled_in(name: str) -> None:
    text = (ROOT / "main_example.py").read_text(encoding="utf-8")
    assert re.search(rf'^    "{name}": (""|os\.pathsep\.join\(\[\]\)),', text, re.MULTILINE)


def test_a_dot_env_that_cannot_be_read_is_told_and_not_taken_for_an_empty_one(installation: Installation) -> None:
    site = installation
    site.fill_in()
    (site.folder / ".env").write_bytes(b"\xff\xfe")
    site.end(site.start(), 2)
    assert f".env: no es texto en UTF-8: {Path(site.folder)}/.env" in site.log  # which may say another LANGUAGE

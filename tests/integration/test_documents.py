"""--json: exactly one document on standard output, whatever becomes of the command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.commands import call, document
from tests.installation import Installation

# Each command with what it needs to run; `demo` makes a site of its own and is tried with the demonstration.
COMMANDS = (
    "run",
    "run --dry-run",
    "run --table course_dim",
    "check",
    "check --notify",
    "status",
    "report",
    "report 1",
    "report --pages",
    "config validate",
    "config show",
    "requeue",
    "maintenance on",
    "maintenance off",
)


def test_every_command_answers_with_one_document_when_it_works(yesterday: Installation, tmp_path: Path) -> None:
    (tmp_path / "pages").mkdir()
    yesterday.fill_in(REPORT_DIR=str(tmp_path / "pages"), ENABLE_DOWNLOAD="False")
    for words in COMMANDS:
        answered = document(call(yesterday, *words.split(), "--json", code=None))
        assert isinstance(answered, dict), words
        assert answered.get("error") is None, words
    assert "DB_HOST" in document(call(yesterday, "config", "sample", "--json", folder=False))["sample"]
    assert (tmp_path / "pages" / "index.html").exists()


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_answers_with_one_document_when_the_settings_are_wrong(
    installation: Installation, words: str
) -> None:
    installation.fill_in(DB_PORT="many")
    told: dict[str, Any] = document(call(installation, *words.split(), "--json", code=2))
    assert told["exit_code"] == 2
    assert "DB_PORT" in json.dumps(told)
    assert "many" not in json.dumps(told)


@pytest.mark.parametrize(
    ("words", "code"),
    [("run", 5), ("check", 5), ("status", 5), ("report --pages", 5), ("requeue", 5)],
)
def test_every_command_answers_with_one_document_when_postgresql_is_away(
    installation: Installation, words: str, code: int
) -> None:
    installation.fill_in(DB_HOST="127.0.0.1", DB_PORT="1")
    assert document(call(installation, *words.split(), "--json", code=code))["exit_code"] == code


def test_pages_that_cannot_be_written_are_told_in_the_one_document(yesterday: Installation) -> None:
    yesterday.fill_in(REPORT_DIR="/proc/none")
    assert document(call(yesterday, "report", "--pages", "--json", code=10))["error"]["kind"] == "ReportError"


@pytest.mark.parametrize(
    "words",
    ["check --bogus --json", "check --json --nagios", "--json", "report 0 --json", "status --json --folder /none",
     "maintenance --json sideways", "run --json stray"],
)  # fmt: skip
def test_mistakes_of_usage_are_one_document_too(installation: Installation, words: str) -> None:
    told = document(call(installation, *words.split(), code=2, folder=False))
    assert (told["exit_code"], told["error"]["kind"]) == (2, "UsageError")

"""Commands on terminals and pipes that cannot show every character, and where nobody listens at all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def answered(folder: Path, words: str, redirect: str = "") -> subprocess.CompletedProcess[str]:
    """What a command answers in Spanish to something that knows ASCII alone; its settings cannot be used."""
    folder.mkdir(exist_ok=True)
    (folder / ".env").write_text("DB_HOST=ñandú\n", encoding="utf-8")
    command = f'"{sys.executable}" -m udecdash_updater {words} --folder "{folder}" {redirect}'
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"}
    return subprocess.run(["/bin/sh", "-c", command], env=environment, capture_output=True, text=True, check=False)


def test_what_cannot_be_shown_is_a_question_mark_and_ends_nothing(tmp_path: Path) -> None:
    told = answered(tmp_path, "check")
    assert told.returncode == 2, told.stderr
    assert "La configuraci?n no se puede usar." in told.stdout
    assert "Traceback" not in told.stderr


def test_a_document_is_whole_where_only_ascii_arrives(tmp_path: Path) -> None:
    told = answered(tmp_path, "check --json")
    assert json.loads(told.stdout)["exit_code"] == 2
    shown = answered(tmp_path / "ñ", "check --json")
    assert any("ñ" in one["told"] for one in json.loads(shown.stdout)["checks"])


@pytest.mark.parametrize("words", ["check", "check --json", "config sample"])
def test_nobody_has_to_listen(tmp_path: Path, words: str) -> None:
    told = answered(tmp_path, words, ">&-")
    assert "Traceback" not in told.stderr
    assert told.returncode in (0, 2)

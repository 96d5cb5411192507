"""Pages and metrics of what a real ledger holds."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from pathlib import Path

import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2's class has a lower-case name

from tests.installation import rows
from tests.nights import load, process
from udecdash_updater import backlog, figures, ledger, publishing, report_page
from udecdash_updater.errors import DatabaseError, UnknownRunError
from udecdash_updater.settings import Settings

BEGAN = datetime(2026, 11, 24, 8, 30, tzinfo=timezone.utc)


@pytest.fixture
def loaded(services: Settings, small_nights: Path, tmp_path: Path) -> Settings:
    """Settings with a folder for the report, on a database that holds two nights."""
    process(services, load(services, small_nights / "night1" / "dataFiles").run)
    load(services, small_nights / "night2" / "dataFiles")
    return services.model_copy(
        update={"report_dir": tmp_path / "new" / "pages", "metrics_file": tmp_path / "udecdash.prom"}
    )


def test_the_figures_are_those_of_the_ledger_and_of_the_tables(loaded: Settings, database: Connection) -> None:
    found = figures.read(loaded)
    assert [run.number for run in found.history] == [1, 2]
    assert figures.read(loaded, 1).next_run == 2
    told = {table.name: table for table in found.tables}
    loads = "select table_name, rows, new, changed, gone from udecdash.table_loads where run_id = 2"
    for name, *counts in rows(database, loads):
        assert [told[name].rows, told[name].new, told[name].changed, told[name].gone] == counts
    [(new,)] = rows(database, "select sum(loaded) from udecdash.files where run_id = 2 and table_name = 'requests'")
    assert (told["requests"].new, told["requests"].rows) == (new, None)
    assert found.run.new == sum(table.new for table in found.tables)
    assert found.run.rejected == sum(table.rejected for table in found.tables)
    assert found.interactions
    for kind, count in found.interactions.by_kind.items():
        assert rows(database, f"select count(*) from {kind}") == [(count,)]
    [(at_ten,)] = rows(database, "select count(*) from quiz_interactions where extract(hour from viewed) = 10")
    assert found.interactions.by_hour["quiz_interactions"][10] == at_ten
    assert backlog.read(loaded).due


def test_a_large_table_is_judged_by_a_sample(
    loaded: Settings, database: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = figures.read(loaded).interactions
    with database.cursor() as cursor:
        cursor.execute("analyze wiki_page_interactions")
    monkeypatch.setattr(figures, "_SAMPLE_ROWS", 10)
    about = figures.read(loaded).interactions
    assert (exact and exact.exact, about and about.exact) == (True, False)


def test_a_killed_run_lasted_as_long_as_its_stages_tell(loaded: Settings, database: Connection) -> None:
    with database.cursor() as cursor:
        killed = (
            "update udecdash.runs set error = 'killed', exit_code = 1, ended_at = started_at + '1 day' where id = 2"
        )
        cursor.execute(killed)
        cursor.execute(
            "insert into udecdash.stages (run_id, position, name, started_at)"
            " select 2, 0, 'check', started_at + '5 s' from udecdash.runs where id = 2"
        )
    run = figures.read(loaded).run
    assert (run.outcome, run.seconds) == ("killed", 5.0)


def test_pages_and_metrics_are_written_and_an_older_run_can_be_written_again(loaded: Settings) -> None:
    assert publishing.publish(loaded, 2, BEGAN, 0) == []
    assert loaded.report_dir
    assert loaded.metrics_file
    page = loaded.report_dir / "run-000002.html"
    assert "enrollment_dim" in page.read_text(encoding="utf-8")
    assert re.search(r"^udecdash_last_run_exit_code 0.0$", loaded.metrics_file.read_text(), re.MULTILINE)
    older = report_page.write(loaded, 1)
    assert older.name == "run-000001.html"
    assert 'href="run-000002.html" rel="next"' in older.read_text(encoding="utf-8")


def test_a_run_that_is_not_there_is_told(loaded: Settings) -> None:
    with pytest.raises(UnknownRunError, match="no such run"):
        report_page.write(loaded, 99)


def test_an_empty_ledger_is_told(services: Settings, tmp_path: Path) -> None:
    with pytest.raises(DatabaseError):
        report_page.write(services.model_copy(update={"report_dir": tmp_path}))


def test_what_cannot_be_written_is_a_sentence_and_the_rest_is_written(loaded: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    settings = loaded.model_copy(update={"report_dir": tmp_path / "file"})
    [untold] = publishing.publish(settings, 2, BEGAN, 10)
    assert "report's pages" in str(untold)
    assert (tmp_path / "udecdash.prom").exists()


def test_without_a_number_the_metrics_still_tell_that_the_run_failed(loaded: Settings) -> None:
    assert publishing.publish(loaded, None, BEGAN, 5) == []
    assert loaded.metrics_file
    assert "udecdash_last_run_exit_code 5.0" in loaded.metrics_file.read_text()


def test_servers_that_are_away_leave_what_is_not_known_open(postgres: Settings) -> None:
    assert backlog.read(postgres) == backlog.Backlog(None, None)


def test_the_loading_page_is_usually_up_as_long_as_in_the_middle_one_of_the_good_runs(
    loaded: Settings, database: Connection
) -> None:
    book = ledger.open_run(loaded)
    try:
        assert book.rows("usual_page_seconds") == [(None,)]
        with database.cursor() as cursor:
            for run, minutes in ((1, 60), (2, 10)):
                for position, name, after in ((4, "maintenance on", 0), (9, "maintenance off", minutes)):
                    cursor.execute(
                        "insert into udecdash.stages (run_id, position, name, started_at, ended_at, outcome) values"
                        " (%s, %s, %s, '2026-11-24 05:30Z'::timestamptz + make_interval(mins => %s),"
                        " '2026-11-24 05:30Z'::timestamptz + make_interval(mins => %s), 'done')",
                        [run, position, name, after, after],
                    )
        assert book.rows("usual_page_seconds") == [(35 * 60,)]
    finally:
        book.close()

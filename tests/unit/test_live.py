"""The bar at the foot of a terminal: what it shows while files are read, and while jobs are awaited."""

from __future__ import annotations

import io

import pytest

from udecdash_updater import live
from udecdash_updater.progress import Progress, TableProgress


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def terminal_of(monkeypatch: pytest.MonkeyPatch) -> _Terminal:
    """A terminal at standard error; in the test itself, because pytest puts its own there after the fixtures."""
    found = _Terminal()
    monkeypatch.setattr("sys.stderr", found)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "150")
    return found


def test_the_bar_tells_bytes_and_rows_while_files_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of(monkeypatch)
    progress = Progress()
    with live.display(progress) as begins:
        begins("load tables")
        for told in progress.listeners:
            told((TableProgress("user_dim", 2, 1_500_000, 3_000_000, 12_345),))
    assert "load tables" in terminal.getvalue()
    assert "1.5/3.0 MB" in terminal.getvalue()
    assert "12,345 rows" in terminal.getvalue()


def test_the_bar_counts_the_jobs_that_are_awaited_and_no_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of(monkeypatch)
    progress = Progress()
    with live.display(progress) as begins:
        begins("enqueue")
        progress.jobs(3, 1234)
    assert "3 of 1,234 jobs" in terminal.getvalue()
    assert "bytes" not in terminal.getvalue()


@pytest.mark.parametrize("awaited", [False, True])
def test_the_bar_speaks_spanish_too(monkeypatch: pytest.MonkeyPatch, *, awaited: bool) -> None:
    terminal = terminal_of(monkeypatch)
    progress = Progress()
    with live.display(progress, "es") as begins:
        begins("load tables")
        if awaited:
            progress.jobs(3, 1234)
        else:
            progress.listeners[0]((TableProgress("user_dim", 2, 1_500_000, 3_000_000, 12_345),))
    shown = terminal.getvalue()
    assert "cargar tablas" in shown
    assert ("3 de 1.234 trabajos" if awaited else "12.345 filas") in shown


def test_elsewhere_than_on_a_terminal_nothing_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    log = io.StringIO()
    monkeypatch.setattr("sys.stderr", log)
    progress = Progress()
    with live.display(progress) as begins:
        begins("enqueue")
        progress.jobs(3, 4)
    assert log.getvalue() == ""

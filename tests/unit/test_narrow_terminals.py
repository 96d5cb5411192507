"""Tables on terminals that are narrower than they are: no figure and no name loses a character."""

from __future__ import annotations

import pytest
from rich.console import Console

from udecdash_updater import terminal
from udecdash_updater.summary import Summary, TableCounts

NAME = "conversation_message_participant_fact"
COUNTS = TableCounts(NAME, 1, 91_234, 82_345, 1, 2, 7, 73_456, 0, 0)


def shown(width: int, language: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """The summary of a run on a terminal of that width."""
    monkeypatch.setattr(terminal, "_console", lambda: Console(width=width, highlight=False, markup=False))
    summary = Summary(
        run=1,
        tables=(COUNTS,),
        judged=0,
        courses=0,
        interactions=0,
        by_kind={"requests": 123_456},
        stages=(),
        jobs=None,
    )
    terminal.show_summary(summary, language)
    return capsys.readouterr().out


@pytest.mark.parametrize("width", [20, 40, 60, 80, 100, 150])
def test_figures_and_names_are_whole_however_narrow_the_terminal_is(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = shown(width, "en", monkeypatch, capsys)
    assert f" {NAME} " in told
    assert " 82,345 " in told
    assert " 73,456 " in told
    assert " 123,456 " in told


@pytest.mark.parametrize("language", ["en", "es"])
def test_an_ordinary_terminal_shows_the_tables_without_breaking_a_line(
    language: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert max(map(len, shown(80, language, monkeypatch, capsys).splitlines())) <= 80

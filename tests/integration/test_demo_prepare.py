"""The demonstration's Canvas: each call serves the next night of the same university."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from udecdash_updater import canvas_cli
from udecdash_updater.demo import site
from udecdash_updater.demo.prepare import Prepared, prepare, prepare_dap
from udecdash_updater.settings import Settings


def small(home: Path) -> Prepared:
    return prepare(home, students=6, courses=2, requests=60, days=3)


def sync(prepared: Prepared) -> set[str]:
    settings = Settings(
        path_canvas_config=prepared.canvas_config,
        path_data_files=prepared.data_files,
        server_canvas_data_cli_command_path=str(prepared.command),
        download_attempts=1,
    )
    canvas_cli.check(settings)
    canvas_cli.sync(settings)
    return {path.name for path in prepared.data_files.glob("*/*")}


def test_the_second_call_serves_the_next_night_and_sync_brings_it(tmp_path: Path) -> None:
    home = tmp_path / "a folder's name, with blanks"
    first = small(home)
    assert first.night == 1
    names = sync(first)
    second = small(home)
    assert second.night == 2
    assert "cumulative" in json.loads(second.truth.read_text(encoding="utf-8"))
    assert sync(second) != names
    served = second.truth.parent / "dataFiles"
    assert {path.name for path in served.glob("*/*")} == {path.name for path in second.data_files.glob("*/*")}


def test_a_night_that_was_not_finished_is_made_again_and_old_nights_go(tmp_path: Path) -> None:
    small(tmp_path)
    (tmp_path / "served" / ".night2-killed").mkdir()
    assert [small(tmp_path).night for _ in range(2)] == [2, 3]
    assert sorted(path.name for path in (tmp_path / "served").iterdir()) == ["night2", "night3"]


def test_the_next_night_may_come_from_canvas_data_2_whatever_the_one_before_came_from(tmp_path: Path) -> None:
    assert small(tmp_path).night == 1
    nights = [prepare_dap(tmp_path, students=6, courses=2, requests=60, days=3) for _ in range(2)]
    assert [prepared.night for prepared in nights] == [2, 3]
    served = nights[0].served
    assert (served / "current").read_text() == "3"
    assert sorted(path.name for path in served.iterdir()) == ["current", "night2", "night3"]
    assert (served / "night3" / "canvas_logs" / "web_logs.tsv.gz").exists()
    assert "cumulative" in json.loads(nights[1].truth.read_text(encoding="utf-8"))
    assert small(tmp_path).night == 4


def test_what_surrounds_the_demonstration_writes_nothing_into_its_answer(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with site.opened(tmp_path) as found:
        assert found.night == 1
    assert capfd.readouterr().out == ""

"""What the updater's account may not look at or change: told by its path and as what it is, never as a traceback."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import permissions_hold
from udecdash_updater import canvas_cli, check_site, checks, dump, plan
from udecdash_updater.dump import DumpFile
from udecdash_updater.errors import DownloadError, DumpError, UpdaterError
from udecdash_updater.findings import Finding
from udecdash_updater.options import RunOptions
from udecdash_updater.settings import Settings

SCHEMA = {"version": "1", "schema": {"c": {"tableName": "course_dim", "columns": [{"name": "id", "type": "bigint"}]}}}


@pytest.fixture
def site(home: Path) -> Settings:
    data, canvas, bin_ = home / "data", home / "canvas", home / "bin"
    for folder in (data / "course_dim", canvas, bin_):
        folder.mkdir(parents=True)
    (data / "schema.json").write_text(json.dumps(SCHEMA))
    (data / "course_dim" / "a.gz").write_bytes(gzip.compress(b"1\n"))
    (canvas / "config.js").write_text("module.exports = {}")
    (bin_ / "canvasDataCli").write_text("#!/bin/sh\n")
    for path in home.rglob("*"):
        path.chmod(0o755)
    command = str(bin_ / "canvasDataCli")
    return Settings(path_data_files=data, path_canvas_config=canvas, server_canvas_data_cli_command_path=command)


def closed(site: Settings, name: str, mode: int = 0o000) -> Path:
    assert site.path_data_files
    path = site.path_data_files.parent / name
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("name", "mode"), [("data", 0o000), ("data", 0o111), ("data/course_dim", 0o000), ("data/schema.json", 0o000)]
)
def test_a_closed_dump_is_told_by_the_night_by_a_dry_run_and_by_check(site: Settings, name: str, mode: int) -> None:
    path = closed(site, name, mode)
    asked: list[Callable[[], object]] = [
        lambda: plan.find(site),
        lambda: plan.make(site.model_copy(update={"enable_download": False}), RunOptions()),
        lambda: list(check_site.dump_is_fresh(site)),
    ]
    with permissions_hold():
        for ask in asked:
            with pytest.raises(DumpError, match=f"{path}.*(p|P)ermission denied"):
                ask()
    path.chmod(0o755)


@pytest.mark.parametrize("name", ["canvas", "canvas/config.js", "bin"])
def test_what_canvas_data_cli_needs_and_is_closed_is_told_by_its_path(site: Settings, name: str) -> None:
    path = closed(site, name)
    with permissions_hold(), pytest.raises(DownloadError, match=f"{path}.*(p|P)ermission denied"):
        canvas_cli.check(site)
    path.chmod(0o755)


def test_a_config_folder_that_may_not_be_written_is_told_before_canvas_data_cli_runs(site: Settings) -> None:
    path = closed(site, "canvas", 0o555)
    with permissions_hold(), pytest.raises(DownloadError, match=f"{path}/.*lock: (p|P)ermission denied"):
        canvas_cli.sync(site)


def test_a_damaged_archive_that_may_not_be_moved_is_told(site: Settings, home: Path) -> None:
    archive, aside = home / "data" / "course_dim" / "a.gz", home / "canvas" / ".data-damaged"
    closed(site, "canvas", 0o555)
    with permissions_hold(), pytest.raises(DumpError, match=f"{aside}.*(p|P)ermission denied"):
        dump.set_aside(DumpFile("course_dim", archive, 1, ()), aside)
    assert archive.is_file()


def test_check_tells_whatever_the_operating_system_refuses_and_goes_on(home: Path) -> None:
    def refused() -> list[Finding]:
        (home / "nowhere" / "file").read_bytes()
        return []

    [found] = checks._tried("something", refused)
    assert (found.name, found.outcome, found.code) == ("something", "failed", UpdaterError.exit_code)
    assert f"{home}/nowhere/file" in str(found.told)

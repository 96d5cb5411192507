"""Batches of Canvas Data 2: only whole ones count, in the order of their downloads, from the newest snapshot on."""

from __future__ import annotations

import contextlib
import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from unittest import mock

import pytest

from udecdash_updater import canvas_data_2, dap_batches, dap_load
from udecdash_updater.dap_batches import INCREMENTAL, SNAPSHOT, Batch, BatchFile
from udecdash_updater.errors import DumpError
from udecdash_updater.night import Night
from udecdash_updater.requests import RequestsLoaded
from udecdash_updater.settings import Settings

NOON = datetime(2026, 11, 1, 12, tzinfo=timezone.utc)


def batch(folder: Path, kind: str = SNAPSHOT, *, table: str = "users", hours: int = 0, whole: bool = True) -> Batch:
    made = dap_batches.new_folder(folder, "canvas", table, kind)
    (made / "part-0.tsv.gz").write_bytes(b"12345")
    since = None if kind == SNAPSHOT else NOON + timedelta(hours=hours - 1)
    files = (BatchFile("part-0.tsv.gz", 5),)
    found = Batch(made, "canvas", table, kind, 3, since, NOON + timedelta(hours=hours), files)
    if whole:
        dap_batches.finish(found, {"title": table})
    return found


def test_a_batch_is_read_as_it_was_finished(tmp_path: Path) -> None:
    first, second = batch(tmp_path), batch(tmp_path, INCREMENTAL, hours=1)
    assert dap_batches.read(tmp_path) == [first, second]
    assert first.schema() == {"title": "users"}
    assert (second.name, second.paths[0].read_bytes(), second.damage()) == ("canvas.users", b"12345", "")


def test_an_unfinished_download_is_no_batch_and_is_removed(tmp_path: Path) -> None:
    unfinished, whole = batch(tmp_path, whole=False), batch(tmp_path)
    assert dap_batches.read(tmp_path) == [whole]
    assert dap_batches.tidy(tmp_path) == [unfinished.folder]
    assert [path.name for path in (tmp_path / "canvas" / "users").iterdir()] == [whole.folder.name]


def test_a_snapshot_replaces_what_came_before_it_of_its_own_table_alone(tmp_path: Path) -> None:
    other = batch(tmp_path, table="courses")
    old, change = batch(tmp_path), batch(tmp_path, INCREMENTAL, hours=1)
    again, after = batch(tmp_path, hours=5), batch(tmp_path, INCREMENTAL, hours=6)
    assert dap_batches.read(tmp_path) == [other, again, after]
    assert dap_batches.tidy(tmp_path) == [old.folder, change.folder]


def test_changes_whose_snapshot_is_loaded_and_forgotten_are_read(tmp_path: Path) -> None:
    snapshot, change = batch(tmp_path), batch(tmp_path, INCREMENTAL, hours=1)
    dap_batches.forget([snapshot])
    assert dap_batches.read(tmp_path) == [change]
    assert not snapshot.folder.exists()


def test_batches_that_are_loaded_and_cannot_be_deleted_are_told_and_end_no_night(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    night = Night(Settings(path_data_files=tmp_path), contextlib.ExitStack(), waits=False)
    night.batches, night.ledger = (batch(tmp_path),), mock.Mock(run=1)
    monkeypatch.setattr(dap_load, "load_web_log", lambda *_: RequestsLoaded((), (), 0))
    refused = PermissionError(13, "Permission denied", str(tmp_path))
    monkeypatch.setattr("udecdash_updater.dap_batches.shutil.rmtree", mock.Mock(side_effect=refused))
    canvas_data_2.load_requests(night)
    assert [str(told) for told in night.warnings] == [
        f"{tmp_path}: Permission denied. Batches that are loaded could not be deleted; the next night tries again."
    ]


def test_batches_stay_in_the_order_of_their_downloads_when_the_clock_goes_back(tmp_path: Path) -> None:
    far = tmp_path / "canvas" / "users" / "29991231T235959.999999Z-snapshot"
    far.mkdir(parents=True)
    assert dap_batches.new_folder(tmp_path, "canvas", "users", INCREMENTAL) > far


@pytest.mark.parametrize(
    ("name", "value"),
    [("kind", "delta"), ("table", "courses"), ("until", "2026-11-01 12:00"), ("until", None), ("files", [{"name": 1}]),
     ("files", [{"name": "../x", "size": 1}]), ("schema_version", None)],
)  # fmt: skip
def test_an_account_that_is_none_is_told_with_its_path(tmp_path: Path, name: str, value: object) -> None:
    path = batch(tmp_path).folder / "batch.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))
    with pytest.raises(DumpError, match=r"batch\.json: is not the account of a batch"):
        dap_batches.read(tmp_path)


def test_an_account_that_is_no_json_is_told(tmp_path: Path) -> None:
    (batch(tmp_path).folder / "batch.json").write_text("{")
    with pytest.raises(DumpError, match=r"batch\.json: is not JSON"):
        dap_batches.read(tmp_path)


def test_a_file_that_is_not_as_it_was_downloaded_is_told(tmp_path: Path) -> None:
    found = batch(tmp_path)
    found.paths[0].write_bytes(b"123")
    assert str(found.damage()) == f"{found.paths[0]} has 3 bytes instead of 5"
    found.paths[0].unlink()
    assert str(found.damage()) == f"{found.paths[0]} is not there"


def test_what_canvas_data_1_left_in_the_folder_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "user_dim").mkdir()
    (tmp_path / "user_dim" / "user_dim-00000-12345678.gz").write_bytes(b"")
    (tmp_path / "schema.json").write_text("{}")
    assert (dap_batches.read(tmp_path), dap_batches.tidy(tmp_path)) == ([], [])
    assert (tmp_path / "user_dim" / "user_dim-00000-12345678.gz").exists()

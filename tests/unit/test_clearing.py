"""CLEAR_DIRECTORIES_BEFORE_DOWNLOAD: what is moved aside, and that every folder survives whatever ends the run."""

from __future__ import annotations

import errno
import logging
import shutil
from pathlib import Path

import pytest

from udecdash_updater import clearing
from udecdash_updater.clearing import Cleared
from udecdash_updater.errors import DownloadError
from udecdash_updater.logs import LOGGER
from udecdash_updater.settings import Settings

TABLES = ("account_dim", "course_dim", "user_dim")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    folder = tmp_path / "dataFiles"
    for table in (*TABLES, "requests"):
        (folder / table).mkdir(parents=True)
        (folder / table / f"{table}-00000-aaaaaaaa.gz").write_text(f"old {table}")
    (folder / "schema.json").write_text("old schema")
    return Settings(path_data_files=folder, clear_directories_before_download=True)


def tree(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def data(settings: Settings) -> Path:
    assert settings.path_data_files
    return settings.path_data_files


def cleared(settings: Settings) -> Cleared:
    found = clearing.clear(settings)
    assert found
    return found


def download(settings: Settings, tables: tuple[str, ...]) -> None:
    for table in tables:
        (data(settings) / table).mkdir()
        (data(settings) / table / f"{table}-00000-bbbbbbbb.gz").write_text("new")
    (data(settings) / "schema.json").write_text("new schema")


def strangers(settings: Settings) -> list[str]:
    return [path.name for path in data(settings).parent.iterdir() if path != data(settings)]


def test_table_folders_but_requests_are_moved_outside_the_data_folder(settings: Settings) -> None:
    found = cleared(settings)
    assert found.tables == TABLES
    assert sorted(tree(data(settings))) == ["requests/requests-00000-aaaaaaaa.gz", "schema.json"]
    assert data(settings) not in found.folder.parents
    assert found.folder.parent == data(settings).parent


def test_put_back_restores_all_as_it_was_in_place_of_a_half_download(settings: Settings) -> None:
    before = tree(data(settings))
    found = cleared(settings)
    download(settings, ("account_dim", "user_dim"))
    clearing.put_back(found)
    clearing.put_back(found)
    assert tree(data(settings)) == before
    assert strangers(settings) == []


def test_delete_leaves_the_new_dump_alone(settings: Settings) -> None:
    found = cleared(settings)
    download(settings, TABLES)
    new = tree(data(settings))
    clearing.delete(found)
    clearing.delete(found)
    assert tree(data(settings)) == new
    assert strangers(settings) == []
    assert clearing.recover(settings) == 0


def test_what_does_not_look_like_a_table_stays(settings: Settings, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(data(settings) / "user_dim", elsewhere / "linked_dim")
    (data(settings) / "linked_dim").symlink_to(elsewhere / "linked_dim")
    for name, content in (("photos", "a.jpg"), ("Documents", "a.gz"), (".hidden", "a.gz")):
        (data(settings) / name).mkdir()
        (data(settings) / name / content).write_text("mine")
    (data(settings) / "nested" / "deeper").mkdir(parents=True)
    (data(settings) / "links").mkdir()
    (data(settings) / "links" / "a.gz").symlink_to(elsewhere)
    assert cleared(settings).tables == TABLES
    assert (data(settings) / "linked_dim").is_symlink()
    assert {"photos", "Documents", ".hidden", "nested", "links"} <= {path.name for path in data(settings).iterdir()}


def test_a_data_folder_behind_a_symbolic_link_is_cleared_where_it_really_is(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "links").mkdir()
    link = tmp_path / "links" / "data"
    link.symlink_to(data(settings))
    found = cleared(settings.model_copy(update={"path_data_files": link}))
    assert found.folder.parent == data(settings).parent


@pytest.mark.parametrize("download_is_on", [True, False])
def test_without_a_download_or_unasked_nothing_is_moved(
    settings: Settings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, download_is_on: bool
) -> None:
    monkeypatch.setattr(LOGGER, "propagate", True)
    before = tree(data(settings))
    changed = {"enable_download": False, "clear_directories_before_download": not download_is_on}
    assert clearing.clear(settings.model_copy(update=changed)) is None
    assert tree(data(settings)) == before
    # A logger that did not propagate when the test began has pytest's handler itself: each record counts once.
    warnings = [record for record in dict.fromkeys(caplog.records) if record.levelno == logging.WARNING]
    assert len(warnings) == (0 if download_is_on else 1)


def test_an_empty_or_missing_data_folder_is_no_trouble(settings: Settings) -> None:
    shutil.rmtree(data(settings))
    assert clearing.clear(settings) is None
    assert clearing.recover(settings) == 0


class KilledError(BaseException):
    """Stands for the kill: nothing of ours catches it."""


def _kill_at(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Let the run end just before its `number`-th change of a name."""
    left = [number]
    for name in ("rename", "replace"):
        real = getattr(Path, name)

        def once(self: Path, target: Path, real: object = real) -> Path:
            left[0] -= 1
            if left[0] < 0:
                raise KilledError
            assert callable(real)
            result = real(self, target)
            assert isinstance(result, Path)
            return result

        monkeypatch.setattr(Path, name, once)


@pytest.mark.parametrize("number", range(6))
def test_a_run_killed_while_clearing_is_put_right_by_the_next(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    before = tree(data(settings))
    with monkeypatch.context() as patched:
        _kill_at(patched, number)
        if number < 4:
            with pytest.raises(KilledError):
                clearing.clear(settings)
        else:
            clearing.clear(settings)
    clearing.recover(settings)
    assert tree(data(settings)) == before
    assert strangers(settings) == []


@pytest.mark.parametrize("number", range(8))
def test_a_run_killed_while_putting_back_is_put_right_by_the_next(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    before = tree(data(settings))
    found = cleared(settings)
    download(settings, ("account_dim", "user_dim"))
    with monkeypatch.context() as patched, pytest.raises(KilledError):
        _kill_at(patched, min(number, 6))
        clearing.put_back(found)
    clearing.recover(settings)
    assert tree(data(settings)) == before
    assert strangers(settings) == []


def test_a_run_killed_while_deleting_never_brings_half_of_it_back(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = cleared(settings)
    download(settings, TABLES)
    new = tree(data(settings))

    def killed(folder: Path) -> None:
        (folder / "user_dim" / "user_dim-00000-aaaaaaaa.gz").unlink()
        raise KilledError

    with monkeypatch.context() as patched, pytest.raises(KilledError):
        patched.setattr(shutil, "rmtree", killed)
        clearing.delete(found)
    assert clearing.recover(settings) == 0
    assert tree(data(settings)) == new
    assert strangers(settings) == []


def test_leftovers_are_put_back_before_the_next_clearing(settings: Settings) -> None:
    cleared(settings)
    assert cleared(settings).tables == TABLES


def test_a_folder_that_cannot_be_moved_is_told_and_all_are_back(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tree(data(settings))
    real = Path.rename

    def refused(self: Path, target: Path) -> Path:
        if self.name == "user_dim" and self.parent == data(settings):
            raise PermissionError(13, "Permission denied", str(self))
        return real(self, target)

    monkeypatch.setattr(Path, "rename", refused)
    with pytest.raises(DownloadError, match="cannot be cleared: Permission denied"):
        clearing.clear(settings)
    assert tree(data(settings)) == before


def test_a_data_folder_that_is_a_file_system_of_its_own_is_left_as_it_is(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, real = tree(data(settings)), {name: getattr(Path, name) for name in ("rename", "replace")}

    def within(name: str, source: Path, target: Path) -> Path:
        if source.is_relative_to(data(settings)) != target.is_relative_to(data(settings)):
            raise OSError(errno.EXDEV, "Invalid cross-device link", str(source))
        moved: Path = real[name](source, target)
        return moved

    monkeypatch.setattr(Path, "rename", lambda self, target: within("rename", self, target))
    monkeypatch.setattr(Path, "replace", lambda self, target: within("replace", self, target))
    assert clearing.clear(settings) is None
    assert tree(data(settings)) == before
    assert strangers(settings) == []
    assert clearing.recover(settings) == 0


def test_what_resists_deletion_is_warned_of_and_tried_again(
    settings: Settings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LOGGER, "propagate", True)
    found = cleared(settings)

    def refused(folder: Path) -> None:
        raise PermissionError(13, "Permission denied", str(folder))

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", refused)
        clearing.delete(found)
    assert "could not be deleted: Permission denied" in caplog.text
    assert clearing.recover(settings) == 0
    assert strangers(settings) == []


def test_the_leftovers_of_a_neighbour_whose_name_begins_alike_are_not_ours(settings: Settings) -> None:
    neighbour = data(settings).with_name("dataFiles-2[x]")
    shutil.copytree(data(settings), neighbour)
    theirs = cleared(settings.model_copy(update={"path_data_files": neighbour}))
    assert clearing.recover(settings) == 0
    assert theirs.folder.is_dir()
    assert clearing.recover(settings.model_copy(update={"path_data_files": neighbour})) == len(TABLES)

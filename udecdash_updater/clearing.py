"""The clear stage: table folders moved aside before a download, deleted after it, or put back as they were.

Aside is a hidden sibling of the data folder: the same file system, and out of reach of `sync`, which deletes what
it does not know. Each step is one rename, so that a run killed anywhere leaves every folder in one of two places.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from udecdash_updater.errors import DownloadError
from udecdash_updater.language import because, say
from udecdash_updater.logs import LOGGER
from udecdash_updater.settings import Settings

KEPT = "requests"
_ASIDE = ".udecdash-cleared-"
_DOOMED = ".udecdash-deleted-"
_REPLACED = ".replaced"
_SCHEMA = "schema.json"
_TABLE = re.compile(r"[a-z_][a-z0-9_]{0,62}")


@dataclass(frozen=True, slots=True)
class Cleared:
    """Table folders that wait aside."""

    folder: Path
    data_files: Path
    tables: tuple[str, ...]


def clear(settings: Settings) -> Cleared | None:
    """Move every table folder but `requests` aside, with a copy of schema.json; None when there is nothing to do.

    With ENABLE_DOWNLOAD off nothing is moved and a warning is logged. Only real folders of a dump's look are moved,
    symbolic links never. Raises DownloadError when they cannot be moved; then all are back in their place.
    """
    if not settings.clear_directories_before_download:
        return None
    if not settings.enable_download:
        LOGGER.warning(say("clear ignored"))
        return None
    recover(settings)
    data_files = _data_files(settings)
    tables = _table_folders(data_files)
    if not tables:
        return None
    try:
        with _told(data_files, "not cleared"):
            aside = Path(tempfile.mkdtemp(prefix=_prefix(_ASIDE, data_files), dir=data_files.parent))
            cleared = Cleared(aside, data_files, tuple(tables))
            return cleared if _move_aside(cleared) else None
    except DownloadError:
        recover(settings)
        raise


def put_back(cleared: Cleared) -> None:
    """Undo `clear`: the folders moved aside replace whatever a download made of them. May be repeated.

    Raises DownloadError when a folder cannot be moved.
    """
    if cleared.folder.is_dir():
        with _told(cleared.folder, "not put back"):
            _put_back(cleared)
        delete(cleared)


def _put_back(cleared: Cleared) -> None:
    cleared.data_files.mkdir(exist_ok=True)
    replaced = cleared.folder / _REPLACED
    replaced.mkdir(exist_ok=True)
    for table in _table_folders(cleared.folder):
        target = cleared.data_files / table
        if os.path.lexists(target):
            target.rename(_unused(replaced / table))
        (cleared.folder / table).rename(target)
    if (cleared.folder / _SCHEMA).exists():
        (cleared.folder / _SCHEMA).replace(cleared.data_files / _SCHEMA)


def delete(cleared: Cleared) -> None:
    """Delete what was moved aside, once the new dump is verified. A half-deleted folder is never put back.

    Raises DownloadError when it cannot be marked for deletion; what then resists deletion is only warned of.
    """
    if cleared.folder.is_dir():
        doomed = cleared.folder.with_name(cleared.folder.name.replace(_ASIDE, _DOOMED, 1))
        with _told(cleared.folder, "not removed"):
            cleared.folder.rename(doomed)
        _remove(doomed)


def recover(settings: Settings) -> int:
    """Put back what a killed run left aside, and finish its deletions. Returns how many folders were put back.

    Raises DownloadError when a folder cannot be moved.
    """
    data_files = _data_files(settings)
    for doomed in _leftovers(_DOOMED, data_files):
        _remove(doomed)
    found = 0
    for aside in _leftovers(_ASIDE, data_files):
        tables = tuple(_table_folders(aside))
        LOGGER.warning(say("folders left", count=len(tables), folder=aside))
        put_back(Cleared(aside, data_files, tables))
        found += len(tables)
    return found


@contextlib.contextmanager
def _told(folder: Path, key: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = {"folder": folder, "why": because(error), "path": error.filename}
        raise DownloadError(say(key, **where), hint=say("not cleared hint")) from error


def _remove(doomed: Path) -> None:
    try:
        shutil.rmtree(doomed)
    except OSError as error:
        LOGGER.warning(say("not deleted", path=error.filename or doomed, why=because(error)))


def _data_files(settings: Settings) -> Path:
    if settings.path_data_files is None:
        raise DownloadError(say("setting blank", name="PATH_DATA_FILES"))
    return settings.path_data_files.resolve()


def _prefix(kind: str, data_files: Path) -> str:
    return f"{kind}{data_files.name}-"


def _leftovers(kind: str, data_files: Path) -> list[Path]:
    """The hidden siblings of this data folder, not those of one whose name begins alike."""
    if not data_files.parent.is_dir():
        return []
    name = re.compile(re.escape(_prefix(kind, data_files)) + "[a-z0-9_]{8}")  # as mkdtemp ends it
    return sorted(path for path in data_files.parent.iterdir() if name.fullmatch(path.name))


def _table_folders(folder: Path) -> list[str]:
    """The names of the folders in `folder` that look like a dump's tables: nothing in them but .gz files and .tmp."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False) and entry.name != KEPT]
    return sorted(name for name in names if _TABLE.fullmatch(name) and _only_archives(folder / name))


def _only_archives(folder: Path) -> bool:
    with os.scandir(folder) as entries:
        return all(entry.is_file(follow_symlinks=False) and entry.name.endswith((".gz", ".tmp")) for entry in entries)


def _move_aside(cleared: Cleared) -> bool:
    """Whether the folders were moved; not where the data folder is a file system of its own, without a sibling."""
    for table in cleared.tables:
        try:
            (cleared.data_files / table).rename(cleared.folder / table)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            LOGGER.warning(say("own file system", folder=cleared.data_files))
            put_back(cleared)
            return False
    if (cleared.data_files / _SCHEMA).is_file():  # after the folders: across file systems it could not come back
        part = cleared.folder / ".part"
        shutil.copy2(cleared.data_files / _SCHEMA, part)
        part.rename(cleared.folder / _SCHEMA)
    LOGGER.info(say("folders wait", count=len(cleared.tables), folder=cleared.folder))
    return True


def _unused(path: Path) -> Path:
    while os.path.lexists(path):
        path = path.with_name(path.name + "+")
    return path

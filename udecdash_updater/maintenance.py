"""The front end's loading page, in place of index.html for as long as the night's load runs.

The names are those that the dashboard's people know from its first updater. Each step is one link or one
rename and can be the last one before a kill: index.html exists throughout, and `off` knows from what lies
in the folder how to go on.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import stat
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from udecdash_updater import pages
from udecdash_updater.errors import FrontEndError
from udecdash_updater.language import because, say
from udecdash_updater.settings import Settings

INDEX = "index.html"
ORIGINAL = "index-original.html"
SITE_PAGE = "updating_data.html"
# An original that a newer index.html replaced, when it is not certain that it is ours to delete.
REPLACED = "index-replaced.html"
# The digest of the page that was put up: it is known again even if updating_data.html was edited meanwhile.
RECORD = ".udecdash-updater-page"
_NEW = ".udecdash-updater-new"
_COPY = ".udecdash-updater-copy"
MARK = "udecdash-updater loading page"
_SAME_MOMENT_NS = 10 * 10**9
_WORDS = re.compile(rb"updat|actualiz|maint|manten|loading|cargando", re.IGNORECASE)


def check(settings: Settings) -> None:
    """Raise FrontEndError, with the path and what is wrong there, if `on` could not work. Touches nothing."""
    folder = settings.frontend_dir
    if folder is None:
        return
    with _told(folder):
        if not folder.is_dir():
            raise FrontEndError(say("not folder", path=folder))
        if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            raise FrontEndError(say("page unwritable", path=folder))
        if _read(folder / ORIGINAL) is None:
            _demand_index(folder)


def is_on(settings: Settings) -> bool:
    """Whether index.html is a loading page now: ours, the site's, or one that the first updater left there."""
    folder = settings.frontend_dir
    if folder is None:
        return False
    with _told(folder):
        standing = _read(folder / INDEX)
        return standing is not None and _is_page(folder, standing)


def on(settings: Settings, *, started: datetime, expected: datetime | None = None) -> bool:
    """Put the loading page up, from any state of the folder; `started` and, if known, the
    `expected` end (both aware) are told on our own page.

    The page is the site's updating_data.html, which stays where it is, or else ours. Returns whether a page
    is up: False only without FRONTEND_DIR. Raises FrontEndError.
    """
    folder = settings.frontend_dir
    if folder is None:
        return False
    check(settings)
    with _told(folder):
        _put_back(folder)
        site = _read(folder / SITE_PAGE)
        _put_up(folder, site or _own_page(settings, started, expected))
    return True


def off(settings: Settings) -> bool:
    """Put the original back, from any state of the folder, and leave nothing of ours in it.

    Returns whether anything was changed: False without FRONTEND_DIR or with the original in place.
    Raises FrontEndError when there is no original any more.
    """
    folder = settings.frontend_dir
    if folder is None:
        return False
    with _told(folder):
        return _put_back(folder)


def _put_up(folder: Path, page: bytes) -> None:
    index, new = folder / INDEX, folder / _NEW
    _write(new, page)
    _dress(new, index)
    _write(folder / RECORD, _digest(page))
    _duplicate(index, folder / ORIGINAL)
    _sync(folder)  # what brings the original back must outlive a power cut that the page outlives
    new.replace(index)
    _sync(folder)


def _put_back(folder: Path) -> bool:
    for unfinished in (folder / _NEW, folder / _COPY):
        unfinished.unlink(missing_ok=True)
    changed = _settle(folder)
    (folder / RECORD).unlink(missing_ok=True)  # last: it explains everything else
    _sync(folder)
    return changed


def _settle(folder: Path) -> bool:
    """End with index.html alone, whichever of the two files is the dashboard. Returns whether it changed."""
    index, original = folder / INDEX, folder / ORIGINAL
    standing, kept = _read(index), _read(original)
    if kept is None:
        _demand_index(folder)
        return False
    if standing == kept:  # killed before the page was up: one file under two names, or its copy
        original.unlink()
    elif standing is None or _is_page(folder, standing):
        _give_site_page_back(folder, standing)
        original.replace(index)
    elif (folder / RECORD).exists():  # our own copy of a front end that was deployed anew meanwhile
        original.unlink()
    else:
        original.replace(folder / REPLACED)
    return True


def _is_page(folder: Path, standing: bytes) -> bool:
    if MARK.encode() in standing or _digest(standing) == _read(folder / RECORD):
        return True
    site = _read(folder / SITE_PAGE)
    return _read(folder / ORIGINAL) is not None and (standing == site or _first_updaters(folder, standing))


def _first_updaters(folder: Path, standing: bytes) -> bool:
    """Whether the first updater's two renames led here: then index.html was updating_data.html.

    A rename sets a file's change time, so both were changed in one moment; a front end deployed anew later
    was not, and does not speak of an update.
    """
    if os.path.lexists(folder / SITE_PAGE) or (folder / RECORD).exists() or MARK.encode() in standing:
        return False
    apart = (folder / INDEX).lstat().st_ctime_ns - (folder / ORIGINAL).lstat().st_ctime_ns
    return abs(apart) < _SAME_MOMENT_NS and _WORDS.search(standing) is not None


def _give_site_page_back(folder: Path, standing: bytes | None) -> None:
    if standing is not None and _first_updaters(folder, standing):
        _duplicate(folder / INDEX, folder / SITE_PAGE)
        _sync(folder)


def _demand_index(folder: Path) -> None:
    """Raise FrontEndError unless index.html, the only one there is, is the dashboard."""
    standing = _read(folder / INDEX)
    if standing is None:
        raise FrontEndError(say("page missing", path=folder / INDEX, original=ORIGINAL))
    if _is_page(folder, standing):
        raise FrontEndError(say("page only loading", path=folder / INDEX, original=ORIGINAL))


def _own_page(settings: Settings, started: datetime, expected: datetime | None) -> bytes:
    page = pages.render(
        "updating.html",
        mark=MARK,
        languages=("en", "es") if settings.language == "en" else ("es", "en"),
        began=started.astimezone(settings.zone),
        expected=expected.astimezone(settings.zone) if expected else None,
        zone=settings.time_zone.replace("_", " "),
    )
    return page.encode()


def _dress(page: Path, index: Path) -> None:
    """Give the page the owner of index.html, its mode, and a time just before its own.

    Servers answer "not modified" to a browser whose copy is not older than the file: a page that looked
    newer than the original would stay in browsers after the original is back.
    """
    status = index.stat()
    with contextlib.suppress(PermissionError):  # an ordinary user keeps the page; it is readable to all
        os.chown(page, status.st_uid, status.st_gid)
    page.chmod(stat.S_IMODE(status.st_mode) | 0o444)
    os.utime(page, ns=(status.st_atime_ns, status.st_mtime_ns - 10**9))


def _duplicate(source: Path, target: Path) -> None:
    """Give `source`, a symbolic link included, a second name; a copy where that is not possible."""
    try:
        os.link(source, target, follow_symlinks=False)
    except FileExistsError:
        raise
    except OSError:  # no hard links on this file system, or (Linux) to files of others
        _copy(source, target)


def _copy(source: Path, target: Path) -> None:
    copy = target.with_name(_COPY)
    shutil.copy2(source, copy, follow_symlinks=False)
    status = source.lstat()
    try:
        os.chown(copy, status.st_uid, status.st_gid, follow_symlinks=False)
    except PermissionError:
        if not status.st_mode & stat.S_IROTH:  # the web server could not read it under another owner
            copy.unlink()
            raise
    copy.rename(target)


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _read(path: Path) -> bytes | None:
    """The content of a file or of what a link leads to; None if there is no such file."""
    return path.read_bytes() if path.is_file() else None


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network file systems cannot; the order still holds for a kill
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _told(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FrontEndError(say("unreadable", path=error.filename or folder, why=because(error))) from error

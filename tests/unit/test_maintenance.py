"""The loading page: a kill between any two calls of the system, from every state that one can leave behind."""

from __future__ import annotations

import errno
import functools
import http.server
import itertools
import os
import shutil
import sys
import tempfile
import threading
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from email.utils import formatdate
from pathlib import Path
from types import FrameType

import pytest

from udecdash_updater import maintenance
from udecdash_updater.errors import FrontEndError
from udecdash_updater.settings import Settings

DASHBOARD = b"<!doctype html><div id=root></div>\r\n\xc3\xb1 \xff\x00"
NEWER = b"<!doctype html><div id=root class=v2></div>"
SITE = "<!doctype html><h1>Actualizando los datos…</h1>".encode()
EDITED = SITE + b"<p>Vuelva a las 6.</p>"
STARTED = datetime(2025, 11, 23, 6, 4, tzinfo=timezone.utc)
WRITTEN_NS = 1_700_000_000_123_456_789
# What alters the disk; a kill before any other call finds the same files.
CALLS = {"link", "symlink", "rename", "replace", "unlink", "chmod", "chown", "utime", "write", "flush", "sendfile"}

Folder = dict[str, bytes]
Action = Callable[[Settings], bool]


def on(settings: Settings) -> bool:
    return maintenance.on(settings, started=STARTED)


def folder_of(settings: Settings) -> Path:
    assert settings.frontend_dir is not None
    return settings.frontend_dir


def fill(folder: Path, files: Folder) -> Settings:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
        (folder / name).chmod(0o640)
        os.utime(folder / name, ns=(WRITTEN_NS, WRITTEN_NS))
    return Settings(frontend_dir=folder)


def content(settings: Settings) -> Folder:
    return {path.name: path.read_bytes() for path in folder_of(settings).iterdir()}


@pytest.fixture(autouse=True)
def _quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill loses nothing that was written, so waiting for the disk thousands of times shows nothing."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)


@pytest.fixture(autouse=True, scope="module")
def _page_compiled(tmp_path_factory: pytest.TempPathFactory) -> None:
    on(fill(tmp_path_factory.mktemp("page"), {"index.html": DASHBOARD}))  # not once in every child


@pytest.fixture
def front(tmp_path: Path) -> Settings:
    return fill(tmp_path / "front", {"index.html": DASHBOARD})


def first_updater(settings: Settings, *, renames: int) -> None:
    folder = folder_of(settings)
    pairs = [("index.html", "index-original.html"), ("updating_data.html", "index.html")]
    for source, target in pairs[:renames]:
        (folder / source).rename(folder / target)


def deploy(settings: Settings) -> None:
    folder = folder_of(settings)
    (folder / "index.html").unlink()  # a new file, as `rsync` and `cp --remove-destination` make it
    (folder / "index.html").write_bytes(NEWER)
    (folder / "index.html").chmod(0o640)
    os.utime(folder / "index.html", ns=(WRITTEN_NS, WRITTEN_NS))


# Each start: how the folder comes to be, and what it must hold once the page is off.
def clean(folder: Path) -> tuple[Settings, Folder]:
    return fill(folder, {"index.html": DASHBOARD}), {"index.html": DASHBOARD}


def with_site_page(folder: Path) -> tuple[Settings, Folder]:
    files = {"index.html": DASHBOARD, "updating_data.html": SITE}
    return fill(folder, files), files


def first_updater_killed_between(folder: Path) -> tuple[Settings, Folder]:
    settings, files = with_site_page(folder)
    first_updater(settings, renames=1)
    return settings, files


def first_updater_killed_after(folder: Path) -> tuple[Settings, Folder]:
    settings, files = with_site_page(folder)
    first_updater(settings, renames=2)
    return settings, files


def already_on(folder: Path) -> tuple[Settings, Folder]:
    settings, files = clean(folder)
    on(settings)
    return settings, files


def site_page_edited_meanwhile(folder: Path) -> tuple[Settings, Folder]:
    settings, files = with_site_page(folder)
    on(settings)
    (folder / "updating_data.html").write_bytes(EDITED)
    return settings, {**files, "updating_data.html": EDITED}


def site_page_removed_meanwhile(folder: Path) -> tuple[Settings, Folder]:
    settings, _ = with_site_page(folder)
    on(settings)
    (folder / "updating_data.html").unlink()
    return settings, {"index.html": DASHBOARD}


def deployed_anew_meanwhile(folder: Path) -> tuple[Settings, Folder]:
    settings, _ = clean(folder)
    on(settings)
    deploy(settings)
    return settings, {"index.html": NEWER}


def original_under_both_names(folder: Path) -> tuple[Settings, Folder]:
    files = {"index.html": DASHBOARD, "index-original.html": DASHBOARD}
    return fill(folder, files), {"index.html": DASHBOARD}


def temporary_files_left(folder: Path) -> tuple[Settings, Folder]:
    files = {"index.html": DASHBOARD, ".udecdash-updater-new": b"<h", ".udecdash-updater-copy": b""}
    return fill(folder, files), {"index.html": DASHBOARD}


STARTS = [
    clean,
    with_site_page,
    first_updater_killed_between,
    first_updater_killed_after,
    already_on,
    site_page_edited_meanwhile,
    site_page_removed_meanwhile,
    deployed_anew_meanwhile,
    original_under_both_names,
    temporary_files_left,
]


def killed_before_call(number: int, action: Action, settings: Settings) -> bool:
    """Run `action` in a child that dies before its call `number` of the system; whether it came to that."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # fork beside threads: the child only calls us
        child = os.fork()
    if child == 0:
        calls = itertools.count(1)

        def die(_frame: FrameType, event: str, called: object) -> None:
            if event == "c_call" and getattr(called, "__name__", "") in CALLS and next(calls) == number:
                os._exit(137)

        sys.setprofile(die)
        try:
            action(settings)
        except BaseException:  # noqa: BLE001 - whatever it is, it must not run pytest a second time
            os._exit(1)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, 137)
    return code == 137


def assert_restored(settings: Settings, expected: Folder) -> None:
    assert content(settings) == expected
    index = (folder_of(settings) / "index.html").stat()
    assert (index.st_mode & 0o7777, index.st_mtime_ns, index.st_nlink) == (0o640, WRITTEN_NS, 1)


def no_links(*_paths: object, **_options: object) -> None:
    raise OSError(errno.EPERM, "Operation not permitted")


@pytest.mark.parametrize("links", [True, False], ids=["links", "no_links"])
@pytest.mark.parametrize("action", [on, maintenance.off])
@pytest.mark.parametrize("start", STARTS)
def test_a_kill_before_any_call_leaves_a_page_and_off_brings_the_original_back(
    start: Callable[[Path], tuple[Settings, Folder]],
    action: Action,
    links: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not links:
        monkeypatch.setattr(os, "link", no_links)
    for number in itertools.count(1):
        settings, expected = start(tmp_path / "front")
        index = folder_of(settings) / "index.html"
        served = index.is_file()
        died = killed_before_call(number, action, settings)
        assert index.is_file() or (died and not served)
        assert not index.exists() or index.read_bytes() != b""
        maintenance.off(settings)
        assert_restored(settings, expected)
        assert not maintenance.off(settings)
        if not died:
            break
    assert number > 2


def test_a_second_kill_while_off_repairs_the_first_one_is_repaired_too(tmp_path: Path) -> None:
    for first in itertools.count(1):
        for second in itertools.count(1):
            settings, expected = with_site_page(tmp_path / "front")
            died_on = killed_before_call(first, on, settings)
            died_off = killed_before_call(second, maintenance.off, settings)
            assert (folder_of(settings) / "index.html").is_file()
            assert on(settings)
            maintenance.off(settings)
            assert_restored(settings, expected)
            if not died_off:
                break
        if not died_on:
            break
    assert first > 10


@pytest.mark.parametrize("start", STARTS)
def test_the_page_is_up_after_on_from_every_state_and_on_twice(
    start: Callable[[Path], tuple[Settings, Folder]], tmp_path: Path
) -> None:
    settings, expected = start(tmp_path / "front")
    for _ in range(2):
        assert on(settings)
        assert maintenance.is_on(settings)
        assert content(settings)["index-original.html"] == expected["index.html"]
    assert maintenance.off(settings)
    assert not maintenance.is_on(settings)
    assert_restored(settings, expected)


def test_the_sites_own_page_is_served_byte_for_byte_and_stays_where_it_is(tmp_path: Path) -> None:
    settings, _ = with_site_page(tmp_path / "front")
    on(settings)
    files = content(settings)
    assert files["index.html"] == files["updating_data.html"] == SITE


def test_an_empty_page_of_the_site_is_not_served(tmp_path: Path) -> None:
    settings = fill(tmp_path / "front", {"index.html": DASHBOARD, "updating_data.html": b""})
    on(settings)
    assert maintenance.MARK.encode() in content(settings)["index.html"]


def test_the_page_is_readable_by_the_web_server_and_belongs_to_the_owner_of_the_original(
    front: Settings,
) -> None:
    index = folder_of(front) / "index.html"
    if os.geteuid() == 0:
        os.chown(index, 12345, 54321)
    owner = (index.stat().st_uid, index.stat().st_gid)
    on(front)
    page = index.stat()
    assert page.st_mode & 0o444 == 0o444
    assert (page.st_uid, page.st_gid) == owner
    maintenance.off(front)
    assert (index.stat().st_uid, index.stat().st_gid) == owner


def test_a_front_end_deployed_over_the_first_updaters_page_wins_and_the_old_one_is_set_aside(
    tmp_path: Path,
) -> None:
    settings, _ = first_updater_killed_after(tmp_path / "front")
    deploy(settings)
    maintenance.off(settings)
    assert content(settings) == {"index.html": NEWER, "index-replaced.html": DASHBOARD}


def test_a_front_end_that_speaks_of_updates_but_was_deployed_later_is_not_taken_for_a_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = fill(tmp_path / "front", {"index.html": SITE, "index-original.html": DASHBOARD})
    monkeypatch.setattr(maintenance, "_SAME_MOMENT_NS", 0)  # a file's change time cannot be set
    maintenance.off(settings)
    assert content(settings) == {"index.html": SITE, "index-replaced.html": DASHBOARD}


def test_a_deploy_that_brings_the_sites_page_along_wins_over_the_old_original(tmp_path: Path) -> None:
    files = {"index.html": NEWER, "index-original.html": DASHBOARD, "updating_data.html": SITE}
    settings = fill(tmp_path / "front", files)
    assert on(settings)
    maintenance.off(settings)
    kept = {"index.html": NEWER, "updating_data.html": SITE, "index-replaced.html": DASHBOARD}
    assert content(settings) == kept


def test_our_page_is_known_by_its_mark_when_the_record_is_lost(front: Settings) -> None:
    on(front)
    (folder_of(front) / maintenance.RECORD).unlink()
    maintenance.off(front)
    assert_restored(front, {"index.html": DASHBOARD})


@pytest.mark.parametrize("links", [True, False], ids=["links", "no_links"])
def test_a_symbolic_link_is_replaced_and_put_back_and_what_it_leads_to_is_never_touched(
    tmp_path: Path, links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not links:
        monkeypatch.setattr(os, "link", no_links)
    target = tmp_path / "release-7.html"
    target.write_bytes(DASHBOARD)
    settings = fill(tmp_path / "front", {})
    index = folder_of(settings) / "index.html"
    index.symlink_to("../release-7.html")
    on(settings)
    assert maintenance.MARK in index.read_text(encoding="utf-8")
    assert target.read_bytes() == DASHBOARD
    maintenance.off(settings)
    assert index.readlink() == Path("../release-7.html")
    assert target.read_bytes() == DASHBOARD
    assert content(settings) == {"index.html": DASHBOARD}


def test_without_a_front_end_folder_nothing_is_done() -> None:
    settings = Settings(frontend_dir=None)
    maintenance.check(settings)
    assert not on(settings)
    assert not maintenance.is_on(settings)
    assert not maintenance.off(settings)


@pytest.mark.parametrize("action", [maintenance.check, on, maintenance.off])
@pytest.mark.parametrize("name", ["missing", "a_file"])
def test_a_folder_that_is_none_is_named(name: str, action: Action, tmp_path: Path) -> None:
    (tmp_path / "a_file").write_text("x")
    with pytest.raises(FrontEndError, match=str(tmp_path / name)) as caught:
        action(Settings(frontend_dir=tmp_path / name))
    assert caught.value.exit_code == 7
    assert "FRONTEND_DIR" in caught.value.hint("es")


@pytest.mark.parametrize("action", [maintenance.check, on, maintenance.off])
@pytest.mark.parametrize("kind", ["missing", "folder", "dangling", "fifo"])
def test_a_missing_index_is_named_and_nothing_is_touched(kind: str, action: Action, tmp_path: Path) -> None:
    settings = fill(tmp_path / "front", {"updating_data.html": SITE})
    index = folder_of(settings) / "index.html"
    make: dict[str, Callable[[], object]] = {
        "missing": lambda: None,
        "folder": index.mkdir,
        "dangling": lambda: index.symlink_to("nowhere"),
        "fifo": lambda: os.mkfifo(index),
    }
    make[kind]()
    before = sorted(folder_of(settings).iterdir())
    with pytest.raises(FrontEndError, match=str(index)):
        action(settings)
    assert sorted(folder_of(settings).iterdir()) == before


@pytest.mark.parametrize("action", [maintenance.check, on, maintenance.off])
def test_a_loading_page_whose_original_was_deleted_is_told(action: Action, front: Settings) -> None:
    on(front)
    (folder_of(front) / "index-original.html").unlink()
    with pytest.raises(FrontEndError, match="deploy the front end again"):
        action(front)
    assert maintenance.MARK.encode() in content(front)["index.html"]


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that an ordinary user can reach, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="udt-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def as_ordinary_user(action: Action, settings: Settings) -> int:
    """The exit code of `action` in a child without root's rights: 7 if it named the folder, else 0 or 1."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        code = 1
        try:
            if os.geteuid() == 0:
                os.setgid(65534)
                os.setuid(65534)
            action(settings)
            code = 0
        except FrontEndError as error:
            code = 7 if str(settings.frontend_dir) in error.detail else 1
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("action", [maintenance.check, on])
def test_a_folder_that_may_not_be_written_is_named_before_anything_is_touched(
    action: Action, public_folder: Path
) -> None:
    settings = fill(public_folder / "front", {"index.html": DASHBOARD})
    folder_of(settings).chmod(0o555)
    code = as_ordinary_user(action, settings)
    folder_of(settings).chmod(0o755)
    assert code == 7
    assert_restored(settings, {"index.html": DASHBOARD})


def test_an_index_that_belongs_to_another_user_is_served_again_with_its_content_and_mode(
    public_folder: Path,
) -> None:
    settings = fill(public_folder / "front", {"index.html": DASHBOARD})
    folder_of(settings).chmod(0o777)
    (folder_of(settings) / "index.html").chmod(0o644)
    assert as_ordinary_user(on, settings) == 0
    assert maintenance.is_on(settings)
    assert as_ordinary_user(maintenance.off, settings) == 0
    assert content(settings) == {"index.html": DASHBOARD}
    index = (folder_of(settings) / "index.html").stat()
    assert (index.st_mode & 0o777, index.st_mtime_ns) == (0o644, WRITTEN_NS)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


def test_a_browser_that_kept_the_loading_page_gets_the_original_when_it_is_back(front: Settings) -> None:
    handler = functools.partial(_Quiet, directory=str(front.frontend_dir))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/"
        on(front)
        with urllib.request.urlopen(url) as page:
            kept_since = page.headers["Last-Modified"]
        maintenance.off(front)
        with urllib.request.urlopen(urllib.request.Request(url, headers={"If-Modified-Since": kept_since})) as answer:
            assert answer.read() == DASHBOARD
        with pytest.raises(urllib.error.HTTPError, match="304"):  # the server does answer "not modified"
            urllib.request.urlopen(urllib.request.Request(url, headers={"If-Modified-Since": formatdate(usegmt=True)}))
        server.shutdown()


def test_our_page_tells_in_two_languages_when_it_began_and_reloads_itself(front: Settings) -> None:
    on(front)
    page = content(front)["index.html"].decode()
    assert '<html lang="es">' in page
    assert "23 de noviembre de 2025 a las 03:04" in page
    assert "23 November 2025 at 03:04" in page
    assert "America/Santiago" in page
    assert "UTC−03:00" in page
    assert '<meta http-equiv="refresh" content="60">' in page
    assert '<meta name="robots" content="noindex, nofollow">' in page
    assert "http://" not in page
    assert "https://" not in page


def test_our_page_begins_with_the_language_of_the_settings_and_the_offset_of_the_season(
    front: Settings,
) -> None:
    english = front.model_copy(update={"language": "en"})
    maintenance.on(english, started=STARTED - timedelta(days=150))
    page = content(front)["index.html"].decode()
    assert '<html lang="en">' in page
    assert page.index("We are updating") < page.index("Estamos actualizando")
    assert "26 June 2025 at 02:04" in page
    assert "UTC−04:00" in page


@pytest.mark.parametrize("language", ["es", "en"])
def test_our_page_tells_in_both_languages_when_it_is_usually_gone_if_that_is_known(
    front: Settings, language: str
) -> None:
    chosen = front.model_copy(update={"language": language})
    maintenance.on(chosen, started=STARTED)
    assert "usually done" not in content(front)["index.html"].decode()
    maintenance.on(chosen, started=STARTED, expected=STARTED + timedelta(minutes=40))
    page = content(front)["index.html"].decode()
    for words in ("It is usually done by about", "Suele terminar hacia las"):
        told = page.partition(words)[2].partition("</time>")[0]
        assert told.endswith(">" + f"{(STARTED + timedelta(minutes=40)).astimezone(front.zone):%H:%M}")

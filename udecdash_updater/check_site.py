"""Checks of what lies on this machine: settings, secrets, canvasDataCli, dump, disk, front end; and of the mail."""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

from dotenv import dotenv_values

from udecdash_updater import (
    canvas_cli,
    compiled,
    dap,
    dap_batches,
    dump,
    maintenance,
    notifier,
    script,
    sources,
    webhook,
)
from udecdash_updater.errors import NoticeError, ReportError
from udecdash_updater.fields import redis_secrets
from udecdash_updater.findings import Finding, failed, ok, warning
from udecdash_updater.language import Both, say
from udecdash_updater.logs import SecretMask
from udecdash_updater.notice import Notice, in_words
from udecdash_updater.settings import ADDRESS_FIELDS, SECRET_FIELDS, SECRET_NAMES, Settings
from udecdash_updater.version import VERSION

STALE_SECONDS = 36 * 3600
_LEAST_FREE = 1_000_000_000
_LEAST_SECRET = 8


def program_is_whole() -> Iterator[Finding]:
    """Which version it is, and what does the innermost loops of its loads."""
    if compiled.STATE == "unusable":
        yield warning("program", say("loops unusable", version=VERSION), say("compile again"))
    else:
        yield ok("program", say("loops compiled" if compiled.LOOPS else "loops absent", version=VERSION))


def settings_are_usable(settings: Settings, folder: Path) -> Iterator[Finding]:
    """All of them can be used; some are odd."""
    main = script.read(folder)
    strange = sources.misspelled((*main.strange, *dotenv_values(folder / ".env")))
    if main.computed:
        told = say("settings computed", names=", ".join(main.computed))
        yield warning("settings", told, say("move to env", path=folder / ".env"))
    if strange:
        told = say("settings misspelled", names=", ".join(strange))
        yield warning("settings", told, say("settings meant", names=", ".join(strange.values())))
    if not (main.computed or strange):
        yield ok("settings", say("settings fine", count=len(settings.model_fields_set)))


def secrets_are_private(folder: Path) -> Iterator[Finding]:
    """Files that hold secrets are closed to other accounts."""
    holders = [folder / ".env"]
    if set(script.read(folder).values) & set(SECRET_NAMES):
        holders.append(folder / script.MAIN)
    open_ones = [path for path in holders if path.exists() and path.stat().st_mode & stat.S_IRWXO]
    if open_ones:
        named = " ".join(map(str, open_ones))
        yield warning("secrets", say("secrets open", files=named), f"chmod o-rwx {named}")
    else:
        yield ok("secrets", say("secrets closed"))


def secrets_are_long(settings: Settings) -> Iterator[Finding]:
    """Every secret is masked, short ones too: a short one makes log and mail unreadable, and is easy to guess."""
    values = {name: getattr(settings, name).get_secret_value() for name in SECRET_FIELDS if name not in ADDRESS_FIELDS}
    values["redis_url"] = min(filter(None, redis_secrets(settings.redis_url.get_secret_value())), key=len, default="")
    short = [name.upper() for name, value in values.items() if 0 < len(value) < _LEAST_SECRET]
    if short:
        told = say("secrets short", names=", ".join(short), least=_LEAST_SECRET)
        yield warning("secrets", told, say("choose longer"))


def download_works(settings: Settings) -> Iterator[Finding]:
    """What downloads is there: canvasDataCli saves where we look, or the Data Access Platform takes our key."""
    if not settings.enable_download:
        yield ok("download", say("download off"))
        return
    if settings.from_dap:
        away = dap.answers(settings)
        told = say("dap answers", command=settings.server_dap_command_path, url=settings.dap_api_url)
        yield warning("download", away, say("dap away")) if away else ok("download", told)
        if settings.clear_directories_before_download:
            yield warning("clear", say("dap whole"), say("dap changes only"))
        return
    canvas_cli.check(settings)
    if elsewhere := canvas_cli.saves_elsewhere(settings):
        yield warning("download", elsewhere, say("same folder"))
    else:
        yield ok("download", say("download there", command=settings.server_canvas_data_cli_command_path))


def dump_is_fresh(settings: Settings) -> Iterator[Finding]:
    """The dump on disk is one, and not old."""
    folder = settings.path_data_files
    if folder and settings.from_dap:
        yield _batches(folder)
        return
    if folder is None or _none_yet(settings, folder):
        yield ok("dump", say("dump none"))
        return
    found = dump.read(folder)
    files = [file for listed in found.files.values() for file in listed]
    age = max(0.0, time.time() - (folder / "schema.json").stat().st_mtime)  # the clock may have been set back since
    stored = sum(file.size for file in files)
    told = say("dump there", files=len(files), tables=len(found.tables), bytes=stored, age=age)
    if age > STALE_SECONDS:
        yield warning("dump", told, say("dump old"), dump_age=age)
    else:
        yield ok("dump", told, dump_age=age)


@dump.told()
def _none_yet(settings: Settings, folder: Path) -> bool:
    return settings.enable_download and not (folder / "schema.json").exists()


def _batches(folder: Path) -> Finding:
    found = dap_batches.read(folder)
    if damaged := [why for batch in found if (why := batch.damage())]:
        return warning("dump", damaged[0], say("batch damaged"))
    stored, tables = sum(file.size for batch in found for file in batch.files), {batch.name for batch in found}
    return ok("dump", say("batches wait", batches=len(found), tables=len(tables), bytes=stored))


def disk_has_room(settings: Settings) -> Iterator[Finding]:
    """There is room for the next download."""
    folder = settings.path_data_files or settings.udecdash_home
    free = shutil.disk_usage(existing(folder)).free
    stored = _stored(folder, settings)
    # Cleared folders wait beside the new ones until these are whole.
    wanted = max(_LEAST_FREE, stored if settings.clear_directories_before_download else stored // 4)
    told = say("disk free", bytes=free, folder=folder)
    if free < wanted:
        yield warning("disk", say("disk full", free=told, wanted=wanted), f"df -h {existing(folder)}", disk_free=free)
    else:
        yield ok("disk", told, disk_free=free)


def _stored(folder: Path, settings: Settings) -> int:
    """Bytes of what was downloaded: the dump's tables, or batches that wait."""
    pattern = "*/*/*.gz" if settings.from_dap else "*/*.gz"
    return sum(path.lstat().st_size for path in folder.glob(pattern) if path.is_file() and not path.is_symlink())


def existing(path: Path) -> Path:
    """The path, or the nearest folder above it that is there and may be looked at."""
    return next(place for place in (path, *path.parents) if _is_there(place))


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except PermissionError:
        return False


def front_end_is_there(settings: Settings) -> Iterator[Finding]:
    """The loading page can be put up, and is not up for nothing."""
    if settings.frontend_dir is None:
        yield ok("front end", say("front end none"))
        return
    maintenance.check(settings)
    yield ok("front end", say("front end fine", folder=settings.frontend_dir))


def report_can_be_written(settings: Settings) -> Iterator[Finding]:
    """The folders of pages and metrics may be written into; that of the pages is made where it is missing."""
    pages, metrics = settings.report_dir, settings.metrics_file
    folders = [*([existing(pages)] if pages else []), *([metrics.parent] if metrics else [])]
    closed = next((one for one in folders if not os.access(one, os.W_OK | os.X_OK)), None)
    if not folders:
        yield ok("report", say("report none"))
    elif closed:
        yield warning("report", say("page unwritable", path=closed), Both(*map(ReportError().hint, ("en", "es"))))
    else:
        yield ok("report", say("report fine", names=", ".join(map(str, filter(None, (pages, metrics))))))


def mail_goes_out(settings: Settings, *, notify: bool) -> Iterator[Finding]:
    """Somebody is told when a night fails; a test is sent when asked for."""
    ways = [name for name in ("webhook_url", "heartbeat_url") if getattr(settings, name).get_secret_value()]
    if not notifier.configured(settings):
        blank = say("mail blank")
        if ways:
            yield ok("mail", say("mail other way", blank=blank, names=", ".join(ways).upper()))
        else:
            yield warning("mail", say("mail nobody", blank=blank), say("mail fill in"))
    elif away := notifier.answers(settings):
        yield warning("mail", away, Both(*map(NoticeError().hint, ("en", "es"))))
    elif not notify:
        yield ok("mail", say("mail fine", host=settings.smtp_host, count=len(settings.notification_emails)))
    if notify:
        yield from _test_notices(settings)


def _test_notices(settings: Settings) -> Iterator[Finding]:
    mask = SecretMask(settings.secrets())
    notice = Notice(None, datetime.now(timezone.utc), test=True)
    try:
        notifier.send(settings, notice, mask)
        webhook.send(settings, in_words(notice, settings, mask.mask))
    except NoticeError as error:
        yield failed("test notice", error)
    else:
        addresses = ", ".join(settings.notification_emails) or say("notice by mail to nobody")
        yield ok("test notice", say("notice sent", addresses=addresses))

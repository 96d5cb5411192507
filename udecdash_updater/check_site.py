"""Checks of what lies on this machine: settings, secrets, canvasDataCli, dump, disk, front end; and of the mail."""

from __future__ import annotations

import shutil
import stat
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

from udecdash_updater import canvas_cli, dap, dap_batches, dump, maintenance, notifier, script, webhook
from udecdash_updater.errors import NoticeError
from udecdash_updater.findings import Finding, failed, ok, warning
from udecdash_updater.logs import SecretMask
from udecdash_updater.notice import Notice, in_words
from udecdash_updater.settings import SECRET_NAMES, Settings
from udecdash_updater.units import duration, size

STALE_SECONDS = 36 * 3600
_LEAST_FREE = 1_000_000_000


def settings_are_usable(settings: Settings, folder: Path) -> Iterator[Finding]:
    """All of them can be used; some are odd."""
    computed = script.read(folder).computed
    if computed:
        told = f"main.py computes {', '.join(computed)}; commands cannot see that"
        yield warning("settings", told, f"Move them into {folder / '.env'}.")
    else:
        yield ok("settings", f"{len(settings.model_fields_set)} are set, the others have their default")


def secrets_are_private(folder: Path) -> Iterator[Finding]:
    """Files that hold secrets are closed to other accounts."""
    holders = [folder / ".env"]
    if set(script.read(folder).values) & set(SECRET_NAMES):
        holders.append(folder / script.MAIN)
    open_ones = [path for path in holders if path.exists() and path.stat().st_mode & stat.S_IRWXO]
    if open_ones:
        named = " ".join(map(str, open_ones))
        yield warning("secrets", f"other accounts can read {named}", f"chmod o-rwx {named}")
    else:
        yield ok("secrets", "no other account can read them")


def download_works(settings: Settings) -> Iterator[Finding]:
    """What downloads is there: canvasDataCli saves where we look, or the Data Access Platform takes our key."""
    if not settings.enable_download:
        yield ok("download", "ENABLE_DOWNLOAD is off")
        return
    if settings.from_dap:
        away = dap.answers(settings)
        told = f"{settings.server_dap_command_path} is there, and {settings.dap_api_url} takes the key"
        yield warning("download", away, "Check DAP_API_URL and the network.") if away else ok("download", told)
        return
    canvas_cli.check(settings)
    if elsewhere := canvas_cli.saves_elsewhere(settings):
        yield warning("download", elsewhere, "Make both the same folder.")
    else:
        yield ok("download", f"{settings.server_canvas_data_cli_command_path} and its config.js are there")


def dump_is_fresh(settings: Settings) -> Iterator[Finding]:
    """The dump on disk is one, and not old."""
    folder = settings.path_data_files
    if folder and settings.from_dap:
        yield _batches(folder)
        return
    if folder is None or (settings.enable_download and not (folder / "schema.json").exists()):
        yield ok("dump", "none is there yet; the first night downloads it")
        return
    found = dump.read(folder)
    files = [file for listed in found.files.values() for file in listed]
    age = time.time() - (folder / "schema.json").stat().st_mtime
    told = f"{len(files)} files of {len(found.tables)} tables, {size(sum(file.size for file in files))}, "
    told += f"downloaded {duration(age)} ago"
    if age > STALE_SECONDS:
        yield warning(
            "dump", told, "Look at the log of the last night: the download does not get through.", dump_age=age
        )
    else:
        yield ok("dump", told, dump_age=age)


def _batches(folder: Path) -> Finding:
    found = dap_batches.read(folder)
    if damaged := [why for batch in found if (why := batch.damage())]:
        return warning("dump", damaged[0], "Delete its folder: what it held is fetched anew.")
    stored = size(sum(file.size for batch in found for file in batch.files))
    return ok("dump", f"{len(found)} batches of {len({batch.name for batch in found})} tables wait, {stored}")


def disk_has_room(settings: Settings) -> Iterator[Finding]:
    """There is room for the next download."""
    folder = settings.path_data_files or settings.udecdash_home
    free = shutil.disk_usage(existing(folder)).free
    stored = sum(path.stat().st_size for path in folder.glob("*/*.gz") if path.is_file())
    # Cleared folders wait beside the new ones until these are whole.
    wanted = max(_LEAST_FREE, stored if settings.clear_directories_before_download else stored // 4)
    told = f"{size(free)} are free for {folder}"
    if free < wanted:
        yield warning("disk", f"{told}; a night may need {size(wanted)}", f"df -h {existing(folder)}", disk_free=free)
    else:
        yield ok("disk", told, disk_free=free)


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
        yield ok("front end", "FRONTEND_DIR is blank: no loading page")
        return
    maintenance.check(settings)
    yield ok("front end", f"{settings.frontend_dir} can be written")


def mail_goes_out(settings: Settings, *, notify: bool) -> Iterator[Finding]:
    """Somebody is told when a night fails; a test is sent when asked for."""
    ways = [name for name in ("webhook_url", "heartbeat_url") if getattr(settings, name).get_secret_value()]
    if not notifier.configured(settings):
        told = "SMTP_HOST or NOTIFICATION_EMAILS is blank" + (f"; {', '.join(ways).upper()} is set" if ways else "")
        yield (
            ok("mail", told)
            if ways
            else warning("mail", f"{told}: nobody is told", "Fill both in, in main.py or .env.")
        )
    elif away := notifier.answers(settings):
        yield warning("mail", away, NoticeError().hint())
    elif not notify:
        told = f"{settings.smtp_host} takes us; {len(settings.notification_emails)} addresses"
        yield ok("mail", f"{told} (--notify sends a test)")
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
        yield ok("test notice", f"sent to {', '.join(settings.notification_emails) or 'nobody by mail'}")

"""The stages of a night, in the order in which they run; each takes the Night and leaves its mark on it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from udecdash_updater import (
    canvas_data_1,
    canvas_data_2,
    dashboard,
    dispatch,
    embedded,
    ledger,
    maintenance,
    notices,
    notifier,
    summary,
    tables,
    workers,
)
from udecdash_updater.demo import site
from udecdash_updater.errors import DumpError, UpdaterError
from udecdash_updater.language import say
from udecdash_updater.logs import LOGGER
from udecdash_updater.night import Night, Source
from udecdash_updater.settings import Settings


def check(night: Night) -> None:
    """Servers, lock, database, command line and front end are there; what only marrs the night is noted."""
    demonstrates = night.settings.embedded_database and night.settings.path_data_files is None
    night.settings = night.resources.enter_context(embedded.servers(night.settings))
    if demonstrates:  # after the servers, which see to it that no other run is at work in this home
        served = site.opened(night.settings.udecdash_home, dap=night.settings.from_dap)
        night.site = night.resources.enter_context(served)
        night.settings = night.settings.model_copy(update=night.site.values)
    settings = night.settings
    night.ledger = ledger.open_run(settings, night.options.tables)
    night.resources.callback(night.ledger.close)
    night.progress.listeners.append(night.ledger.record_progress)
    if untold := notices.begun(settings):  # not before the run lock is ours: another run has a heartbeat of its own
        night.warn(untold)
    dashboard.prepare(settings)
    _note(night, settings)
    _source(night).check(night)
    if not settings.enable_download and settings.path_data_files and not settings.path_data_files.is_dir():
        raise DumpError(say("setting not folder", name="PATH_DATA_FILES", path=settings.path_data_files))
    maintenance.check(settings)


def _note(night: Night, settings: Settings) -> None:
    if settings.path_concat != os.sep:
        LOGGER.warning(say("path concat unused"))
    if not notifier.configured(settings):
        LOGGER.warning(say("nobody told"))
    if away := notifier.answers(settings):
        night.warn(say("no mail", why=away))
    if away := dispatch.answers(settings):
        LOGGER.warning(say("redis away", why=away))


def clear(night: Night) -> None:
    """What has to come anew is moved aside."""
    _source(night).clear(night)


def download(night: Night) -> None:
    """What is new is fetched."""
    _source(night).download(night)


def verify(night: Night) -> None:
    """What was fetched is whole, and can be what Canvas has."""
    _source(night).verify(night)


def _source(night: Night) -> Source:
    return canvas_data_2.SOURCE if night.settings.from_dap else canvas_data_1.SOURCE


def maintenance_on(night: Night) -> None:
    """The front end shows its loading page, with the hour at which it is usually gone."""
    usual = night.open_ledger.rows("usual_page_seconds")[0][0]
    expected = datetime.now(timezone.utc) + timedelta(seconds=usual) if usual else None
    maintenance.on(night.settings, started=night.open_ledger.started, expected=expected)


def stop_workers(night: Night) -> None:
    """The workers end their jobs and stop; if they do not, the night goes on with a warning."""
    try:
        workers.stop(night.settings)
    except UpdaterError as error:
        night.warn(error)


def load_tables(night: Night) -> None:
    """All tables but requests become what was fetched, in one transaction."""
    _source(night).load_tables(night)


def load_requests(night: Night) -> None:
    """The requests that are new are appended, in one transaction; lines that were left out are told."""
    _source(night).load_requests(night)
    left_out = night.open_ledger.rows("rejected_lines")[0][0]
    if left_out:
        night.warn(say("lines left out", count=left_out, run=night.run))


def start_workers(night: Night) -> None:
    """The workers run again, whatever happened before."""
    workers.start(night.settings)


def maintenance_off(night: Night) -> None:
    """The front end is back, whatever happened before."""
    maintenance.off(night.settings)


def enqueue(night: Night) -> None:
    """What is due becomes jobs; on the embedded default, or when asked to, the run waits for them."""
    night.enqueued = dispatch.enqueue(night.settings, night.run, awaited=night.waits)
    if night.waits:
        dispatch.wait(night.settings, night.run, night.progress.jobs)


def keep_lines(night: Night) -> None:
    """What was loaded by all its lines is kept line by line, when nobody waits for it any more; it saves time alone."""
    try:
        with night.progress.over([file for one in night.published if one.unkept for file in one.unkept.files]):
            tables.keep_lines(night.settings, night.published)
    except UpdaterError as error:
        LOGGER.warning(say("lines not kept", error=error))


def report(night: Night) -> None:
    """The night in numbers; without them the night is done as well."""
    try:
        night.summary = summary.read(night.settings, night.run)
    except UpdaterError as error:
        night.warn(say("no summary", error=error))


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of the night.

    `restores`: it runs whatever failed before, to put site and workers back. `ends`: its failure ends the night.
    """

    name: str
    work: Callable[[Night], None]
    restores: bool = False
    ends: bool = True


STAGES = (
    Stage("check", check),
    Stage("clear", clear),
    Stage("download", download),
    Stage("verify", verify),
    Stage("maintenance on", maintenance_on),
    Stage("workers stop", stop_workers),
    Stage("load tables", load_tables),
    Stage("load requests", load_requests),
    Stage("workers start", start_workers, restores=True, ends=False),
    Stage("maintenance off", maintenance_off, restores=True, ends=False),
    Stage("enqueue", enqueue, ends=False),
    Stage("keep lines", keep_lines, ends=False),
    Stage("report", report, ends=False),
)

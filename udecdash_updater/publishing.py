"""What a run leaves for people and machines to read: the report's pages and the metrics. It cannot fail the night."""

from __future__ import annotations

from datetime import datetime

from udecdash_updater import backlog, figures, metrics, report_page
from udecdash_updater.errors import UpdaterError
from udecdash_updater.language import Told, say
from udecdash_updater.logs import LOGGER
from udecdash_updater.settings import Settings


def jobs_ended(settings: Settings, run: int) -> None:
    """Tell of a run once more, when its last job has ended after it: its pages, and the metrics of the newest run.

    Only where REPORT_DIR or METRICS_FILE is among `settings`, which are a worker's. What cannot be written is logged.
    """
    if settings.report_dir is None and settings.metrics_file is None:
        return
    try:
        with report_page.alone(settings):
            found = figures.read(settings, run, runs=report_page.SHOWN_NIGHTS)
            if found.run.ended is None or found.run.exit_code is None:  # it writes them itself, when it ends
                return
            left = backlog.read(settings)
            if settings.report_dir:
                report_page.write_pages(settings, found, left)
            if found.next_run is None:
                metrics.write(settings, found.run.started, found.run.exit_code, found, left)
    except UpdaterError as error:
        LOGGER.error(say("jobs not reported", run=run, error=error))


def publish(settings: Settings, run: int | None, started: datetime, exit_code: int) -> list[Told]:
    """Write pages and metrics of a run that has ended, where they are wanted; `run` is None if it got no number.

    Returns why some could not be written, one sentence each.
    """
    if settings.report_dir is None and settings.metrics_file is None:
        return []
    found, left = None, None
    untold: list[Told] = []
    if run is not None:
        try:
            with report_page.alone(settings):
                found = figures.read(settings, run, runs=report_page.SHOWN_NIGHTS)
                left = backlog.read(settings)
                if settings.report_dir:
                    report_page.write_pages(settings, found, left)
        except UpdaterError as error:
            untold.append(say("pages not written", error=error))
    try:
        metrics.write(settings, started, exit_code, found, left)
    except UpdaterError as error:
        untold.append(error)
    return untold

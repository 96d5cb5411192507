"""The night: every stage in order, told to ledger and administrators, the site and the workers always put back."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from udecdash_updater import db, ledger, live, logs, notices, pages, plan, publishing, sources, terminal
from udecdash_updater.demo.site import farewell
from udecdash_updater.errors import (
    EXIT_DONE,
    EXIT_WARNINGS,
    DatabaseError,
    RunActiveError,
    SettingsError,
    UpdaterError,
)
from udecdash_updater.interruption import Interruption
from udecdash_updater.language import say
from udecdash_updater.logs import LOGGER, SecretMask, Tail
from udecdash_updater.night import Night
from udecdash_updater.notice import Notice
from udecdash_updater.options import RunOptions
from udecdash_updater.plan import Plan
from udecdash_updater.settings import Settings
from udecdash_updater.stages import STAGES, Stage
from udecdash_updater.summary import Summary


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended: its exit code (design.md's table), its number, what went wrong, and its summary."""

    exit_code: int
    run: int | None = None
    error: UpdaterError | None = None
    stage: str | None = None
    warnings: tuple[str, ...] = ()
    summary: Summary | None = None
    plan: Plan | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """A stage that failed, why, and whether that ends the night."""

    stage: str
    error: UpdaterError
    ends: bool


class DataUpdater:
    """What a main script runs: `DataUpdater().launch()` is one night.

    Settings come from the environment and from .env in `folder` (default: beside the main script).
    """

    def __init__(self, *, folder: Path | None = None) -> None:
        self._folder = folder

    def launch(self, options: RunOptions | None = None) -> RunResult:
        """Run one night. Returns its result and never raises; `.exit_code` is what the script exits with.

        `options` are of this run alone, beyond the settings. With `dry_run` nothing is touched: the result's `plan`
        tells what would be loaded. What this process creates from then on is closed to other accounts.
        """
        os.umask(os.umask(0o077) | 0o027)
        language = sources.language(self._folder or sources.script_folder())
        mask, tail = logs.configure(form=os.environ.get("LOG_FORMAT", "text"), language=language)
        try:
            found = sources.load(self._folder)
        except SettingsError as error:
            LOGGER.error("%s\n%s", error, error.advice)
            return RunResult(error.exit_code, error=error, stage="check")
        mask, tail = logs.configure(found.secrets(), form=found.log_format, language=found.language)
        wanted = options or RunOptions()
        return rehearse(found, wanted) if wanted.dry_run else run(found, mask, tail, wanted)


def rehearse(found: Settings, options: RunOptions) -> RunResult:
    """What a night with these settings would load; it ends like one whose stages check and verify end so."""
    try:
        planned = plan.make(found, options)
    except UpdaterError as error:
        LOGGER.error("%s\n  %s", error, error.advice)
        return RunResult(error.exit_code, error=error)
    if planned.strangers:
        LOGGER.warning(say("strangers", names=", ".join(planned.strangers)))
    return RunResult(EXIT_DONE, plan=planned)


def run(found: Settings, mask: SecretMask, tail: Tail, options: RunOptions) -> RunResult:
    """One night with these settings. `mask` hides secrets, `tail` holds the last log lines for the notice."""
    interruption = Interruption()
    with interruption.handled():
        return _run(found, mask, tail, options, interruption)


def _run(found: Settings, mask: SecretMask, tail: Tail, options: RunOptions, interruption: Interruption) -> RunResult:
    failures: list[Failure] = []
    with contextlib.ExitStack() as resources:
        # Asked of the settings as given: those of running servers no longer say that they are embedded.
        night = Night(found, resources, waits=options.wait or found.embedded_redis, options=options)
        interruption.hurry = lambda: ledger.cancel(night.settings) if night.ledger else None
        begins = resources.enter_context(live.display(night.progress, found.language))
        for position, stage in enumerate(STAGES):
            if _skipped(stage, failures):
                continue
            begins(stage.name)
            if failure := _run_stage(night, position, stage, interruption):
                failures.append(failure)
                if isinstance(failure.error, RunActiveError):
                    return RunResult(failure.error.exit_code, error=failure.error, stage=stage.name)
        _put_back(night, failures)
        _publish(night, failures)
        _tell(night, failures, mask, tail)
        result = _result(night, failures)
        _close(night, result)
    if sys.stdout and not options.silent:
        _show(night, result, found)
    return result


def _show(night: Night, result: RunResult, found: Settings) -> None:
    terminal.bear_any_text()
    if result.summary and (night.site or sys.stdout.isatty()):
        terminal.show_summary(result.summary, found.language)
    if night.site:
        sys.stdout.write(farewell(night.site, found.udecdash_home, found.language))


def _skipped(stage: Stage, failures: list[Failure]) -> bool:
    return any(failure.ends for failure in failures) and not stage.restores


def _run_stage(night: Night, position: int, stage: Stage, interruption: Interruption) -> Failure | None:
    """Run one stage. The one place where every error ends: it is told, and the night decides what still runs."""
    LOGGER.info("%s ...", pages.stage(stage.name), extra={"stage": stage.name})
    warnings, began = len(night.warnings), datetime.now(timezone.utc)
    _note(night, "begin_stage", position, stage.name)
    try:
        with contextlib.nullcontext() if stage.restores else interruption.armed():
            stage.work(night)
    except Exception as error:  # noqa: BLE001 - the one broad except: whatever happened, site and workers are put back
        known = error if isinstance(error, UpdaterError) else _unforeseen(error)
        failed = say("stage failed", stage=pages.stage(stage.name), error=known)
        LOGGER.error("%s\n  %s", failed, known.advice, extra={"stage": stage.name})
        _note(night, "end_stage", position, "failed", known)
        return Failure(stage.name, known, stage.ends)
    if position == 0:  # this stage opened the ledger
        _note(night, "begin_stage", position, stage.name, began)
    _note(night, "end_stage", position, "warning" if len(night.warnings) > warnings else "done")
    return None


def _unforeseen(error: Exception) -> UpdaterError:
    # Where, but not the traceback's own last lines: PostgreSQL's messages quote rows.
    LOGGER.error(say("unforeseen", place="".join(traceback.format_tb(error.__traceback__)).rstrip()))
    if isinstance(error, db.Error):
        return DatabaseError(db.reason(error))
    return UpdaterError(f"{type(error).__name__}: {error}")


def _note(night: Night, what: str, *values: object) -> None:
    if night.ledger is None:
        return
    try:
        getattr(night.ledger, what)(*values)
    except UpdaterError as error:  # PostgreSQL went away: the stage itself will say so
        LOGGER.warning(say("ledger not written", error=error))


def _put_back(night: Night, failures: list[Failure]) -> None:
    try:
        night.put_back()
    except UpdaterError as error:
        LOGGER.error("%s\n  %s", say("clear not undone", error=error), error.advice)
        failures.append(Failure("clear", error, ends=True))


def _publish(night: Night, failures: list[Failure]) -> None:
    """Write the report's pages and the metrics, of failed nights too; what cannot be written is a warning."""
    result = _result(night, failures)
    _record_end(night, result)
    for untold in publishing.publish(night.settings, result.run, night.started, result.exit_code):
        night.warn(untold)


def _tell(night: Night, failures: list[Failure], mask: SecretMask, tail: Tail) -> None:
    """Tell whoever wants to know of the night. A notice never fails it: what cannot be sent is a warning."""
    notice = Notice(
        night.ledger.run if night.ledger else None,
        night.started,
        tuple((failure.stage, failure.error) for failure in failures),
        tuple(night.warnings),
        tail.text(),
        failed_before=_failed_before(night),
    )
    for untold in notices.tell(night.settings, notice, mask):
        night.warn(untold)


def _failed_before(night: Night) -> int:
    try:
        return int(night.ledger.rows("failed_before")[0][0]) if night.ledger else 0
    except UpdaterError:  # PostgreSQL went away: the night has failed as well
        return 0


def _result(night: Night, failures: list[Failure]) -> RunResult:
    first = failures[0] if failures else None
    code = first.error.exit_code if first else EXIT_WARNINGS if night.warnings else EXIT_DONE
    number = night.ledger.run if night.ledger else None
    return RunResult(
        code,
        number,
        first.error if first else None,
        first.stage if first else None,
        tuple(map(str, night.warnings)),
        night.summary,
    )


def _record_end(night: Night, result: RunResult) -> None:
    _note(night, "end_run", result.exit_code, result.error, night.warnings)


def _close(night: Night, result: RunResult) -> None:
    _record_end(night, result)  # once more: who could not be told is a warning too
    took = (datetime.now(timezone.utc) - night.started).total_seconds()
    facts = {"run": result.run, "exit_code": result.exit_code, "seconds": round(took, 3)}
    LOGGER.info(say("run ended", code=result.exit_code, took=took), extra=facts)

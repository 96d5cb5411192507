"""The last run as a text file for Prometheus: METRICS_FILE, which node_exporter's textfile collector reads."""

from __future__ import annotations

from datetime import datetime, timezone

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from udecdash_updater import atomic
from udecdash_updater.backlog import Backlog
from udecdash_updater.errors import EXIT_DONE, EXIT_WARNINGS, ReportError
from udecdash_updater.figures import Figures
from udecdash_updater.language import because, say
from udecdash_updater.notice import one_line
from udecdash_updater.settings import Settings


def write(
    settings: Settings, started: datetime, exit_code: int, found: Figures | None, left: Backlog | None = None
) -> None:
    """Replace METRICS_FILE; nothing where it is blank. Without `found` only the run's end is told.

    Raises ReportError when the file cannot be written.
    """
    if settings.metrics_file is None:
        return
    registry = CollectorRegistry()
    ended = found.run.ended if found else None
    _run(registry, started, ended or datetime.now(timezone.utc), exit_code)
    if found:
        _figures(registry, found)
    if left:
        _backlog(registry, left)
    try:
        atomic.write(settings.metrics_file, generate_latest(registry))
    except OSError as error:
        raise ReportError(say("metrics unwritten", path=settings.metrics_file, why=because(error))) from error


def _gauge(registry: CollectorRegistry, name: str, told: str, *labels: str) -> Gauge:
    return Gauge(f"udecdash_{name}", told, labels, registry=registry)


def _run(registry: CollectorRegistry, started: datetime, ended: datetime, exit_code: int) -> None:
    for name, told, value in (
        ("last_run_start_timestamp_seconds", "When the last run began.", started.timestamp()),
        ("last_run_end_timestamp_seconds", "When the last run ended.", ended.timestamp()),
        ("last_run_duration_seconds", "How long the last run took.", (ended - started).total_seconds()),
        ("last_run_exit_code", "The exit code of the last run.", exit_code),
        ("last_run_success", "1 if the last run was done, warnings or not.", exit_code in (EXIT_DONE, EXIT_WARNINGS)),
    ):
        _gauge(registry, name, told).set(value)


def _figures(registry: CollectorRegistry, found: Figures) -> None:
    _gauge(registry, "last_run_number", "The number of the last run in the ledger.").set(found.run.number)
    seconds = _gauge(registry, "stage_duration_seconds", "How long a stage of the last run took.", "stage", "outcome")
    for stage in found.stages:
        seconds.labels(stage.name, stage.outcome).set(stage.seconds)
    rows = _gauge(registry, "table_rows", "Rows of a table that the last run loaded.", "table")
    changes = _gauge(
        registry, "table_changes", "What the last run did to a table's rows, and lines it rejected.", "table", "change"
    )
    for table in found.tables:
        name = one_line(table.name)
        if table.rows is not None:
            rows.labels(name).set(table.rows)
        for change in ("new", "changed", "gone", "rejected"):
            changes.labels(name, change).set(getattr(table, change))
    if found.interactions:
        kinds = _gauge(registry, "interactions", "Interactions that the dashboard has, by type.", "type")
        for kind, count in found.interactions.by_kind.items():
            kinds.labels(kind.removesuffix("_interactions")).set(count)


def _backlog(registry: CollectorRegistry, left: Backlog) -> None:
    if left.due is not None:
        _gauge(registry, "courses_due", "Courses that wait for their interactions.").set(left.due)
    if left.queues is not None:
        jobs = _gauge(registry, "jobs", "Jobs of the last run, as the ledger tells.", "queue", "state")
        for queue in left.queues:
            for state in ("waiting", "running", "failed"):
                jobs.labels(queue.queue, state).set(getattr(queue, state))

"""Made-up figures of a run and of the runs before it, hostile names and all."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from unittest import mock

from udecdash_updater import figures, report_page
from udecdash_updater.backlog import Backlog, Waiting
from udecdash_updater.figures import Figures, Interactions, Reject, RunFigures, StageFigures, TableFigures
from udecdash_updater.language import Both
from udecdash_updater.resolution import INTERACTION_TABLES
from udecdash_updater.settings import Settings

FIRST = datetime(2026, 9, 27, 8, 30, tzinfo=timezone.utc)
HOSTILE = "<script>alert(1)</script><img src=//x.example/y>\"'&{{ 7*7 }}\udce9"
CODES = {5: 10, 9: 3, 10: 1}
BACKLOG = Backlog(1204, (Waiting("first_queue", 120, 4, 0), Waiting("course_too_long", 3, 1, 2)))
NOBODY = Backlog(None, None)


def run_of(number: int, code: int | None = 0) -> RunFigures:
    """A run of that number, one a day, which ended with this code."""
    began = FIRST + timedelta(days=number)
    moved = 0 if code not in (0, 10) else 12_000_000 if number == 1 else 90_000 + 1000 * number
    errors = {1: "killed", 4: f"The dump cannot be trusted, so nothing of it was published. {HOSTILE}"}
    spanish = errors | {4: f"El volcado no es confiable, por lo que nada de él se publicó. {HOSTILE}"}
    warnings = (Both(f"lines of {HOSTILE} were left out", f"líneas de {HOSTILE} quedaron fuera"),) if code else ()
    return RunFigures(
        number,
        began,
        began + timedelta(minutes=40) if code is not None else None,
        code,
        Both(errors.get(code or 0, ""), spanish.get(code or 0, "")),
        warnings,
        Both("Look at the file.", "Mire el archivo.") if code == 4 else Both("", ""),
        moved,
        moved // 9,
        moved // 30,
        3,
    )


def figures_of(last: int = 60, code: int | None = 0, next_run: int | None = None) -> Figures:
    """What is known of run number `last`, which ended with this code."""
    history = [run_of(number, CODES.get(number, 0)) for number in range(max(1, last - 59), last)]
    outcome = "failed" if code not in (0, 10) else "done"
    return Figures(
        (*history, run_of(last, code)),
        next_run,
        (StageFigures("check", "done", "", 0, 8), StageFigures("verify", outcome, HOSTILE, 9, 290)),
        tuple(
            TableFigures(f"{HOSTILE}_{n}", 3, 1000 * n, 900 * n, 50 * n, 50 * n, n, 90_000 * n, 9 * n, 4 * n, n)
            for n in range(20)
        ),
        (Reject(HOSTILE, HOSTILE, 131, HOSTILE), Reject("t", "f", None, "why")),
        Interactions({kind: tuple(range(0, 240, 10)) for kind in INTERACTION_TABLES}, exact=False),
    )


def write(folder: Path, found: Figures, left: Backlog = BACKLOG, language: str = "es") -> Path:
    """Write the pages of these figures; returns the run's page."""
    with mock.patch.object(figures, "history", lambda _settings, runs: found.history[-runs:]):
        return report_page.write_pages(Settings(report_dir=folder, language=language), found, left)

"""The report: a page for each run and one that leads to them all, in REPORT_DIR, in Spanish and in English.

The pages need no network and no script. A page tells of its night as it was when the page was made; only the link to
the next night is added later.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from markupsafe import escape

from udecdash_updater import atomic, backlog, charts, db, figures, pages, report_view
from udecdash_updater.backlog import Backlog
from udecdash_updater.errors import ReportError, SettingsError
from udecdash_updater.figures import Figures, RunFigures
from udecdash_updater.formats import Format
from udecdash_updater.language import because, say
from udecdash_updater.logs import SecretMask
from udecdash_updater.report_view import SHOWN_NIGHTS
from udecdash_updater.settings import Settings
from udecdash_updater.version import VERSION

__all__ = ["SHOWN_NIGHTS", "alone", "write", "write_pages"]
LISTED_NIGHTS = 400
_PLACE_OF_NEXT = "<!-- the next night -->"
_LANGUAGES = ("es", "en")


def write(settings: Settings, run: int | None = None) -> Path:
    """Write the pages of run number `run` (None: of the newest) and the index, and lead the night before to it.

    Returns the run's page in the settings' language. Raises SettingsError without REPORT_DIR, DatabaseError, and
    ReportError when the folder cannot be written.
    """
    with alone(settings):
        found = figures.read(settings, run, runs=SHOWN_NIGHTS)
        return write_pages(settings, found, backlog.read(settings))


@contextlib.contextmanager
def alone(settings: Settings) -> Iterator[None]:
    """One at a time reads the figures and writes them: else older ones could come to stand over newer ones.

    Raises DatabaseError.
    """
    with db.looking(settings) as cursor:
        db.run(cursor, "lock_pages")  # until the session ends
        yield


def write_pages(settings: Settings, found: Figures, left: Backlog) -> Path:
    """As `write`, of figures that were read already."""
    folder = settings.report_dir
    if folder is None:
        raise SettingsError([say("problem", name="REPORT_DIR", what=say("report blank"))])
    listed = figures.history(settings, LISTED_NIGHTS)
    try:
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        for language in _LANGUAGES:
            page = _run_page(settings, found, left, language)
            atomic.write(folder / _name(settings, found.run.number, language), page.encode(errors="replace"))
            _lead_on(settings, folder, found, language)
            index = _index_page(settings, listed, language)
            atomic.write(folder / _name(settings, None, language), index.encode(errors="replace"))
    except OSError as error:
        raise ReportError(say("unreadable", path=error.filename or folder, why=because(error))) from error
    return folder / _name(settings, found.run.number, settings.language)


def _name(settings: Settings, run: int | None, language: str) -> str:
    stem = "index" if run is None else f"run-{run:06d}"
    return f"{stem}.html" if language == settings.language else f"{stem}.{language}.html"


def _run_page(settings: Settings, found: Figures, left: Backlog, language: str) -> str:
    fmt, words = Format(language, settings.zone), pages.words(f"report_words.{language}.j2")
    before = found.history[-2].number if len(found.history) > 1 else None
    return _page(
        "report.html",
        settings,
        language,
        run=found.run,
        figures=found,
        backlog=left,
        view=report_view.of_run(found, left, words, fmt),
        row_height=charts.ROW,
        place_of_next=pages.safe(_PLACE_OF_NEXT),
        links={
            "previous": _if_there(settings, before, language),
            "next": _if_there(settings, found.next_run, language),
            "index": _name(settings, None, language),
            "other": _name(settings, found.run.number, _other(language)),
        },
    )


def _if_there(settings: Settings, run: int | None, language: str) -> str:
    """The name of a run's page, if it was written."""
    name = _name(settings, run, language)
    return name if run and settings.report_dir and (settings.report_dir / name).is_file() else ""


def _index_page(settings: Settings, listed: Sequence[RunFigures], language: str) -> str:
    fmt, words = Format(language, settings.zone), pages.words(f"report_words.{language}.j2")
    named = [(run, _name(settings, run.number, language)) for run in reversed(listed)]
    there = {path.name for path in settings.report_dir.iterdir()} if settings.report_dir else set()
    return _page(
        "report_index.html",
        settings,
        language,
        run=listed[-1],
        headline=report_view.headline(listed[-1], words),
        nights=report_view.nights(listed, words, fmt),
        pages=[(run, name if name in there else "") for run, name in named],
        links={"other": _name(settings, None, _other(language))},
    )


def _page(template: str, settings: Settings, language: str, **values: Any) -> str:  # noqa: ANN401 - the template's
    # The ledger holds none, but for what programs other than this one wrote there. As HTML they look otherwise.
    secrets = [shown for secret in settings.secrets() for shown in (secret, str(escape(secret)))]
    page = pages.render(
        template,
        fmt=Format(language, settings.zone),
        words=pages.words(f"report_words.{language}.j2"),
        other=_other(language),
        made=datetime.now(timezone.utc),
        version=VERSION,
        **values,
    )
    return SecretMask(secrets).mask(page)


def _other(language: str) -> str:
    return next(one for one in _LANGUAGES if one != language)


def _lead_on(settings: Settings, folder: Path, found: Figures, language: str) -> None:
    """Give the page of the night before, if it is there and has none yet, its link to this night."""
    if len(found.history) < 2:
        return
    before = folder / _name(settings, found.history[-2].number, language)
    if before.is_symlink() or not before.is_file():
        return
    words = pages.words(f"report_words.{language}.j2")
    name = _name(settings, found.run.number, language)
    text = before.read_text(encoding="utf-8")
    link = f'<a href="{name}" rel="next">{words.next} →</a>'
    if _PLACE_OF_NEXT in text:
        atomic.write(before, text.replace(_PLACE_OF_NEXT, link, 1).encode())

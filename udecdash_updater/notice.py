"""What there is to tell of one run, and the words for it in the settings' language, without secrets."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from udecdash_updater import pages
from udecdash_updater.errors import UpdaterError
from udecdash_updater.language import Told, text
from udecdash_updater.settings import Settings

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
# outcome: (what the subject says, the first sentence)
_OUTCOMES = {
    "es": {
        "failed": ("falló en la etapa {stage}", "La actualización de UDECDash falló en la etapa «{stage}»."),
        "recovered": ("funciona otra vez", "La actualización de UDECDash funciona otra vez; antes falló {times}."),
        "warnings": ("terminó con advertencias", "La actualización de UDECDash terminó con advertencias."),
        "done": ("terminó", "La actualización de UDECDash terminó."),
        "test": ("aviso de prueba", "Esto es una prueba: los avisos de UDECDash llegan."),
    },
    "en": {
        "failed": ("failed in stage {stage}", 'The update of UDECDash failed in stage "{stage}".'),
        "recovered": ("works again", "The update of UDECDash works again; it had failed {times}."),
        "warnings": ("ended with warnings", "The update of UDECDash ended with warnings."),
        "done": ("is done", "The update of UDECDash is done."),
        "test": ("test notice", "This is a test: notices of UDECDash arrive."),
    },
}
_UNNUMBERED = {
    "es": "sin número (la base de datos no la registró)",
    "en": "without a number (the database did not record it)",
}


@dataclass(frozen=True, slots=True)
class Notice:
    """What there is to tell of one run.

    failures: (stage, error) in the order they happened; the first one ended the night. warnings: sentences.
    run: its number in the ledger, None if it never got one. started: aware. log: the last lines.
    failed_before: how many runs in a row had failed before this one. test: there was no run at all.
    """

    run: int | None
    started: datetime
    failures: tuple[tuple[str, UpdaterError], ...] = ()
    warnings: tuple[Told, ...] = ()
    log: str = ""
    host: str = field(default_factory=socket.gethostname)
    failed_before: int = 0
    test: bool = False

    @property
    def outcome(self) -> str:
        """'failed', 'recovered' (the first good run after failed ones), 'warnings', 'done' or 'test'."""
        if self.failures or self.test:
            return "test" if self.test else "failed"
        return "recovered" if self.failed_before else "warnings" if self.warnings else "done"


@dataclass(frozen=True, slots=True)
class Mishap:
    """One stage that failed, in words: where, the exit code, what it was, and what to do about it."""

    stage: str
    code: int
    sentence: str
    detail: str
    hint: str


@dataclass(frozen=True, slots=True)
class Wording:
    """A notice in words, for the templates: every text is masked, its lines without control characters."""

    language: str
    outcome: str
    subject: str
    headline: str
    run: str
    host: str
    began: str
    mishaps: tuple[Mishap, ...]
    warnings: tuple[str, ...]
    log: str


def in_words(notice: Notice, settings: Settings, hide: Callable[[str], str]) -> Wording:
    """The notice in the settings' language and time zone; `hide` masks the secrets in it."""
    language = settings.language

    def clean(told: str) -> str:
        return "\n".join(one_line(line) for line in hide(told).splitlines()).strip("\n")

    def cleaned(stage: str, error: UpdaterError) -> Mishap:
        told = (clean(text) for text in (error.sentence(language), error.told(language), error.hint(language)))
        return Mishap(clean(pages.stage(stage).text(language)), error.exit_code, *told)

    subject, headline = (_headed(words, notice, language) for words in _OUTCOMES[language][notice.outcome])
    return Wording(
        language,
        notice.outcome,
        one_line(hide(f"[UDECDash] {notice.host}: {subject}")),
        clean(headline),
        "–" if notice.test else str(notice.run if notice.run is not None else _UNNUMBERED[language]),
        clean(notice.host),
        f"{notice.started.astimezone(settings.zone):%Y-%m-%d %H:%M}",
        tuple(cleaned(stage, error) for stage, error in notice.failures),
        tuple(clean(text(warning, language)) for warning in notice.warnings),
        clean(notice.log),
    )


def _headed(words: str, notice: Notice, language: str) -> str:
    one, many = ("una vez", "{} veces") if language == "es" else ("once", "{} times")
    times = one if notice.failed_before == 1 else many.format(notice.failed_before)
    stage = pages.stage(notice.failures[0][0]).text(language) if notice.failures else ""
    return words.format(stage=stage, times=times)


def one_line(told: str) -> str:
    """`told` in one line, without control characters and halves of characters, which file names and logs may hold."""
    return _CONTROL.sub(" ", told.encode(errors="replace").decode()).rstrip()

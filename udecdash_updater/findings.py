"""What a check found: OK, a warning or a failure, and what to type then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from udecdash_updater.errors import EXIT_DONE, EXIT_WARNINGS, UpdaterError
from udecdash_updater.language import Both, Told, say, text

OK = "OK"
WARNING = "warning"
FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's outcome (OK, WARNING or FAILED), what it saw, what to do about it, and numbers for monitoring.

    `code` is the exit code of a failure.
    """

    name: str
    outcome: str
    told: Told
    hint: Told = ""
    code: int = EXIT_DONE
    numbers: Mapping[str, float] = field(default_factory=dict)


def ok(name: str, told: Told, **numbers: float) -> Finding:
    """All is well."""
    return Finding(name, OK, told, numbers=numbers)


def warning(name: str, told: Told, hint: Told, **numbers: float) -> Finding:
    """It works, but not as it should."""
    return Finding(name, WARNING, told, hint, EXIT_WARNINGS, numbers)


def failed(name: str, error: UpdaterError, **numbers: float) -> Finding:
    """It does not work: what a night would end with. Told without the error's own sentence, which is of a night."""
    told = Both(*(_detail(error, language) for language in ("en", "es")))
    return Finding(name, FAILED, told, Both(error.hint("en"), error.hint("es")), error.exit_code, numbers)


def _detail(error: UpdaterError, language: str) -> str:
    """What went wrong; a list stands below the error's own sentence."""
    told = error.told(language)
    return told if told and not told.startswith("\n") else error.full(language)


def exit_code(findings: Sequence[Finding]) -> int:
    """The code of the first failure, else 10 with warnings, else 0."""
    codes = [one.code for one in findings if one.outcome == FAILED] or [one.code for one in findings if one.code]
    return codes[0] if codes else EXIT_DONE


def nagios(findings: Sequence[Finding], language: str = "en") -> tuple[str, int]:
    """The one line that Nagios reads, with performance data, and its exit code: 0 OK, 1 warning, 2 critical."""
    bad = [one for one in findings if one.outcome != OK]
    worst = 2 if any(one.outcome == FAILED for one in bad) else 1 if bad else 0
    told = "; ".join(f"{one.name}: {' '.join(text(one.told, language).split())}" for one in bad)
    told = told or text(say("checks passed", count=len(findings)), language)
    failures = sum(one.outcome == FAILED for one in bad)
    numbers: dict[str, float] = {"failed": failures, "warnings": len(bad) - failures}
    numbers |= {name: value for one in findings for name, value in one.numbers.items()}
    data = " ".join(f"{name}={value:g}" for name, value in numbers.items())
    return f"UDECDASH {('OK', 'WARNING', 'CRITICAL')[worst]} - {told.replace('|', '/')} | {data}", worst

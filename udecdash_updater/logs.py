"""The log on stderr, the last lines of it for mails, and the mask that keeps secrets out of both."""

from __future__ import annotations

import collections
import contextlib
import copy
import json
import logging
import re
import sys
from collections.abc import Iterable
from datetime import datetime, timezone

import stamina.instrumentation

from udecdash_updater.language import Spoken, text

LOGGER = logging.getLogger("udecdash_updater")
LAST_LINES = 60  # a failed command tells its own last 30, and what led to it matters as well
_FORMAT = "%(asctime)s %(levelname)s %(message)s"
# What a record may tell beside its message (`extra=`), for programs that read the log as JSON.
_FIELDS = ("run", "stage", "exit_code", "seconds")


class SecretMask(logging.Formatter):
    """Formats records and replaces every known secret in them, tracebacks included, by ***.

    What was logged as words is written in `language`.
    """

    def __init__(self, secrets: Iterable[str] = (), language: str = "en") -> None:
        super().__init__(_FORMAT)
        self._language = language
        known = sorted({secret for secret in secrets if secret}, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, known))) if known else None

    def mask(self, text: str) -> str:
        """`text` with every known secret replaced by ***."""
        return self._pattern.sub("***", text) if self._pattern else text

    def format(self, record: logging.LogRecord) -> str:
        """The record as one masked text."""
        return self.mask(super().format(_spoken(record, self._language)))


def _spoken(record: logging.LogRecord, language: str) -> logging.LogRecord:
    if language == "en":  # which is what words are as texts
        return record
    spoken = copy.copy(record)
    spoken.msg = text(record.msg, language)
    if isinstance(record.args, tuple):
        spoken.args = tuple(one.text(language) if isinstance(one, Spoken) else one for one in record.args)
    return spoken


class JsonLines(SecretMask):
    """The same, each record as one JSON object on a line of its own, in English."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line. Masked before it is JSON: quotes in a secret would be escaped there."""
        told: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "message": self.mask(record.getMessage()),
        }
        told |= {name: getattr(record, name) for name in _FIELDS if hasattr(record, name)}
        if record.exc_info:
            told["exception"] = self.mask(self.formatException(record.exc_info))
        return json.dumps(told)


class _StandardError(logging.Handler):
    """Writes to whatever sys.stderr is at the moment: a progress display puts itself in its place."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record; a log that cannot be written ends nothing."""
        with contextlib.suppress(OSError, ValueError):
            if sys.stderr:
                sys.stderr.write(self.format(record) + "\n")
                sys.stderr.flush()


class Tail(logging.Handler):
    """Keeps the last lines of the log in memory, formatted and masked, for the notice of a failure."""

    def __init__(self, lines: int = LAST_LINES) -> None:
        super().__init__(logging.INFO)
        self._lines: collections.deque[str] = collections.deque(maxlen=lines)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the record."""
        self._lines.extend(self.format(record).splitlines())

    def text(self) -> str:
        """The kept lines, oldest first."""
        return "\n".join(self._lines)


def hidden(text: str) -> str:
    """`text` without the secrets that the log hides now."""
    masks = [handler.formatter for handler in LOGGER.handlers if isinstance(handler.formatter, SecretMask)]
    return masks[0].mask(text) if masks else text


def configure(
    secrets: Iterable[str] = (), *, form: str = "text", level: int = logging.INFO, language: str = "en"
) -> tuple[SecretMask, Tail]:
    """Send our log to stderr, as `form` says ('text' or 'json'), and as text in `language` to a Tail, both masked.

    Returns mask and tail. Calling it again replaces both.
    """
    stamina.instrumentation.set_on_retry_hooks([])  # who retries tells of it in our own words
    known = tuple(secrets)
    mask, tail, shown = SecretMask(known, language), Tail(), _StandardError()
    shown.setFormatter(JsonLines(known) if form == "json" else mask)
    tail.setFormatter(mask)
    for handler in list(LOGGER.handlers):
        LOGGER.removeHandler(handler)
    for handler in (shown, tail):
        LOGGER.addHandler(handler)
    LOGGER.setLevel(level)
    LOGGER.propagate = False
    return mask, tail

"""The program's own log: plain lines, information on stdout, warnings and errors on stderr."""

from __future__ import annotations

import sys
import threading

LEVELS = ("debug", "info", "warn", "log", "error")


class Logger:
    """Writes the lines that are at or above `level`; an unknown level lets everything through, as in the original."""

    def __init__(self, level: str = "info") -> None:
        self._threshold = LEVELS.index(level) if level in LEVELS else -1
        self._lock = threading.Lock()

    def _write(self, level: str, text: str) -> None:
        if LEVELS.index(level) < self._threshold:
            return
        stream = sys.stderr if level in ("warn", "error") else sys.stdout
        with self._lock:
            stream.write(text + "\n")
            stream.flush()

    def debug(self, text: str) -> None:
        """A line for `-l debug`."""
        self._write("debug", text)

    def info(self, text: str) -> None:
        """An ordinary line."""
        self._write("info", text)

    def warn(self, text: str) -> None:
        """A line on stderr that changes no exit code."""
        self._write("warn", text)

    def error(self, text: str) -> None:
        """A line on stderr that explains a failure."""
        self._write("error", text)

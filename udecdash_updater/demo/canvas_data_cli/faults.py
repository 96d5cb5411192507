"""Faults on demand: a JSON list beside the served dumps says what goes wrong, where, and how many times."""

from __future__ import annotations

import fnmatch
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

HELP = """
faults.json in the served folder (or the file that CANVAS_STANDIN_FAULTS names) is a list of objects:
  {"fault": NAME, "times": how often (default: always), ...}   the count is kept in <file>.state
On the API:      api500, api404, unauthorized ("on": "sync" or "schema"); incomplete ("without": [tables]);
                 nothing (an empty list of files); shrunk ("without": [tables], without saying so)
On a file:       ("file": a shell pattern) fail; garbage; leave_tmp;
                 cut ("bytes": N, "content_length": false hides it)
On the process:  ("command": sync (default) or unpack; "at": start, middle or end)
                 hang ("seconds", "stubborn": true ignores SIGTERM); fork ("seconds", "stubborn"); exit ("code": N);
                 kill; flood ("megabytes", "stream": stdout, stderr or both, "one_line": true)
"""


class Faults:
    """The faults of one served folder; `due` tells and counts one."""

    def __init__(self, path: Path, command: str) -> None:
        self._path = path
        self._command = command
        self._lock = threading.Lock()
        self._list: list[dict[str, Any]] = json.loads(path.read_text()) if path.exists() else []

    @classmethod
    def of(cls, served: Path, command: str) -> Faults:
        """The faults of `served`, or of the file that CANVAS_STANDIN_FAULTS names."""
        return cls(Path(os.environ.get("CANVAS_STANDIN_FAULTS") or served / "faults.json"), command)

    def due(self, name: str, **where: str) -> dict[str, Any] | None:
        """The first fault `name` that fits `where` (file: against a pattern) and is not used up; counts it."""
        with self._lock:
            for number, fault in enumerate(self._list):
                if fault["fault"] == name and _fits(fault, where) and self._left(number, fault):
                    return fault
        return None

    def at(self, moment: str) -> None:
        """Let the faults of the process happen that are due at `moment`: start, middle or end."""
        for name in ("flood", "fork", "hang", "kill", "exit"):
            while fault := self.due(name, at=moment, command=self._command):
                _PROCESS[name](fault)
                if "times" not in fault:
                    break

    def _left(self, number: int, fault: dict[str, Any]) -> bool:
        if "times" not in fault:
            return True
        state = self._path.with_name(self._path.name + ".state")
        used: dict[str, int] = json.loads(state.read_text()) if state.exists() else {}
        if used.get(str(number), 0) >= fault["times"]:
            return False
        used[str(number)] = used.get(str(number), 0) + 1
        state.write_text(json.dumps(used))
        return True


_DEFAULTS = {"at": "start", "command": "sync", "file": "*", "on": "sync"}


def _fits(fault: dict[str, Any], where: dict[str, str]) -> bool:
    return all(fnmatch.fnmatchcase(value, fault.get(key, _DEFAULTS.get(key, "*"))) for key, value in where.items())


def _hang(fault: dict[str, Any]) -> None:
    if fault.get("stubborn"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(fault.get("seconds", 3600))


def _fork(fault: dict[str, Any]) -> None:
    if os.fork() == 0:
        _hang(fault)
        os._exit(0)


def _exit(fault: dict[str, Any]) -> None:
    sys.stderr.write(fault.get("text", "the stand-in ends as it was told\n"))
    sys.stderr.flush()
    os._exit(fault.get("code", 1))


def _kill(_fault: dict[str, Any]) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _flood(fault: dict[str, Any]) -> None:
    line = ("x" * 1023 + ("" if fault.get("one_line") else "\n")).encode()
    wanted = fault.get("stream", "both")
    numbers = [n for n, name in ((1, "stdout"), (2, "stderr")) if wanted in (name, "both")]
    for _ in range(fault.get("megabytes", 10) * 1024):
        for number in numbers:
            os.write(number, line)


_PROCESS = {"flood": _flood, "fork": _fork, "hang": _hang, "kill": _kill, "exit": _exit}

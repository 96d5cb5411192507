"""One side of ours, in a process of its own so that its memory is its own: the stages of a night, timed.

    python -m benchmarks.night < {"settings": {...}, "what": "tables", "checks": true}

prints {"seconds": ..., "keep_seconds": ..., "peak_mib": ...}. `what` is "tables" or "requests": verify and that load,
as a night does; and what it does afterwards, when the site is back: keep the lines for the next night.
"""

from __future__ import annotations

import contextlib
import json
import logging
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import unchecked
from udecdash_updater import stages
from udecdash_updater.night import Night
from udecdash_updater.options import RunOptions
from udecdash_updater.settings import Settings

_FIELDS = ("db_host", "db_port", "db_name", "db_username", "db_sslmode", "path_data_files", "load_connections")


def run(
    settings: Settings, what: str, data_files: Path, *, connections: int = 2, checks: bool = True
) -> dict[str, float]:
    """A night's load of `data_files` by a new process, with LOAD_CONNECTIONS `connections`; its figures."""
    found = settings.model_copy(update={"path_data_files": data_files, "load_connections": connections})
    values = {name: getattr(found, name) for name in _FIELDS}
    asked = json.dumps({"settings": values, "what": what, "checks": checks}, default=str)
    return separate(__name__, asked)


def separate(module: str, asked: str) -> dict[str, float]:
    """What a module tells that runs in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", module],
        input=asked,
        text=True,
        check=True,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).resolve().parents[1],
    )
    told: dict[str, float] = json.loads(done.stdout)
    return told


def peak_mib() -> float:
    """The most memory that this process had so far; ru_maxrss would count what its parent had when it was made."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def _night(asked: Mapping[str, Any]) -> dict[str, float]:
    settings = Settings(**asked["settings"], enable_download=False)
    if not asked["checks"]:
        unchecked.switch_off()
    with contextlib.ExitStack() as resources:
        night = Night(settings, resources, waits=False, options=RunOptions(accept=frozenset({"all"})))
        stages.check(night)
        began = time.perf_counter()
        stages.verify(night)
        (stages.load_tables if asked["what"] == "tables" else stages.load_requests)(night)
        seconds = time.perf_counter() - began
        began = time.perf_counter()
        stages.keep_lines(night)
        kept = time.perf_counter() - began
        night.open_ledger.end_run(0, None, [])
    return {"seconds": seconds, "keep_seconds": kept, "peak_mib": peak_mib()}


def main() -> int:
    """Read what is asked, do it, tell the figures."""
    logging.disable()
    sys.stdout.write(json.dumps(_night(json.load(sys.stdin))))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What one run is told beyond the settings: by the command line, or by whoever calls the library."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Options of one run; without any it is a plain night.

    `accept`: tables that may look implausible this once. `tables`: load only these; all without any. `dry_run`: tell
    what would be done. `wait`: wait until the jobs are done.
    """

    accept: frozenset[str] = frozenset()
    tables: tuple[str, ...] = ()
    dry_run: bool = False
    wait: bool = False
    silent: bool = False

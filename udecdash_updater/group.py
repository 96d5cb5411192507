"""The workers' group as supervisord's configuration: a program for each queue, which looks into that queue first."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from udecdash_updater import pages
from udecdash_updater.queues import queue_names
from udecdash_updater.settings import Settings

GROUP = "udecdash-workers"


@dataclass(frozen=True, slots=True)
class Places:
    """What differs from site to site: the command of Python, main.py's folder, the account, where logs go.

    As supervisord's configuration has them.
    """

    python: str
    folder: str
    account: str
    logs: str


def places(folder: Path, account: str) -> Places:
    """Those of this installation, for a main.py in `folder`; logs lie beside it."""
    here = escaped(folder.resolve())
    return Places(escaped(shlex.quote(sys.executable)), here, account, escaped(here))  # logs' names are expanded twice


def escaped(text: object) -> str:
    """A value for supervisord's configuration, where a percent sign begins an expansion."""
    return str(text).replace("%", "%%")


def program(queue: str) -> str:
    """The name of the program whose workers begin with that queue."""
    return f"udecdash-{queue}"


def spread(settings: Settings, workers: int | None = None) -> dict[str, int]:
    """How many workers begin with each queue, when there are so many in all; without a number one each.

    Few are spread over the sizes, from the smallest courses to the largest.

    >>> [queue for queue, count in spread(Settings(), 4).items() if count]
    ['first_queue', 'fourth_queue', 'eighth_queue', 'course_too_long']
    >>> spread(Settings(queue_limits=(20,)), 5)
    {'first_queue': 3, 'course_too_long': 2}
    """
    names = queue_names(settings)
    total = len(names) if workers is None else workers
    begins = [round(number * (len(names) - 1) / max(total - 1, 1)) for number in range(total)]
    return {name: begins.count(place) for place, name in enumerate(names)}


def configuration(settings: Settings, where: Places, workers: int | None = None) -> str:
    """The file that supervisord includes: so many workers in all, or one for each queue."""
    counts = {program(queue): (queue, count) for queue, count in spread(settings, workers).items()}
    return pages.render("workers.conf", group=GROUP, programs=counts, where=where)

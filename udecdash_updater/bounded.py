"""Work that must end in time, whatever a server does: looking a name up and a dripping answer know no time-out."""

from __future__ import annotations

import concurrent.futures
import http.client
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from udecdash_updater.errors import UpdaterError

Given = TypeVar("Given")
# What talking to a server raises; smtplib's, ssl's and urllib's errors are OSErrors.
_FAILURES = (UpdaterError, OSError, ValueError, http.client.HTTPException)


def within(seconds: float, work: Callable[[], Given]) -> Given:
    """What `work` gives, done in a thread that is left behind when it takes too long.

    Raises what it raises, and TimeoutError after `seconds`.
    """
    outcome = _started(work)
    concurrent.futures.wait([outcome], timeout=seconds)
    if not outcome.done():
        raise TimeoutError(f"no end within {seconds:.0f} s")
    return outcome.result()


def together(works: Sequence[Callable[[], None]], stop: threading.Event, grace: float) -> None:
    """Do these at once, each in a thread.

    When one raises something, which is raised here, or when we are interrupted, `stop` is set and they have `grace`
    seconds to see it; one that sleeps longer is left behind.
    """
    outcomes = [_started(work) for work in works]
    try:
        for outcome in concurrent.futures.as_completed(outcomes):
            outcome.result()
    finally:
        stop.set()
        concurrent.futures.wait(outcomes, timeout=grace)


def _started(work: Callable[[], Given]) -> concurrent.futures.Future[Given]:
    outcome: concurrent.futures.Future[Given] = concurrent.futures.Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except _FAILURES as error:
            outcome.set_exception(error)
        finally:
            if not outcome.done():
                outcome.set_exception(sys.exc_info()[1])

    threading.Thread(target=run, name="bounded", daemon=True).start()
    return outcome
